"""The forward of each expiry, venue and series: one price with its source, standard error and age.

Three statements are combined by inverse variance as far as they agree: the venue's own expiry-matched forward, the mid
of a dated future when fresh and tight, and put-call parity of the series' options. The source named is the one of most
weight. Parity, which is what the quotes themselves say, is also a check on the others: where it differs by more than
both errors explain, it is left out and the difference reported. The venue's index is a forward only at zero carry, so
it is the last resort. A forward given by hand is taken as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct
from numba import njit
from numpy.typing import NDArray

from derivasys.analytics.parity_board import parity_board
from derivasys.estimate.chain import Chain

Source = Literal["venue", "future", "parity", "index", "given"]
SOURCES: tuple[Source, ...] = ("venue", "future", "parity", "index", "given")

AGE_S_MAX = 60.0
"""An older statement is used only when nothing better is there."""
FUTURE_AGE_S_MAX = 10.0
FUTURE_WIDTH_BP_MAX = 20.0
PARITY_AGE_S_MAX = 120.0
"""Quotes older than that are no longer quotes (as in `fit.quotes`)."""
STDERR_BP_MIN = 0.1
"""No source is trusted beyond a tenth of a basis point."""
VENUE_STDERR_BP_MIN = 0.5
"""A venue's statement is not of the very moment of a quote. On recorded boards its distance from parity (median 1 to 2
bp) is no more than parity's own error explains, so its error is not above this (`bench/forwards.py`)."""
INDEX_STDERR_BP = 50.0
"""Basis of a dated forward against the index that is commonly seen within a month or two."""
AGREE_SIGMAS = 3.0
"""Statements further apart than this many joint standard errors are not averaged."""


class ForwardEstimate(Struct, frozen=True):
    """A forward in quote currency. `price` is NaN when there is none."""

    price: float
    source: Source
    stderr_bp: float
    recv_ns: int
    parity_gap_bp: float = math.nan
    """Parity above the other statements; NaN where either is missing."""
    parity_stderr_bp: float = math.nan
    parity_pairs: int = 0
    is_disputed: bool = False
    """Parity differs from the others by more than their errors explain."""


NONE = ForwardEstimate(math.nan, "index", math.nan, 0)


class Forwards(NamedTuple):
    """The forwards of some expiries, each (expiries, series); series as in `chain.all_series`."""

    price: NDArray[np.float64]
    """NaN where there is none."""
    stderr_bp: NDArray[np.float64]
    gap_bp: NDArray[np.float64]
    parity_stderr_bp: NDArray[np.float64]
    source: NDArray[np.int64]
    """Index into SOURCES."""
    recv_ns: NDArray[np.int64]
    pairs: NDArray[np.int64]
    is_disputed: NDArray[np.bool_]
    best: NDArray[np.int64]
    """(expiries,): the series of least error; any where none has a price."""

    def one(self, at: int, series: int) -> ForwardEstimate:
        """Return one of them; `NONE` where there is no price."""
        return self._chosen(np.array([at]), np.array([series]))[0]

    def bests(self) -> list[ForwardEstimate]:
        """Return the estimate of least error of each expiry."""
        if not self.price.shape[1]:
            return [NONE] * len(self.best)
        return self._chosen(np.arange(len(self.best)), self.best)

    def _chosen(self, at: NDArray[np.int64], series: NDArray[np.int64]) -> list[ForwardEstimate]:
        columns = (
            self.price, self.source, self.stderr_bp, self.recv_ns, self.gap_bp, self.parity_stderr_bp, self.pairs,
            self.is_disputed,
        )  # fmt: skip
        return [
            ForwardEstimate(price, SOURCES[source], *rest) if price > 0 else NONE
            for price, source, *rest in zip(*(column[at, series].tolist() for column in columns), strict=True)
        ]


def estimate(chain: Chain, venue: str, slot: int, now_ns: int) -> ForwardEstimate:
    """Return the best forward of a venue's only or first series for the expiry at `slot` of the chain."""
    series = next(at for at, (of, _) in enumerate(chain.all_series) if of == venue)
    return estimate_all(chain, (slot,), now_ns).one(0, series)


