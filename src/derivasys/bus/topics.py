"""The topics of an installation: what each is for, how it is kept, and `derivasys topics apply` that makes it so."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource, NewPartitions, NewTopic, ResourceType
from msgspec import Struct

from derivasys.bus.clients import CONNECT_S_MAX, MESSAGE_BYTES_MAX, Clients
from derivasys.bus.settings import BusError

RAW = "raw."
QUOTES, SURFACES, PATCHES, STATUS, DEAD = "quotes", "surfaces", "patches", "status", "dead-letter"
CALIBRATORS, RECORDER = "calibrators", "recorder"
"""Consumer groups."""
BY_CCY = (QUOTES, SURFACES, PATCHES)
"""Topics whose partition is the currency's: they have equally many."""
PARTITIONS = 8
SESSION_MS = 1500
"""A calibrator silent for so long loses its currencies."""
HEARTBEAT_MS = 250
POLL_S = 0.1
_HOUR_MS = 3_600_000
_COMPACT = {
    # The newest record of each key, for those who start; old segments go when nobody has refreshed them in three days.
    "cleanup.policy": "compact,delete",
    "retention.ms": 72 * _HOUR_MS,
    "segment.bytes": 16 << 20,
    "segment.ms": 60_000,
    "min.cleanable.dirty.ratio": 0.2,
    "max.compaction.lag.ms": 120_000,
    "max.message.bytes": MESSAGE_BYTES_MAX,
}
_LOG = {
    "cleanup.policy": "delete",
    "retention.ms": 6 * _HOUR_MS,
    "segment.bytes": 128 << 20,
    "segment.ms": 600_000,
    "max.message.bytes": MESSAGE_BYTES_MAX,
}
DEFAULTS: dict[str, dict[str, Any]] = {
    # Bytes as received, for replay: one partition a venue keeps a connection's order, retention.bytes bounds the disk.
    RAW: {"partitions": 1, "retention.bytes": 16 << 30, **_LOG},
    QUOTES: {"partitions": PARTITIONS, **_COMPACT},
    SURFACES: {"partitions": PARTITIONS, **_COMPACT},
    PATCHES: {"partitions": PARTITIONS, "retention.bytes": 4 << 30, **_LOG},
    STATUS: {"partitions": 1, **_COMPACT, "retention.ms": _HOUR_MS},
    DEAD: {"partitions": 1, "retention.bytes": 1 << 30, **_LOG, "retention.ms": 168 * _HOUR_MS},
}


def partition_of(ccy: str, partitions: int) -> int:
    """Return the partition of a currency in every topic of `BY_CCY`."""
    return crc32(ccy.encode()) % partitions


class Topic(Struct, frozen=True):
    """One topic as it shall be."""

    name: str
    """Without the installation's prefix."""
    partitions: int
    replication: int
    config: dict[str, str]


def wanted(
    venues: Sequence[str], overrides: dict[str, dict[str, Any]] | None = None, replication: int = 1
) -> list[Topic]:
    """Return the topics of an installation with these venues.

    `overrides` by topic (`raw` for all of `raw.<venue>`, `by_ccy` for the three that go by currency): `partitions`,
    `replication` and any topic configuration of Kafka's. Raises BusError.
    """
    over = {RAW if name == "raw" else name: values for name, values in (overrides or {}).items()}
    by_ccy = over.pop("by_ccy", {})
    for name, values in over.items():
        if name not in DEFAULTS:
            raise BusError(f"topics: [{name}] is none of raw, by_ccy, {', '.join(n for n in DEFAULTS if n != RAW)}")
        if name in BY_CCY and "partitions" in values:
            raise BusError(f"topics: [{name}] partitions: set them in [by_ccy]; {', '.join(BY_CCY)} have equally many")
    topics = []
    for name, defaults in DEFAULTS.items():
        settings = {"replication": replication, **defaults, **(by_ccy if name in BY_CCY else {}), **over.get(name, {})}
        counts = []
        for what in ("partitions", "replication"):
            count = settings.pop(what)
            if not isinstance(count, int) or not 1 <= count <= 10_000:
                raise BusError(f"topics: [{name}] {what} = {count!r} is no number from 1 to 10000")
            counts.append(count)
        config = {key: str(value) for key, value in settings.items()}
        names = [RAW + venue for venue in venues] if name == RAW else [name]
        topics += [Topic(each, counts[0], counts[1], config) for each in names]
    return topics


