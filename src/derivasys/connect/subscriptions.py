"""What one connection subscribes to: wanted, asked for, held, refused; silent streams; when to list again.

Shared by the venues' sessions, which put requests into words and read the answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from derivasys.connect.session import Reconnect, batches
from derivasys.expiry import EXPIRY_HOUR_UTC

_NS = 1_000_000_000
_DAY_NS = 86_400 * _NS
ROLL_DELAY_S = 20.0
"""Listings are fetched so long after 08:00 UTC, when contracts expire and new ones are listed."""
PATIENCE_MAX = 8.0
"""A quiet stream's limit grows to at most so many times the usual one."""


class _Stream:
    """The channels that should never all be silent together: one currency's options, say."""

    __slots__ = ("channels", "is_retried", "last_ns", "patience")

    def __init__(self, now_ns: int) -> None:
        self.channels: set[str] = set()
        self.last_ns = now_ns
        self.is_retried = False
        self.patience = 1.0


class Subscriptions:
    """A connection's channels. A channel is whatever text the venue names it by.

    A stream silent for `silence_s_max` is subscribed anew; silent again, the connection is replaced. `limits` gives
    other maxima by the first word of a stream's name. Where a subscription is always answered with the present state,
    so that a stream that speaks again was only quiet, `patience` above 1 multiplies the limit of that stream.
    """

    def __init__(
        self,
        count_max: int,
        bytes_max: int,
        silence_s_max: float,
        limits: Mapping[str, float] | None = None,
        patience: float = 1.0,
    ) -> None:
        self.subscribed: set[str] = set()
        """Acknowledged."""
        self.refused: set[str] = set()
        """Asked for and refused, or missing from the acknowledgement; asked for again after the next listing."""
        self.queue: deque[tuple[bool, Sequence[str]]] = deque()
        """Requests to make: (is it a subscription, channels)."""
        self.awaiting: dict[str, int] = {}
        """When subscriptions not yet answered were sent, oldest first."""
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._silence_s_max = silence_s_max
        self._limits = limits or {}
        self._patience = patience
        self._renewed: set[str] = set()
        """Being subscribed anew after a gap: further gaps until then tell nothing new."""
        self._wanted: dict[str, str] = {}
        """Channel → stream; '' for channels that may be silent."""
        self._expiries: dict[str, int] = {}
        self._next_expiry_ms = 0
        self._streams: dict[str, _Stream] = {}
        self._stream_by_key: dict[bytes, _Stream] = {}

    def __contains__(self, channel: str) -> bool:
        return channel in self._wanted

    def characters(self) -> int:
        """Return the length of all wanted channels, three more each for quotes and comma."""
        return sum(len(channel) + 3 for channel in self._wanted)

    def want(self, channels: Iterable[tuple[str, str]]) -> None:
        """Queue subscriptions to those of the (channel, stream) pairs that are new."""
        added = []
        for channel, stream in channels:
            if channel not in self._wanted:
                self._wanted[channel] = stream
                added.append(channel)
        self._ask(added)

    def expires(self, channel: str, expiry: int) -> None:
        """Note that a channel ends at `expiry` (ms UTC)."""
        self._expiries[channel] = expiry
        self._next_expiry_ms = min(self._next_expiry_ms or expiry, expiry)

    def take(self, now_ns: int) -> tuple[bool, Sequence[str]]:
        """Return the next request of the queue, as sent now."""
        is_subscribe, channels = self.queue.popleft()
        if is_subscribe:
            for channel in channels:
                self.awaiting.pop(channel, None)
                self.awaiting[channel] = now_ns
        return is_subscribe, channels

    def grant(self, channel: str, now_ns: int) -> None:
        """Take note that the venue sends the channel."""
        self.awaiting.pop(channel, None)
        self.refused.discard(channel)
        self._renewed.discard(channel)
        self.subscribed.add(channel)
        name = self._wanted.get(channel, "")
        if name:
            stream = self._streams.setdefault(name, _Stream(now_ns))
            stream.channels.add(channel)
            self._stream_by_key[channel.encode()] = stream

    def refuse(self, channel: str) -> None:
        """Take note that the venue does not send it: gone, or not there yet. The next listing tells."""
        self.refused.add(channel)
        self.forget(channel)

    def drop(self, channel: str) -> None:
        """Unsubscribe a channel that is not wanted any more."""
        if channel in self.subscribed:
            self.queue.append((False, [channel]))
        self.forget(channel)

    def forget(self, channel: str) -> None:
        """Take a channel out of the books."""
        self.awaiting.pop(channel, None)
        self._wanted.pop(channel, None)
        self._expiries.pop(channel, None)
        self._renewed.discard(channel)
        self.subscribed.discard(channel)
        stream = self._stream_by_key.pop(channel.encode(), None)
        if stream is not None:
            stream.channels.discard(channel)

    def renew(self, channel: str) -> None:
        """Queue a channel whose sequence broke to be subscribed anew, which brings a snapshot."""
        if channel in self.subscribed and channel not in self._renewed:
            self._renewed.add(channel)
            # A repeated subscription is acknowledged but sends nothing: unsubscribe first.
            self.queue += [(False, [channel]), (True, [channel])]

    def expire(self, now_ns: int) -> bool:
        """Unsubscribe what has expired, in as few requests as possible; return whether anything had."""
        now_ms = now_ns // 1_000_000
        if not self._expiries or now_ms < self._next_expiry_ms:
            return False
        gone = [channel for channel, expiry in self._expiries.items() if expiry <= now_ms]
        held = [channel for channel in gone if channel in self.subscribed]
        for run in batches(held, self._count_max, self._bytes_max):
            self.queue.append((False, run))
        for channel in gone:
            self.forget(channel)
        self._next_expiry_ms = min(self._expiries.values(), default=0)
        return bool(gone)

    def overdue(self, now_ns: int, answer_s_max: float) -> list[str]:
        """Return the channels whose subscription was sent longer than `answer_s_max` ago and not answered."""
        late = []
        for channel, sent_ns in self.awaiting.items():
            if now_ns - sent_ns <= answer_s_max * _NS:
                break
            late.append(channel)
        return late

    # --- streams ---

    def heard(self, key: bytes, now_ns: int) -> bool:
        """Note that a channel spoke; return False if `key` is not known as one."""
        stream = self._stream_by_key.get(key)
        if stream is None:
            return False
        stream.last_ns = now_ns
        if stream.is_retried:
            stream.is_retried = False
            stream.patience = min(stream.patience * self._patience, PATIENCE_MAX)
        return True

    def check(self, now_ns: int) -> None:
        """Queue silent streams to be subscribed anew; raise Reconnect for one that was and is silent still."""
        for name, stream in self._streams.items():
            silence_s_max = self._limits.get(name.partition(" ")[0], self._silence_s_max) * stream.patience
            if not stream.channels or now_ns - stream.last_ns <= silence_s_max * _NS:
                continue
            if stream.is_retried:
                raise Reconnect(f"stream {name} silent for {2 * silence_s_max:g} s")
            stream.is_retried = True
            stream.last_ns = now_ns
            # A repeated subscription is acknowledged but sends nothing: unsubscribe first.
            for run in batches(sorted(stream.channels), self._count_max, self._bytes_max):
                self.queue += [(False, run), (True, run)]

    def _ask(self, channels: Sequence[str]) -> None:
        self.queue += [(True, run) for run in batches(channels, self._count_max, self._bytes_max)]


