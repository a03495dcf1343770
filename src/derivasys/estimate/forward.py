"""The forward of each expiry and venue: one price with its source, standard error and age.

Sources, best first: the venue's own expiry-matched forward, the mid of a dated future when fresh and tight, put-call
parity, the venue's index (a forward only at zero carry, so the last resort).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from msgspec import Struct

from derivasys.analytics.parity import parity_forward
from derivasys.estimate.chain import Chain, VenueForward

Source = Literal["venue", "future", "parity", "index", "given"]
SOURCES: tuple[Source, ...] = ("venue", "future", "parity", "index", "given")

AGE_S_MAX = 60.0
"""An older statement is used only when nothing better is there."""
FUTURE_AGE_S_MAX = 10.0
FUTURE_WIDTH_BP_MAX = 20.0
STDERR_BP_MIN = 0.1
"""No source is trusted beyond a tenth of a basis point."""
INDEX_STDERR_BP = 50.0
"""Basis of a dated forward against the index that is commonly seen within a month or two."""


class ForwardEstimate(Struct, frozen=True):
    """A forward in quote currency. `price` is NaN when there is none."""

    price: float
    source: Source
    stderr_bp: float
    recv_ns: int


NONE = ForwardEstimate(math.nan, "index", math.nan, 0)


def estimate(chain: Chain, venue: str, slot: int, now_ns: int) -> ForwardEstimate:
    """Return the best forward of one venue for the expiry at `slot` of the chain."""
    stated = chain.forwards.get((venue, chain.expiries[slot]))
    if stated is not None:
        own = _of_venue(stated)
        if own is not None and now_ns - own.recv_ns <= AGE_S_MAX * 1e9:
            return own
        future = _of_future(stated, now_ns)
        if future is not None:
            return future
    else:
        own = None
    parity = _of_parity(chain, venue, slot)
    return parity or own or _of_index(chain, venue) or NONE


def _of_venue(stated: VenueForward) -> ForwardEstimate | None:
    if not stated.price > 0:
        return None
    if stated.name == "index_price":
        return ForwardEstimate(stated.price, "index", INDEX_STDERR_BP, stated.recv_ns)
    step_bp = 1e4 * stated.spread / stated.price if stated.spread == stated.spread else 0.0
    source: Source = "given" if stated.name == "given" else "venue"
    return ForwardEstimate(stated.price, source, max(STDERR_BP_MIN, step_bp), stated.recv_ns)


def _of_future(stated: VenueForward, now_ns: int) -> ForwardEstimate | None:
    bid, ask = stated.future_bid, stated.future_ask
    if not 0 < bid <= ask or now_ns - stated.future_recv_ns > FUTURE_AGE_S_MAX * 1e9:
        return None
    mid = 0.5 * (bid + ask)
    half_width_bp = 5e3 * (ask - bid) / mid
    if half_width_bp > FUTURE_WIDTH_BP_MAX:
        return None
    return ForwardEstimate(mid, "future", max(STDERR_BP_MIN, half_width_bp), stated.future_recv_ns)


def _of_parity(chain: Chain, venue: str, slot: int) -> ForwardEstimate | None:
    rows = np.arange(chain.starts[slot], chain.starts[slot + 1])
    rows = rows[(chain.venue[rows] == chain.venues.index(venue)) & chain.is_open[rows]]
    if len(rows) < 2:
        return None
    strike, is_call, is_coin = chain.strike[rows], chain.is_call[rows], chain.is_coin[rows]
    pair = (strike[1:] == strike[:-1]) & is_call[:-1] & ~is_call[1:]
    pair &= is_coin[1:] == is_coin[:-1]
    calls, puts = rows[:-1][pair], rows[1:][pair]
    if not len(calls):
        return None
    is_coin_priced = bool(chain.is_coin[calls[0]])
    fit = parity_forward(
        chain.strike[calls], chain.bid[calls], chain.ask[calls],
        chain.bid[puts], chain.ask[puts], is_coin_priced,
    )  # fmt: skip
    if not fit.forward > 0:
        return None
    recv_ns = int(min(chain.recv_ns[calls].max(), chain.recv_ns[puts].max()))
    stderr_bp = max(STDERR_BP_MIN, 1e4 * fit.standard_error / fit.forward)
    return ForwardEstimate(fit.forward, "parity", stderr_bp, recv_ns)


def _of_index(chain: Chain, venue: str) -> ForwardEstimate | None:
    price, recv_ns = chain.index.get(venue, (math.nan, 0))
    return ForwardEstimate(price, "index", INDEX_STDERR_BP, recv_ns) if price > 0 else None
