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
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.parity_board import parity_board
from derivasys.estimate.chain import Chain, VenueForward

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
_Statement = tuple[float, float, Source, int]
"""Price, standard error in bp, source, receive time."""


def estimate(chain: Chain, venue: str, slot: int, now_ns: int) -> ForwardEstimate:
    """Return the best forward of a venue's only or first series for the expiry at `slot` of the chain."""
    return next(
        one
        for (of, _), one in zip(chain.all_series, estimate_all(chain, (slot,), now_ns)[0], strict=True)
        if of == venue
    )


def estimate_all(chain: Chain, slots: Sequence[int], now_ns: int) -> list[list[ForwardEstimate]]:
    """Return the forwards of the expiries at `slots`, each in the order of `chain.all_series`."""
    parity = _parities(chain, slots, now_ns)
    return [
        [
            _estimate(chain, venue, series, chain.expiries[slot], stated, now_ns)
            for (venue, series), stated in zip(chain.all_series, row, strict=True)
        ]
        for slot, row in zip(slots, parity, strict=True)
    ]


def best(estimates: Sequence[ForwardEstimate]) -> ForwardEstimate:
    """Return the estimate of least error among those of an expiry; `NONE` when none has a price."""
    known = [one for one in estimates if one.price > 0]
    return min(known, key=lambda one: one.stderr_bp) if known else NONE


def prices(estimates: Sequence[Sequence[ForwardEstimate]], series: int) -> NDArray[np.float64]:
    """Return the prices by (slot, series), NaN where there is none."""
    table = np.full((len(estimates), max(1, series)), np.nan)
    for at, row in enumerate(estimates):
        for of, one in enumerate(row):
            table[at, of] = one.price
    return table


def _estimate(
    chain: Chain, venue: str, series: str, expiry: int, parity: tuple[_Statement | None, int], now_ns: int
) -> ForwardEstimate:
    by_parity, pairs = parity
    stated = chain.forwards.get((venue, series, expiry))
    own = _of_venue(stated) if stated is not None else None
    future = _of_future(stated, now_ns) if stated is not None else None
    late = own
    if own is not None and now_ns - own[3] > AGE_S_MAX * 1e9:
        own = None
    if own is not None and own[2] == "index" and (future is not None or by_parity is not None):
        own = None
    others = own if future is None else future if own is None else _combine(own, future)
    if own is not None and own[2] == "given":
        others = own
    if by_parity is None:
        found = others or late or _of_index(chain, venue)
        return NONE if found is None else ForwardEstimate(*_fields(found))
    if others is None:
        return ForwardEstimate(*_fields(by_parity), math.nan, by_parity[1], pairs)
    gap_bp = 1e4 * (by_parity[0] / others[0] - 1.0)
    is_disputed = not _agree(others, by_parity)
    found = others if others[2] == "given" else _combine(others, by_parity)
    return ForwardEstimate(*_fields(found), gap_bp, by_parity[1], pairs, is_disputed)


def _fields(of: _Statement) -> tuple[float, Source, float, int]:
    price, stderr_bp, source, recv_ns = of
    return price, source, stderr_bp, recv_ns


def _agree(one: _Statement, other: _Statement) -> bool:
    return abs(1e4 * (other[0] / one[0] - 1.0)) <= AGREE_SIGMAS * math.hypot(one[1], other[1])


def _combine(one: _Statement, other: _Statement) -> _Statement:
    """Return the inverse-variance mean of two statements that agree, else the more precise one."""
    first, second = (one, other) if one[1] <= other[1] else (other, one)
    if not _agree(one, other):
        return first
    weight, weight_other = 1.0 / (first[1] * first[1]), 1.0 / (second[1] * second[1])
    share = weight_other / (weight + weight_other)
    price = first[0] + share * (second[0] - first[0])
    return price, max(STDERR_BP_MIN, 1.0 / math.sqrt(weight + weight_other)), first[2], first[3]


def _of_venue(stated: VenueForward) -> _Statement | None:
    if not stated.price > 0:
        return None
    if stated.name == "index_price":
        return stated.price, INDEX_STDERR_BP, "index", stated.recv_ns
    if stated.name == "given":
        return stated.price, STDERR_BP_MIN, "given", stated.recv_ns
    step_bp = 1e4 * stated.spread / stated.price if stated.spread == stated.spread else 0.0
    return stated.price, max(VENUE_STDERR_BP_MIN, step_bp), "venue", stated.recv_ns


def _of_future(stated: VenueForward, now_ns: int) -> _Statement | None:
    bid, ask = stated.future_bid, stated.future_ask
    if not 0 < bid <= ask or now_ns - stated.future_recv_ns > FUTURE_AGE_S_MAX * 1e9:
        return None
    mid = 0.5 * (bid + ask)
    half_width_bp = 5e3 * (ask - bid) / mid
    if half_width_bp > FUTURE_WIDTH_BP_MAX:
        return None
    return mid, max(STDERR_BP_MIN, half_width_bp), "future", stated.future_recv_ns


def _of_index(chain: Chain, venue: str) -> _Statement | None:
    price, recv_ns = chain.index.get(venue, (math.nan, 0))
    return (price, INDEX_STDERR_BP, "index", recv_ns) if price > 0 else None


def _parities(chain: Chain, slots: Sequence[int], now_ns: int) -> list[list[tuple[_Statement | None, int]]]:
    """Return parity's statement and its pairs by slot and series."""
    shape = (len(slots), len(chain.all_series))
    forward, stderr = np.empty(shape), np.empty(shape)
    pairs, newest_ns = np.empty(shape, np.int64), np.empty(shape, np.int64)
    parity_board(
        np.asarray(slots, np.int64), chain.starts, chain.series, chain.strike, chain.is_call, chain.is_coin,
        chain.is_open, chain.bid, chain.ask, chain.as_of_ns, now_ns - int(PARITY_AGE_S_MAX * 1e9),
        forward, stderr, pairs, newest_ns,
    )  # fmt: skip
    stated: list[list[tuple[_Statement | None, int]]] = []
    for prices_row, errors, counts, times in zip(
        forward.tolist(), stderr.tolist(), pairs.tolist(), newest_ns.tolist(), strict=True
    ):
        stated.append(
            [
                ((price, max(STDERR_BP_MIN, 1e4 * error / price), "parity", at), count) if count else (None, 0)
                for price, error, count, at in zip(prices_row, errors, counts, times, strict=True)
            ]
        )
    return stated
