"""What a venue's connector is, apart from the socket: a state machine over frames and time."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from msgspec import Struct

from derivasys.connect.login import Login

ConnectionState = Literal["connecting", "live", "stale", "down"]


class Endpoint(Struct, frozen=True):
    """Where a venue is: production and a local venue server differ only here."""

    ws: str
    http: str


class Reconnect(Exception):  # noqa: N818 - a decision of the session, not an error
    """The session wants a new connection; the message says why."""


class Session(Protocol):
    """One connection's conversation. Returned bytes are messages to send; `now_ns` is the clock's time."""

    ws_path: str
    """What follows `Endpoint.ws` in the socket's address; read after the first listing."""
    relisting: list[str]
    """REST paths to fetch, after `Endpoint.http`; their replies go to `listed` and to the pipeline."""
    is_leaving: bool
    """The venue will soon end this connection: another is to be opened beside it, and then this one closed."""

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Take the reply to one listing request. May put the next page's path into `relisting`."""

    def is_listing(self, payload: bytes) -> bool:
        """Tell whether a frame states what is listed: a replay needs it however long before its start it came."""

    def opened(self, now_ns: int) -> list[bytes]:
        """The socket is open: return what to say first."""

    def received(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Take one frame; return answers. Raises Reconnect."""

    def broken(self, symbol: str) -> None:
        """A sequenced stream of a contract has a gap: ask for a snapshot of it by the venue's rule."""

    def tick(self, now_ns: int) -> list[bytes]:
        """Called about ten times a second: timers, paced subscriptions. Raises Reconnect."""


class Sessions(Protocol):
    """Makes a venue's conversations."""

    def __call__(self, ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> list[Session]:
        """Return the conversations to keep up about some coins, each on a connection of its own.

        `has_books`: subscribe to the order books of options too, where the venue has such that start with a snapshot.
        """


class Venue(Struct, frozen=True):
    """A venue as the wiring sees it: one file in `connect`, one in `decode`, both under this name."""

    name: str
    production: Endpoint
    probe: str
    """REST path that answers 200 when the venue can be reached."""
    coin_paths: tuple[str, ...]
    """REST paths whose replies together tell which coins options are listed on."""
    coins: Callable[[bytes], list[str]]
    """One such reply → coins. Raises msgspec.DecodeError."""
    sessions: Sessions
    use_login: Callable[[Session, Login], None] | None = None
    """Give a new conversation credentials; None where the venue's feeds need none."""


class Backoff:
    """Waits between attempts: doubling from `first_s` to `max_s`, each drawn from half to all of it."""

    def __init__(self, rng: random.Random, first_s: float = 0.5, max_s: float = 30.0) -> None:
        self._rng = rng
        self._first_s = first_s
        self._max_s = max_s
        self._failures = 0

    def reset(self) -> None:
        """The connection has proved itself."""
        self._failures = 0

    def next_s(self) -> float:
        """Return how long to wait before the next attempt."""
        # 2**16 times any first wait is beyond any maximum; the bound keeps the power finite.
        ceiling = min(self._max_s, self._first_s * 2.0 ** min(self._failures, 16))
        self._failures += 1
        return ceiling * self._rng.uniform(0.5, 1.0)


class Budget:
    """A venue's credit pool: calls of `cost` from a `pool` that refills at `refill_per_s`."""

    def __init__(self, pool: float, refill_per_s: float, cost: float, now_ns: int) -> None:
        self._pool = pool
        self._refill_per_s = refill_per_s
        self._cost = cost
        self._credits = pool
        self._at_ns = now_ns

    def take(self, now_ns: int) -> bool:
        """Spend one call's credits if they are there."""
        passed_s = max(0, now_ns - self._at_ns) / 1e9
        self._credits = min(self._pool, self._credits + passed_s * self._refill_per_s)
        self._at_ns = now_ns
        if self._credits < self._cost:
            return False
        self._credits -= self._cost
        return True


def batches(names: Sequence[str], count_max: int, bytes_max: int) -> list[list[str]]:
    """Return `names` cut into runs of at most `count_max` names and `bytes_max` bytes (quotes and commas counted)."""
    runs: list[list[str]] = []
    size = 0
    for name in names:
        length = len(name) + 3
        if not runs or len(runs[-1]) >= count_max or size + length > bytes_max:
            runs.append([])
            size = 0
        runs[-1].append(name)
        size += length
    return runs
