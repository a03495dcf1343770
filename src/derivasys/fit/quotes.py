"""Which quotes a smile is fitted to, and why each of the others is not."""

import math
from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


class QuoteReason(IntEnum):
    """The one reason why a quote is used or not, in order of precedence (the first that applies is given)."""

    USED = 0
    EXPIRED = 1  # tau <= 0
    SETTLEMENT_WINDOW = 2  # the last minutes settle on an average: not Black
    BAD_NUMBER = 3  # log-moneyness or a price is not finite (the forward is missing)
    NO_QUOTE = 4  # neither bid nor ask
    ONE_SIDED = 5  # bid or ask missing
    CROSSED = 6  # bid above ask
    STALE = 7  # older than `staleness_s_max`
    BELOW_INTRINSIC = 8  # bid or ask below or at intrinsic value: no implied volatility
    ABOVE_BOUND = 9  # bid or ask at or above the forward (call) or strike (put): no implied volatility
    BELOW_TICK = 10  # mid below `ticks_min` ticks: the price grid hides the volatility
    WIDE = 11  # ask_iv - bid_iv above `spread_iv_max` or `spread_ratio_max` times the mid
    IN_THE_MONEY = 12  # the out-of-the-money twin of the same strike is used instead
    OUTLIER = 13  # set after a fit, by `mark_outliers`


class QuoteRules(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of the selection; all are inclusive."""

    staleness_s_max: float = 120.0  # seconds since the venue's last update of the quote
    settlement_window_s: float = 1800.0  # seconds before expiry that settle on an average
    spread_iv_max: float = 1.5  # widest ask_iv - bid_iv, decimal
    spread_ratio_max: float = 1.0  # widest ask_iv - bid_iv in units of the mid iv
    spread_iv_floor: float = 0.002  # spreads below this weigh as this (locked quotes are not infinitely precise)
    ticks_min: float = 1.0  # smallest mid price in ticks


class QuoteSelection(NamedTuple):
    """One entry per quote row; numbers are NaN (weight 0) unless both sides have an implied volatility."""

    used: BoolArray
    reason: npt.NDArray[np.uint8]  # `QuoteReason`
    mid_iv: FloatArray  # (bid_iv + ask_iv) / 2, decimal
    w: FloatArray  # target total variance mid_iv**2 tau
    weight: FloatArray  # precision 1 / (2 mid_iv tau spread_iv)**2 of w, so that a residual of 1 is one spread
    w_bid: FloatArray  # bid_iv**2 tau
    w_ask: FloatArray  # ask_iv**2 tau


_SECONDS_PER_YEAR = 365.0 * 86400.0


def twin_rows(expiry: npt.ArrayLike, strike: npt.ArrayLike, is_call: npt.ArrayLike) -> IntArray:
    """Return for each row the index of the other option of the same expiry (any integer key) and strike, or -1.

    Static for a board: compute once per listing, not per cycle. If a strike is listed more than once with the same
    type (several venues in one table), only rows with exactly one counterpart are paired; pass a key that includes
    the venue to pair within venues.
    """
    e, s, c = (
        np.asarray(expiry),
        np.asarray(strike, dtype=np.float64),
        np.asarray(is_call, dtype=np.bool_),
    )
    twin = np.full(e.shape[0], -1, dtype=np.int64)
    if e.shape[0] < 2:
        return twin
    order = np.lexsort((c, s, e))
    same = (e[order][1:] == e[order][:-1]) & (s[order][1:] == s[order][:-1])
    start = np.flatnonzero(np.concatenate(([True], ~same)))
    size = np.diff(np.concatenate((start, [e.shape[0]])))
    first = order[start[size == 2]]
    second = order[start[size == 2] + 1]
    opposite = c[first] != c[second]
    twin[first[opposite]] = second[opposite]
    twin[second[opposite]] = first[opposite]
    return twin


def select_quotes(
    *,
    k: FloatArray,
    tau: FloatArray,
    is_call: BoolArray,
    twin: IntArray,
    bid: FloatArray,
    ask: FloatArray,
    tick: FloatArray | float,
    bid_iv: FloatArray,
    ask_iv: FloatArray,
    bid_status: npt.NDArray[np.uint8],
    ask_status: npt.NDArray[np.uint8],
    age_s: FloatArray | float,
    rules: QuoteRules | None = None,
) -> QuoteSelection:
    """Return the `QuoteSelection` of a whole board, one entry per row; arrays of one length, any order.

    `k` log-moneyness against the row's own forward, `tau` years, `bid` and `ask` prices in the unit of `tick` (NaN or
    not positive: missing), `bid_iv`, `ask_iv` and their `IvStatus` from `implied_vol`, `age_s` seconds. `twin` from
    `twin_rows`. An out-of-the-money quote is preferred; the in-the-money one carries the same information through
    parity and is used when its twin has no usable quote. Every unused row has exactly one reason. Deterministic.
    """
    limits = rules or QuoteRules()
    n = k.shape[0]
    reason = np.empty(n, dtype=np.uint8)
    columns = np.empty((5, n))
    _choose(
        _floats(k, n), _floats(tau, n), is_call, twin, _floats(bid, n), _floats(ask, n), _floats(tick, n),
        _floats(bid_iv, n), _floats(ask_iv, n), bid_status, ask_status, _floats(age_s, n),
        limits.settlement_window_s / _SECONDS_PER_YEAR, limits.staleness_s_max, limits.ticks_min,
        limits.spread_iv_max, limits.spread_ratio_max, limits.spread_iv_floor, reason, columns,
    )  # fmt: skip
    mid, w, weight, w_bid, w_ask = columns
    return QuoteSelection(reason == QuoteReason.USED, reason, mid, w, weight, w_bid, w_ask)


def _floats(values: FloatArray | float, n: int) -> FloatArray:
    """Return a contiguous float64 array of length n."""
    if isinstance(values, np.ndarray) and values.shape == (n,):
        return np.ascontiguousarray(values, dtype=np.float64)
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, dtype=np.float64), (n,)))


@njit(cache=True, error_model="numpy")
def _choose(
    k: FloatArray,
    tau: FloatArray,
    is_call: BoolArray,
    twin: IntArray,
    bid: FloatArray,
    ask: FloatArray,
    tick: FloatArray,
    bid_iv: FloatArray,
    ask_iv: FloatArray,
    bid_status: npt.NDArray[np.uint8],
    ask_status: npt.NDArray[np.uint8],
    age_s: FloatArray,
    window: float,
    stale: float,
    ticks: float,
    spread_max: float,
    ratio_max: float,
    spread_floor: float,
    reason: npt.NDArray[np.uint8],
    out: FloatArray,
) -> None:
    """Fill reason (codes of `QuoteReason`, first that applies) and out (5, n) = (mid, w, weight, w_bid, w_ask)."""
    n = k.shape[0]
    for i in range(n):
        has_bid, has_ask = bid[i] > 0.0, ask[i] > 0.0
        low, high = bid_status[i], ask_status[i]
        spread = ask_iv[i] - bid_iv[i]
        mid = 0.5 * (ask_iv[i] + bid_iv[i])
        if not tau[i] > 0.0:
            code = 1
        elif tau[i] <= window:
            code = 2
        elif not (has_bid or has_ask):
            code = 4
        elif not math.isfinite(k[i]) or (low == 4 and has_bid) or (high == 4 and has_ask):
            code = 3
        elif not (has_bid and has_ask):
            code = 5
        elif bid[i] > ask[i]:
            code = 6
        elif not age_s[i] <= stale:
            code = 7
        elif low in (1, 2) or high in (1, 2):
            code = 8
        elif low != 0 or high != 0:
            code = 9
        elif 0.5 * (bid[i] + ask[i]) < ticks * tick[i]:
            code = 10
        elif not (spread <= spread_max and spread <= ratio_max * mid):
            code = 11
        else:
            code = 0
        reason[i] = code
        scale = 2.0 * mid * tau[i] * max(spread, spread_floor)
        out[0, i] = mid
        out[1, i] = mid * mid * tau[i]
        out[2, i] = 1.0 / (scale * scale) if spread >= 0.0 and scale > 0.0 else 0.0
        out[3, i] = bid_iv[i] * bid_iv[i] * tau[i]
        out[4, i] = ask_iv[i] * ask_iv[i] * tau[i]
    for i in range(n):
        inside = k[i] < 0.0 if is_call[i] else k[i] >= 0.0
        if inside and reason[i] == 0 and twin[i] >= 0 and reason[twin[i]] == 0:
            reason[i] = 12


def mark_outliers(
    selection: QuoteSelection,
    iv_fit: FloatArray,
    *,
    spreads_max: float = 8.0,
    iv_gap_min: float = 0.05,
) -> QuoteSelection:
    """Return the selection with used quotes far off the fitted curve marked OUTLIER and no longer used.

    `iv_fit` decimal, one per row, from a first (robust) fit. Far: the distance to the nearer of bid and ask exceeds
    both `iv_gap_min` and `spreads_max` times the quote's spread.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        half = 0.25 * (selection.w_ask - selection.w_bid) / (selection.w / selection.mid_iv)
        gap = np.abs(iv_fit - selection.mid_iv) - half
        far = selection.used & (gap > iv_gap_min) & (gap > 2.0 * half * spreads_max)
    reason = selection.reason.copy()
    reason[far] = QuoteReason.OUTLIER
    return selection._replace(used=selection.used & ~far, reason=reason)


