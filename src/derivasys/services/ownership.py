"""One partition of `quotes` in the hands of a calibrator: fencing, rebuilding, calibrating, handing over.

    assigned → fence (every earlier owner's producer is shut out by the broker)
             → read the last stamps from `surfaces` (nobody else can write any more)
             → rebuild the chains from `quotes`, compacted: the newest event of each instrument
             → cycles: patches, and a whole state every `FULL_S`

The order is what makes it safe: after the fence the last stamps are final, so the new epoch and versions are above all
that was ever published, whatever a stalled predecessor still believes. See docs/services.md.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import msgspec
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from msgspec import Struct

from derivasys.bus import records, trace
from derivasys.bus.clients import CONNECT_S_MAX, Clients, is_end
from derivasys.bus.records import BadRecord, Stamp, Times
from derivasys.bus.topics import SURFACES
from derivasys.messages import Event, Instrument, Status
from derivasys.pipeline import Pipeline
from derivasys.services.states import Record, States
from derivasys.surface import Surface
from derivasys.wire.feed import State

VERSIONS_SKIPPED = 1_000
"""A successor starts so far above the last whole state's version: more than the patches that can have followed it."""
TRANSACTION_S = 5.0
"""Ending one costs the next state a round trip or two; compaction can wait."""
QUEUED_MAX = 500
"""States in the producer's queue above which cycles wait: surfaces conflate while the broker is away."""
RELEASE_S = 3.0


class Claim(Struct):
    """What the fence and the look at the past gave."""

    producer: Producer
    epoch: int
    versions: dict[str, int]
    end_offset: int
    """Of `quotes` at that time: what must be read before the chains are whole."""


def claim(clients: Clients, quotes: str, partition: int, is_wanted: Callable[[], bool]) -> Claim | None:
    """Shut out all earlier owners of a partition and return where its history stands. Blocks.

    None when it is not wanted any more just before the fence. Raises KafkaException or TimeoutError.
    """
    producer = clients.fenced_producer(clients.topic(f"calibrator-{partition}"))
    if not is_wanted():
        return None
    producer.init_transactions(CONNECT_S_MAX)
    reader = clients.reader()
    try:
        low, end = reader.get_watermark_offsets(TopicPartition(quotes, partition), timeout=CONNECT_S_MAX)
        stamps = last_stamps(reader, clients.topic(SURFACES), partition)
    finally:
        reader.close()
    # Wall seconds are a floor for the epoch, should the topic have lost its history.
    epoch = max([int(time.time()), *(at.epoch for at in stamps.values())]) + 1
    return Claim(
        producer, epoch, {ccy: at.version + VERSIONS_SKIPPED for ccy, at in stamps.items()}, end if end > low else 0
    )


def last_stamps(reader: Consumer, topic: str, partition: int) -> dict[str, Stamp]:
    """Return the highest stamp of each currency in a partition of `surfaces`. Reads headers only."""
    low, high = reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=CONNECT_S_MAX)
    stamps: dict[str, Stamp] = {}
    if low >= high:
        return stamps
    reader.assign([TopicPartition(topic, partition, OFFSET_BEGINNING)])
    deadline_s = time.monotonic() + CONNECT_S_MAX
    while time.monotonic() < deadline_s:
        for message in reader.consume(1000, 0.05):
            if is_end(message) and (message.offset() or 0) >= high:
                return stamps
            if message.error() is not None:
                continue
            ccy = (message.key() or b"").decode("utf-8", "replace")
            try:
                at, _ = records.stamp(message)
            except BadRecord:
                continue
            stamps[ccy] = max(at, stamps.get(ccy, at))
    raise TimeoutError(f"{topic}[{partition}] could not be read to its end")


class Newest(Struct):
    """The newest event behind a currency's next surface."""

    traceparent: bytes
    recv_ns: int
    sent_ns: int
    taken_ns: int


