"""Brokers die and come back: what was acknowledged stays, once and in order (docs/services.md, 4)."""

import asyncio
import signal
import threading

import pytest

from derivasys.bus import records
from derivasys.bus.topics import PATCHES, QUOTES, SURFACES, partition_of
from derivasys.testing.kafka import Cluster
from derivasys.testing.kafka.market import Market
from tests.kafka.conftest import PARTITIONS, installation, need_own_kafka, read_topic
from tests.kafka.services import Watch, calibrator, running, until


class Logger:
    """Writes numbered frames to a raw topic without a pause and notes which were acknowledged."""

    def __init__(self, clients) -> None:
        self.acknowledged: list[int] = []
        self.failed: list[int] = []
        self.sent = 0
        self._topic = clients.topic("raw.deribit")
        self._producer = clients.producer()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(0.002):
            if len(self._producer) < 10_000:
                at = self.sent
                self.sent += 1
                self._producer.produce(
                    self._topic, str(at).encode(), on_delivery=lambda error, _, at=at: self._told(error, at)
                )
            self._producer.poll(0)

    def _told(self, error, at) -> None:
        (self.acknowledged if error is None else self.failed).append(at)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()
        assert self._producer.flush(60) == 0


def assert_all_there(clients, logger):
    found = [int(message.value()) for message in read_topic(clients, "raw.deribit")]
    assert found == sorted(set(found)), "once and in order"
    assert set(logger.acknowledged) <= set(found)
    assert not logger.failed


def assert_only_grows(clients):
    for topic in (PATCHES, SURFACES):
        last = {}
        for message in read_topic(clients, topic):
            at, _ = records.stamp(message)
            before = last.get(message.key(), at)
            assert at >= before
            assert at.version >= before.version
            last[message.key()] = at


async def through_an_outage(clients, outage):
    """Run a market, a calibrator, a follower and a logger; let `outage` happen; all must go on where they were."""
    watch, logger = Watch(clients), Logger(clients)
    with Market(clients, ("BTC",), PARTITIONS):
        async with running(calibrator(clients)):
            await until(lambda: watch.version("BTC") > 5 and len(logger.acknowledged) > 100)
            before, acknowledged = watch.follower.held["BTC"].stamp, len(logger.acknowledged)
            await asyncio.to_thread(outage)
            await until(lambda: watch.version("BTC") > before.version + 20, 120)
            await until(lambda: len(logger.acknowledged) > acknowledged + 200, 120)
            assert watch.follower.held["BTC"].stamp.epoch >= before.epoch
    logger.stop()
    watch.close()
    assert_all_there(clients, logger)
    assert_only_grows(clients)


async def test_the_broker_is_killed_and_comes_back(broker, clients):
    def outage():
        broker.nodes[0].kill(signal.SIGKILL)
        broker.restart(1)

    await through_an_outage(clients, outage)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    need_own_kafka("needs three nodes and kills one")
    with Cluster(tmp_path_factory.mktemp("kafka3"), 3) as cluster:
        yield cluster


async def test_a_leader_of_three_is_killed(three):
    clients = installation(three.bootstrap, 3)
    for name in (QUOTES, SURFACES, PATCHES):
        topic = clients.admin().list_topics(clients.topic(name), timeout=20).topics[clients.topic(name)]
        assert {len(part.replicas) for part in topic.partitions.values()} == {3}
    partition = partition_of("BTC", PARTITIONS)
    leader = topic.partitions[partition].leader

    def outage():
        three.nodes[leader - 1].kill(signal.SIGKILL)

    await through_an_outage(clients, outage)
    now = clients.admin().list_topics(clients.topic(PATCHES), timeout=20).topics[clients.topic(PATCHES)]
    assert now.partitions[partition].leader not in {leader, -1}
