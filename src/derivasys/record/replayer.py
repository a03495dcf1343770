"""Feeds a recording to pipelines: the same bytes at the same times, and so the same surfaces.

A recording of a whole run holds its cycles too; they are repeated at their recorded times, so that the surfaces are the
very ones that were published. A recording of frames alone is cycled every 50 ms of recorded time, or as asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from derivasys.calibrate import Rules
from derivasys.pipeline import Pipeline
from derivasys.record.segments import Kind, Record, SegmentError, blocks, read, read_block
from derivasys.surface import Surface

CYCLE_NS = 50_000_000
PAUSE_NS = 1_000_000_000
LOOK_AHEAD = 200_000
"""Records in which a first cycle is looked for; a run that cycles does so twenty times a second."""


class Connection(Struct, frozen=True):
    """What opened a connection, as recorded."""

    venue: str
    feed: int
    ccys: tuple[str, ...]


_CONNECTION = msgspec.json.Decoder(Connection)


def opened(record: Record) -> Connection:
    """Return the connection that a record opens. Raises SegmentError."""
    try:
        return _CONNECTION.decode(record.payload)
    except msgspec.DecodeError as error:
        raise SegmentError(f"connection {record.connection}: {error}") from None


def connections(folder: Path, to_ns: int | None = None) -> Iterator[tuple[int, Connection]]:
    """Yield (recv_ns, connection) of all that were opened, reading no other blocks. Raises SegmentError."""
    for block in blocks(folder):
        if block.has_terms and (to_ns is None or block.first_ns < to_ns):
            for record in read_block(block):
                if record.kind is Kind.OPENED and (to_ns is None or record.recv_ns < to_ns):
                    yield record.recv_ns, opened(record)


class Replay:
    """Pipelines by feed, driven by records. `make_pipeline` lets other rules look at the same bytes.

    `is_wanted` tells by venue and bytes which frames are worth decoding; all are counted.
    """

    def __init__(
        self,
        make_pipeline: Callable[[tuple[str, ...]], Pipeline] | None = None,
        is_wanted: Callable[[str, bytes], bool] = lambda _venue, _payload: True,
    ) -> None:
        self.pipelines: dict[int, Pipeline] = {}
        self.connections: dict[int, Connection] = {}
        self.frames = 0
        self.cycles = 0
        self._is_wanted = is_wanted
        self._make = make_pipeline or (lambda ccys: Pipeline(Rules(), ccys))

    def apply(self, record: Record) -> list[Surface]:
        """Take one record; return the surfaces of a cycle."""
        if record.kind is Kind.OPENED:
            connection = self.connections[record.connection] = opened(record)
            if connection.feed not in self.pipelines:
                self.pipelines[connection.feed] = self._make(connection.ccys)
            return []
        connection = self._connection(record)
        pipeline = self.pipelines[connection.feed]
        if record.kind in (Kind.RECEIVED, Kind.LISTING):
            self.frames += 1
            if self._is_wanted(connection.venue, record.payload):
                pipeline.push(connection.venue, record.payload, record.recv_ns)
        elif record.kind is Kind.CYCLE:
            ccy = record.payload.decode(errors="replace")
            return self.cycle(connection.feed, record.recv_ns, (lambda name: name == ccy) if ccy else None)
        return []

    def cycle(self, feed: int, now_ns: int, only: Callable[[str], bool] | None = None) -> list[Surface]:
        """Run a cycle of a feed."""
        self.cycles += 1
        return self.pipelines[feed].drain(now_ns, only)

    def feed_of(self, record: Record) -> int:
        """Return the feed that a record belongs to. Raises SegmentError."""
        return self._connection(record).feed

    def _connection(self, record: Record) -> Connection:
        connection = self.connections.get(record.connection)
        if connection is None:
            raise SegmentError(f"a record of connection {record.connection}, which was never opened")
        return connection


def replay(records: Iterable[Record], replaying: Replay, every_ns: int | None = None) -> Iterator[Surface]:
    """Yield every surface that the records make: with their own cycles, or with one `every_ns` of a feed's time."""
    due: dict[int, int] = {}
    for record in records:
        if every_ns is None:
            yield from replaying.apply(record)
            continue
        if record.kind is not Kind.OPENED:
            feed = replaying.feed_of(record)
            at = due.setdefault(feed, record.recv_ns + every_ns)
            while record.recv_ns >= at:
                yield from replaying.cycle(feed, at)
                # Nothing can have changed in a pause, except with time: one cycle a second tells that.
                at += every_ns if record.recv_ns - at < PAUSE_NS else max(every_ns, PAUSE_NS)
            due[feed] = at
        if record.kind is not Kind.CYCLE:
            yield from replaying.apply(record)


def cadence(folder: Path, cycle_ms: int | None = None) -> int | None:
    """Return the `every_ns` of `replay`: as asked for, else None for a recording with cycles, 50 ms for others."""
    if cycle_ms is not None:
        return cycle_ms * 1_000_000
    for number, record in enumerate(read(folder)):
        if record.kind is Kind.CYCLE:
            return None
        if number > LOOK_AHEAD:
            break
    return CYCLE_NS


def surfaces(
    folder: Path, from_ns: int | None = None, to_ns: int | None = None, rules: Rules | None = None
) -> Iterator[Surface]:
    """Yield the surfaces of a recording. Raises SegmentError."""
    replaying = Replay(lambda ccys: Pipeline(rules or Rules(), ccys))
    yield from replay(read(folder, from_ns, to_ns), replaying, cadence(folder))
