"""Records that cannot be read, kept with the reason and their original bytes."""

from __future__ import annotations

import logging
from typing import Any

from confluent_kafka import Producer

from derivasys.bus.clients import Clients
from derivasys.bus.topics import DEAD

log = logging.getLogger("derivasys.bus")

QUEUED_MAX = 1000
"""Letters waiting for the broker; beyond it they are counted as lost. The bytes are still where they were read."""


class DeadLetters:
    """Writes to the dead-letter topic: the original value, key and headers, and where and why in headers `dead.*`."""

    def __init__(self, clients: Clients, service: str) -> None:
        self.count = 0
        self.lost = 0
        self._topic = clients.topic(DEAD)
        self._service = service
        self._producer: Producer = clients.producer()

    def put(self, message: Any, reason: str) -> None:
        """Keep a record that could not be read."""
        about = {"topic": message.topic(), "partition": str(message.partition()), "offset": str(message.offset())}
        self.keep(message.value(), message.key(), message.headers(), reason, about)

    def keep(
        self, value: bytes | None, key: bytes | None, headers: list[tuple[str, bytes]] | None, reason: str,
        about: dict[str, str],
    ) -> None:  # fmt: skip
        """Keep bytes from wherever they came."""
        self.count += 1
        if self.count == 1 or self.count % 1000 == 0:
            log.warning("dead letter %d: %s (%s)", self.count, reason, about)
        why = {"reason": reason, "service": self._service, **about}
        added = [(f"dead.{name}", text.encode()) for name, text in why.items()]
        if len(self._producer) >= QUEUED_MAX:
            self.lost += 1
            return
        try:
            self._producer.produce(self._topic, value, key=key, headers=[*(headers or ()), *added])
        except BufferError:
            self.lost += 1
        self._producer.poll(0)

    def close(self, timeout_s: float) -> None:
        """Deliver what waits."""
        self.lost += self._producer.flush(timeout_s)
