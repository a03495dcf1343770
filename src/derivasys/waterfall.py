"""Where the time goes between a quote at its venue and a patch on a socket, frame by frame.

    exchange time → received → decoded → cycle start → fitted → encoded → written
             transit      decode     wait          fit      encode     write

The first of these is on the venue's clock, the others on ours. How far a venue's clock is off is estimated, not
ignored: no frame can arrive before half a round trip, so the least (received − exchange time) of a minute, less half of
the connection's least round trip, is what the clocks differ by, together with what the venue holds every message back
for, which nobody outside can tell apart.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from derivasys.latency import Latency

STAGES = ("transit", "decode", "wait", "fit", "encode", "write")
SKEW_WINDOW_S = 60
FRAMES_MAX = 20_000
"""Frames of one currency that are timed in a cycle; what comes beyond is counted nowhere here."""


class VenueClock:
    """How far a venue's clock is behind ours. `lag` is received − exchange time, ns."""

    def __init__(self) -> None:
        self._least: deque[int] = deque(maxlen=SKEW_WINDOW_S)
        """The least lag of each of the last seconds with frames."""
        self._now: int | None = None
        self.round_trip_ns: int | None = None

    def note(self, lag_ns: int) -> None:
        """Take one frame's lag."""
        if self._now is None or lag_ns < self._now:
            self._now = lag_ns

    def tick(self) -> None:
        """A second has passed."""
        if self._now is not None:
            self._least.append(self._now)
            self._now = None

    @property
    def skew_ns(self) -> int | None:
        """Nanoseconds that the venue's clock is behind ours (negative: ahead); None before any frame told its time."""
        known = [*self._least, *(() if self._now is None else (self._now,))]
        return min(known) - (self.round_trip_ns or 0) // 2 if known else None


class Frame(NamedTuple):
    """One frame's way in: its venue, its lag (None when it told no time), and when it came and was decoded."""

    venue: str
    lag_ns: int | None
    received_ns: int
    decoded_ns: int


class Cycle(NamedTuple):
    """One currency's way out, on the same stopwatch as the frames' `received_ns`."""

    started_ns: int
    fitted_ns: int
    encoded_ns: int
    written_ns: int


class Waterfall:
    """Gathers the frames of a cycle and spreads its latency over the stages."""

    def __init__(self, latency: Latency) -> None:
        self.clocks: dict[str, VenueClock] = {}
        self._latency = latency
        self._frames: dict[str, list[Frame]] = {}
        self._last: dict[str, dict[str, float]] = {}

    def frame(self, ccy: str, frame: Frame) -> None:
        """Note a frame that the next cycle of its currency will publish."""
        frames = self._frames.setdefault(ccy, [])
        if len(frames) < FRAMES_MAX:
            frames.append(frame)
        if frame.lag_ns is not None:
            clock = self.clocks.get(frame.venue)
            if clock is None:
                clock = self.clocks[frame.venue] = VenueClock()
            clock.note(frame.lag_ns)

    @property
    def waiting(self) -> int:
        """Frames that no cycle has taken yet."""
        return sum(len(frames) for frames in self._frames.values())

    def take(self, ccy: str) -> list[Frame]:
        """Return the frames that a cycle which begins now reads."""
        return self._frames.pop(ccy, [])

    def so_far(self, ccy: str, frames: list[Frame], started_ns: int, fitted_ns: int) -> dict[str, float]:
        """Return what the cycle's own message can say, ms: the newest frame's way to the fit.

        `encode` and `write` are those of the currency's last cycle: this one's are not over.
        """
        before = self._last.get(ccy, {})
        told: dict[str, float] = dict(before)
        if frames:
            newest = frames[-1]
            transit_ms = self._transit_ms(frames[-1:])
            if len(transit_ms):
                told["transit"] = float(transit_ms[0])
            told["decode"] = (newest.decoded_ns - newest.received_ns) / 1e6
            told["wait"] = (started_ns - newest.decoded_ns) / 1e6
        told["fit"] = (fitted_ns - started_ns) / 1e6
        return {stage: round(told[stage], 3) for stage in STAGES if stage in told}

    def published(self, ccy: str, frames: list[Frame], cycle: Cycle) -> None:
        """Note the whole way of a cycle's frames."""
        add = self._latency.add_many
        fit, encode, write = (np.diff(cycle) / 1e6).tolist()
        self._last[ccy] = {"encode": encode, "write": write}
        for stage, ms in (("fit", fit), ("encode", encode), ("write", write)):
            self._latency.add(f"waterfall.{stage}", ms)
        if not frames:
            return
        received = np.array([frame.received_ns for frame in frames])
        decode = (np.array([frame.decoded_ns for frame in frames]) - received) / 1e6
        total = (cycle.written_ns - received) / 1e6
        wait = np.maximum((cycle.started_ns - received) / 1e6 - decode, 0.0)
        add("waterfall.decode", decode)
        add("waterfall.wait", wait)
        add("waterfall.total", total)
        add("waterfall.net", total - wait)
        add("waterfall.transit", self._transit_ms(frames))
        for venue in {frame.venue for frame in frames}:
            add(f"transit.{venue}", self._transit_ms([frame for frame in frames if frame.venue == venue]))

    def tick(self) -> None:
        """A second has passed."""
        self._latency.tick()
        for clock in self.clocks.values():
            clock.tick()

    def _transit_ms(self, frames: list[Frame]) -> NDArray[np.float64]:
        skew = {venue: clock.skew_ns or 0 for venue, clock in self.clocks.items()}
        told = [frame.lag_ns - skew[frame.venue] for frame in frames if frame.lag_ns is not None]
        return np.array(told, np.float64) / 1e6
