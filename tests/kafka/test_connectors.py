"""Connectors on the way to the log: twice, cut off, with a full queue (docs/services.md, 4)."""

import time

import pytest

from derivasys.bus import records
from derivasys.bus.clients import Clients
from derivasys.bus.topics import QUOTES
from derivasys.clock import SystemClock
from derivasys.connect.session import Endpoint
from derivasys.pipeline import Pipeline
from derivasys.record.segments import Kind
from derivasys.services.connector import ConnectorOptions, ConnectorService
from derivasys.services.gateway import GatewayOptions, GatewayService
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS
from derivasys.wire.messages import SourceStatus
from tests.kafka.conftest import PARTITIONS, VIA, read_topic
from tests.kafka.proxy import Proxy
from tests.kafka.services import running, until

SOURCE = SourceStatus(kind="simulated", label="test")


@pytest.fixture
async def venue():
    clock = SystemClock()
    world = World([load_shipped("BTC")], seed=5, start_ns=clock.now_ns())
    server = SERVERS["deribit"](world, clock, ("BTC",), 300.0)
    await server.start()
    yield server
    await server.stop()


def connector(clients, server, name, **more):
    address = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
    options = ConnectorOptions(
        venue="deribit", ccys=("BTC",), endpoint=address, partitions=PARTITIONS, source=SOURCE, name=name, **more
    )
    return ConnectorService(clients, options, SystemClock())


def gateway(clients, tmp_path):
    return GatewayService(clients, GatewayOptions(site=tmp_path))


def venues(service):
    return {venue.venue: venue for venue in service.venues()}


async def test_a_connector_that_runs_twice_is_one_feed(clients, venue, tmp_path):
    """Two logs of frames, one chain: each instrument has one row, and no quote is older than the one before it."""
    one, two, watched = connector(clients, venue, "a"), connector(clients, venue, "b"), gateway(clients, tmp_path)
    async with running(watched, one, two):
        await until(lambda: one.records > 4000 and two.records > 4000 and one.state == two.state == "live")
        await until(lambda: "deribit" in venues(watched) and venues(watched)["deribit"].state == "live")
    pipeline = Pipeline(None, ("BTC",))
    newest = {}
    for message in read_topic(clients, QUOTES):
        pipeline.apply(records.decode_event(message))
    chain = pipeline.chains["BTC"]
    surface = pipeline.drain(time.time_ns())[0]
    names = [of.symbol for of in chain.contracts]
    assert len(names) == len(set(names)) > 300
    assert {int(surface.state[at]) for at in range(len(surface))} == {0}, "every expiry is fitted"
    raw = read_topic(clients, "raw.deribit")
    for message in raw:
        newest.setdefault(message.key(), []).append(records.about(message))
    assert set(newest) == {b"a/0", b"b/0"}
    for abouts in newest.values():
        assert [at.recv_ns for at in abouts] == sorted(at.recv_ns for at in abouts)
        assert abouts[0].kind == Kind.OPENED
        assert {at.opened_ns for at in abouts} == {abouts[0].opened_ns}


async def test_a_cut_off_connector_is_shown_stale_and_loses_nothing_silently(broker, clients, venue, tmp_path):
    proxy = Proxy(VIA, broker.nodes[0].ports[1])
    via = Clients(settings_via(clients, broker), "cut")
    # A small queue, so that it fills while the test lasts.
    service, watched = connector(via, venue, "c", queue_kbytes=2048), gateway(clients, tmp_path)
    try:
        async with running(watched, service):
            await until(lambda: "deribit" in venues(watched) and venues(watched)["deribit"].state == "live")
            proxy.is_cut = True
            await until(lambda: venues(watched)["deribit"].state == "stale")
            assert "has not been heard" in venues(watched)["deribit"].detail
            assert "deribit is stale" in watched.not_ready()
            await until(lambda: service.lost > 50 and service.held > 0 and len(service.waiting()) > 50)
            pending = service.waiting()
            assert service.state == "live", "the venue itself is well"
            proxy.is_cut = False
            await until(lambda: venues(watched)["deribit"].state == "live")
            await until(lambda: venues(watched)["deribit"].drops >= service.lost > 0)
            at_ns = time.time_ns()
            await until(lambda: service.flushed_ns > at_ns)
    finally:
        proxy.close()
    # What was lost is in the header of what came after; no instrument's newest quote was lost.
    raw = [message for message in read_topic(clients, "raw.deribit") if message.key() == b"c/0"]
    counted = [records.about(message).lost for message in raw]
    assert counted == sorted(counted)
    assert counted[0] == 0
    assert counted[-1] == service.lost
    assert len(raw) == service.logged - service.undelivered
    newest = {}
    for message in read_topic(clients, QUOTES):
        newest[message.key()] = records.decode_event(message)
    for key, event in pending.items():
        assert newest[key].recv_ns >= event.recv_ns


def settings_via(clients, broker):
    import msgspec

    return msgspec.structs.replace(clients.settings, bootstrap=broker.address("VIA"))