def estimate_all(chain: Chain, slots: Sequence[int], now_ns: int) -> Forwards:
    """Return the forwards of the expiries at `slots`."""
    shape = (len(slots), len(chain.all_series))
    parity, parity_stderr = np.empty(shape), np.empty(shape)
    pairs, newest_ns = np.empty(shape, np.int64), np.empty(shape, np.int64)
    parity_board(
        np.asarray(slots, np.int64), chain.starts, chain.series, chain.strike, chain.is_call, chain.is_coin,
        chain.is_open, chain.bid, chain.ask, chain.as_of_ns, now_ns - int(PARITY_AGE_S_MAX * 1e9),
        parity, parity_stderr, pairs, newest_ns,
    )  # fmt: skip
    kind, prices, times_ns = _stated(chain, slots)
    found = Forwards(
        price=np.full(shape, np.nan),
        stderr_bp=np.full(shape, np.nan),
        gap_bp=np.full(shape, np.nan),
        parity_stderr_bp=np.full(shape, np.nan),
        source=np.zeros(shape, np.int64),
        recv_ns=np.zeros(shape, np.int64),
        pairs=np.zeros(shape, np.int64),
        is_disputed=np.zeros(shape, np.bool_),
        best=np.full(len(slots), -1, np.int64),
    )
    _weigh(kind, prices, times_ns, parity, parity_stderr, pairs, newest_ns, now_ns, *found)
    return found


_NOTHING, _VENUE, _INDEX, _GIVEN = range(4)
_KINDS = {"index_price": _INDEX, "given": _GIVEN}


