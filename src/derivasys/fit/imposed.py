"""The joint problem around one iterate: which constraints to impose, their values, gradients and Hessians.

A constraint is (kind, slice i, point): G at k on slice i, GAP at k and the tail orders between slices i and i + 1,
FLOOR (the least w of a slice) and the bounds of its variables. Each is scaled so that violations of different kinds
compare.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.fit.constraints import (
    GRID_BEND,
    GRID_WIDE,
    g_gradient,
    g_minima,
    g_value,
    gap_grid,
    gap_minima,
    w_gradient,
    w_value,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

G, GAP, TAIL_P, TAIL_Q, FLOOR, LOW, HIGH = 0, 1, 2, 3, 4, 5, 6
KEPT = 5
NEAR_G, NEAR_GAP = 0.1, 0.3
SLOPE_TOP = 2.0 - 1e-5
FLOOR_MIN = 1e-4
"""Least minimum of w, in units of the slice's level."""


@njit(cache=True, error_model="numpy")
def floor_value(x: FloatArray) -> float:
    """Return the minimum of w over all k."""
    return x[0] + math.exp(x[4]) * math.sqrt(max(x[1] * x[2], 0.0))


@njit(cache=True, error_model="numpy")
def value_of(
    kind: int,
    i: int,
    at: float,
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    margin: FloatArray,
) -> float:
    """Return how far constraint (kind, slice i, point at) is satisfied, in its scaled unit; negative when
    violated.
    """
    if kind == G:
        return g_value(at, x[i], math.exp(2.0 * x[i, 4])) - margin[i, 0]
    if kind == GAP:
        return (w_value(at, x[i + 1]) - w_value(at, x[i]) - margin[i, 1]) / margin[i, 2]
    if kind == TAIL_P:
        return x[i + 1, 1] - x[i, 1] - margin[i, 3]
    if kind == TAIL_Q:
        return x[i + 1, 2] - x[i, 2] - margin[i, 3]
    if kind == FLOOR:
        return floor_value(x[i]) / margin[i, 2] - FLOOR_MIN
    column = int(at)
    return x[i, column] - low[i, column] if kind == LOW else high[i, column] - x[i, column]


@njit(cache=True, error_model="numpy")
def gradient_of(
    kind: int,
    i: int,
    at: float,
    x: FloatArray,
    margin: FloatArray,
    own: FloatArray,
    later: FloatArray,
) -> None:
    """Fill the gradients of constraint (kind, i, at) in slice i and, if it couples, in slice i + 1."""
    for c in range(5):
        own[c], later[c] = 0.0, 0.0
    if kind == G:
        g_gradient(at, x[i], own)
    elif kind == GAP:
        w_gradient(at, x[i], own)
        w_gradient(at, x[i + 1], later)
        for c in range(5):
            own[c] = -own[c] / margin[i, 2]
            later[c] = later[c] / margin[i, 2]
    elif kind == TAIL_P:
        own[1], later[1] = -1.0, 1.0
    elif kind == TAIL_Q:
        own[2], later[2] = -1.0, 1.0
    elif kind == FLOOR:
        sigma = math.exp(x[i, 4])
        p, q = max(x[i, 1], 1e-9), max(x[i, 2], 1e-9)
        own[0] = 1.0 / margin[i, 2]
        own[1] = 0.5 * sigma * math.sqrt(q / p) / margin[i, 2]
        own[2] = 0.5 * sigma * math.sqrt(p / q) / margin[i, 2]
        own[4] = sigma * math.sqrt(p * q) / margin[i, 2]
    else:
        own[int(at)] = 1.0 if kind == LOW else -1.0


@njit(cache=True, error_model="numpy")
def add_lagrangian(
    kind: int,
    i: int,
    at: float,
    force: float,
    x: FloatArray,
    margin: FloatArray,
    hessian: FloatArray,
) -> None:
    """Subtract force times the constraint's Hessian (central differences of its gradient) from the blocks it
    touches.
    """
    if kind > GAP and kind != FLOOR:
        return
    up, down, later = np.empty(5), np.empty(5), np.empty(5)
    for block in range(i, i + (2 if kind == GAP else 1)):
        for c in range(1, 5):
            step = 1e-5 * max(abs(x[block, c]), 1e-3) if c != 4 else 1e-5
            saved = x[block, c]
            x[block, c] = saved + step
            gradient_of(kind, i, at, x, margin, up, later)
            if block > i:
                for r in range(5):
                    up[r] = later[r]
            x[block, c] = saved - step
            gradient_of(kind, i, at, x, margin, down, later)
            if block > i:
                for r in range(5):
                    down[r] = later[r]
            x[block, c] = saved
            for r in range(5):
                slope = force * (up[r] - down[r]) / (2.0 * step)
                if r >= c:
                    hessian[block, r, c] -= 0.5 * slope if (r > c and r >= 1) else slope
                elif r >= 1:
                    hessian[block, c, r] -= 0.5 * slope
                else:
                    hessian[block, c, 0] -= slope


