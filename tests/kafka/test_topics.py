"""`derivasys topics apply`, and records of unknown versions (docs/services.md, 1)."""

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType

from derivasys.bus import topics
from derivasys.bus.records import SCHEMA_HEADER, header
from derivasys.bus.settings import BusError
from derivasys.bus.topics import DEAD, PATCHES, QUOTES, SURFACES
from derivasys.doctor import _kafka
from derivasys.testing.kafka.market import Market
from tests.kafka.conftest import PARTITIONS, read_topic
from tests.kafka.services import Watch, calibrator, running, until


def config_of(clients, kind, name):
    asked = clients.admin().describe_configs([ConfigResource(kind, name)])
    return {key: entry.value for key, entry in next(iter(asked.values())).result().items()}


def test_topics_are_as_configured(clients, fleet, tmp_path):
    known = clients.admin().list_topics(timeout=10).topics
    for name in (QUOTES, SURFACES, PATCHES):
        assert len(known[clients.topic(name)].partitions) == PARTITIONS
    assert {clients.topic(f"raw.{venue}") for venue in ("deribit", "okx")} <= known.keys()
    quotes = config_of(clients, ResourceType.TOPIC, clients.topic(QUOTES))
    assert quotes["cleanup.policy"] == "compact,delete"
    assert config_of(clients, ResourceType.TOPIC, clients.topic("raw.okx"))["cleanup.policy"] == "delete"
    if clients.has_group_protocol():
        group = config_of(clients, ResourceType.GROUP, clients.topic(topics.CALIBRATORS))
        assert group["consumer.session.timeout.ms"] == str(topics.SESSION_MS)

    # The command: what differs is changed, what does not is left, all venues' raw topics are made.
    file = tmp_path / "topics.toml"
    file.write_text('[patches]\n"retention.ms" = 7200000\n[raw]\npartitions = 2\n')
    told = fleet.run("topics", "apply", "--config", str(file), "--partitions", str(PARTITIONS))
    assert f"{clients.topic(PATCHES)}: retention.ms=7200000" in told
    assert f"{clients.topic(QUOTES)}: as it shall be" in told
    assert f"{clients.topic('raw.bybit')}: created with 2 partitions" in told
    assert config_of(clients, ResourceType.TOPIC, clients.topic(PATCHES))["retention.ms"] == "7200000"


def test_a_currency_never_changes_its_partition(clients):
    with pytest.raises(BusError, match="a currency's partition must not change"):
        topics.apply(clients, topics.wanted((), {"by_ccy": {"partitions": PARTITIONS + 1}}))


async def test_unknown_versions_go_to_dead_letter_and_the_rest_goes_on(clients):
    producer = clients.producer()
    strange = [
        (QUOTES, b"\xc1 no event of ours", [(SCHEMA_HEADER, b"99"), ("traceparent", b"x")], "schema version 99 is not known here (known: 1)"),
        (QUOTES, b"no event", [(SCHEMA_HEADER, b"1")], "no event: "),
        (QUOTES, b"bare", [], "no schema version in the headers"),
        (PATCHES, b"of tomorrow", [(SCHEMA_HEADER, b"2"), ("stamp", b"\0" * 17)], "schema version 2 is not known here (known: 1)"),
    ]  # fmt: skip
    for topic, value, sent, _ in strange:
        producer.produce(clients.topic(topic), value, key=b"k", partition=0, headers=sent)
    producer.flush(10)
    watch = Watch(clients)
    with Market(clients, ("BTC",), PARTITIONS):
        async with running(calibrator(clients)):
            await until(lambda: watch.version("BTC") > 3)
    producer.produce(clients.topic(PATCHES), b"of tomorrow", key=b"k", partition=0, headers=strange[3][2])
    producer.flush(10)
    await until(lambda: watch.take() and watch.dead.count)
    watch.close()
    letters = read_topic(clients, DEAD)
    for topic, value, sent, reason in strange:
        found = [letter for letter in letters if letter.value() == value]
        assert found, (topic, value)
        assert header(found[0], "dead.reason").decode().startswith(reason)
        assert header(found[0], "dead.topic").decode() == clients.topic(topic)
        assert found[0].headers()[: len(sent)] == sent, "the original headers come first"
        assert found[0].key() == b"k"


def test_the_doctor_finds_the_broker(bootstrap):
    (found,) = _kafka({"KAFKA_BOOTSTRAP_SERVERS": bootstrap})
    assert (found.level, found.what) == ("ok", f"Kafka answers at {bootstrap}, PLAINTEXT")
