"""Black-76 as a venue states it: undiscounted price in quote currency and printed greeks.

Written apart from `derivasys.analytics` on purpose: what checks the product shares no code with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from derivasys.testing.market import kernels

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def price_greeks(
    forward: Floats, strike: Floats, tau: Floats, iv: Floats, is_call: Bools
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    """Return price, delta, gamma, vega, theta, rho of European options, arrays of one length.

    price = F N(d1) - K N(d2) for a call, d1 = ln(F/K)/(iv √tau) + iv √tau / 2, d2 = d1 - iv √tau.
    iv is a decimal, tau in years of 365 days. Delta is N(d1), not premium-adjusted; vega per vol
    point; theta per day, or per what is left of the last day, and at most the whole premium (found
    from captured tickers, not documented); rho per 1 %: all in quote currency.
    At tau or iv of 0 the price is intrinsic and delta 0 or ±1.
    """
    out = kernels.price_greeks(forward, strike, tau, iv, is_call)
    return out[0], out[1], out[2], out[3], out[4], out[5]
