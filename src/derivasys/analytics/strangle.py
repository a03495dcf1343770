"""The market strangle: the one vol at which the strangle of a delta costs what the smile says."""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.black import price_at
from derivasys.analytics.normal import SQRT_2PI, norm_inv
from derivasys.analytics.term import SLICE, curve_w
from derivasys.analytics.term_delta import PA_CALL, PA_PUT, delta_root

FloatArray = npt.NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def _repriced(w: float, curve: FloatArray, kind: int, delta: float, premium_adjusted: bool, flat: FloatArray) -> float:
    """Return the flat variance at which the strangle struck at flat variance w costs what the smile says."""
    flat[0] = flat[5] = w
    if premium_adjusted:
        goal = math.log(delta)
        k_put, k_call = delta_root(goal, PA_PUT, flat, SLICE), delta_root(goal, PA_CALL, flat, SLICE)
    else:
        d1 = norm_inv(delta) * math.sqrt(w)
        k_put, k_call = 0.5 * w + d1, 0.5 * w - d1
    w_put, w_call = curve_w(k_put, curve, kind), curve_w(k_call, curve, kind)
    if not (w_put > 0.0 and w_call > 0.0):
        return np.nan
    put, call = math.exp(k_put), math.exp(k_call)
    price = price_at(1.0, put, 1.0, math.sqrt(w_put), False) + price_at(1.0, call, 1.0, math.sqrt(w_call), True)
    s = 0.5 * (math.sqrt(w_put) + math.sqrt(w_call))
    for _ in range(30):
        value = price_at(1.0, put, 1.0, s, False) + price_at(1.0, call, 1.0, s, True)
        d_put, d_call = -k_put / s + 0.5 * s, -k_call / s + 0.5 * s
        vega = (math.exp(-0.5 * d_put * d_put) + math.exp(-0.5 * d_call * d_call)) / SQRT_2PI
        step = (price - value) / vega
        s = max(0.2 * s, s + step)
        if abs(step) <= 1e-12 * s:
            break
    return s * s


@njit(cache=True, error_model="numpy")
def market_strangle_w(curve: FloatArray, kind: int, start: float, delta: float, premium_adjusted: bool) -> float:
    """Return the total variance w_ms of the market strangle of a curve at |delta|; NaN where there is none.

    Its strikes have the delta at the flat variance w_ms itself; its price at w_ms equals the sum of put and call at
    the smile's own variances (Clark 2011, section 3.3). Secant steps on the difference of the two variances; `start`
    is a first guess.
    """
    flat = np.zeros(12)
    flat[4] = flat[9] = flat[10] = 1.0
    last = start
    error_last = _repriced(last, curve, kind, delta, premium_adjusted, flat) - last
    w = last + error_last
    for _ in range(40):
        error = _repriced(w, curve, kind, delta, premium_adjusted, flat) - w
        if not abs(error) > 1e-12 * w:
            return w if error == error else np.nan
        step = -error * (w - last) / (error - error_last)
        if not abs(step) < 0.5 * w:
            step = error
        last, error_last = w, error
        w += step
    return np.nan


@njit(cache=True, error_model="numpy")
def fill_strangles(
    curves: FloatArray, kinds: npt.NDArray[np.int64], deltas: FloatArray, premium_adjusted: bool, out: FloatArray
) -> None:
    """Fill out (n, m) with the market-strangle total variances of n curves at m absolute deltas."""
    for i in range(curves.shape[0]):
        start = curve_w(0.0, curves[i], kinds[i])
        for j in range(deltas.shape[0]):
            out[i, j] = np.nan
            if start > 0.0:
                out[i, j] = market_strangle_w(curves[i], kinds[i], start, deltas[j], premium_adjusted)