def group_by_expiry(
    selection: QuoteSelection, expiry: IntArray, k: FloatArray, count: int
) -> tuple[IntArray, IntArray]:
    """Return (offsets (count + 1,), rows): used rows sorted by expiry index 0..count-1, then k, in CSR layout.

    Rows offsets[i]:offsets[i+1] of `rows` are the used quotes of expiry i; index the selection's arrays with `rows`
    to get the flat arrays of `fit_smiles`. Ties in k keep row order, so the result is deterministic.
    """
    offsets, rows = np.empty(count + 1, np.int64), np.empty(len(k), np.int64)
    used = _group(selection.used, expiry, k, offsets, rows)
    return offsets, rows[:used]


@njit(cache=True, error_model="numpy")
def _group(used: BoolArray, expiry: IntArray, k: FloatArray, offsets: IntArray, rows: IntArray) -> int:
    """Fill offsets and rows; return how many rows there are.

    Insertion into the order of k, because a chain's rows come almost in it: by strike, on the venues' own forwards.
    """
    offsets[:] = 0
    for at in range(len(used)):
        if used[at]:
            offsets[expiry[at] + 1] += 1
    for group in range(1, len(offsets)):
        offsets[group] += offsets[group - 1]
    end = offsets[:-1].copy()
    for at in range(len(used)):
        if used[at]:
            place = end[expiry[at]]
            while place > offsets[expiry[at]] and k[rows[place - 1]] > k[at]:
                rows[place] = rows[place - 1]
                place -= 1
            rows[place] = at
            end[expiry[at]] += 1
    return int(offsets[-1])
