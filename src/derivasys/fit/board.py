"""A chain's quotes as the fit sees them: forwards, log-moneyness, implied vols, and which quotes count."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from derivasys.analytics.implied_vol import implied_vol
from derivasys.fit.quotes import QuoteRules, QuoteSelection, select_quotes

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Quotes(NamedTuple):
    """Rows of whole expiries: what `read` takes. Prices in the contract's own unit, NaN where there is none."""

    strike: Floats
    is_call: NDArray[np.bool_]
    is_coin: NDArray[np.bool_]
    tick: Floats
    bid: Floats
    ask: Floats
    age_s: Floats
    tau: Floats
    forward: Floats
    """Of the quote's own venue and expiry."""
    twin: Ints
    """Row of the other option type at the same strike, or -1."""


class Reading(NamedTuple):
    """One entry a row. Prices in quote currency, vols as decimals."""

    k: Floats
    bid: Floats
    ask: Floats
    bid_iv: Floats
    ask_iv: Floats
    selection: QuoteSelection


def read(quotes: Quotes, rules: QuoteRules) -> Reading:
    """Return the quotes' implied vols, and which of them a smile is fitted to and why the others are not."""
    n = len(quotes.strike)
    unit = np.where(quotes.is_coin, quotes.forward, 1.0)
    prices = np.concatenate((quotes.bid * unit, quotes.ask * unit))
    ivs, status = implied_vol(
        prices,
        *(np.concatenate((column, column)) for column in (quotes.forward, quotes.strike, quotes.tau, quotes.is_call)),
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        k = np.log(quotes.strike / quotes.forward)
    selection = select_quotes(
        k=k,
        tau=quotes.tau,
        is_call=quotes.is_call,
        twin=quotes.twin,
        bid=quotes.bid,
        ask=quotes.ask,
        tick=np.where(np.isnan(quotes.tick), 0.0, quotes.tick),
        bid_iv=ivs[:n],
        ask_iv=ivs[n:],
        bid_status=status[:n],
        ask_status=status[n:],
        age_s=quotes.age_s,
        rules=rules,
    )
    return Reading(k, prices[:n], prices[n:], ivs[:n], ivs[n:], selection)
