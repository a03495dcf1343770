"""No-arbitrage constraints at points: values and gradients in the solver's variables, and where they are tightest.

The unknowns of a slice are x = (a, p, q, m, lns) of `fit.slice`. Grids here only propose points where constraints are
imposed; whether a slice is free of arbitrage is decided by `analytics.arbitrage` alone.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]


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
def g_value(k: float, x: FloatArray) -> float:
    """Return g(k); a large negative number where w is not positive."""
    sigma2 = math.exp(2.0 * x[4])
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
def _refine_g(u: float, step: float, x: FloatArray) -> tuple[float, float]:
    """Return (u, g) at a local minimum near u by parabolas through three points; k = m + sigma sinh(u)."""
    sigma = math.exp(x[4])
    centre = g_value(x[3] + sigma * math.sinh(u), x)
    for _ in range(4):
        left = g_value(x[3] + sigma * math.sinh(u - step), x)
        right = g_value(x[3] + sigma * math.sinh(u + step), x)
        bend = left - 2.0 * centre + right
        shift = 0.5 * step * (left - right) / bend if bend > 0.0 else 0.0
        shift = min(max(shift, -step), step)
        value = g_value(x[3] + sigma * math.sinh(u + shift), x)
        if value < centre:
            u += shift
            centre = value
        elif left < centre or right < centre:
            u, centre = (u - step, left) if left < right else (u + step, right)
        step *= 0.25
    return u, centre


@njit(cache=True, error_model="numpy")
def g_minima(x: FloatArray, threshold: float, points: FloatArray, values: FloatArray) -> int:
    """Fill points and values with local minima of g below threshold, lowest kept when there are too many; return count.

    Scans k = m + sigma sinh(u) on 61 points of u in [-7.5, 7.5], then refines.
    """
    count = 0
    sigma = math.exp(x[4])
    step = 0.25
    previous, current = np.inf, g_value(x[3] + sigma * math.sinh(-7.5), x)
    for j in range(1, 61):
        u = -7.5 + step * j
        following = g_value(x[3] + sigma * math.sinh(u), x)
        if current <= previous and current <= following and current < threshold + 0.15:
            at, value = _refine_g(u - step, 0.5 * step, x)
            if value < threshold:
                slot = count
                if count == points.shape[0]:
                    slot = int(np.argmax(values[:count]))
                    if values[slot] <= value:
                        slot = -1
                else:
                    count += 1
                if slot >= 0:
                    points[slot] = x[3] + sigma * math.sinh(at)
                    values[slot] = value
        previous, current = current, following
    return count


@njit(cache=True, error_model="numpy")
def _refine_gap(k: float, step: float, lower: FloatArray, upper: FloatArray) -> tuple[float, float]:
    """Return (k, gap) at a local minimum of w_upper - w_lower near k."""
    centre = w_value(k, upper) - w_value(k, lower)
    for _ in range(4):
        left = w_value(k - step, upper) - w_value(k - step, lower)
        right = w_value(k + step, upper) - w_value(k + step, lower)
        bend = left - 2.0 * centre + right
        shift = 0.5 * step * (left - right) / bend if bend > 0.0 else 0.0
        shift = min(max(shift, -step), step)
        value = w_value(k + shift, upper) - w_value(k + shift, lower)
        if value < centre:
            k += shift
            centre = value
        elif left < centre or right < centre:
            k, centre = (k - step, left) if left < right else (k + step, right)
        step *= 0.25
    return k, centre


@njit(cache=True, error_model="numpy")
def gap_minima(
    lower: FloatArray, upper: FloatArray, grid: FloatArray, threshold: float, points: FloatArray, values: FloatArray
) -> int:
    """Fill points and values with local minima of w_upper - w_lower below threshold times w_lower; return their count.

    `grid` (ascending) is the scan; both ends count as minima when the gap falls towards them. `values` are gaps in w.
    """
    count = 0
    n = grid.shape[0]
    previous = np.inf
    current = w_value(grid[0], upper) - w_value(grid[0], lower)
    for j in range(1, n + 1):
        following = w_value(grid[j], upper) - w_value(grid[j], lower) if j < n else np.inf
        if current <= previous and current <= following:
            at, value = grid[j - 1], current
            if 1 < j < n:
                at, value = _refine_gap(at, 0.5 * min(grid[j] - at, at - grid[j - 2]), lower, upper)
            if value < threshold * abs(w_value(at, lower)):
                slot = count
                if count == points.shape[0]:
                    slot = int(np.argmax(values[:count]))
                    if values[slot] <= value:
                        slot = -1
                else:
                    count += 1
                if slot >= 0:
                    points[slot] = at
                    values[slot] = value
        previous, current = current, following
    return count


@njit(cache=True, error_model="numpy")
def gap_grid(lower: FloatArray, upper: FloatArray, grid: FloatArray) -> None:
    """Fill an ascending scan grid: half around the upper slice's bend (where a gap can be narrow), half at large."""
    half = grid.shape[0] // 2
    sigma = math.exp(upper[4])
    scale = max(sigma, math.exp(lower[4]), abs(upper[3]), abs(lower[3]), 0.05)
    for j in range(half):
        u = -3.0 + 6.0 * j / (half - 1)
        grid[j] = upper[3] + sigma * math.sinh(u)
    for j in range(half, grid.shape[0]):
        u = -5.0 + 10.0 * (j - half) / (grid.shape[0] - half - 1)
        grid[j] = 0.5 * scale * math.sinh(u)
    grid.sort()
