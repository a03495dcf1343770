"""The smile at any time to expiry, made from certified slices without static arbitrage.

Between two expiries:

* `LINEAR`, linear in total variance at constant k: the market's habit. Keeps calendar order, because w_2 >= w_1 at
  every k; does not by itself keep butterfly, which `analytics.term_proof` proves curve by curve.
* `CONVEX`, a convex combination of prices over forward at constant k (Gatheral-Jacquier 2014, lemma 5.1), weighted so
  that the at-the-money total variance is the linear one. A mixture of two densities with ordered prices keeps both by
  construction.

Linear first, because a mixture has fatter tails than either slice: with the middle one of three expiries left out, on
recorded boards, it put 5-delta vols 2.3 (put) and 3.8 (call) points too high, linear total variance is 0.3 off
(`bench/tenors.py`).

Outside the listed expiries, raw SVI slices again, so with the exact certificate:

* `SCALED`, before the first: w(k) = c w_1(k / sqrt(c)), c = tau / tau_1 < 1, which keeps vols by delta. Its g is
  g_1 + (1 - c) w_1'**2 / 16 >= 0, and it rises with c because k w'/(2w) < 1 wherever there is no butterfly arbitrage
  (Fukasawa 2012: d1 and d2 fall in k).
* `SHIFTED`, after the last: w_n(k) + w_n(0) (tau / tau_n - 1), which keeps the at-the-money vol and lets skew and
  convexity fade as 1 / tau. Rises at every k.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.black import price_at
from derivasys.analytics.normal import SQRT_2PI, SQRT_HALF
from derivasys.analytics.svi import g_at, w_and_derivatives_at, w_at

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

LINEAR, CONVEX, SLICE, SCALED, SHIFTED = range(5)
"""Kinds of curve; from `SLICE` on they are one raw slice."""
METHODS = ("linear_total_variance", "convex_price", "slice", "scaled_slice", "shifted_slice")
WIDTH = 12
"""Numbers of a curve: slice p (5), slice q (5), weight of p, weight of q."""


@njit(cache=True, error_model="numpy")
def place(target: float, tau: FloatArray, params: FloatArray, out: FloatArray) -> tuple[int, int, int]:
    """Fill the curve at `target` years, `LINEAR` between expiries; return (kind, left, right), what it rests on.

    `tau` (n,) ascending, `params` (n, 5) raw slices of the same order, n >= 1. Outside the range left == right.
    """
    n = tau.shape[0]
    right = 0
    while right < n and tau[right] < target:
        right += 1
    if 0 < right < n and tau[right] > target:
        share = (target - tau[right - 1]) / (tau[right] - tau[right - 1])
        out[:5], out[5:10] = params[right - 1], params[right]
        out[10], out[11] = 1.0 - share, share
        return LINEAR, right - 1, right
    near = min(right, n - 1)
    p = params[near]
    c = target / tau[near]
    out[:5] = p
    kind = SLICE
    if c < 1.0:
        root = math.sqrt(c)
        out[0], out[1], out[3], out[4] = c * p[0], root * p[1], root * p[3], root * p[4]
        kind = SCALED
    elif c > 1.0:
        out[0] += (c - 1.0) * w_at(0.0, p[0], p[1], p[2], p[3], p[4])
        kind = SHIFTED
    out[5:10] = out[:5]
    out[10], out[11] = 1.0, 0.0
    return kind, near, near


@njit(cache=True, error_model="numpy")
def make_convex(curve: FloatArray) -> None:
    """Turn a `LINEAR` curve into the `CONVEX` one of the same at-the-money total variance."""
    w_p = w_at(0.0, curve[0], curve[1], curve[2], curve[3], curve[4])
    w_q = w_at(0.0, curve[5], curve[6], curve[7], curve[8], curve[9])
    low, high = math.erf(math.sqrt(w_p / 8.0)), math.erf(math.sqrt(w_q / 8.0))
    middle = math.erf(math.sqrt((curve[10] * w_p + curve[11] * w_q) / 8.0))
    if high > low:
        curve[11] = min(1.0, max(0.0, (middle - low) / (high - low)))
        curve[10] = 1.0 - curve[11]


@njit(cache=True, error_model="numpy")
def _mixed_variance(k: float, curve: FloatArray, w_p: float, w_q: float) -> float:
    """Return the total variance of the price combination: Newton on ln price, kept between the slices' variances."""
    low, high = math.sqrt(min(w_p, w_q)), math.sqrt(max(w_p, w_q))
    strike, is_call = math.exp(k), k >= 0.0
    price = curve[10] * price_at(1.0, strike, 1.0, math.sqrt(w_p), is_call)
    price += curve[11] * price_at(1.0, strike, 1.0, math.sqrt(w_q), is_call)
    if not price > 1e-290:
        return np.nan
    goal = math.log(price)
    s = math.sqrt(curve[10] * w_p + curve[11] * w_q)
    for _ in range(60):
        here = price_at(1.0, strike, 1.0, s, is_call)
        error = math.log(here) - goal if here > 0.0 else -np.inf
        if error > 0.0:
            high = s
        else:
            low = s
        d1 = -k / s + 0.5 * s
        vega = math.exp(-0.5 * d1 * d1) / SQRT_2PI
        step = s - error * here / vega if vega > 0.0 and here > 0.0 else np.nan
        if not low <= step <= high:
            step = 0.5 * (low + high)
        if abs(step - s) <= 1e-15 * s:
            return step * step
        s = step
    return s * s


