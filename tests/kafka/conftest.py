"""A real Kafka for the tests: one of our own, or that of KAFKA_BOOTSTRAP_SERVERS; see test_selection.py."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator

import pytest

from derivasys.bus import topics
from derivasys.bus.clients import Clients
from derivasys.bus.settings import BusSettings
from derivasys.testing.fleet import Fleet
from derivasys.testing.kafka import Cluster, KafkaUnavailable, jars
from derivasys.testing.kafka.broker import Listener, free_ports

PARTITIONS = 2
VIA = free_ports(1)[0]
"""Port of the relay through which a connector can be cut off; see test_connectors.py."""


GIVEN = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")


def need_own_kafka(why: str) -> None:
    """Skip where a broker is given, or where Java or Maven is missing; that is an error under CI=true."""
    if GIVEN:
        pytest.skip(f"not with the broker of KAFKA_BOOTSTRAP_SERVERS: this test {why}")
    try:
        jars()
    except KafkaUnavailable as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"under CI=true the Kafka tests must run: {missing}", pytrace=False)
        pytest.skip(f"Kafka tests are skipped: {missing}")


@pytest.fixture(scope="session")
def broker(tmp_path_factory) -> Iterator[Cluster]:
    """One node of our own, which tests may stop, start and cut off."""
    need_own_kafka("stops its broker or cuts it off")
    extra = [Listener(name="VIA", protocol="PLAINTEXT", advertised=VIA)]
    with Cluster(tmp_path_factory.mktemp("kafka"), extra=extra) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def bootstrap(request) -> str:
    return GIVEN or request.getfixturevalue("broker").bootstrap


@pytest.fixture
def clients(bootstrap) -> Iterator[Clients]:
    """Clients of an installation of the test's own, its topics made; they do not stay on a broker that was given."""
    clients = installation(bootstrap)
    yield clients
    if GIVEN:
        admin = clients.admin()
        names = [name for name in admin.list_topics(timeout=10).topics if name.startswith(clients.settings.prefix)]
        for deleted in admin.delete_topics(names).values():
            deleted.result(10)


def installation(bootstrap: str, replication: int = 1, **settings) -> Clients:
    clients = Clients(BusSettings(bootstrap=bootstrap, prefix=f"t{uuid.uuid4().hex[:8]}.", **settings), "test")
    over = {"by_ccy": {"partitions": PARTITIONS}}
    topics.apply(clients, topics.wanted(("deribit", "okx"), over, replication))
    return clients


@pytest.fixture
def fleet(bootstrap, clients) -> Iterator[Fleet]:
    with Fleet(bootstrap, clients.settings.prefix) as fleet:
        yield fleet


@pytest.fixture
def read(clients) -> Callable[..., list]:
    return lambda topic, **more: read_topic(clients, topic, **more)


def read_topic(clients: Clients, topic: str, isolation: str = "read_uncommitted") -> list:
    """Return all records of a topic, partition by partition."""
    from confluent_kafka import OFFSET_BEGINNING, TopicPartition

    from derivasys.bus.clients import is_end

    name = clients.topic(topic)
    reader = clients.reader(**{"isolation.level": isolation})
    parts = sorted(reader.list_topics(name, timeout=10).topics[name].partitions)
    reader.assign([TopicPartition(name, part, OFFSET_BEGINNING) for part in parts])
    found: list = []
    ended = 0
    while ended < len(parts):
        for message in reader.consume(1000, 0.1):
            if is_end(message):
                ended += 1
            elif message.error() is None:
                found.append(message)
            else:
                raise AssertionError(message.error())
    reader.close()
    return sorted(found, key=lambda message: (message.partition(), message.offset()))
