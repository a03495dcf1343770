"""Clocks for the edges. Everything between the edges takes `now_ns` as an argument instead."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells nanoseconds since the Unix epoch."""

    def now_ns(self) -> int: ...


class SystemClock:
    """The machine's own time."""

    def now_ns(self) -> int:
        return time.time_ns()


class RecordedClock:
    """Starts at a recorded instant and runs at `speed` times real time from its creation on."""

    def __init__(self, start_ns: int, speed: float = 1.0) -> None:
        self._start_ns = start_ns
        self._speed = speed
        self._origin_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        return self._start_ns + int((time.monotonic_ns() - self._origin_ns) * self._speed)


class VirtualClock:
    """Stands still until it is set forward. For tests and simulations."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        return self._now_ns

    def advance(self, delta_ns: int) -> int:
        """Move on by `delta_ns` ≥ 0 and return the new time."""
        assert delta_ns >= 0
        self._now_ns += delta_ns
        return self._now_ns
