"""An independent judge of static arbitrage: dense scan in doubles, minima refined in 60 digits. Shares no code with src.

It looks for a violation and reports the most negative value it finds. It cannot prove absence between its points, but its
scan is dense on a scale set by the slice, and each minimum is followed down by golden section in 60 digits.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction

import mpmath as mp
import numpy as np

Row = Sequence[float]
mp.mp.dps = 60


def w(k: mp.mpf, row: Row) -> mp.mpf:
    """Total variance of raw SVI."""
    a, b, rho, m, sigma = (mp.mpf(float(x)) for x in row)
    return a + b * (rho * (k - m) + mp.sqrt((k - m) ** 2 + sigma**2))


def g(k: mp.mpf, row: Row) -> mp.mpf:
    """Durrleman's g from the derivatives of w written out."""
    a, b, rho, m, sigma = (mp.mpf(float(x)) for x in row)
    z = k - m
    root = mp.sqrt(z**2 + sigma**2)
    value = a + b * (rho * z + root)
    if value <= 0:
        return mp.mpf(-1)
    first = b * (rho + z / root)
    second = b * (1 / root - z**2 / root**3)
    return (1 - k * first / (2 * value)) ** 2 - first**2 / 4 * (1 / value + mp.mpf(1) / 4) + second / 2


def _g_doubles(k: np.ndarray, row: Row) -> np.ndarray:
    a, b, rho, m, sigma = row
    z = k - m
    root = np.hypot(z, sigma)
    value = a + b * (rho * z + root)
    first, second = b * (rho + z / root), b * sigma**2 / root**3
    with np.errstate(all="ignore"):
        out = (1 - k * first / (2 * value)) ** 2 - first**2 / 4 * (1 / value + 0.25) + second / 2
    return np.where(value > 0, out, -1.0)


def _w_doubles(k: np.ndarray, row: Row) -> np.ndarray:
    a, b, rho, m, sigma = row
    return a + b * (rho * (k - m) + np.hypot(k - m, sigma))


def _follow(function: Callable[[mp.mpf], mp.mpf], low: float, high: float, steps: int = 60) -> mp.mpf:
    """Return the least value met by golden section on [low, high], in 60 digits."""
    left, right = mp.mpf(low), mp.mpf(high)
    ratio = (mp.sqrt(5) - 1) / 2
    one, two = right - ratio * (right - left), left + ratio * (right - left)
    f_one, f_two = function(one), function(two)
    best = min(f_one, f_two, function(left), function(right))
    for _ in range(steps):
        if f_one < f_two:
            right, two, f_two = two, one, f_one
            one = right - ratio * (right - left)
            f_one = function(one)
        else:
            left, one, f_one = one, two, f_two
            two = left + ratio * (right - left)
            f_two = function(two)
        best = min(best, f_one, f_two)
    return best


def _least(values: np.ndarray, grid: np.ndarray, exact: Callable[[mp.mpf], mp.mpf], followed: int) -> mp.mpf:
    inner = np.flatnonzero((values[1:-1] <= values[:-2]) & (values[1:-1] <= values[2:])) + 1
    order = inner[np.argsort(values[inner])][:followed]
    lows = [_follow(exact, grid[i - 1], grid[i + 1]) for i in order]
    return min([exact(mp.mpf(float(grid[0]))), exact(mp.mpf(float(grid[-1]))), *lows])


def least_g(row: Row, points: int = 6001) -> mp.mpf:
    """Return the least g found, the limits of the wings included."""
    _, b, rho, m, sigma = row
    grid = m + sigma * np.sinh(np.linspace(-16.0, 16.0, points))
    found = _least(_g_doubles(grid, row), grid, lambda k: g(k, row), 4)
    slopes = [mp.mpf(float(b)) * (1 + mp.mpf(float(rho))), mp.mpf(float(b)) * (1 - mp.mpf(float(rho)))]
    return min([found, *(mp.mpf(1) / 4 - slope**2 / 16 for slope in slopes)])


def least_gap(first: Row, second: Row, points: int = 6001) -> mp.mpf:
    """Return the least w_second - w_first found; -inf when a tail of the second has the smaller slope."""
    # Exact: a slope smaller by 1e-80 crosses too, if far out.
    slopes = [
        [Fraction(float(row[1])) * (1 + side * Fraction(float(row[2]))) for side in (1, -1)] for row in (first, second)
    ]
    if slopes[1][0] < slopes[0][0] or slopes[1][1] < slopes[0][1]:
        return -mp.inf
    u = np.sinh(np.linspace(-16.0, 16.0, points))
    grid = np.unique(np.concatenate([row[3] + row[4] * u for row in (first, second)]))
    values = _w_doubles(grid, second) - _w_doubles(grid, first)
    return _least(values, grid, lambda k: w(k, second) - w(k, first), 4)
