"""Variance-swap strikes: the expected log contract of a smile, w_vs = E[-2 ln(S/F)].

By Gatheral (2006, ch. 11), w_vs is the integral of w(k) phi(d2(k)) (-d2'(k)) dk over all k, the mean of total variance
under the normal law of -d2: only values of the smile, no second derivatives, and the integrand falls like a Gaussian.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.svi import g_at, w_and_derivatives_at, w_at

FloatArray = npt.NDArray[np.float64]

_REACH = 40.0
_HALVINGS_MAX = 7
_TOLERANCE = 1e-6
_WING_STEP = 0.2


@njit(cache=True, error_model="numpy")
def _terms(u: float, scale: float, p: FloatArray) -> tuple[float, float]:
    """Return the integrands of (w_vs, 1) in u, k = m + scale sinh(u)."""
    k = p[3] + scale * math.sinh(u)
    w, w1, _ = w_and_derivatives_at(k, p[0], p[1], p[2], p[3], p[4])
    root = math.sqrt(w)
    d2 = -k / root - 0.5 * root
    slope = (1.0 - 0.5 * k * w1 / w) / root + 0.25 * w1 / root
    mass = math.exp(-0.5 * d2 * d2) * slope * scale * math.cosh(u)
    return w * mass, mass


@njit(cache=True, error_model="numpy")
def variance_swap_w(p: FloatArray) -> float:
    """Return E[-2 ln(S/F)] of one raw slice (a, b, rho, m, sigma), free of butterfly arbitrage; NaN for no slice.

    Trapezoidal rule in u, k = m + scale sinh(u), scale no wider than sigma or the smile: the integrand is analytic in a
    strip of half-width pi/2 or so, so every halving of the step squares the error: two results within 1e-6 leave 1e-12.
    The sum is divided by that of the weight, whose integral is known.
    """
    w0 = w_at(0.0, p[0], p[1], p[2], p[3], p[4])
    if not (w0 > 0.0 and p[4] > 0.0):
        return np.nan
    scale = min(p[4], math.sqrt(w0))
    step = 0.5
    total = mass = 0.0
    last = np.nan
    for halving in range(_HALVINGS_MAX):
        offset = 0.0 if halving == 0 else 0.5 * step
        if halving > 0:
            step *= 0.5
        stride = step if halving == 0 else 2.0 * step
        for side in (1.0, -1.0):
            u = side * offset
            if offset == 0.0 and side < 0.0:
                u = -stride
            while abs(u) < _REACH:
                value, weight = _terms(u, scale, p)
                total += value
                mass += weight
                # beyond the smile's centre the integrand only falls
                k = p[3] + scale * math.sinh(u)
                if side * k > 0.0 and value < 1e-16 * total and weight < 1e-16 * mass:
                    break
                u += side * stride
        found = total / mass
        if abs(found - last) <= _TOLERANCE * found:
            return found
        last = found
    return last


@njit(cache=True, error_model="numpy")
def _wing(edge: float, side: float, scale: float, p: FloatArray) -> float:
    """Return E[2 (ln(K/S) + S/K - 1)] over S beyond K = F exp(edge): the strip of options struck out there."""
    total = 0.0
    start = math.asinh((edge - p[3]) / scale)
    u = start + side * 0.5 * _WING_STEP
    while abs(u) < _REACH:
        k = p[3] + scale * math.sinh(u)
        w = w_at(k, p[0], p[1], p[2], p[3], p[4])
        d2 = -k / math.sqrt(w) - 0.5 * math.sqrt(w)
        density = g_at(k, p[0], p[1], p[2], p[3], p[4]) * math.exp(-0.5 * d2 * d2) / math.sqrt(2.0 * math.pi * w)
        value = 2.0 * (edge - k + math.expm1(k - edge)) * density * scale * math.cosh(u)
        total += value
        if abs(u - start) > 1.0 and value < 1e-6 * total:
            break
        u += side * _WING_STEP
    return total * _WING_STEP


@njit(cache=True, error_model="numpy")
def extrapolated_share(p: FloatArray, w_vs: float, low: float, high: float) -> float:
    """Return the share of E[-2 ln(S/F)] that is owed to strikes outside [low, high] in k, by their options' prices.

    Midpoint rule, good to about a hundredth of the share. What it says: how much of the strike is the smile's wings and
    not the market's quotes.
    """
    if not (w_vs > 0.0 and low <= 0.0 <= high):
        return 1.0 if w_vs > 0.0 else np.nan
    scale = min(p[4], math.sqrt(w_at(0.0, p[0], p[1], p[2], p[3], p[4])))
    return min(1.0, (_wing(low, -1.0, scale, p) + _wing(high, 1.0, scale, p)) / w_vs)


@njit(cache=True, error_model="numpy")
def variance_swap_all(
    params: FloatArray, offsets: npt.NDArray[np.int64], quote_k: FloatArray, w_vs: FloatArray, share: FloatArray
) -> None:
    """Fill w_vs (n,) with `variance_swap_w` of every slice and share (n,) with its `extrapolated_share`.

    The quotes of slice i are entries offsets[i]:offsets[i + 1] of quote_k, ascending.
    """
    for i in range(params.shape[0]):
        first, last = offsets[i], offsets[i + 1] - 1
        w_vs[i] = variance_swap_w(params[i])
        low, high = (quote_k[first], quote_k[last]) if last >= first else (1.0, -1.0)
        share[i] = extrapolated_share(params[i], w_vs[i], low, high)
