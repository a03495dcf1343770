"""The one market of a coin behind all venues: index, forwards and smiles, on a grid of `STEP_MS`.

Its path depends on its seed and on the grid points it is asked for, not on who asks: venues look at it, each some
steps late. All that was true lately is kept for them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from zlib import crc32

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.testing.market import dynamics
from derivasys.testing.market.dynamics import Moves
from derivasys.testing.market.ladder import Ladder, expiry_dates, strike_grid
from derivasys.testing.market.smiles import Smile, join_smiles, smile_iv
from derivasys.testing.recordings import YEAR_MS

Floats = NDArray[np.float64]

STEP_MS = 50
STEPS_MAX = 40
"""A longer gap between two moments is crossed in one step."""
EVERY_DATE = Ladder(days=5, weeks=5, months=5, quarters=6)
"""What the ladders of all venues are part of."""
HISTORY_STEPS = 256
_SHARED = 7


class Recorded(Struct, frozen=True):
    """What a coin starts from."""

    ccy: str
    label: str
    index: float
    smile: Callable[[float], Smile]
    """By time to expiry, years."""
    carry: Callable[[float], float]
    """Log basis ln(forward / index) by time to expiry, years."""
    is_scaled: bool = False
    """Whether another coin's smiles stand for its own."""
    strikes: dict[int, Floats] = {}
    """Recorded strikes by expiry (ms)."""


class Coin:
    """Index, forwards and smiles by expiry date; an expiry keeps its slot for good."""

    def __init__(self, recorded: Recorded, start_ms: int, seed: int, dates: Sequence[int] = ()) -> None:
        """`dates`: the expiries to begin with, else all that a venue could list."""
        self.ccy, self.label = recorded.ccy, recorded.label
        self.is_scaled = recorded.is_scaled
        self.start_ms = start_ms
        self.step = 0
        self.slot_of: dict[int, int] = {}
        """By expiry (ms)."""
        self.rates: list[float] = []
        """Log basis a year, by slot."""
        self.strikes: list[Floats] = []
        self._recorded = recorded
        self._rng = np.random.default_rng([seed, crc32(recorded.ccy.encode())])
        self._shared = np.random.default_rng([seed, _SHARED])
        self._smiles: list[Smile] = []
        self._moves = dynamics.still(0)
        self._past: deque[tuple[int, Moves]] = deque(maxlen=HISTORY_STEPS)
        self._add(dates or expiry_dates(start_ms, EVERY_DATE), start_ms)
        self._past.append((0, msgspec.structs.replace(self._moves)))
        self._shocks: list[tuple[int, int, float]] = []
        """(first step, last step, log move a step) of moves to come."""

    def now_ms(self) -> int:
        return self.start_ms + self.step * STEP_MS

    def index(self, moves: Moves) -> float:
        """Return the index, not rounded."""
        return self._recorded.index * float(np.exp(moves.index_log))

    def advance(self, step: int) -> None:
        """Move on to grid point `step`; nothing if another venue has led there already."""
        if step <= self.step:
            return
        strides = [1] * (step - self.step) if step - self.step <= STEPS_MAX else [step - self.step]
        for stride in strides:
            self.step += stride
            dynamics.step(self._moves, stride * STEP_MS / 1000.0, self._front_iv(), self._rng, self._shared)
            if self._shocks:
                self._moves.index_log += self._shocked(stride)
            self._past.append((self.step, msgspec.structs.replace(self._moves)))
        now_ms = self.now_ms()
        if now_ms >= self._next_ms:
            self._add(expiry_dates(now_ms, EVERY_DATE), now_ms)

    def shock(self, log_move: float, seconds: float) -> None:
        """Let the index move by `log_move` within the next `seconds`, beside its own moves."""
        steps = max(1, round(seconds * 1000.0 / STEP_MS))
        self._shocks.append((self.step + 1, self.step + steps, log_move / steps))

    def _shocked(self, stride: int) -> float:
        """Return what the shocks add to the index's log in the last `stride` steps."""
        first = self.step - stride + 1
        added = sum(each * max(0, min(last, self.step) - max(begun, first) + 1) for begun, last, each in self._shocks)
        self._shocks = [shock for shock in self._shocks if shock[1] > self.step]
        return added

    def at(self, step: int) -> Moves:
        """Return the factors at grid point `step`, or at the last known before it."""
        for when, moves in reversed(self._past):
            if when <= step:
                return moves
        return self._past[0][1]

    def _front_iv(self) -> float:
        """Return the at-the-money vol of the expiry that ends next."""
        return float(self._level[min(self._front, len(self._level) - 1)])

    def _add(self, dates: Sequence[int], now_ms: int) -> None:
        """Give slots to expiries that have none."""
        for ms in dates:
            if ms in self.slot_of:
                continue
            tau = max(ms - now_ms, STEP_MS) / YEAR_MS
            smile, basis = self._recorded.smile(tau), self._recorded.carry(tau)
            self.slot_of[ms] = len(self._smiles)
            self._smiles.append(smile)
            self.rates.append(basis / tau)
            sd = float(smile_iv(join_smiles([smile]), np.zeros(1, np.int64), np.zeros(1))[0]) * tau**0.5
            forward = self.index(self._moves) * float(np.exp(basis))
            self.strikes.append(self._recorded.strikes.get(ms, strike_grid(forward, sd)))
            for moves in (self._moves, *(moves for _, moves in self._past)):
                dynamics.grow(moves)
        self.joined = join_smiles(self._smiles)
        self._level = smile_iv(self.joined, np.arange(len(self._smiles)), np.zeros(len(self._smiles)))
        alive = [ms for ms in self.slot_of if ms > now_ms]
        self._next_ms = min(alive)
        self._front = self.slot_of[self._next_ms]