class RelistTimer:
    """When to fetch listings: every so often, after each 08:00 UTC, and soon after a notice.

    At the roll hundreds of notices arrive at once; they are gathered for `gather_s`.
    """

    def __init__(self, every_s: float, gather_s: float, now_ns: int) -> None:
        self._every_ns = int(every_s * _NS)
        self._gather_ns = int(gather_s * _NS)
        self._at_ns = 0
        self.restart(now_ns)

    def restart(self, now_ns: int) -> None:
        """Listings are being fetched now."""
        self._at_ns = min(now_ns + self._every_ns, next_roll_ns(now_ns))

    def soon(self, now_ns: int) -> None:
        """Something was listed or delisted."""
        self._at_ns = min(self._at_ns, now_ns + self._gather_ns)

    def is_due(self, now_ns: int) -> bool:
        """Return whether it is time."""
        return now_ns >= self._at_ns


def next_roll_ns(now_ns: int) -> int:
    """Return the next instant at which 08:00 UTC was `ROLL_DELAY_S` ago."""
    roll_ns = now_ns // _DAY_NS * _DAY_NS + EXPIRY_HOUR_UTC * 3600 * _NS + int(ROLL_DELAY_S * _NS)
    return roll_ns if roll_ns > now_ns else roll_ns + _DAY_NS