class Owned:
    """One partition and what this process does with it."""

    def __init__(self, partition: int, clients: Clients, make_pipeline: Callable[[], Pipeline], build: str) -> None:
        self.partition = partition
        self.claimed: Claim | None = None
        self.claiming: Future[Claim | None] | None = None
        self.pipeline: Pipeline | None = None
        """None while it is rebuilt."""
        self.assigned_s = time.monotonic()
        self.rebuild_s = 0.0
        self.is_fenced = False
        self.is_busy = False
        """A transaction is ending: cycles wait."""
        self.position = -1
        self.states: States | None = None
        self.newest: dict[str, Newest] = {}
        self.in_transaction = False
        self._make_pipeline = make_pipeline
        self.woken = asyncio.Event()
        """Something has been read: until then there is nothing to own."""
        self._build = build
        self._clients = clients
        self._latest: dict[bytes, tuple[Event, int]] = {}

    @property
    def is_rebuilding(self) -> bool:
        return self.pipeline is None and self.woken.is_set()

    @property
    def published(self) -> dict[str, State]:
        """The last states, by currency."""
        return {} if self.states is None else self.states.last

    # --- events ---

    def take(self, message: Any, taken_ns: int) -> None:
        """Take one record of `quotes`. Raises BadRecord."""
        offset = message.offset()
        event = records.decode_event(message)
        self.position = offset + 1
        self.woken.set()
        if self.pipeline is None:
            key = message.key() or b""
            self._latest.pop(key, None)
            self._latest[key] = (event, offset)
        else:
            self.pipeline.apply(event)
        known = self.newest.get(event.ccy)
        if known is None or event.recv_ns >= known.recv_ns:
            found = records.header(message, trace.HEADER) or b""
            self.newest[event.ccy] = Newest(found, event.recv_ns, message.timestamp()[1] * 1_000_000, taken_ns)

    def is_whole(self, position: int) -> bool:
        """Whether everything that was in the log at the claim has been read."""
        return self.claimed is not None and max(position, self.position) >= self.claimed.end_offset

    def start(self) -> None:
        """Make the chains of what was read: listings and their states first, then what is said of them."""
        assert self.claimed is not None
        pipeline = self._make_pipeline()
        self.states = States(self.claimed.epoch, self._build)
        events = [event for event, _ in self._latest.values()]
        self._latest.clear()
        for event in events:
            if isinstance(event, (Instrument, Status)):
                pipeline.apply(event)
        for event in events:
            if not isinstance(event, (Instrument, Status)):
                pipeline.apply(event)
        self.pipeline = pipeline
        self.rebuild_s = time.monotonic() - self.assigned_s

    # --- states ---

    def publish(self, now_ns: int, now_s: float) -> list[Surface]:
        """Run one cycle and give what it made to Kafka; return the surfaces. Raises KafkaException when fenced."""
        assert self.pipeline is not None
        assert self.claimed is not None
        producer = self.claimed.producer
        if self.is_busy or self.is_fenced or len(producer) > QUEUED_MAX:
            return []
        surfaces = self.pipeline.drain(now_ns)
        if surfaces and not self.in_transaction:
            producer.begin_transaction()
            self.in_transaction = True
        made = []
        for surface in surfaces:
            version = self.claimed.versions.get(surface.ccy, 0) + surface.version
            made.append(msgspec.structs.replace(surface, version=version))
            self._send(made[-1], now_s)
        producer.poll(0)
        return made

    def _send(self, surface: Surface, now_s: float) -> None:
        assert self.states is not None
        newest = self.newest.get(surface.ccy)
        times, span = None, trace.start()
        if newest is not None:
            span = (trace.parse(newest.traceparent) or span).child()
            times = Times(newest.recv_ns, newest.sent_ns, newest.taken_ns, time.time_ns())
        for record in self.states.records(surface, now_s, span, times):
            self._put(surface.ccy, record)

    def _put(self, ccy: str, record: Record) -> None:
        assert self.claimed is not None
        sent: Any = record.headers
        self.claimed.producer.produce(
            self._clients.topic(record.topic), record.value, key=ccy, partition=self.partition, headers=sent,
            timestamp=record.ts_ms,
        )  # fmt: skip

    def commit(self) -> None:
        """End the transaction; what was published was seen already, this lets compaction pass. Blocks."""
        assert self.claimed is not None
        producer = self.claimed.producer
        try:
            producer.commit_transaction(CONNECT_S_MAX)
        except (KafkaException, SystemError) as failure:
            if is_fencing(failure):
                self.is_fenced = True
                return
            error = failure.args[0]
            if error.txn_requires_abort():
                producer.abort_transaction(CONNECT_S_MAX)
                if self.states is not None:
                    self.states.forget()
            elif error.retriable():
                return
            else:
                raise
        self.in_transaction = False

    def release(self) -> None:
        """Hand over: the last state of each currency whole, and the transaction ended. Blocks shortly."""
        if self.claimed is None or self.states is None or self.is_fenced:
            return
        try:
            if self.in_transaction:
                for (ccy, _), record in zip(self.states.last.items(), self.states.whole(), strict=True):
                    self._put(ccy, record)
                self.claimed.producer.commit_transaction(RELEASE_S)
        except (KafkaException, SystemError, BufferError):
            # The successor's fence ends it all the same.
            self.is_fenced = True


def is_fencing(failure: BaseException) -> bool:
    """Whether a failed call says that a successor has shut this producer out.

    The client raises a fatal error through whatever callback comes next, and then a SystemError stands around it.
    """
    cause = failure.__cause__ if isinstance(failure, SystemError) else failure
    if not isinstance(cause, KafkaException):
        return False
    error = cause.args[0]
    return error.fatal() or error.name() in {"_FENCED", "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED"}
