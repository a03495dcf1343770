"""Quotes through the fit: bids above the published smile and asks below it, gross and net of the taker's fee.

A quote is read against the forward of its own venue, as its implied vol was: excess in vol points is iv − fit at the
quote's log-moneyness, excess in money is the price against Black-76 at the fitted vol on that forward. Only smiles
whose certificate holds and that were fitted to the present quotes count, and only quotes that one could trade on:
stale, crossed and settling ones do not. A one-sided, wide or in-the-money quote does, used by the fit or not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from derivasys.analytics.black import price_at
from derivasys.analytics.implied_vol import implied_vol
from derivasys.analytics.svi import w_at

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

SIDES = ("bid", "ask")
NONE, BID, ASK = -1, 0, 1


class Quotes(NamedTuple):
    """A board's rows as the kernel reads them; prices in quote currency per coin, NaN where there is none."""

    slot: Ints
    k: Floats
    strike: Floats
    is_call: Bools
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    bid_iv: Floats
    ask_iv: Floats
    is_tradable: Bools
    fee_rate: Floats
    """Fraction of the underlying."""
    fee_cap: Floats
    """Fraction of the premium."""
    fee_per_order: Floats


class Through(NamedTuple):
    """The rows of a board that are through the fit, in the board's order; one entry each."""

    row: Ints
    side: Ints
    """BID or ASK."""
    fit_vol: Floats
    """Decimal."""
    fit_price: Floats
    """Quote currency per coin, on the forward of the quote's venue."""
    excess_vol: Floats
    """Decimal and positive; NaN where the price has no implied vol, which is then beyond any fit."""
    excess: Floats
    """Quote currency per coin, positive."""
    net_vol: Floats
    """The same after the fee: the iv of what a taker gets or pays; NaN where that has none."""
    net: Floats
    size: Floats
    """Coins."""
    since_ns: Ints
    """When this quote first was through on this side, without a break since."""


def solve(params: Floats, tau: Floats, tau_read: Floats, is_judge: Bools, quotes: Quotes, now_ns: int) -> Through:
    """Return the quotes through n smiles at `now_ns`.

    `params` (n, 5) as published with the `tau` (n,) that they belong to, `tau_read` (n,) of the quotes' implied vols,
    `is_judge` (n,) whether a smile may judge quotes. `since_ns` is `now_ns` throughout: see `keep_since`.
    """
    n = len(quotes.slot)
    side, vol, fit_price, excess, fee = np.empty(n, np.int64), *(np.empty(n) for _ in range(4))
    _judge(params, tau, tau_read, is_judge, quotes, side, vol, fit_price, excess, fee)
    row = np.flatnonzero(side != NONE)
    at, is_bid = quotes.slot[row], side[row] == BID
    iv = np.where(is_bid, quotes.bid_iv[row], quotes.ask_iv[row])
    sign = np.where(is_bid, 1.0, -1.0)
    price = np.where(is_bid, quotes.bid[row], quotes.ask[row])
    strike = quotes.strike[row]
    net_iv, _ = implied_vol(
        price - sign * fee[row], strike * np.exp(-quotes.k[row]), strike, tau_read[at], quotes.is_call[row]
    )
    return Through(
        row=row,
        side=side[row],
        fit_vol=vol[row],
        fit_price=fit_price[row],
        excess_vol=sign * (iv - vol[row]),
        excess=excess[row],
        net_vol=sign * (net_iv - vol[row]),
        net=excess[row] - fee[row],
        size=np.where(is_bid, quotes.bid_size[row], quotes.ask_size[row]),
        since_ns=np.full(len(row), now_ns, np.int64),
    )


def keep_since(now: Through, last: Through, to_last: Ints) -> Through:
    """Return `now` with the `since_ns` of those of its rows that were through on the same side in `last`.

    `to_last` gives for each row of the present board its row on the last one, or -1.
    """
    if not len(last.row):
        return now
    was = to_last[now.row]
    at = np.searchsorted(last.row, was)
    at[at == len(last.row)] = 0
    is_same = (was >= 0) & (last.row[at] == was) & (last.side[at] == now.side)
    return now._replace(since_ns=np.where(is_same, last.since_ns[at], now.since_ns))


@njit(cache=True, error_model="numpy")
def _judge(
    params: Floats, tau: Floats, tau_read: Floats, is_judge: Bools, quotes: Quotes, side: Ints, vol: Floats,
    fit_price: Floats, excess: Floats, fee: Floats,
) -> None:  # fmt: skip
    """Fill, by row, the side that is through (NONE where neither), and for those the fit, the excess and the fee."""
    for i in range(len(quotes.slot)):
        side[i] = NONE
        at, k = quotes.slot[i], quotes.k[i]
        if not (quotes.is_tradable[i] and is_judge[at] and math.isfinite(k) and tau_read[at] > 0.0):
            continue
        a, b, rho, m, sigma = params[at]
        w = w_at(k, a, b, rho, m, sigma)
        if not w > 0.0:
            continue
        vol[i] = math.sqrt(w / tau[at])
        bid, ask, bid_iv, ask_iv = quotes.bid[i], quotes.ask[i], quotes.bid_iv[i], quotes.ask_iv[i]
        # Implied vols decide where both sides have one, so that most rows need no price.
        may_be = (bid > 0.0 and not bid_iv <= vol[i]) or (ask > 0.0 and not ask_iv >= vol[i])
        if not may_be:
            continue
        strike = quotes.strike[i]
        forward = strike * math.exp(-k)
        value = price_at(forward, strike, tau_read[at], vol[i], quotes.is_call[i])
        if bid > value:
            side[i], price, size, excess[i] = BID, bid, quotes.bid_size[i], bid - value
        elif 0.0 < ask < value:
            side[i], price, size, excess[i] = ASK, ask, quotes.ask_size[i], value - ask
        else:
            continue
        fit_price[i] = value
        order = quotes.fee_per_order[i]
        share = order / size if order > 0.0 and size > 0.0 else order
        fee[i] = min(quotes.fee_rate[i] * forward + share, quotes.fee_cap[i] * price)
