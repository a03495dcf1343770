"""Proof that a linear combination of two raw SVI slices has no butterfly arbitrage, on the whole real line.

w = u w_p + v w_q (u, v >= 0) is no rational function of one variable, so the polynomial of `analytics.arbitrage` does
not apply. Instead, on an interval [k0, k1] of length h,

    g(k) >= min(g(k0), g(k1)) - h**2 / 8 * max |g''|,

with max |g''| bounded by interval arithmetic: w is convex, so w' lies between its values at the ends and w above its
tangents; the higher derivatives of each slice fall with R = sqrt((k - m)**2 + sigma**2). Intervals are halved until the
bound is positive or an end is negative. Beyond the outermost points a bound of g by slopes decides (`_tail_holds`).
The second-order bound keeps the work logarithmic in the least g. Rounding is covered by a slack of 1e-12 relative to
the terms of g; what cannot be decided is UNDECIDED, never YES.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.arbitrage import NO, UNDECIDED, YES, butterfly_kernel, lee_kernel, positive_kernel
from derivasys.analytics.svi import w_and_derivatives_at, w_at
from derivasys.analytics.term import CONVEX, LINEAR

FloatArray = npt.NDArray[np.float64]

_DEPTH_MAX = 120
_CELLS_MAX = 20_000
_SLACK = 1e-12


@njit(cache=True, error_model="numpy")
def _w_and_g(k: float, c: FloatArray) -> tuple[float, float, float, float]:
    """Return (w, w', g, slack for rounding in g) of the combination c = (p, q, u, v) at k."""
    w, w1, w2 = w_and_derivatives_at(k, c[0], c[1], c[2], c[3], c[4])
    v, v1, v2 = w_and_derivatives_at(k, c[5], c[6], c[7], c[8], c[9])
    w, w1, w2 = c[10] * w + c[11] * v, c[10] * w1 + c[11] * v1, c[10] * w2 + c[11] * v2
    half = 1.0 - 0.5 * k * w1 / w
    risk = 0.25 * w1 * w1 * (1.0 / w + 0.25)
    size = 1.0 + abs(0.5 * k * w1 / w)
    return w, w1, half * half - risk + 0.5 * w2, _SLACK * (size * size + risk + 0.5 * w2)


@njit(cache=True, error_model="numpy")
def _higher(k0: float, k1: float, b: float, m: float, sigma: float) -> tuple[float, float, float]:
    """Return bounds of |w''|, |w'''|, |w''''| of one slice on [k0, k1]: b sigma**2 times 1/R**3, 3/R**4, 12/R**5."""
    y = 0.0 if k0 <= m <= k1 else min(abs(k0 - m), abs(k1 - m))
    r = math.sqrt(y * y + sigma * sigma)
    second = b * sigma * sigma / (r * r * r)
    return second, 3.0 * second / r, 12.0 * second / (r * r)


@njit(cache=True, error_model="numpy")
def _curvature(k0: float, k1: float, w0: float, w1: float, p0: float, p1: float, c: FloatArray) -> float:
    """Return a bound of |g''| on [k0, k1] from w and w' at its ends; infinite where w is not known to be positive."""
    if p0 >= 0.0:
        low = w0
    elif p1 <= 0.0:
        low = w1
    else:  # the tangents at the ends meet below the least w
        low = w0 + p0 * ((w1 - w0 - p1 * (k1 - k0)) / (p0 - p1))
    if not low > 0.0:
        return np.inf
    slope = max(abs(p0), abs(p1))
    a2, a3, a4 = _higher(k0, k1, c[1], c[3], c[4])
    b2, b3, b4 = _higher(k0, k1, c[6], c[8], c[9])
    q2, q3, q4 = c[10] * a2 + c[11] * b2, c[10] * a3 + c[11] * b3, c[10] * a4 + c[11] * b4
    reach = max(abs(k0), abs(k1))
    # r = w'/w and its derivatives, then h = k r / 2 and A = 1 - h
    r = slope / low
    r1 = q2 / low + r * r
    r2 = q3 / low + q2 * r / low + 2.0 * r * r1
    h1 = 0.5 * (r + reach * r1)
    h2 = r1 + 0.5 * reach * r2
    ends = max(abs(1.0 - 0.5 * k0 * p0 / w0), abs(1.0 - 0.5 * k1 * p1 / w1))
    a = ends + 0.5 * h1 * (k1 - k0)
    # F = w'**2 G, G = (1/w + 1/4)/4
    big = 0.25 * (1.0 / low + 0.25)
    big1 = 0.25 * r / low
    big2 = 0.25 * q2 / (low * low) + 0.5 * r * r / low
    risk = 2.0 * (q2 * q2 + slope * q3) * big + 4.0 * slope * q2 * big1 + slope * slope * big2
    return 2.0 * h1 * h1 + 2.0 * a * h2 + risk + 0.5 * q4


@njit(cache=True, error_model="numpy")
def _tail_holds(k: float, c: FloatArray, side: float) -> bool:
    """Return whether g >= 0 is shown from k outwards (side 1 right, -1 left; k on that side of 0 and of both m).

    With S the limit of |w'|, w >= w(k) + |w'(k)| (x - |k|): the ratio x w'/(2w) is at most H = max(|k| S / (2 w(k)),
    S / (2 |w'(k)|)), so g >= (1 - H)**2 - (S**2 / 4)(1/w(k) + 1/4) when H < 1.
    """
    w, w1, _ = w_and_derivatives_at(k, c[0], c[1], c[2], c[3], c[4])
    v, v1, _ = w_and_derivatives_at(k, c[5], c[6], c[7], c[8], c[9])
    w, w1 = c[10] * w + c[11] * v, side * (c[10] * w1 + c[11] * v1)
    limit = c[10] * c[1] * (1.0 + side * c[2]) + c[11] * c[6] * (1.0 + side * c[7])
    if not (w > 0.0 and w1 > 0.0):
        return False
    ratio = max(0.5 * abs(k) * limit / w, 0.5 * limit / w1)
    return ratio < 1.0 and (1.0 - ratio) ** 2 > 0.25 * limit * limit * (1.0 / w + 0.25) + 1e-12


@njit(cache=True, error_model="numpy")
def linear_butterfly(c: FloatArray) -> int:
    """Return whether g >= 0 on all of R for u w_p + v w_q, c = (p, q, u, v) of 12 numbers: YES, NO or UNDECIDED.

    Both slices must have w > 0 (then so has the combination).
    """
    scale = math.sqrt(max(c[10] * w_at(0.0, c[0], c[1], c[2], c[3], c[4]), 1e-12)) + c[4] + c[9]
    left, right = min(c[3], c[8], 0.0) - scale, max(c[3], c[8], 0.0) + scale
    shown = 0
    for side in range(2):
        for _ in range(60):
            if side == 0 and _tail_holds(left, c, -1.0):
                shown += 1
                break
            if side == 1 and _tail_holds(right, c, 1.0):
                shown += 1
                break
            if side == 0:
                left *= 2.0
            else:
                right *= 2.0
    if shown < 2:
        return UNDECIDED
    stack = np.empty((_DEPTH_MAX, 10))
    w0, p0, g0, e0 = _w_and_g(left, c)
    w1, p1, g1, e1 = _w_and_g(right, c)
    if g0 < -e0 or g1 < -e1:
        return NO
    top = 0
    k0, k1 = left, right
    for _ in range(_CELLS_MAX):
        h = k1 - k0
        if min(g0 - e0, g1 - e1) > 0.125 * h * h * _curvature(k0, k1, w0, w1, p0, p1, c):
            if top == 0:
                return YES
            top -= 1
            k0, w0, p0, g0, e0 = k1, w1, p1, g1, e1
            k1, w1, p1, g1, e1 = stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4]
            continue
        middle = 0.5 * (k0 + k1)
        if top >= _DEPTH_MAX - 1 or not k0 < middle < k1:
            return UNDECIDED
        stack[top, 0], stack[top, 1], stack[top, 2], stack[top, 3], stack[top, 4] = k1, w1, p1, g1, e1
        top += 1
        k1 = middle
        w1, p1, g1, e1 = _w_and_g(middle, c)
        if g1 < -e1:
            return NO
    return UNDECIDED


@njit(cache=True, error_model="numpy")
def curve_butterfly(curve: FloatArray, method: int) -> int:
    """Return the butterfly verdict of a curve whose slices are certified: YES, NO or UNDECIDED."""
    if method == CONVEX:
        return YES
    if method == LINEAR:
        return linear_butterfly(curve)
    a, b, rho, m, sigma = curve[0], curve[1], curve[2], curve[3], curve[4]
    lee, positive = lee_kernel(b, rho), positive_kernel(a, b, rho, sigma)
    if NO in (lee, positive):
        return NO
    found = butterfly_kernel(a, b, rho, m, sigma)
    return found if found == NO else min(found, lee, positive)
