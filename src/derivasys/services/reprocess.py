"""`derivasys reprocess`: the raw topics of a past hour through this calibrator, into topics of another prefix.

What would this version, or these rules, have said? Frames are pushed in the order in which they were received, from
the opening of the connections that were up, so that listings and order books are whole; cycles run every 50 ms of
recorded time from `from` on.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterator
from typing import Any

import msgspec
from confluent_kafka import TopicPartition
from msgspec import Struct

from derivasys.bus import records, topics, trace
from derivasys.bus.clients import CONNECT_S_MAX, Clients, is_end
from derivasys.bus.records import About, BadRecord
from derivasys.bus.settings import BusError
from derivasys.bus.topics import PATCHES, RAW, partition_of
from derivasys.calibrate import Rules
from derivasys.pipeline import Pipeline
from derivasys.record.segments import Kind
from derivasys.services.states import States
from derivasys.surface import Surface

CYCLE_NS = 50_000_000
LOOK_NS = 10_000_000_000
"""Frames within this of the start tell which connections were up, and since when."""
QUEUED_MAX = 500


class Span(Struct, frozen=True):
    """What to run again."""

    from_ns: int
    to_ns: int
    into: str
    """Prefix of the topics that the surfaces go to."""
    build: str
    rules: Rules = Rules()


class Summary(Struct):
    """What a run made."""

    frames: int = 0
    surfaces: int = 0
    unreadable: int = 0
    took_s: float = 0.0
    lost_upstream: int = 0
    """Frames that connectors could not log before or during the span."""


class Frame(Struct, frozen=True):
    """One raw record."""

    venue: str
    about: About
    value: bytes


def reprocess(source: Clients, target: Clients, span: Span) -> Summary:
    """Run a span again and return what was made. Raises BusError."""
    started_s = time.monotonic()
    summary = Summary()
    venues = raw_venues(source)
    topics.apply(target, topics.wanted((), {"by_ccy": {"partitions": _partitions(source)}}))
    pipeline = Pipeline(span.rules, None)
    states = States(int(time.time()), span.build)
    out = _Out(target, _partitions(source))
    streams = [_frames(source, venue, span, summary) for venue in venues]
    # None named means all; of a connection whose opening is no longer in the log, they are not known.
    ccys: dict[str, frozenset[str]] = dict.fromkeys(venues, frozenset())

    def is_followed(ccy: str) -> bool:
        return any(not of_venue or ccy in of_venue for of_venue in ccys.values())

    due_ns = span.from_ns
    for frame in heapq.merge(*streams, key=lambda at: at.about.recv_ns):
        while frame.about.recv_ns >= due_ns:
            _publish(pipeline.drain(due_ns, is_followed), states, out, due_ns, summary)
            due_ns += CYCLE_NS
        if frame.about.kind == Kind.OPENED:
            ccys[frame.venue] = frozenset(msgspec.json.decode(frame.value)["ccys"])
        elif frame.about.kind in {Kind.RECEIVED, Kind.LISTING}:
            summary.frames += 1
            pipeline.push(frame.venue, frame.value, frame.about.recv_ns)
    _publish(pipeline.drain(due_ns, is_followed), states, out, due_ns, summary)
    out.close()
    summary.took_s = time.monotonic() - started_s
    if not summary.frames:
        raise BusError("no frame of that time is in the raw topics: it may be older than their retention")
    return summary


def raw_venues(clients: Clients) -> list[str]:
    """Return the venues that have a raw topic. Raises BusError."""
    prefix = clients.topic(RAW)
    names = clients.admin().list_topics(timeout=CONNECT_S_MAX).topics
    found = sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))
    if not found:
        raise BusError(f"no topic {prefix}<venue> is there")
    return found


def _partitions(clients: Clients) -> int:
    name = clients.topic(PATCHES)
    found = clients.admin().list_topics(timeout=CONNECT_S_MAX).topics
    if name not in found:
        raise BusError(f"topic {name} is not there: run `derivasys topics apply` first")
    return len(found[name].partitions)


def _publish(surfaces: list[Surface], states: States, out: _Out, now_ns: int, summary: Summary) -> None:
    for surface in surfaces:
        summary.surfaces += 1
        for record in states.records(surface, now_ns / 1e9, trace.start(), None):
            out.put(surface.ccy, record)


class _Out:
    """Writes states, waiting where the broker is slower than we are."""

    def __init__(self, clients: Clients, partitions: int) -> None:
        self._clients = clients
        self._partitions = partitions
        self._producer = clients.producer(on_delivery=self._delivered)
        self._failed = ""

    def put(self, ccy: str, record: Any) -> None:
        while len(self._producer) > QUEUED_MAX:
            self._producer.poll(0.05)
        self._producer.produce(
            self._clients.topic(record.topic), record.value, key=ccy, partition=partition_of(ccy, self._partitions),
            headers=record.headers, timestamp=record.ts_ms,
        )  # fmt: skip
        if self._failed:
            raise BusError(self._failed)

    def close(self) -> None:
        if self._producer.flush(60.0) or self._failed:
            raise BusError(f"not all surfaces could be written: {self._failed or 'the broker did not answer'}")

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self._failed = str(error.str())


def _frames(clients: Clients, venue: str, span: Span, summary: Summary) -> Iterator[Frame]:
    """Yield a venue's frames from the opening of its connections up to the end of the span."""
    topic = clients.topic(RAW + venue)
    parts = sorted(clients.admin().list_topics(topic, timeout=CONNECT_S_MAX).topics[topic].partitions)
    streams = [_partition(clients, TopicPartition(topic, part), venue, span, summary) for part in parts]
    yield from heapq.merge(*streams, key=lambda at: at.about.recv_ns)


