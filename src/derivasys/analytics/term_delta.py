"""Log-moneyness of a target delta on the curves of `analytics.term`, by either delta convention."""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.normal import SQRT_HALF, norm_inv
from derivasys.analytics.term import curve_slope, curve_w

FloatArray = npt.NDArray[np.float64]

FORWARD, PA_CALL, PA_PUT = range(3)
_ITERATIONS_MAX = 80


def delta_goal(delta: float, premium_adjusted: bool) -> tuple[float, int]:
    """Return (goal, kind) for `delta_root` of a signed delta: -0.25 is a put, 0.25 a call."""
    if not premium_adjusted:
        return norm_inv(1.0 + delta if delta < 0 else delta), FORWARD
    return math.log(abs(delta)), PA_PUT if delta < 0 else PA_CALL


@njit(cache=True, error_model="numpy")
def _excess(k: float, goal: float, kind: int, curve: FloatArray, method: int) -> float:
    """Return what is zero at the node: falling in k for calls and for the forward delta, rising for the other puts."""
    w = curve_w(k, curve, method)
    if not w > 0.0:
        return np.nan
    s = math.sqrt(w)
    if kind == FORWARD:
        return -k / s + 0.5 * s - goal
    d2 = -k / s - 0.5 * s
    probability = 0.5 * math.erfc((-d2 if kind == PA_CALL else d2) * SQRT_HALF)
    return k + math.log(probability) - goal if probability > 0.0 else -np.inf


@njit(cache=True, error_model="numpy")
def _pa_call_peak(scale: float, curve: FloatArray, method: int) -> float:
    """Return k where the premium-adjusted call delta is greatest: the root of its slope, by bisection."""
    low, high = -8.0 * scale, 8.0 * scale
    for _ in range(50):
        k = 0.5 * (low + high)
        w, w1 = curve_slope(k, curve, method)
        s = math.sqrt(w)
        d2 = -k / s - 0.5 * s
        slope = -(1.0 - 0.5 * k * w1 / w) / s - 0.25 * w1 / s
        probability = 0.5 * math.erfc(-d2 * SQRT_HALF)
        if probability * math.sqrt(2.0 * math.pi) + math.exp(-0.5 * d2 * d2) * slope > 0.0:
            low = k
        else:
            high = k
    return 0.5 * (low + high)


@njit(cache=True, error_model="numpy")
def delta_root(goal: float, kind: int, curve: FloatArray, method: int, peak: float = np.nan) -> float:
    """Return k of a node, (goal, kind) from `delta_goal`; NaN where the delta is not reached.

    The premium-adjusted call delta is not monotone: its node lies right of its maximum, at `peak` if that is known.
    """
    scale = math.sqrt(curve_w(0.0, curve, method))
    at = 0.0
    if kind == PA_CALL:
        at = peak if peak == peak else _pa_call_peak(scale, curve, method)
        if not _excess(at, goal, kind, curve, method) >= 0.0:
            return np.nan
    value = _excess(at, goal, kind, curve, method)
    step = scale if (value > 0.0) != (kind == PA_PUT) else -scale
    there, value_there = at, value
    for _ in range(60):
        there = at + step
        value_there = _excess(there, goal, kind, curve, method)
        if value_there != value_there:
            return np.nan
        if (value_there > 0.0) != (value > 0.0):
            break
        at, value = there, value_there
    else:
        return np.nan
    # Illinois' modification of regula falsi: superlinear, and never leaves the bracket.
    for _ in range(_ITERATIONS_MAX):
        middle = there - value_there * (there - at) / (value_there - value)
        if not min(at, there) <= middle <= max(at, there):
            middle = 0.5 * (at + there)
        value_middle = _excess(middle, goal, kind, curve, method)
        if abs(value_middle) < 1e-13 or abs(there - at) < 1e-15:
            return middle
        if (value_middle > 0.0) != (value_there > 0.0):
            at, value = there, value_there
        else:
            value *= 0.5
        there, value_there = middle, value_middle
    return there


@njit(cache=True, error_model="numpy")
def fill_nodes(
    curves: FloatArray, methods: npt.NDArray[np.int64], goals: FloatArray, kinds: npt.NDArray[np.int64],
    k: FloatArray, w: FloatArray,
) -> None:  # fmt: skip
    """Fill k and w (n, m) of n curves and m nodes, the middle one at the money; NaN where not reached."""
    atm = len(goals) // 2
    for i in range(k.shape[0]):
        k[i, :], w[i, :] = np.nan, np.nan
        w0 = curve_w(0.0, curves[i], methods[i])
        if not w0 > 0.0:
            continue
        peak = _pa_call_peak(math.sqrt(w0), curves[i], methods[i]) if kinds[-1] == PA_CALL else np.nan
        for j in range(len(goals)):
            k[i, j] = 0.0 if j == atm else delta_root(goals[j], kinds[j], curves[i], methods[i], peak)
            w[i, j] = curve_w(k[i, j], curves[i], methods[i])
