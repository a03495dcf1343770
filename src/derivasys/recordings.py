"""`derivasys record` and `derivasys replay`: runs whose input or output is a recording."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from msgspec import Struct

from derivasys.calibrate import Rules
from derivasys.clock import RecordedClock
from derivasys.config import Config, ConfigError
from derivasys.connect.runner import Tap
from derivasys.connect.session import ConnectionState
from derivasys.pipeline import Pipeline
from derivasys.record.chain_file import time_ms
from derivasys.record.recorder import Recorder
from derivasys.record.replayer import Replay, cadence, connections, opened, replay
from derivasys.record.segments import Kind, Record, SegmentError, read
from derivasys.sources import Feed, Line, OnFrame, Origin, open_origin
from derivasys.surface import Surface

TICK_S = 0.2
STEP_NS = 5_000_000
"""Frames nearer together than this are played at once."""
BURST = 100


class Span(Struct, frozen=True):
    """A recording, or a part of it."""

    folder: Path
    from_ns: int | None = None
    to_ns: int | None = None


# --- record --------------------------------------------------------------------------------------


async def record(config: Config, folder: Path, seconds: float | None) -> Recorder:
    """Record what the configured source sends, without calibrating anything, until `seconds` or a signal."""
    origin = await open_origin(config, lambda: 0, _ignore)
    try:
        recorder = Recorder(folder)
    except OSError as error:
        raise ConfigError(f"{folder}: {error.strerror}") from None
    tasks: list[asyncio.Task[None]] = []

    def start(at: int, feed: Feed, line: Line) -> None:
        line.tap = recorder.tap(line.venue, at, feed.ccys)
        tasks.append(asyncio.create_task(line.run()))

    for at, feed in enumerate(origin.feeds):
        feed.start(partial(start, at, feed))
    print(f"recording {origin.label} to {folder}", flush=True)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, ended.set)
    until_s = None if seconds is None else loop.time() + seconds
    while not ended.is_set() and recorder.state == "recording" and (until_s is None or loop.time() < until_s):
        recorder.tick(loop.time())
        with suppress(TimeoutError):
            await asyncio.wait_for(ended.wait(), TICK_S)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for feed in origin.feeds:
        for server in feed.servers:
            await server.stop()
    recorder.close()
    return recorder


def _ignore(feed: Feed, venue: str, payload: bytes, recv_ns: int) -> Sequence[str]:  # noqa: ARG001
    """Recording keeps the bytes; nothing reads them."""
    return ()


# --- replay at a speed, served -------------------------------------------------------------------


class Player:
    """Stands where a connector would: plays one venue's frames of one feed when the feed's clock reaches their time.

    Frames wait in memory only from one block of the recording to the next.
    """

    def __init__(self, venue: str, feed: Feed, at: int, span: Span, speed: float, on_frame: OnFrame) -> None:
        self.venue = venue
        self.state: ConnectionState = "connecting"
        self.detail = ""
        self.messages = 0
        self.reconnects = 0
        self.last_frame_ns: int | None = None
        self.tap: Tap | None = None
        self.round_trip_ns: int | None = None
        self._feed = feed
        self._at = at
        self._span = span
        self._speed = speed
        self._on_frame = on_frame

    async def run(self) -> None:
        """Play to the end, then stay: the surface of the last moment remains, and grows stale."""
        mine: set[int] = set()
        for record in read(self._span.folder, self._span.from_ns, self._span.to_ns):
            if record.kind is Kind.OPENED:
                by = opened(record)
                if (by.venue, by.feed) == (self.venue, self._at):
                    self.reconnects += bool(mine)
                    mine.add(record.connection)
            elif record.connection in mine and record.kind in (Kind.RECEIVED, Kind.LISTING):
                early_ns = record.recv_ns - self._feed.clock.now_ns()
                if early_ns > STEP_NS:
                    await asyncio.sleep(early_ns / 1e9 / self._speed)
                elif self.messages % BURST == 0:
                    await asyncio.sleep(0)  # others want their turn when the recording runs late
                self._play(record)
        self.state, self.detail = "down", "end of the recording"
        await asyncio.Event().wait()

    def _play(self, record: Record) -> None:
        self.state = "live"
        self.messages += 1
        self.last_frame_ns = record.recv_ns
        self._on_frame(self._feed, self.venue, record.payload, record.recv_ns)


def opener(span: Span) -> Callable[[Config, Callable[[], int], OnFrame], Awaitable[Origin]]:
    """Return what opens a recording as the origin of a service (see `service.Opener`)."""

    async def open_recording(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
        feeds: dict[int, Feed] = {}
        known: set[tuple[int, str]] = set()
        for at, venue, ccys, first_ns in _lines(span):
            if at not in feeds:
                clock = RecordedClock(max(first_ns, span.from_ns or 0), config.speed)
                feeds[at] = Feed(clock, Pipeline(config.rules, ccys, stopwatch))
                feeds[at].ccys = ccys
                feeds[at].recorded = dict.fromkeys(ccys, first_ns // 1_000_000)
            if venue and (at, venue) not in known:
                known.add((at, venue))
                feeds[at].connectors.append(Player(venue, feeds[at], at, span, config.speed, on_frame))
        return Origin("replay", f"Recording {span.folder.name}", list(feeds.values()))

    return open_recording


def _lines(span: Span) -> list[tuple[int, str, tuple[str, ...], int]]:
    """Return (feed, venue, currencies, first ns) of every connection of a recording."""
    found = [(by.feed, by.venue, by.ccys, recv_ns) for recv_ns, by in connections(span.folder, span.to_ns)]
    if not found:
        raise SegmentError(f"{span.folder}: no connection in this recording")
    return found


def venues(span: Span) -> tuple[str, ...]:
    """Return the venues of a recording. Raises SegmentError."""
    return tuple(dict.fromkeys(venue for _, venue, _, _ in _lines(span) if venue))


def surface_at(folder: Path, at: str, ccy: str | None) -> Surface:
    """Return a currency's surface as it was at an instant: the last one made up to it.

    Raises SegmentError or ChainFileError.
    """
    # A published `ts` is its cycle in whole milliseconds: take all of that millisecond.
    to_ns = (time_ms(at, "--at") + 1) * 1_000_000
    last: dict[str, Surface] = {}
    replaying = Replay(lambda ccys: Pipeline(Rules(), ccys))
    for surface in replay(read(folder, None, to_ns), replaying, cadence(folder)):
        last[surface.ccy] = surface
    if not last:
        raise SegmentError(f"{folder}: no surface up to {at}")
    if ccy is None and len(last) > 1:
        raise SegmentError(f"{folder} holds {', '.join(last)}: choose one with --ccy")
    if ccy is not None and ccy not in last:
        raise SegmentError(f"{folder} has no {ccy} up to {at}; it holds {', '.join(last)}")
    return last[ccy or next(iter(last))]
