"""Descent to the local minimum of one slice's loss: bounded Newton steps, bent along the valley of equally good slices.

Kernels on the variables of `fit.slice`.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.fit.slice import add_curvature, centre_and_spread, clip, copy, quote_loss, quote_newton

FloatArray = npt.NDArray[np.float64]

ITERATIONS_MAX = 120


@njit(cache=True, error_model="numpy")
def cholesky_solve(
    hessian: FloatArray,
    extra: FloatArray,
    rhs: FloatArray,
    frozen: npt.NDArray[np.bool_],
    factor: FloatArray,
    out: FloatArray,
) -> bool:
    """Solve (H + diag(extra)) out = rhs from the lower triangle of H; False unless positive definite.

    Where frozen, out is an input: a step already decided, whose effect moves to the right-hand side.
    """
    for i in range(5):
        for j in range(i + 1):
            total = hessian[i, j]
            if frozen[i] or frozen[j]:
                total = 1.0 if i == j else 0.0
            elif i == j:
                total += extra[i]
            for c in range(j):
                total -= factor[i, c] * factor[j, c]
            if i == j:
                if not total > 0.0:
                    return False
                factor[i, i] = math.sqrt(total)
            else:
                factor[i, j] = total / factor[j, j]
    for i in range(5):
        if frozen[i]:
            continue
        total = rhs[i]
        for j in range(5):
            if frozen[j]:
                total -= (hessian[i, j] if i > j else hessian[j, i]) * out[j]
        for j in range(i):
            if not frozen[j]:
                total -= factor[i, j] * out[j]
        out[i] = total / factor[i, i]
    for i in range(4, -1, -1):
        if frozen[i]:
            continue
        total = out[i]
        for j in range(i + 1, 5):
            if not frozen[j]:
                total -= factor[j, i] * out[j]
        out[i] = total / factor[i, i]
    return True


@njit(cache=True, error_model="numpy")
def bounded_step(
    hessian: FloatArray,
    extra: FloatArray,
    rhs: FloatArray,
    x: FloatArray,
    low: FloatArray,
    high: FloatArray,
    frozen: npt.NDArray[np.bool_],
    factor: FloatArray,
    step: FloatArray,
) -> bool:
    """Fill step with the Newton step that ends inside the bounds; False unless the Hessian is positive definite.

    Variables on a bound that push against it stay; those that would cross one stop there and the rest is solved again.
    """
    floor = -math.exp(x[4]) * math.sqrt(x[1] * x[2])
    frozen[0] = x[0] <= floor and rhs[0] < 0.0
    step[0] = 0.0
    for j in range(1, 5):
        frozen[j] = (x[j] <= low[j] and rhs[j] < 0.0) or (x[j] >= high[j] and rhs[j] > 0.0)
        step[j] = 0.0
    for _ in range(4):
        if not cholesky_solve(hessian, extra, rhs, frozen, factor, step):
            return False
        crossed = False
        for j in range(1, 5):
            if not frozen[j] and not low[j] <= x[j] + step[j] <= high[j]:
                step[j] = (low[j] if x[j] + step[j] < low[j] else high[j]) - x[j]
                frozen[j] = True
                crossed = True
        if not crossed:
            break
    return True


@njit(cache=True, error_model="numpy")
def _moved_node(
    k: float, x: FloatArray, step: FloatArray, sigma: float, next_sigma: float
) -> tuple[float, float, float]:
    """Return (up, um) at k after the step in (m, lns), and w(k) moved to first order by the whole step."""
    y = k - x[3]
    r = math.sqrt(y * y + sigma * sigma)
    up, um = 0.5 * (r + y), 0.5 * (r - y)
    value = x[0] + x[1] * up + x[2] * um + step[0] + step[1] * up + step[2] * um
    value += ((x[2] * um - x[1] * up) * step[3] + 0.5 * (x[1] + x[2]) * sigma * sigma * step[4]) / r
    y = k - x[3] - step[3]
    r = math.sqrt(y * y + next_sigma * next_sigma)
    return 0.5 * (r + y), 0.5 * (r - y), value


@njit(cache=True, error_model="numpy")
def retract(x: FloatArray, step: FloatArray, nodes: FloatArray, trial: FloatArray) -> None:
    """Set trial to x moved by step along curves of (w(nodes), m, lns) rather than straight lines of (a, p, q, m,
    lns).

    The quotes fix w at three nodes well, and (m, lns) poorly: moving in the node values follows the curved valley
    that a straight step would leave. To first order trial = x + step; also the straight step where the nodes do not
    determine (a, p, q), all three in one wing.
    """
    sigma, next_sigma = math.exp(x[4]), math.exp(x[4] + step[4])
    up0, um0, v0 = _moved_node(nodes[0], x, step, sigma, next_sigma)
    up1, um1, v1 = _moved_node(nodes[1], x, step, sigma, next_sigma)
    up2, um2, v2 = _moved_node(nodes[2], x, step, sigma, next_sigma)
    for j in range(5):
        trial[j] = x[j] + step[j]
    u0, u2 = up0 - up1, up2 - up1
    d0, d2 = um0 - um1, um2 - um1
    determinant = u0 * d2 - u2 * d0
    if abs(determinant) > 1e-7 * (abs(u0 * d2) + abs(u2 * d0)):
        trial[1] = ((v0 - v1) * d2 - (v2 - v1) * d0) / determinant
        trial[2] = (u0 * (v2 - v1) - u2 * (v0 - v1)) / determinant
        trial[0] = v1 - trial[1] * up1 - trial[2] * um1


@njit(cache=True, error_model="numpy")
def descend(
    x: FloatArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    huber: float,
    prior: FloatArray,
    precision: FloatArray,
    low: FloatArray,
    high: FloatArray,
    exact: bool,
) -> tuple[float, int, bool]:
    """Move x to the local minimum; return (loss with prior, iterations, converged). `exact`: x is already near.

    Gauss-Newton on the pseudo-Huber loss with Levenberg-Marquardt damping, steps bent along the valley (`retract`).
    Where Gauss-Newton overshoots near the end (quotes at a sharp bend), the full Hessian and straight steps take over.
    """
    gradient, hessian, factor = np.empty(5), np.empty((5, 5)), np.empty((5, 5))
    step, trial, rhs, extra, scales = np.empty(5), np.empty(5), np.empty(5), np.empty(5), np.empty(5)
    frozen = np.zeros(5, dtype=np.bool_)
    centre, spread = centre_and_spread(k, weight)
    nodes = np.empty(3)
    nodes[0], nodes[1], nodes[2] = centre - 1.2 * spread, centre, centre + 1.2 * spread
    clip(x, low, high)
    damping = 0.0 if exact else 1e-3
    full, wait = False, 0
    loss = np.inf
    for iteration in range(ITERATIONS_MAX):
        loss = quote_newton(x, k, w, weight, huber, gradient, hessian, exact)
        for j in range(5):
            scales[j] = hessian[j, j] + precision[j]
        if full:
            add_curvature(x, k, w, weight, huber, hessian)
        for j in range(5):
            loss += 0.5 * precision[j] * (x[j] - prior[j]) ** 2
            rhs[j] = -gradient[j] - precision[j] * (x[j] - prior[j])
            hessian[j, j] += precision[j]
        accepted = False
        predicted, value = 0.0, loss
        tries = 0
        while tries < 30:
            tries += 1
            for j in range(5):
                extra[j] = damping * scales[j] + 1e-14 * scales[0]
            if bounded_step(hessian, extra, rhs, x, low, high, frozen, factor, step):
                predicted = 0.0
                for j in range(5):
                    curve = 0.5 * hessian[j, j] * step[j]
                    for c in range(j):
                        curve += hessian[j, c] * step[c]
                    predicted += step[j] * (rhs[j] - curve)
                if full or frozen[1] or frozen[2]:
                    for j in range(5):
                        trial[j] = x[j] + step[j]
                else:
                    retract(x, step, nodes, trial)
                clip(trial, low, high)
                value = quote_loss(trial, k, w, weight, huber)
                for j in range(5):
                    value += 0.5 * precision[j] * (trial[j] - prior[j]) ** 2
                if value <= loss:
                    accepted = True
                    break
                if abs(predicted) <= 1e-13 * (1e-3 + loss):
                    break
            damping = max(4.0 * damping, 1e-7)
        if not accepted:
            return loss, iteration + 1, abs(predicted) <= 1e-9 * (1e-3 + loss)
        copy(trial, x)
        if exact and abs(predicted) <= 1e-11 * (1e-3 + loss):
            return value, iteration + 1, True
        overshot = tries > 1 or loss - value < 0.9 * predicted
        wait = 4 if full and tries > 1 else max(wait - 1, 0)
        full = exact and wait == 0 and predicted <= 1e-3 * (1e-3 + loss) and (full or overshot)
        exact = exact or predicted <= 0.02 * (1e-3 + loss)
        loss = value
        damping = 0.0 if damping <= 1e-8 or full else damping * 0.1
    return loss, ITERATIONS_MAX, False
