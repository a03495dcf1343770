"""No-arbitrage constraints at points: values and gradients in the solver's variables, and where they are tightest.

The unknowns of a slice are x = (a, p, q, m, lns) of `fit.slice`. Grids here only propose points where constraints are
imposed; whether a slice is free of arbitrage is decided by `analytics.arbitrage` alone.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]

U_FIRST, U_STEP = -7.5, 0.25
U_SINH = np.sinh(np.arange(61) * U_STEP + U_FIRST)
GRID_BEND = np.sinh(np.linspace(-3.0, 3.0, 25))
GRID_WIDE = 0.5 * np.sinh(np.linspace(-6.0, 6.0, 33))


@njit(cache=True, error_model="numpy")
def w_gradient(k: float, x: FloatArray, gradient: FloatArray) -> float:
    """Return w(k); fill gradient (5,) with dw/dx."""
    sigma = math.exp(x[4])
    y = k - x[3]
    r = math.sqrt(y * y + sigma * sigma)
    # (R - |y|)/2 without cancellation
    minor = 0.5 * sigma * sigma / (r + abs(y))
    major = 0.5 * (r + abs(y))
    up, um = (major, minor) if y >= 0.0 else (minor, major)
    gradient[0], gradient[1], gradient[2] = 1.0, up, um
    gradient[3] = (x[2] * um - x[1] * up) / r
    gradient[4] = 0.5 * (x[1] + x[2]) * sigma * sigma / r
    return x[0] + x[1] * up + x[2] * um


@njit(cache=True, error_model="numpy")
def w_value(k: float, x: FloatArray) -> float:
    """Return w(k)."""
    sigma = math.exp(x[4])
    y = k - x[3]
    r = math.sqrt(y * y + sigma * sigma)
    return x[0] + 0.5 * x[1] * (r + y) + 0.5 * x[2] * (r - y)


@njit(cache=True, error_model="numpy")
def g_value(k: float, x: FloatArray, sigma2: float) -> float:
    """Return g(k), sigma2 = exp(2 lns); a large negative number where w is not positive."""
    y = k - x[3]
    r = math.sqrt(y * y + sigma2)
    ratio = y / r
    w = x[0] + 0.5 * x[1] * (r + y) + 0.5 * x[2] * (r - y)
    w1 = 0.5 * x[1] * (1.0 + ratio) - 0.5 * x[2] * (1.0 - ratio)
    w2 = 0.5 * (x[1] + x[2]) * sigma2 / (r * r * r)
    if not w > 1e-14:
        return -1e3
    half = 1.0 - 0.5 * k * w1 / w
    return half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2


@njit(cache=True, error_model="numpy")
def g_gradient(k: float, x: FloatArray, gradient: FloatArray) -> float:
    """Return g(k); fill gradient (5,) with dg/dx by the chain rule through (w, w', w'')."""
    p, q = x[1], x[2]
    b = 0.5 * (p + q)
    s2 = math.exp(2.0 * x[4])
    y = k - x[3]
    r = math.sqrt(y * y + s2)
    i = 1.0 / r
    i3 = i * i * i
    ratio = y * i
    w = w_gradient(k, x, gradient)
    w1 = 0.5 * p * (1.0 + ratio) - 0.5 * q * (1.0 - ratio)
    w2 = b * s2 * i3
    half = 1.0 - 0.5 * k * w1 / w
    g_w = half * k * w1 / (w * w) + 0.25 * w1 * w1 / (w * w)
    g_1 = -half * k / w - 0.5 * w1 * (1.0 / w + 0.25)
    gradient[0] *= g_w
    gradient[1] = gradient[1] * g_w + g_1 * 0.5 * (1.0 + ratio) + 0.25 * s2 * i3
    gradient[2] = gradient[2] * g_w - g_1 * 0.5 * (1.0 - ratio) + 0.25 * s2 * i3
    gradient[3] = gradient[3] * g_w - g_1 * w2 + 0.5 * 3.0 * w2 * y * i * i
    gradient[4] = gradient[4] * g_w - g_1 * b * y * s2 * i3 + 0.5 * w2 * (2.0 - 3.0 * s2 * i * i)
    return half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2


@njit(cache=True, error_model="numpy")
def _refine_g(u: float, left: float, centre: float, right: float, x: FloatArray, sigma: float) -> tuple[float, float]:
    """Return (k, g) at a local minimum near u, from g at u - U_STEP, u and u + U_STEP, by parabolas."""
    step = U_STEP
    s2 = sigma * sigma
    for _ in range(3):
        bend = left - 2.0 * centre + right
        shift = 0.5 * step * (left - right) / bend if bend > 0.0 else 0.0
        shift = min(max(shift, -step), step)
        value = g_value(x[3] + sigma * math.sinh(u + shift), x, s2)
        if value < centre:
            u += shift
            centre = value
        step *= 0.2
        left = g_value(x[3] + sigma * math.sinh(u - step), x, s2)
        right = g_value(x[3] + sigma * math.sinh(u + step), x, s2)
        if left < centre or right < centre:
            u, left, centre, right = (
                (u - step, 2.0 * left - centre, left, centre)
                if left < right
                else (u + step, centre, right, 2.0 * right - centre)
            )
    return x[3] + sigma * math.sinh(u), centre


@njit(cache=True, error_model="numpy")
def _keep(at: float, value: float, count: int, points: FloatArray, values: FloatArray) -> int:
    """Store (at, value), replacing the highest value when full; return the new count."""
    if count < points.shape[0]:
        points[count], values[count] = at, value
        return count + 1
    slot = 0
    for c in range(1, count):
        if values[c] > values[slot]:
            slot = c
    if value < values[slot]:
        points[slot], values[slot] = at, value
    return count


@njit(cache=True, error_model="numpy")
def g_minima(x: FloatArray, threshold: float, points: FloatArray, values: FloatArray) -> int:
    """Fill points and values with local minima of g below threshold, the lowest if there are too many; return count.

    Scans k = m + sigma sinh(u) on 61 points of u in [-7.5, 7.5], then refines.
    """
    count = 0 * points.shape[0]  # a literal 0 would make numba compile `_keep` twice
    sigma = math.exp(x[4])
    s2 = sigma * sigma
    n = U_SINH.shape[0]
    previous, current = np.inf, g_value(x[3] + sigma * U_SINH[0], x, s2)
    for j in range(1, n):
        following = g_value(x[3] + sigma * U_SINH[j], x, s2)
        if current <= previous and current <= following and current < threshold + 0.15:
            u = U_FIRST + U_STEP * (j - 1)
            at, value = x[3] + sigma * U_SINH[j - 1], current
            if j > 1:
                at, value = _refine_g(u, previous, current, following, x, sigma)
            if value < threshold:
                count = _keep(at, value, count, points, values)
        previous, current = current, following
    return count


@njit(cache=True, error_model="numpy")
def gap_and_slope(k: float, lower: FloatArray, upper: FloatArray, s1: float, s2: float) -> tuple[float, float]:
    """Return (gap, d gap / dk) of w_upper - w_lower at k; s1, s2 are the slices' sigma squared."""
    y1, y2 = k - lower[3], k - upper[3]
    r1, r2 = math.sqrt(y1 * y1 + s1), math.sqrt(y2 * y2 + s2)
    gap = upper[0] + 0.5 * upper[1] * (r2 + y2) + 0.5 * upper[2] * (r2 - y2)
    gap -= lower[0] + 0.5 * lower[1] * (r1 + y1) + 0.5 * lower[2] * (r1 - y1)
    t1, t2 = y1 / r1, y2 / r2
    slope = 0.5 * upper[1] * (1.0 + t2) - 0.5 * upper[2] * (1.0 - t2)
    return gap, slope - 0.5 * lower[1] * (1.0 + t1) + 0.5 * lower[2] * (1.0 - t1)


@njit(cache=True, error_model="numpy")
def _lowest(
    left: float,
    slope_left: float,
    right: float,
    slope_right: float,
    lower: FloatArray,
    upper: FloatArray,
    s1: float,
    s2: float,
) -> tuple[float, float]:
    """Return (k, gap) where the gap's slope crosses zero upwards in [left, right] (Illinois)."""
    k, gap = left, 0.0
    side = 0
    for _ in range(12):
        k = (left * slope_right - right * slope_left) / (slope_right - slope_left)
        gap, slope = gap_and_slope(k, lower, upper, s1, s2)
        if abs(slope) < 1e-11 or right - left < 1e-9 * (1.0 + abs(k)):
            break
        if slope < 0.0:
            left, slope_left = k, slope
            if side == -1:
                slope_right *= 0.5
            side = -1
        else:
            right, slope_right = k, slope
            if side == 1:
                slope_left *= 0.5
            side = 1
    return k, gap


@njit(cache=True, error_model="numpy")
def gap_minima(
    lower: FloatArray,
    upper: FloatArray,
    grid: FloatArray,
    threshold: float,
    points: FloatArray,
    values: FloatArray,
) -> int:
    """Fill points and values with local minima of w_upper - w_lower below threshold times w_lower; return their
    count.

    `grid` (ascending) is the scan: every interval where the slope of the gap turns from falling to rising has a
    minimum inside; both ends count when the gap falls towards them. `values` are gaps in w; the lowest are kept.
    """
    count = 0 * points.shape[0]  # a literal 0 would make numba compile `_keep` twice
    n = grid.shape[0]
    s1, s2 = math.exp(2.0 * lower[4]), math.exp(2.0 * upper[4])
    slope = -1.0
    for j in range(n + 1):
        previous = slope
        gap = 0.0
        if j < n:
            gap, slope = gap_and_slope(grid[j], lower, upper, s1, s2)
        else:
            slope = 1.0
        if not (previous < 0.0 <= slope):
            continue
        if j == 0:
            at, value = grid[0], gap
        elif j == n:
            at = grid[n - 1]
            value, _ = gap_and_slope(at, lower, upper, s1, s2)
        else:
            at, value = _lowest(grid[j - 1], previous, grid[j], slope, lower, upper, s1, s2)
        if value < threshold * abs(w_value(at, lower)):
            count = _keep(at, value, count, points, values)
    return count


@njit(cache=True, error_model="numpy")
def gap_grid(lower: FloatArray, upper: FloatArray, grid: FloatArray) -> None:
    """Fill an ascending scan grid: points around the upper slice's bend (where a gap can be narrow) and at large."""
    sigma = math.exp(upper[4])
    scale = max(sigma, math.exp(lower[4]), abs(upper[3]), abs(lower[3]), 0.05)
    i, j = 0, 0
    for c in range(grid.shape[0]):
        bend = upper[3] + sigma * GRID_BEND[i] if i < GRID_BEND.shape[0] else np.inf
        wide = scale * GRID_WIDE[j] if j < GRID_WIDE.shape[0] else np.inf
        if bend < wide:
            grid[c] = bend
            i += 1
        else:
            grid[c] = wide
            j += 1
