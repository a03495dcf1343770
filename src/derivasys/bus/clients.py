"""The one place where Kafka clients are made, so that TLS, SASL and cloud IAM are configuration and nothing else.

Producers are idempotent and wait for all in-sync replicas: what is acknowledged survives the loss of a broker, once and
in order. Consumers of groups use the broker-side protocol of KIP-848 where the broker has it.
"""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType

from derivasys.bus.settings import BusError, BusSettings

log = logging.getLogger("derivasys.bus")

LINGER_MS = 5
"""Records wait so long for company: below a cycle, enough to fill batches."""
QUEUE_KBYTES_MAX = 64 << 10
"""Unsent bytes of one producer; what to do when it is full is each caller's stated policy."""
MESSAGE_BYTES_MAX = 16 << 20
"""A full state of ten thousand options on five venues stays below it; topics are created with the same bound."""
DELIVERY_MS_MAX = 120_000
"""Longer than a broker takes to come back; then the record counts as lost."""
FETCH_WAIT_MS = 50
TRANSACTION_MS_MAX = 60_000
CONNECT_S_MAX = 10.0
LOG_LEVEL = 2
"""Critical, in syslog's numbers."""
_REFUSALS = frozenset({"_AUTHENTICATION", "_SSL", "SASL_AUTHENTICATION_FAILED"})


class Clients:
    """Makes clients for one service. `name` is the client id that the broker's metrics and logs show."""

    def __init__(self, settings: BusSettings, name: str) -> None:
        self.settings = settings
        self.errors = 0
        """Errors that clients told, since start."""
        self.last_error = ""
        self.is_refused = False
        """The credentials or certificates do not serve: trying again will not help."""
        self._common = settings.client() | {
            "client.id": name,
            "error_cb": self._on_error,
            # What the client logs of itself it tells as errors too; those are counted, and not without bound.
            "log_level": LOG_LEVEL,
        }
        self._has_group_protocol: bool | None = None
        self._admin: AdminClient | None = None

    def topic(self, name: str) -> str:
        """Return a topic's or group's full name in this installation."""
        return self.settings.prefix + name

    def producer(self, **more: Any) -> Producer:
        """Return an idempotent producer."""
        config = {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": LINGER_MS,
            "compression.type": "lz4",
            "queue.buffering.max.kbytes": QUEUE_KBYTES_MAX,
            "message.max.bytes": MESSAGE_BYTES_MAX,
            "delivery.timeout.ms": DELIVERY_MS_MAX,
        }
        return Producer(self._common | config | more, logger=log)

    def fenced_producer(self, transactional_id: str) -> Producer:
        """Return a producer that shuts out every earlier one of its id, once `init_transactions` has returned."""
        # Delivery must end before the transaction does.
        return self.producer(**{
            "transactional.id": transactional_id,
            "transaction.timeout.ms": TRANSACTION_MS_MAX,
            "delivery.timeout.ms": TRANSACTION_MS_MAX,
            "linger.ms": 0,
            "retry.backoff.ms": 20,
        })  # fmt: skip

    def reader(self, **more: Any) -> Consumer:
        """Return a consumer for partitions assigned by hand: no group, no offsets kept, uncommitted records seen.

        Uncommitted, because fencing is the broker's refusal of a shut-out producer, not its commits (docs/services.md).
        """
        config = {
            "group.id": self.topic("unused"),  # the client wants a name even where there is no group
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "enable.partition.eof": True,
            "isolation.level": "read_uncommitted",
            "fetch.wait.max.ms": FETCH_WAIT_MS,
            "fetch.message.max.bytes": 4 << 20,
            "queued.max.messages.kbytes": QUEUE_KBYTES_MAX,
            "message.max.bytes": MESSAGE_BYTES_MAX,
        }
        return Consumer(self._common | config | more, logger=log)

    def member(self, group: str, session_ms: int, **more: Any) -> Consumer:
        """Return a consumer of a group, not yet subscribed; after `session_ms` of silence its partitions move on."""
        config: dict[str, Any] = {"group.id": self.topic(group)}
        if self.has_group_protocol():
            config["group.protocol"] = "consumer"  # the session timeout is the group's: see topics.apply
        else:
            config |= {
                "session.timeout.ms": session_ms,
                "heartbeat.interval.ms": max(100, session_ms // 5),
                "partition.assignment.strategy": "cooperative-sticky",
            }
        return self.reader(**config | more)

    def admin(self) -> AdminClient:
        """Return the admin client: one, because what it was asked ends with it."""
        if self._admin is None:
            self._admin = AdminClient(self._common, logger=log)
        return self._admin

    def check(self, timeout_s: float = CONNECT_S_MAX) -> None:
        """Raise BusError when no broker can be reached, with the reason that the client gives."""
        admin = self.admin()
        failure = ""
        for _ in range(max(1, int(timeout_s))):
            try:
                admin.list_topics(timeout=1.0)
            except KafkaException as error:
                failure = error.args[0].str()
                admin.poll(0)  # lets the client tell why
            else:
                return
            if self.is_refused:
                break
        raise BusError(f"Kafka at {self.settings.bootstrap}: {self.last_error or failure}")

    def has_group_protocol(self) -> bool:
        """Return whether the broker has the consumer group protocol of KIP-848 (Kafka 4.0 on)."""
        if self._has_group_protocol is None:
            self._has_group_protocol = _knows_group_configs(self.admin(), self.topic("probe"))
        return self._has_group_protocol

    def _on_error(self, error: KafkaError) -> None:
        self.errors += 1
        if error.name() in _REFUSALS:
            self.is_refused = True
        if error.name() != "_ALL_BROKERS_DOWN":  # follows every other one and says less
            self.last_error = error.str()
        # A lost connection is retried by the client itself, and told again each time: the first, second, fourth, … is
        # worth a line.
        if self.errors & (self.errors - 1) == 0:
            log.warning("%s: %s (error %d)", error.name(), error.str(), self.errors)


def _knows_group_configs(admin: AdminClient, group: str) -> bool:
    """Brokers with KIP-848 have configurations of groups; older ones refuse the question."""
    asked = admin.describe_configs([ConfigResource(ResourceType.GROUP, group)], request_timeout=CONNECT_S_MAX)
    try:
        return any("consumer.session.timeout.ms" in future.result() for future in asked.values())
    except KafkaException:
        return False


def is_end(message: Any) -> bool:
    """Whether what `consume` returned is no record but the news that a partition has been read to its end.

    Positions alone cannot tell it: the end of a transaction takes an offset and gives no record.
    """
    error = message.error()
    return error is not None and bool(error.code() == KafkaError._PARTITION_EOF)  # noqa: SLF001 - its public name
