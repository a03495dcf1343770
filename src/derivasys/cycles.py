"""The cycles of a service: each currency is calibrated in its own turn and published at once, then the next.

The turns are spread over the cycle, so that no currency waits for another's fit and the loop reads its sockets between.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Sequence

from msgspec import structs

from derivasys.latency import Latency
from derivasys.publish.gateway import Gateway
from derivasys.record.recorder import Recorder
from derivasys.record.segments import Kind
from derivasys.sources import Feed, Origin
from derivasys.surface import Surface
from derivasys.waterfall import Cycle, Frame, Waterfall
from derivasys.wire.feed import State
from derivasys.wire.state import state_of

Turn = tuple[int, Feed, str]
"""(number of the feed, feed, currency)."""
YOUNG_EVERY, OLD_EVERY = 20, 2000
"""Turns between two collections of young garbage, and of all of it (some milliseconds, each minute or less)."""


class Cycles:
    """Takes frames in, calibrates and publishes."""

    def __init__(self, origin: Origin, gateway: Gateway, epoch: str, cycle_ms: int) -> None:
        self.latency = Latency()
        self.waterfall = Waterfall(self.latency)
        self.pushed = 0
        """Frames taken from venues."""
        self.missed = 0
        """Turns that came a whole cycle late."""
        self.published: Callable[[str, int, Cycle], None] | None = None
        """Told of every cycle that published: currency, version, times. For benchmarks."""
        self.turned_s = time.monotonic()
        """When a turn last began."""
        self.on_turn: Callable[[], None] | None = None
        self.on_surface: Callable[[Surface], None] | None = None
        """Told of each turn, and of each surface after it was published."""
        self._origin = origin
        self._gateway = gateway
        self._epoch = epoch
        self._cycle_s = cycle_ms / 1000
        self._recorder: Recorder | None = None
        self._taps: list[int] = []

    def record(self, recorder: Recorder) -> None:
        """Record every cycle from now on."""
        self._recorder = recorder
        self._taps = [
            recorder.open(feed.clock.now_ns(), "", at, feed.ccys) for at, feed in enumerate(self._origin.feeds)
        ]

    def on_frame(self, feed: Feed, venue: str, payload: bytes, recv_ns: int) -> Sequence[str]:
        """Take one frame (`sources.OnFrame`)."""
        received_ns = time.perf_counter_ns()
        broken = feed.pipeline.push(venue, payload, recv_ns)
        event = feed.pipeline.last_event
        self.pushed += 1
        if event is not None:
            event_ns = getattr(event, "event_ns", None)
            lag_ns = recv_ns - event_ns if event_ns else None
            self.waterfall.frame(event.ccy, Frame(venue, lag_ns, received_ns, time.perf_counter_ns()))
        return broken

    async def run(self) -> None:
        """Turn after turn until cancelled."""
        # What exists now lives as long as the process: keep the collector from walking it again and again.
        gc.collect()
        gc.freeze()
        # Left to itself it would fall into somebody's cycle: it runs between turns instead.
        gc.disable()
        try:
            await self._run()
        finally:
            gc.enable()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        count = 0
        while True:
            turns: list[Turn | None] = [*self._turns()] or [None]
            for turn in turns:
                due_s += self._cycle_s / len(turns)
                wait_s = due_s - loop.time()
                if wait_s < -self._cycle_s:
                    self.missed += 1
                    due_s = loop.time()
                await asyncio.sleep(max(0.0, wait_s))
                self.turned_s = time.monotonic()
                if self.on_turn is not None:
                    self.on_turn()
                if turn is not None:
                    self.turn(*turn)
                if self._recorder is not None:
                    self._recorder.tick(time.monotonic())
                count += 1
                if count % OLD_EVERY == 0:
                    gc.collect()
                elif count % YOUNG_EVERY == 0:
                    gc.collect(1)

    def _turns(self) -> list[Turn]:
        return [(at, feed, ccy) for at, feed in enumerate(self._origin.feeds) for ccy in feed.pipeline.chains]

    def turn(self, at: int, feed: Feed, ccy: str) -> None:
        """Calibrate a currency if anything in it is dirty, and publish it."""
        started_ns = time.perf_counter_ns()
        now_ns = feed.clock.now_ns()
        if self._recorder is not None:
            self._recorder.add(now_ns, self._taps[at], Kind.CYCLE, ccy.encode())
        frames = self.waterfall.take(ccy)
        for surface in feed.pipeline.drain(now_ns, lambda name: name == ccy):
            self._publish(surface, frames, started_ns)

    def _publish(self, surface: Surface, frames: list[Frame], started_ns: int) -> None:
        ccy, gateway = surface.ccy, self._gateway
        fitted_ns = time.perf_counter_ns()
        if ccy not in gateway.feeds:
            gateway.add_feed(ccy, self._epoch)

        def make() -> State:
            state = state_of(surface)
            told = self.waterfall.so_far(ccy, frames, started_ns, fitted_ns)
            return structs.replace(state, fit={**state.fit, "waterfall_ms": told})

        sends = gateway.prepare(ccy, surface.now_ns // 1_000_000, make)
        encoded_ns = time.perf_counter_ns()
        for send in sends:
            send()
        cycle = Cycle(started_ns, fitted_ns, encoded_ns, time.perf_counter_ns())
        self._note(surface, frames, cycle)
        if self.published is not None:
            self.published(ccy, surface.version, cycle)

    def _note(self, surface: Surface, frames: list[Frame], cycle: Cycle) -> None:
        latency = self.latency
        for stage, ms in (surface.stages_ms or {}).items():
            latency.add(stage, ms)
        latency.add("calibrate", (cycle.fitted_ns - cycle.started_ns) / 1e6)
        latency.add("publish", (cycle.written_ns - cycle.fitted_ns) / 1e6)
        latency.add("cycle", (cycle.written_ns - cycle.started_ns) / 1e6)
        self.waterfall.published(surface.ccy, frames, cycle)
        if self.on_surface is not None:
            self.on_surface(surface)