def _stated(chain: Chain, slots: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Return what venues state, by expiry and series.

    The kind of the venue's statement; its price and spread, the future's bid and ask, and the index; and when the three
    were received.
    """
    kinds: list[int] = []
    prices: list[tuple[float, float, float, float, float]] = []
    times_ns: list[tuple[int, int, int]] = []
    series = [(of, chain.index.get(of[0], _NO_INDEX)) for of in chain.all_series]
    for slot in slots:
        expiry = chain.expiries[slot]
        for (venue, name), (index, index_ns) in series:
            one = chain.forwards.get((venue, name, expiry))
            if one is None:
                kinds.append(_NOTHING)
                prices.append((math.nan, math.nan, math.nan, math.nan, index))
                times_ns.append((0, 0, index_ns))
            else:
                kinds.append(_KINDS.get(one.name, _VENUE) if one.price > 0 else _NOTHING)
                prices.append((one.price, one.spread, one.future_bid, one.future_ask, index))
                times_ns.append((one.recv_ns, one.future_recv_ns, index_ns))
    shape = (len(slots), len(series))
    return (
        np.array(kinds, np.int64).reshape(shape),
        np.array(prices, np.float64).reshape(*shape, 5),
        np.array(times_ns, np.int64).reshape(*shape, 3),
    )


_NO_INDEX = (math.nan, 0)
_BY_VENUE, _BY_FUTURE, _BY_PARITY, _BY_INDEX, _BY_HAND = range(5)
"""Indices into SOURCES."""


@njit(cache=True, error_model="numpy")
def _agree(price: float, stderr_bp: float, other: float, other_stderr_bp: float) -> bool:
    error_bp = math.sqrt(stderr_bp * stderr_bp + other_stderr_bp * other_stderr_bp)
    return abs(1e4 * (other / price - 1.0)) <= AGREE_SIGMAS * error_bp


@njit(cache=True, error_model="numpy")
def _combine(one: tuple[float, float, int, int], other: tuple[float, float, int, int]) -> tuple[float, float, int, int]:
    """Return the inverse-variance mean of two statements that agree, else the more precise one.

    A statement is a price, its standard error in bp, its source and when it was received.
    """
    first, second = (one, other) if one[1] <= other[1] else (other, one)
    if not _agree(one[0], one[1], other[0], other[1]):
        return first
    weight, weight_other = 1.0 / (first[1] * first[1]), 1.0 / (second[1] * second[1])
    share = weight_other / (weight + weight_other)
    price = first[0] + share * (second[0] - first[0])
    return price, max(STDERR_BP_MIN, 1.0 / math.sqrt(weight + weight_other)), first[2], first[3]


@njit(cache=True, error_model="numpy")
def _of_venue(kind: int, price: float, spread: float, recv_ns: int) -> tuple[float, float, int, int]:
    if kind == _INDEX:
        return price, INDEX_STDERR_BP, _BY_INDEX, recv_ns
    if kind == _GIVEN:
        return price, STDERR_BP_MIN, _BY_HAND, recv_ns
    step_bp = 1e4 * spread / price if spread == spread else 0.0
    return price, max(VENUE_STDERR_BP_MIN, step_bp), _BY_VENUE, recv_ns


@njit(cache=True, error_model="numpy")
def _weigh(
    kind: NDArray[np.int64],
    prices: NDArray[np.float64],
    times_ns: NDArray[np.int64],
    parity: NDArray[np.float64],
    parity_stderr: NDArray[np.float64],
    parity_pairs: NDArray[np.int64],
    newest_ns: NDArray[np.int64],
    now_ns: int,
    price: NDArray[np.float64],
    stderr_bp: NDArray[np.float64],
    gap_bp: NDArray[np.float64],
    parity_stderr_bp: NDArray[np.float64],
    source: NDArray[np.int64],
    recv_ns: NDArray[np.int64],
    pairs: NDArray[np.int64],
    is_disputed: NDArray[np.bool_],
    best: NDArray[np.int64],
) -> None:
    """Fill the fields of `Forwards`."""
    for at in range(kind.shape[0]):
        for of in range(kind.shape[1]):
            has_own, has_parity = kind[at, of] != _NOTHING, parity_pairs[at, of] > 0
            own = _of_venue(kind[at, of], prices[at, of, 0], prices[at, of, 1], times_ns[at, of, 0])
            late, has_late = own, has_own
            bid, ask = prices[at, of, 2], prices[at, of, 3]
            half_width_bp = 5e3 * (ask - bid) / (0.5 * (bid + ask))
            has_future = (
                0 < bid <= ask and now_ns - times_ns[at, of, 1] <= FUTURE_AGE_S_MAX * 1e9
            ) and half_width_bp <= FUTURE_WIDTH_BP_MAX  # fmt: skip
            future = 0.5 * (bid + ask), max(STDERR_BP_MIN, half_width_bp), _BY_FUTURE, times_ns[at, of, 1]
            if has_own and now_ns - own[3] > AGE_S_MAX * 1e9:
                has_own = False
            if has_own and own[2] == _BY_INDEX and (has_future or has_parity):
                has_own = False
            others, has_others = own, has_own
            if has_future and not (has_own and own[2] == _BY_HAND):
                others, has_others = _combine(own, future) if has_own else future, True
            by_parity = (
                parity[at, of], max(STDERR_BP_MIN, 1e4 * parity_stderr[at, of] / parity[at, of]), _BY_PARITY,
                newest_ns[at, of],
            )  # fmt: skip
            found = others
            if not has_parity:
                if not has_others:
                    found = late
                    if not has_late:
                        index = prices[at, of, 4]
                        if not index > 0:
                            continue
                        found = index, INDEX_STDERR_BP, _BY_INDEX, times_ns[at, of, 2]
            else:
                parity_stderr_bp[at, of], pairs[at, of] = by_parity[1], parity_pairs[at, of]
                if not has_others:
                    found = by_parity
                else:
                    gap_bp[at, of] = 1e4 * (by_parity[0] / others[0] - 1.0)
                    is_disputed[at, of] = not _agree(others[0], others[1], by_parity[0], by_parity[1])
                    if others[2] != _BY_HAND:
                        found = _combine(others, by_parity)
            price[at, of], stderr_bp[at, of], source[at, of], recv_ns[at, of] = found
            if price[at, of] > 0 and (best[at] < 0 or stderr_bp[at, of] < stderr_bp[at, best[at]]):
                best[at] = of
