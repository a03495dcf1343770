"""Which quotes a smile is fitted to, and why each of the others is not."""

from enum import IntEnum
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

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
    has_bid, has_ask = bid > 0.0, ask > 0.0
    spread = ask_iv - bid_iv
    mid = 0.5 * (ask_iv + bid_iv)
    with np.errstate(invalid="ignore"):
        checks: list[tuple[QuoteReason, BoolArray]] = [
            (QuoteReason.EXPIRED, ~(tau > 0.0)),
            (QuoteReason.SETTLEMENT_WINDOW, tau * _SECONDS_PER_YEAR <= limits.settlement_window_s),
            (QuoteReason.NO_QUOTE, ~(has_bid | has_ask)),
            (
                QuoteReason.BAD_NUMBER,
                ~np.isfinite(k) | (bid_status == 4) & has_bid | (ask_status == 4) & has_ask,
            ),
            (QuoteReason.ONE_SIDED, ~(has_bid & has_ask)),
            (QuoteReason.CROSSED, bid > ask),
            (QuoteReason.STALE, ~(np.asarray(age_s) <= limits.staleness_s_max)),
            (
                QuoteReason.BELOW_INTRINSIC,
                (bid_status == 1) | (bid_status == 2) | (ask_status == 1) | (ask_status == 2),
            ),
            (QuoteReason.ABOVE_BOUND, (bid_status != 0) | (ask_status != 0)),
            (QuoteReason.BELOW_TICK, 0.5 * (bid + ask) < limits.ticks_min * np.asarray(tick)),
            (
                QuoteReason.WIDE,
                ~((spread <= limits.spread_iv_max) & (spread <= limits.spread_ratio_max * mid)),
            ),
        ]
    reason = np.zeros(k.shape, dtype=np.uint8)
    for code, failed in reversed(checks):
        reason[failed] = code
    usable = reason == QuoteReason.USED
    in_the_money = np.where(is_call, k < 0.0, k >= 0.0)
    yields = usable & in_the_money & (twin >= 0) & usable[twin]
    reason[yields] = QuoteReason.IN_THE_MONEY
    with np.errstate(invalid="ignore", divide="ignore"):
        weight = 1.0 / (2.0 * mid * tau * np.maximum(spread, limits.spread_iv_floor)) ** 2
    weight = np.where(np.isfinite(weight) & (spread >= 0.0), weight, 0.0)
    return QuoteSelection(
        used=reason == QuoteReason.USED,
        reason=reason,
        mid_iv=mid,
        w=mid * mid * tau,
        weight=weight,
        w_bid=bid_iv * bid_iv * tau,
        w_ask=ask_iv * ask_iv * tau,
    )


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
    used = np.flatnonzero(selection.used)
    rows = used[np.lexsort((used, k[used], expiry[used]))]
    offsets = np.searchsorted(expiry[rows], np.arange(count + 1)).astype(np.int64)
    return offsets, rows.astype(np.int64)
