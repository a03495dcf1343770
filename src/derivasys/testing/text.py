"""Numbers as venues write them that write numbers as text; rate limits over a sliding window; losses on the way out."""

from __future__ import annotations

from collections import deque

from msgspec import Struct, field

_NS = 1_000_000_000


def text(value: float | None, none: str = "") -> str:
    """Return a number in decimal without exponent and without needless zeros; `none` for NaN and None."""
    if value is None or value != value:
        return none
    written = repr(float(value))
    if "e" in written:
        written = f"{value:.12f}".rstrip("0")
    written = written.removesuffix(".0").removesuffix(".")
    return "0" if written in ("-0", "") else written


class Window:
    """At most `count_max` calls within `seconds`."""

    def __init__(self, count_max: int, seconds: float) -> None:
        self._count_max = count_max
        self._ns = int(seconds * _NS)
        self._calls: deque[int] = deque()

    def take(self, now_ns: int) -> bool:
        """Count a call unless it is one too many."""
        while self._calls and self._calls[0] <= now_ns - self._ns:
            self._calls.popleft()
        if len(self._calls) >= self._count_max:
            return False
        self._calls.append(now_ns)
        return True


class Losses(Struct):
    """What becomes of pushes on their way out. All off by default; channels are named by prefix."""

    drop_every: int = 0
    """Lose every n-th push."""
    repeat_every: int = 0
    """Send every n-th push twice."""
    stalled: set[str] = field(default_factory=set)
    """Channels that fall silent while their subscription stands."""
    sent: int = 0
    """Pushes counted so far, over all channels."""
    lost: int = 0
    """Pushes that were not sent."""

    def copies(self, channel: str) -> int:
        """Return how often the next push of `channel` is to be sent: 0, 1 or 2."""
        if self.stalled and is_named(channel, self.stalled):
            self.lost += 1
            return 0
        self.sent += 1
        if self.drop_every and self.sent % self.drop_every == 0:
            self.lost += 1
            return 0
        return 2 if self.repeat_every and self.sent % self.repeat_every == 0 else 1


def is_named(channel: str, prefixes: set[str]) -> bool:
    """Tell whether a channel begins with one of the prefixes."""
    return any(channel.startswith(prefix) for prefix in prefixes)