def _partition(
    clients: Clients, at: TopicPartition, venue: str, span: Span, summary: Summary
) -> Iterator[Frame]:  # fmt: skip
    look = _read(clients, at, venue, span.from_ns, span.from_ns + LOOK_NS, summary, is_look=True)
    opened_ns = min((frame.about.opened_ns for frame in look), default=span.from_ns)
    yield from _read(clients, at, venue, min(opened_ns, span.from_ns), span.to_ns, summary)


def _read(
    clients: Clients, at: TopicPartition, venue: str, from_ns: int, to_ns: int, summary: Summary, *,
    is_look: bool = False,
) -> Iterator[Frame]:  # fmt: skip
    """Yield a partition's frames of from_ns ≤ recv_ns < to_ns."""
    reader = clients.reader()
    try:
        asked = TopicPartition(at.topic, at.partition, from_ns // 1_000_000)
        reader.assign(reader.offsets_for_times([asked], timeout=CONNECT_S_MAX))
        while True:
            for message in reader.consume(1000, 0.2):
                if is_end(message):
                    return
                if message.error() is not None:
                    raise BusError(f"{at.topic}: {message.error().str()}")  # type: ignore[union-attr]
                try:
                    frame = Frame(venue, records.about(message), records.value_of(message))
                except BadRecord:
                    summary.unreadable += not is_look
                    continue
                if frame.about.recv_ns >= to_ns:
                    return
                summary.lost_upstream = max(summary.lost_upstream, frame.about.lost)
                if frame.about.recv_ns >= from_ns:
                    yield frame
    finally:
        reader.close()


def describe(summary: Summary) -> str:
    """Return one line about a run."""
    return (
        f"{summary.frames} frames, {summary.surfaces} surfaces in {summary.took_s:.1f} s; unreadable "
        f"{summary.unreadable}, lost before the log {summary.lost_upstream}"
    )


def rules_name(rules: Rules) -> str:
    """Return a short mark of rules, for the build header: equal rules have equal marks."""
    import hashlib

    return hashlib.sha256(msgspec.json.encode(rules)).hexdigest()[:8]
