"""Black-76 as a venue states it: undiscounted price in quote currency and printed greeks.

Written apart from `derivasys.analytics` on purpose: what checks the product shares no code with it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_SQRT2 = math.sqrt(2.0)
_SQRT_2PI = math.sqrt(2.0 * math.pi)


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
    out = _price_greeks(forward, strike, tau, iv, is_call)
    return out[0], out[1], out[2], out[3], out[4], out[5]


@njit(cache=True)
def _price_greeks(forward: Any, strike: Any, tau: Any, iv: Any, is_call: Any) -> Any:
    n = forward.shape[0]
    out = np.zeros((6, n))
    for i in range(n):
        f, x, t = forward[i], strike[i], tau[i]
        sign = 1.0 if is_call[i] else -1.0
        sd = iv[i] * math.sqrt(max(t, 0.0))
        if not sd > 0.0:
            out[0, i] = max(sign * (f - x), 0.0)
            out[1, i] = sign if sign * (f - x) > 0.0 else 0.0
            continue
        d1 = math.log(f / x) / sd + 0.5 * sd
        d2 = d1 - sd
        n1 = 0.5 * math.erfc(-sign * d1 / _SQRT2)
        n2 = 0.5 * math.erfc(-sign * d2 / _SQRT2)
        density = math.exp(-0.5 * d1 * d1) / _SQRT_2PI
        out[0, i] = sign * (f * n1 - x * n2)
        out[1, i] = sign * n1
        out[2, i] = density / (f * sd)
        out[3, i] = f * density * math.sqrt(t) / 100.0
        decay = f * density * iv[i] / (2.0 * math.sqrt(t)) * min(t, 1.0 / 365.0)
        out[4, i] = -min(decay, out[0, i])
        out[5, i] = sign * x * t * n2 / 100.0
    return out