@njit(cache=True, error_model="numpy")
def _cdf_and_density(k: float, w: float, w1: float, g: float) -> tuple[float, float]:
    """Return P(ln(S/F) <= k) and the density of ln(S/F) at k."""
    root = math.sqrt(w)
    d2 = -k / root - 0.5 * root
    phi = math.exp(-0.5 * d2 * d2) / SQRT_2PI
    return 0.5 * math.erfc(d2 * SQRT_HALF) + 0.5 * phi * w1 / root, g * phi / root


@njit(cache=True, error_model="numpy")
def curve_w(k: float, curve: FloatArray, kind: int) -> float:
    """Return w(k) of a curve."""
    w = w_at(k, curve[0], curve[1], curve[2], curve[3], curve[4])
    if kind >= SLICE:
        return w
    w_q = w_at(k, curve[5], curve[6], curve[7], curve[8], curve[9])
    if kind == LINEAR:
        return curve[10] * w + curve[11] * w_q
    return _mixed_variance(k, curve, w, w_q)


@njit(cache=True, error_model="numpy")
def curve_slope(k: float, curve: FloatArray, kind: int) -> tuple[float, float]:
    """Return (w, w') of a curve at k."""
    w, w1, _ = w_and_derivatives_at(k, curve[0], curve[1], curve[2], curve[3], curve[4])
    if kind >= SLICE:
        return w, w1
    w_q, w1_q, _ = w_and_derivatives_at(k, curve[5], curve[6], curve[7], curve[8], curve[9])
    if kind == LINEAR:
        return curve[10] * w + curve[11] * w_q, curve[10] * w1 + curve[11] * w1_q
    mixed = _mixed_variance(k, curve, w, w_q)
    below = curve[10] * _cdf_and_density(k, w, w1, 0.0)[0] + curve[11] * _cdf_and_density(k, w_q, w1_q, 0.0)[0]
    root = math.sqrt(mixed)
    d2 = -k / root - 0.5 * root
    phi = math.exp(-0.5 * d2 * d2) / SQRT_2PI
    return mixed, 2.0 * root * (below - 0.5 * math.erfc(d2 * SQRT_HALF)) / phi


@njit(cache=True, error_model="numpy")
def distribution_at(k: float, curve: FloatArray, kind: int) -> tuple[float, float]:
    """Return (P(ln(S/F) <= k), density of ln(S/F) at k) of a curve, both exact derivatives of its prices."""
    w, w1, w2 = w_and_derivatives_at(k, curve[0], curve[1], curve[2], curve[3], curve[4])
    if kind >= SLICE:
        return _cdf_and_density(k, w, w1, g_at(k, curve[0], curve[1], curve[2], curve[3], curve[4]))
    v, v1, v2 = w_and_derivatives_at(k, curve[5], curve[6], curve[7], curve[8], curve[9])
    if kind == LINEAR:
        w, w1, w2 = (curve[10] * w + curve[11] * v, curve[10] * w1 + curve[11] * v1, curve[10] * w2 + curve[11] * v2)
        half = 1.0 - 0.5 * k * w1 / w
        return _cdf_and_density(k, w, w1, half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2)
    one = _cdf_and_density(k, w, w1, g_at(k, curve[0], curve[1], curve[2], curve[3], curve[4]))
    other = _cdf_and_density(k, v, v1, g_at(k, curve[5], curve[6], curve[7], curve[8], curve[9]))
    return curve[10] * one[0] + curve[11] * other[0], curve[10] * one[1] + curve[11] * other[1]


@njit(cache=True, error_model="numpy")
def fill_w(k: FloatArray, curve: FloatArray, kind: int, out: FloatArray) -> None:
    """Fill out with w at every k."""
    for i in range(k.shape[0]):
        out[i] = curve_w(k[i], curve, kind)


@njit(cache=True, error_model="numpy")
def fill_distribution(k: FloatArray, curve: FloatArray, kind: int, cdf: FloatArray, density: FloatArray) -> None:
    """Fill cdf and density at every k."""
    for i in range(k.shape[0]):
        cdf[i], density[i] = distribution_at(k[i], curve, kind)
