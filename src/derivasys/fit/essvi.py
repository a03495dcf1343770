"""A board of eSSVI slices that is free of static arbitrage by construction: feasible start and fallback.

In the slopes p = psi (1 + rho)/2 and q = psi (1 - rho)/2 a slice is
w(k) = (theta + (p - q) k + sqrt((p + q)**2 k**2 + 2 (p - q) theta k + theta**2)) / 2. Sufficient against butterfly
arbitrage: p, q < 2 and (p + q) max(p, q) <= 2 theta (Gatheral-Jacquier 2014, theorem 4.2). Sufficient against
calendar arbitrage between neighbours: theta, p and q do not fall and (p + q)/theta does not rise with expiry
(Hendriks-Martini 2019 with the correction of Pasquazzi 2023).
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

INSIDE = 1.0 - 2e-4
"""Every condition is kept with this factor to spare, so that a start is strictly inside."""


@njit(cache=True, error_model="numpy")
def _fit_slice(k: FloatArray, w: FloatArray, weight: FloatArray, z: FloatArray) -> None:
    """Move z = (theta, p, q) to a robust least-squares fit by a few damped Gauss-Newton steps."""
    damping = 1e-2
    best = np.inf
    kept = z.copy()
    for _ in range(14):
        s, d, theta = z[1] + z[2], z[1] - z[2], z[0]
        loss = 0.0
        g0 = g1 = g2 = h00 = h10 = h11 = h20 = h21 = h22 = 0.0
        for i in range(k.shape[0]):
            x = k[i]
            root = math.sqrt(max(s * s * x * x + 2.0 * d * theta * x + theta * theta, 1e-300))
            error = 0.5 * (theta + d * x + root) - w[i]
            j0 = 0.5 + 0.5 * (d * x + theta) / root
            js = 0.5 * s * x * x / root
            jd = 0.5 * x + 0.5 * theta * x / root
            scaled = weight[i] * error * error
            v = weight[i] / math.sqrt(1.0 + scaled)
            loss += scaled / (1.0 + math.sqrt(1.0 + scaled))
            j1, j2 = js + jd, js - jd
            g0 += v * error * j0
            g1 += v * error * j1
            g2 += v * error * j2
            h00 += v * j0 * j0
            h10 += v * j1 * j0
            h11 += v * j1 * j1
            h20 += v * j2 * j0
            h21 += v * j2 * j1
            h22 += v * j2 * j2
        if loss <= best:
            best = loss
            for c in range(3):
                kept[c] = z[c]
            damping *= 0.3
        else:
            damping = min(10.0 * damping + 1e-3, 1e6)
            for c in range(3):
                z[c] = 0.7 * kept[c] + 0.3 * z[c]
            continue
        ridge = 1e-9 * h00
        a00, a11, a22 = (
            h00 * (1.0 + damping),
            h11 * (1.0 + damping) + ridge,
            h22 * (1.0 + damping) + ridge,
        )
        l10, l20 = h10 / a00, h20 / a00
        c11 = a11 - h10 * l10
        c21 = h21 - h20 * l10
        c22 = a22 - h20 * l20 - c21 * c21 / c11
        y1 = -g1 + g0 * l10
        y2 = -g2 + g0 * l20 - c21 / c11 * y1
        s2 = y2 / c22
        s1 = (y1 - c21 * s2) / c11
        s0 = (-g0 - h10 * s1 - h20 * s2) / a00
        z[0] = max(z[0] + s0, 0.3 * z[0])
        z[1] = min(max(z[1] + s1, 0.3 * z[1]), 2.0)
        z[2] = min(max(z[2] + s2, 0.3 * z[2]), 2.0)
    for c in range(3):
        z[c] = kept[c]


@njit(cache=True, error_model="numpy")
def _project(z: FloatArray, later: FloatArray, has_later: bool) -> None:
    """Move z into the conditions above, given the next later slice."""
    slope_min = 1e-3 * math.sqrt(max(z[0], 1e-12))
    z[1], z[2] = max(z[1], slope_min), max(z[2], slope_min)
    if has_later:
        z[0] = min(z[0], INSIDE * later[0])
        z[1] = min(z[1], INSIDE * later[1])
        z[2] = min(z[2], INSIDE * later[2])
    top = max(z[1], z[2])
    shrink = min(1.0, INSIDE * 1.99 / top)
    product = (z[1] + z[2]) * top
    shrink = min(shrink, math.sqrt(INSIDE * 2.0 * z[0] / product))
    if shrink < 1.0:
        z[1] *= shrink
        z[2] *= shrink
    if has_later:
        least = (later[1] + later[2]) / later[0] * z[0] / math.sqrt(INSIDE)
        least = min(least, 0.5 * (INSIDE * (later[1] + later[2]) + least))
        if z[1] + z[2] < least:
            grow = least / (z[1] + z[2])
            z[1] = min(z[1] * grow, INSIDE * later[1])
            z[2] = min(least - z[1], INSIDE * later[2])
            z[1] = min(least - z[2], INSIDE * later[1])
            if (z[1] + z[2]) * max(z[1], z[2]) > INSIDE * 2.0 * z[0]:
                share = z[0] / later[0] / math.sqrt(INSIDE)
                z[1], z[2] = later[1] * share, later[2] * share


@njit(cache=True, error_model="numpy")
def essvi_board(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    start: FloatArray,
    level: FloatArray,
    x: FloatArray,
) -> None:
    """Fill x (n, 5) = (a, p, q, m, lns) with a feasible eSSVI board, from the longest expiry to the shortest.

    `start` (n, 5) in the same variables (a free fit) gives the level where a slice has fewer than three quotes.
    """
    n = x.shape[0]
    z, later = np.empty(3), np.empty(3)
    for step in range(n):
        i = n - 1 - step
        lo, hi = offsets[i], offsets[i + 1]
        sigma = math.exp(start[i, 4])
        r = math.sqrt(start[i, 3] ** 2 + sigma * sigma)
        z[0] = start[i, 0] + 0.5 * start[i, 1] * (r - start[i, 3]) + 0.5 * start[i, 2] * (r + start[i, 3])
        if not 0.2 * level[i] < z[0] < 5.0 * level[i]:
            z[0] = level[i]
        z[1] = z[2] = 0.5 * math.sqrt(z[0])
        if hi - lo >= 3:
            _fit_slice(k[lo:hi], w[lo:hi], weight[lo:hi], z)
        _project(z, later, step > 0)
        for c in range(3):
            later[c] = z[c]
        to_variables(z, x[i])


@njit(cache=True, error_model="numpy")
def to_variables(z: FloatArray, x: FloatArray) -> None:
    """Fill x = (a, p, q, m, lns) of z = (theta, p, q): a = theta (1 - rho**2)/2, m = -rho/phi, sigma =
    sqrt(1-rho**2)/phi.
    """
    psi = z[1] + z[2]
    rho = (z[1] - z[2]) / psi
    root = 2.0 * math.sqrt(z[1] * z[2]) / psi
    x[0] = 0.5 * z[0] * root * root
    x[1], x[2] = z[1], z[2]
    x[3] = -rho * z[0] / psi
    x[4] = math.log(root * z[0] / psi)