@njit(cache=True, error_model="numpy")
def scan(
    x: FloatArray,
    margin: FloatArray,
    points: FloatArray,
    values: FloatArray,
    counts: IntArray,
    bad: FloatArray,
) -> tuple[float, float]:
    """Find the local minima of every g and every gap; return (largest scaled violation, largest in margins).

    points, values (n, 2, KEPT) and counts (n, 2) hold minima of g in row 0 and of the gap to the next slice in row 1;
    bad (n, 2) the worst scaled violation of the slice and of the pair, over all k and not only at points imposed.
    """
    worst, ratio = 0.0, 0.0
    grid = np.empty(GRID_BEND.shape[0] + GRID_WIDE.shape[0])
    for i in range(x.shape[0]):
        counts[i, 0] = g_minima(x[i], NEAR_G, points[i, 0], values[i, 0])
        bad[i, 0] = max(0.0, FLOOR_MIN - floor_value(x[i]) / margin[i, 2])
        ratio = max(ratio, bad[i, 0] / FLOOR_MIN)
        for c in range(counts[i, 0]):
            short = margin[i, 0] - values[i, 0, c]
            bad[i, 0] = max(bad[i, 0], min(short, 10.0))
            ratio = max(ratio, short / margin[i, 0])
        worst = max(worst, bad[i, 0])
        counts[i, 1] = 0
        bad[i, 1] = 0.0
        if i + 1 < x.shape[0]:
            gap_grid(x[i], x[i + 1], grid)
            counts[i, 1] = gap_minima(x[i], x[i + 1], grid, NEAR_GAP, points[i, 1], values[i, 1])
            short = margin[i, 3] + max(x[i, 1] - x[i + 1, 1], x[i, 2] - x[i + 1, 2])
            bad[i, 1] = max(0.0, short)
            ratio = max(ratio, short / margin[i, 3])
            for c in range(counts[i, 1]):
                short = margin[i, 1] - values[i, 1, c]
                bad[i, 1] = max(bad[i, 1], short / margin[i, 2])
                ratio = max(ratio, short / margin[i, 1])
            worst = max(worst, bad[i, 1])
    return worst, ratio


@njit(cache=True, error_model="numpy")
def _far(at: float, points: FloatArray, count: int, scale: float) -> bool:
    """Return whether a point is away from the given ones (a constraint there would not be redundant)."""
    far = True
    for c in range(count):
        far = far and abs(points[c] - at) >= 0.02 * (scale + abs(at))
    return far


@njit(cache=True, error_model="numpy")
def collect(
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    margin: FloatArray,
    points: FloatArray,
    counts: IntArray,
    old_points: FloatArray,
    old_counts: IntArray,
    kind: IntArray,
    index: IntArray,
    at: FloatArray,
) -> int:
    """List the constraints to impose around x, by slice: minima of this scan and of the last, bounds; return
    count.
    """
    n = x.shape[0]
    count = 0
    for i in range(n):
        scale = math.sqrt(margin[i, 2])
        for row in range(2 if i + 1 < n else 1):
            for c in range(counts[i, row]):
                kind[count], index[count], at[count] = row, i, points[i, row, c]
                count += 1
            for c in range(old_counts[i, row]):
                if _far(old_points[i, row, c], points[i, row], counts[i, row], scale):
                    kind[count], index[count], at[count] = row, i, old_points[i, row, c]
                    count += 1
        kind[count], index[count], at[count] = FLOOR, i, 0.0
        count += 1
        for c in range(1, 5):
            room = 0.5 if c < 3 else 1.0
            if x[i, c] - low[i, c] < room:
                kind[count], index[count], at[count] = LOW, i, float(c)
                count += 1
            if high[i, c] - x[i, c] < room:
                kind[count], index[count], at[count] = HIGH, i, float(c)
                count += 1
        if i + 1 < n:
            kind[count], index[count], at[count] = TAIL_P, i, 0.0
            kind[count + 1], index[count + 1], at[count + 1] = TAIL_Q, i, 0.0
            count += 2
    return count


@njit(cache=True, error_model="numpy")
def set_margins(x: FloatArray, level: FloatArray, safety: float, margin: FloatArray) -> None:
    """Fill margin (n, 4): least g, least gap in w, scale of w, least slope difference, so that rounding cannot undo
    them.
    """
    for i in range(x.shape[0]):
        margin[i, 0] = 1e-6 * safety
        size = abs(x[i, 0]) + (x[i, 1] + x[i, 2]) * (math.exp(x[i, 4]) + abs(x[i, 3])) + level[i]
        margin[i, 1] = 4e-9 * safety * size
        margin[i, 2] = level[i]
        margin[i, 3] = 1e-6 * safety
