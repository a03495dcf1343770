"""A currency has one owner at a time; a dead one is succeeded, a stalled one is shut out (docs/services.md, 2)."""

import signal
import time

import orjson
from confluent_kafka import KafkaException
from websockets.sync.client import connect

from derivasys.bus import records
from derivasys.bus.topics import PATCHES, QUOTES, SURFACES, partition_of
from derivasys.pipeline import Pipeline
from derivasys.services.ownership import Owned, claim, is_fencing
from derivasys.testing.fleet import publisher, until
from derivasys.testing.kafka.market import Market, events, listing
from tests.kafka.conftest import PARTITIONS, read_topic
from tests.kafka.services import Watch, calibrator, running
from tests.kafka.services import until as meanwhile

CCYS = ("BTC", "ETH")


def body(gateway, ccy):
    reply = gateway.get(f"/surface/latest?ccy={ccy}")
    return orjson.loads(reply.content) if reply.status_code == 200 else None


def owned_by(clients, partition, ccy):
    owned = Owned(partition, clients, Pipeline, "test")
    owned.claimed = claim(clients, clients.topic(QUOTES), partition, lambda: True)
    assert owned.claimed is not None
    owned.start()
    for event in (*listing(ccy, time.time_ns()), *events(ccy, 0, time.time_ns())):
        owned.pipeline.apply(event)
    return owned


def publish(owned, ccy, at):
    for event in events(ccy, at, time.time_ns()):
        owned.pipeline.apply(event)
    made = owned.publish(time.time_ns(), time.monotonic())
    owned.claimed.producer.flush(10)
    return made


def publish_late(owned, ccy, at):
    """The refusal is told by the call or by the delivery report, whichever comes first."""
    try:
        publish(owned, ccy, at)
    except (KafkaException, SystemError) as failure:
        assert is_fencing(failure)
        owned.is_fenced = True


def stamps(clients, topic):
    return [records.stamp(message)[0] for message in read_topic(clients, topic)]


def test_a_shut_out_owner_publishes_nothing(clients):
    """The broker refuses it: in the middle of a transaction, and at its beginning."""
    partition = partition_of("BTC", PARTITIONS)
    old = owned_by(clients, partition, "BTC")
    assert publish(old, "BTC", 1)
    assert old.in_transaction
    before = stamps(clients, PATCHES)
    assert len(before) == 1

    new = owned_by(clients, partition, "BTC")
    assert new.claimed.epoch > old.claimed.epoch
    assert new.claimed.versions["BTC"] > before[-1].version
    publish_late(old, "BTC", 2)
    assert old.is_fenced
    assert publish(old, "BTC", 3) == [], "it knows by now"
    assert stamps(clients, PATCHES) == before
    assert publish(new, "BTC", 4)
    written = stamps(clients, PATCHES)
    assert [at.epoch for at in written] == [old.claimed.epoch, new.claimed.epoch]
    assert written[1].version > written[0].version


def test_an_owner_shut_out_between_transactions_publishes_nothing(clients):
    partition = partition_of("BTC", PARTITIONS)
    old = owned_by(clients, partition, "BTC")
    assert publish(old, "BTC", 1)
    old.commit()
    assert not old.in_transaction
    before = stamps(clients, PATCHES), stamps(clients, SURFACES)
    new = owned_by(clients, partition, "BTC")
    publish_late(old, "BTC", 2)
    old.commit()
    assert old.is_fenced
    assert (stamps(clients, PATCHES), stamps(clients, SURFACES)) == before
    assert publish(new, "BTC", 3)


def owner_of(calibrators, ccy):
    return next((each for each in calibrators if each.is_alive and each.metric("surface_version", ccy=ccy)), None)


def test_killed_and_stalled_owners_are_succeeded(clients, fleet):
    with Market(clients, CCYS, PARTITIONS):
        gateway = fleet.start("gateway")
        calibrators = [fleet.start("calibrator", name=f"calibrator {at}") for at in (1, 2)]
        for process in (gateway, *calibrators):
            process.await_start()
        first = until(lambda: (b := body(gateway, "BTC")) and body(gateway, "ETH") and b)

        # Killed in the middle of its work: the other owns the currency, in a new epoch, above the old versions.
        until(lambda: all(each.metric("partitions") == 1 for each in calibrators))
        owner = publisher(calibrators, "BTC")
        survivor = next(each for each in calibrators if each is not owner)
        with connect(gateway.url.replace("http", "ws") + "ws?ccy=BTC", max_size=None) as client:
            while orjson.loads(client.recv(30)).get("type") != "svi_surface_snapshot":
                pass
            before = body(gateway, "BTC")
            owner.stop(signal.SIGKILL)
            while True:
                message = orjson.loads(client.recv(30))
                if message["type"] == "svi_surface_snapshot" and message["epoch"] != before["epoch"]:
                    break
        assert message["version"] > before["version"] >= first["version"]
        assert int(message["epoch"], 16) > int(before["epoch"], 16)
        smiles = message["smiles"].values()
        assert len(smiles) == 3
        assert all(smile["certificate"]["butterfly"] == "certified" for smile in smiles)
        assert all(smile["certificate"]["calendar"] == "certified" for smile in smiles)

        # Stalled, and so taken for dead, it is succeeded by a newcomer; then it wakes up as if nothing had been.
        fleet.start("calibrator", name="calibrator 3").await_start()
        held = until(lambda: next((ccy for ccy in CCYS if owner_of([survivor], ccy)), None))
        before = body(gateway, held)
        survivor.send(signal.SIGSTOP)
        after = until(lambda: (b := body(gateway, held)) and b["epoch"] != before["epoch"] and b)
        survivor.send(signal.SIGCONT)
        assert after["version"] > before["version"]
        until(lambda: not owner_of([survivor], held) or body(gateway, held)["epoch"] != after["epoch"])
        version = body(gateway, held)["version"]
        until(lambda: body(gateway, held)["version"] > version + 10)
    for topic in (PATCHES, SURFACES):
        history_only_grows(clients, topic)


def history_only_grows(clients, topic):
    """In the order of the log no epoch and no version of a currency ever falls: no late output of anybody is in it."""
    last = {}
    for message in read_topic(clients, topic):
        at, _ = records.stamp(message)
        before = last.get(message.key(), at)
        assert (at.epoch, at.version) >= (before.epoch, before.version)
        assert at.version >= before.version
        last[message.key()] = at
    assert {key.decode() for key in last} == set(CCYS)


async def test_a_broker_without_the_new_group_protocol_serves_as_well(clients):
    """The classic protocol: what a broker before 4.0 has."""
    clients._has_group_protocol = False
    watch = Watch(clients)
    with Market(clients, CCYS, PARTITIONS):
        one, two = calibrator(clients), calibrator(clients)
        async with running(one):
            await meanwhile(lambda: all(watch.version(ccy) > 2 for ccy in CCYS))
            before = {ccy: watch.follower.held[ccy].stamp for ccy in CCYS}
            async with running(two):
                await meanwhile(lambda: len(one.owned) == len(two.owned) == 1)
                await meanwhile(
                    lambda: any(
                        watch.version(ccy) and watch.follower.held[ccy].stamp.epoch > before[ccy].epoch for ccy in CCYS
                    )
                )
            await meanwhile(lambda: len(one.owned) == PARTITIONS)
            after = {ccy: watch.version(ccy) for ccy in CCYS}
            await meanwhile(lambda: all(watch.version(ccy) > after[ccy] for ccy in CCYS))
    watch.close()
    for topic in (PATCHES, SURFACES):
        history_only_grows(clients, topic)