def read_overrides(file: Path) -> dict[str, dict[str, Any]]:
    """Return the tables of a TOML file for `wanted`. Raises BusError."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BusError(f"{file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BusError(f"{file}: {error}") from None
    for name, table in tables.items():
        if not isinstance(table, dict):
            raise BusError(f"{file}: {name} stands outside the table of a topic, such as [quotes]")
    return tables


def apply(clients: Clients, topics: Sequence[Topic], session_ms: int = SESSION_MS) -> list[str]:
    """Make the broker's topics as they shall be and return what was done, one line each. Raises BusError.

    Partitions of `BY_CCY` are never changed: a currency would move to another partition and leave its history behind.
    """
    admin = clients.admin()
    try:
        present = admin.list_topics(timeout=CONNECT_S_MAX).topics
    except KafkaException as error:
        raise BusError(f"Kafka at {clients.settings.bootstrap}: {clients.last_error or error.args[0].str()}") from None
    lines = []
    for topic in topics:
        name = clients.topic(topic.name)
        if name not in present:
            lines.append(_create(admin, name, topic))
            continue
        has = len(present[name].partitions)
        if has != topic.partitions and topic.name in BY_CCY:
            raise BusError(
                f"topic {name} has {has} partitions, {topic.partitions} are wanted: a currency's partition must not "
                f"change; choose another DERIVASYS_TOPIC_PREFIX (or delete the topics) to start with another number"
            )
        if has > topic.partitions:
            raise BusError(f"topic {name} has {has} partitions, which cannot become {topic.partitions}")
        if has < topic.partitions:
            _await(admin.create_partitions([NewPartitions(name, topic.partitions)]), name)
        changed = _alter(admin, ResourceType.TOPIC, name, topic.config)
        lines.append(f"{name}: {', '.join(changed) or 'as it shall be'}")
    _await_leaders(admin, [clients.topic(topic.name) for topic in topics])
    lines += _session(clients, session_ms)
    return lines


def _await_leaders(admin: Any, names: Sequence[str]) -> None:
    """Return when every partition has a leader that the broker tells of: creation is told before it is known."""
    for _ in range(int(CONNECT_S_MAX / POLL_S)):
        known = admin.list_topics(timeout=CONNECT_S_MAX).topics
        if all(name in known and all(part.leader >= 0 for part in known[name].partitions.values()) for name in names):
            return
        admin.poll(POLL_S)
    raise BusError(f"topics were created, but have no leader after {CONNECT_S_MAX:g} s: see the broker's log")


def _create(admin: Any, name: str, topic: Topic) -> str:
    new = NewTopic(name, topic.partitions, topic.replication, config=topic.config)
    for future in admin.create_topics([new], operation_timeout=CONNECT_S_MAX).values():
        try:
            future.result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:  # somebody else's `apply` was faster
                raise BusError(f"topic {name}: {error.args[0].str()}") from None
    return f"{name}: created with {topic.partitions} partitions, {topic.replication} replicas"


def _session(clients: Clients, session_ms: int) -> list[str]:
    """Set how soon a silent calibrator loses its currencies: a configuration of the group (KIP-848)."""
    if not clients.has_group_protocol():
        return []
    group = clients.topic(CALIBRATORS)
    config = {"consumer.session.timeout.ms": str(session_ms), "consumer.heartbeat.interval.ms": str(HEARTBEAT_MS)}
    try:
        changed = _alter(clients.admin(), ResourceType.GROUP, group, config)
    except BusError as error:
        raise BusError(
            f"{error}; the broker's group.consumer.min.session.timeout.ms and group.consumer.min.heartbeat.interval.ms "
            f"must allow {session_ms} and {HEARTBEAT_MS}"
        ) from None
    return [f"group {group}: {', '.join(changed) or 'as it shall be'}"]


def _alter(admin: Any, kind: ResourceType, name: str, config: dict[str, str]) -> list[str]:
    """Set what differs; return `key=value` of each."""
    resource = ConfigResource(kind, name)
    now = _await(admin.describe_configs([resource]), name)
    differing = {key: value for key, value in config.items() if key not in now or not _same(now[key].value, value)}
    if differing:
        entries = [
            ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in differing.items()
        ]
        _await(admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=entries)]), name)
    return [f"{key}={value}" for key, value in differing.items()]


def _same(now: str | None, wanted_value: str) -> bool:
    if now is None:
        return False
    return set(now.split(",")) == set(wanted_value.split(","))


def _await(asked: dict[Any, Any], name: str) -> Any:
    result = None
    for future in asked.values():
        try:
            result = future.result()
        except KafkaException as error:
            raise BusError(f"{name}: {error.args[0].str()}") from None
    return result
