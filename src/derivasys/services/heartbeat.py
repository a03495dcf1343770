"""What services tell of themselves on the topic `status`, once a second: gateways make the status message of it."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
from confluent_kafka import Producer
from msgspec import Struct

from derivasys.bus import trace
from derivasys.bus.clients import Clients
from derivasys.bus.records import BadRecord, Message, headers, value_of
from derivasys.bus.topics import STATUS
from derivasys.wire import messages as m

EVERY_S = 1.0
QUEUED_MAX = 1_000
"""A heartbeat that would wait behind so many others is not sent: it would arrive as news of long ago."""


class Heartbeat(Struct, frozen=True, kw_only=True):
    """One service's word about itself."""

    service: str
    instance: str
    ts_ms: int
    is_last: bool = False
    """It ends now, and nothing is to be waited for."""
    venue: m.VenueStatus | None = None
    source: m.SourceStatus | None = None
    latency_ms: dict[str, m.Quantiles] = {}
    recorder: m.RecorderStatus | None = None
    ccys: list[str] = []

    @property
    def key(self) -> str:
        return f"{self.service}|{self.venue.venue if self.venue else ''}|{self.instance}"


_ENCODE = msgspec.json.Encoder().encode
_DECODE = msgspec.json.Decoder(Heartbeat).decode


class Pulse:
    """Sends heartbeats."""

    def __init__(self, clients: Clients, producer: Producer | None = None) -> None:
        self._topic = clients.topic(STATUS)
        self._producer = producer or clients.producer()

    def send(self, beat: Heartbeat) -> None:
        """Send one, unless the producer's queue is long."""
        if len(self._producer) < QUEUED_MAX:
            sent: Any = headers(trace.start().header())
            with contextlib.suppress(BufferError):
                self._producer.produce(self._topic, _ENCODE(beat), key=beat.key, headers=sent)
        self._producer.poll(0)

    def close(self, timeout_s: float) -> None:
        self._producer.flush(timeout_s)


def decode(message: Message) -> Heartbeat:
    """Return the heartbeat of a record. Raises BadRecord."""
    value = value_of(message)
    try:
        return _DECODE(value)
    except msgspec.DecodeError as error:
        raise BadRecord(f"no heartbeat: {error}") from None
