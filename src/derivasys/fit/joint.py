"""Joint constrained fit of all slices: sequential quadratic programming with points added where constraints are tightest.

All expiries are solved together (the calendar condition couples neighbours), because one expiry after the other stops
short of the joint optimum. Every iteration linearises the constraints at the current local minima of g and of the gaps
between neighbours, and at the previous iteration's; the quadratic programme uses the Hessian of the Lagrangian.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.fit.constraints import (
    g_gradient,
    g_minima,
    g_value,
    gap_grid,
    gap_minima,
    w_gradient,
    w_value,
)
from derivasys.fit.quadratic import factor_blocks, solve_program
from derivasys.fit.slice import quote_loss, quote_newton, retract

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

G, GAP, TAIL_P, TAIL_Q, FLOOR, LOW, HIGH = 0, 1, 2, 3, 4, 5, 6
KEPT = 5
SLOPE_TOP = 2.0 - 1e-5
FLOOR_MIN = 1e-4
"""Least minimum of w, in units of the slice's level."""


@njit(cache=True, error_model="numpy")
def floor_value(x: FloatArray) -> float:
    """Return the minimum of w over all k."""
    return x[0] + math.exp(x[4]) * math.sqrt(max(x[1] * x[2], 0.0))


@njit(cache=True, error_model="numpy")
def value_of(kind: int, i: int, at: float, x: FloatArray, low: FloatArray, high: FloatArray, margin: FloatArray) -> float:
    """Return how far constraint (kind, slice i, point at) is satisfied, in its scaled unit; negative when violated."""
    if kind == G:
        return g_value(at, x[i]) - margin[i, 0]
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
def gradient_of(kind: int, i: int, at: float, x: FloatArray, margin: FloatArray, own: FloatArray, later: FloatArray) -> None:
    """Fill the gradients of constraint (kind, i, at) in slice i and, if it couples, in slice i + 1."""
    own[:] = 0.0
    later[:] = 0.0
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
    kind: int, i: int, at: float, force: float, x: FloatArray, margin: FloatArray, hessian: FloatArray
) -> None:
    """Subtract force times the constraint's Hessian (central differences of its gradient) from the blocks it touches."""
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
                up[:] = later
            x[block, c] = saved - step
            gradient_of(kind, i, at, x, margin, down, later)
            if block > i:
                down[:] = later
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
def collect(
    x: FloatArray, low: FloatArray, high: FloatArray, margin: FloatArray, near: float,
    g_points: FloatArray, g_counts: IntArray, gap_points: FloatArray, gap_counts: IntArray,
    kind: IntArray, index: IntArray, at: FloatArray,
) -> int:
    """List the constraints to impose around x: fresh minima, the points kept from the last call, bounds; return count.

    Afterwards g_points and gap_points hold the fresh minima.
    """
    n = x.shape[0]
    count = 0
    fresh, values = np.empty(KEPT), np.empty(KEPT)
    grid = np.empty(66)
    for i in range(n):
        scale = math.sqrt(margin[i, 2])
        found = g_minima(x[i], near, fresh, values)
        for j in range(g_counts[i]):
            old = g_points[i, j]
            alone = True
            for c in range(found):
                if abs(fresh[c] - old) < 0.02 * (scale + abs(old)):
                    alone = False
            if alone and g_value(old, x[i]) < near:
                kind[count], index[count], at[count] = G, i, old
                count += 1
        for c in range(found):
            g_points[i, c] = fresh[c]
            kind[count], index[count], at[count] = G, i, fresh[c]
            count += 1
        g_counts[i] = found
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
        if i + 1 == n:
            break
        gap_grid(x[i], x[i + 1], grid)
        found = gap_minima(x[i], x[i + 1], grid, 0.3, fresh, values)
        for j in range(gap_counts[i]):
            old = gap_points[i, j]
            alone = True
            for c in range(found):
                if abs(fresh[c] - old) < 0.02 * (scale + abs(old)):
                    alone = False
            if alone:
                kind[count], index[count], at[count] = GAP, i, old
                count += 1
        for c in range(found):
            gap_points[i, c] = fresh[c]
            kind[count], index[count], at[count] = GAP, i, fresh[c]
            count += 1
        gap_counts[i] = found
        kind[count], index[count], at[count] = TAIL_P, i, 0.0
        kind[count + 1], index[count + 1], at[count + 1] = TAIL_Q, i, 0.0
        count += 2
    return count


@njit(cache=True, error_model="numpy")
def total_loss(
    x: FloatArray, offsets: IntArray, k: FloatArray, w: FloatArray, weight: FloatArray, huber: float,
    prior: FloatArray, precision: FloatArray,
) -> float:
    """Return the sum of the slices' losses and priors."""
    total = 0.0
    for i in range(x.shape[0]):
        lo, hi = offsets[i], offsets[i + 1]
        total += quote_loss(x[i], k[lo:hi], w[lo:hi], weight[lo:hi], huber)
        for c in range(5):
            total += 0.5 * precision[i, c] * (x[i, c] - prior[i, c]) ** 2
    return total


@njit(cache=True, error_model="numpy")
def penalty(x: FloatArray, margin: FloatArray, force: FloatArray, gap_force: FloatArray, worst: FloatArray) -> float:
    """Return sum of force times the worst violation per slice and per pair, over all k, not only the points imposed.

    worst becomes (largest scaled violation, largest violation in units of its own margin).
    """
    total = 0.0
    points, values, grid = np.empty(KEPT), np.empty(KEPT), np.empty(66)
    worst[:] = 0.0
    for i in range(x.shape[0]):
        found = g_minima(x[i], margin[i, 0], points, values)
        bad = max(0.0, FLOOR_MIN - floor_value(x[i]) / margin[i, 2])
        worst[1] = max(worst[1], bad / FLOOR_MIN)
        for c in range(found):
            bad = max(bad, min(margin[i, 0] - values[c], 10.0))
            worst[1] = max(worst[1], bad / margin[i, 0])
        total += force[i] * bad
        worst[0] = max(worst[0], bad)
        if i + 1 < x.shape[0]:
            gap_grid(x[i], x[i + 1], grid)
            found = gap_minima(x[i], x[i + 1], grid, 0.3, points, values)
            bad = max(0.0, margin[i, 3] + x[i, 1] - x[i + 1, 1], margin[i, 3] + x[i, 2] - x[i + 1, 2])
            worst[1] = max(worst[1], bad / margin[i, 3])
            for c in range(found):
                short = margin[i, 1] - values[c]
                bad = max(bad, short / margin[i, 2])
                worst[1] = max(worst[1], short / margin[i, 1])
            total += gap_force[i] * bad
            worst[0] = max(worst[0], bad)
    return total


@njit(cache=True, error_model="numpy")
def set_margins(x: FloatArray, level: FloatArray, safety: float, margin: FloatArray) -> None:
    """Fill margin (n, 4): least g, least gap in w, scale of w, least slope difference, so that rounding cannot undo them."""
    for i in range(x.shape[0]):
        margin[i, 0] = 1e-6 * safety
        size = abs(x[i, 0]) + (x[i, 1] + x[i, 2]) * (math.exp(x[i, 4]) + abs(x[i, 3])) + level[i]
        margin[i, 1] = 4e-9 * safety * size
        margin[i, 2] = level[i]
        margin[i, 3] = 1e-6 * safety


@njit(cache=True, error_model="numpy")
def _carry_multipliers(
    count: int, kind: IntArray, index: IntArray, at: FloatArray, multiplier: FloatArray,
    old_count: int, old_kind: IntArray, old_index: IntArray, old_at: FloatArray, old_multiplier: FloatArray,
) -> None:
    """Give each constraint the multiplier of the nearest like one of the last iteration, else 0 (both lists by slice)."""
    begin = 0
    for j in range(count):
        multiplier[j] = 0.0
        while begin < old_count and old_index[begin] < index[j]:
            begin += 1
        best = 1e-3 + 0.1 * abs(at[j]) if kind[j] <= GAP else 1e-9
        for c in range(begin, old_count):
            if old_index[c] > index[j]:
                break
            if old_kind[c] == kind[j] and old_multiplier[c] > 0.0 and abs(old_at[c] - at[j]) < best:
                best = abs(old_at[c] - at[j])
                multiplier[j] = old_multiplier[c]


@njit(cache=True, error_model="numpy")
def _advance(
    x: FloatArray, step: FloatArray, nodes: FloatArray, low: FloatArray, high: FloatArray, trial: FloatArray
) -> None:
    """Set trial to x moved by step along the valley, inside its bounds."""
    for i in range(x.shape[0]):
        retract(x[i], step[i], nodes[i], trial[i])
        for c in range(1, 5):
            trial[i, c] = min(max(trial[i, c], low[i, c]), high[i, c])


@njit(cache=True, error_model="numpy")
def solve_joint(
    x: FloatArray, offsets: IntArray, k: FloatArray, w: FloatArray, weight: FloatArray, huber: float,
    prior: FloatArray, precision: FloatArray, low: FloatArray, high: FloatArray, level: FloatArray, nodes: FloatArray,
    safety: float, warm: bool, restore: bool, tolerance: float, iterations_max: int,
) -> tuple[float, float, int, bool]:
    """Move x (n, 5) towards the joint optimum; return (loss, largest violation in margins, iterations, converged).

    Stops when the merit falls by less than tolerance of itself (and violations are small). With `restore` it ignores the
    quotes and makes the smallest step, in the metric of the fit, that repairs violations, until they are half a margin.
    """
    n = x.shape[0]
    limit = n * (4 * KEPT + 11)
    kind, index = np.empty(limit, dtype=np.int64), np.empty(limit, dtype=np.int64)
    old_kind, old_index = np.empty(limit, dtype=np.int64), np.empty(limit, dtype=np.int64)
    second = np.empty(limit, dtype=np.int64)
    at, rhs, cap, multiplier = np.empty(limit), np.empty(limit), np.full(limit, 1e5), np.zeros(limit)
    old_at, old_multiplier = np.empty(limit), np.empty(limit)
    a1, a2 = np.empty((limit, 5)), np.empty((limit, 5))
    old_count = 0
    g_points, gap_points = np.empty((n, KEPT)), np.empty((n, KEPT))
    g_counts, gap_counts = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    gradient, hessian, scales = np.empty((n, 5)), np.empty((n, 5, 5)), np.empty((n, 5))
    factor, step, trial, margin = np.empty((n, 5, 5)), np.empty((n, 5)), np.empty((n, 5)), np.empty((n, 4))
    force, gap_force, sums, gap_sums = np.ones(n), np.ones(n), np.ones(n), np.ones(n)
    violation, new_violation = np.zeros(2), np.zeros(2)
    damping = 1e-6
    loss = np.inf
    small = 0
    for iteration in range(iterations_max):
        set_margins(x, level, safety, margin)
        loss = 0.0
        for i in range(n):
            lo, hi = offsets[i], offsets[i + 1]
            exact = warm or iteration > 1
            loss += quote_newton(x[i], k[lo:hi], w[lo:hi], weight[lo:hi], huber, gradient[i], hessian[i], exact)
            for c in range(5):
                scales[i, c] = hessian[i, c, c] + precision[i, c]
                loss += 0.5 * precision[i, c] * (x[i, c] - prior[i, c]) ** 2
                gradient[i, c] += precision[i, c] * (x[i, c] - prior[i, c])
                hessian[i, c, c] += precision[i, c]
        if restore:
            gradient[:] = 0.0
        penalty(x, margin, force, gap_force, violation)
        if restore and violation[1] <= 0.5:
            return loss, violation[1], iteration, True
        count = collect(x, low, high, margin, 0.1, g_points, g_counts, gap_points, gap_counts, kind, index, at)
        for j in range(count):
            gradient_of(kind[j], index[j], at[j], x, margin, a1[j], a2[j])
            rhs[j] = -value_of(kind[j], index[j], at[j], x, low, high, margin)
            second[j] = index[j] + 1 if GAP <= kind[j] <= TAIL_Q else -1
        _carry_multipliers(count, kind, index, at, multiplier, old_count, old_kind, old_index, old_at, old_multiplier)
        for c in range(0 if restore else old_count):
            if old_multiplier[c] > 0.0:
                add_lagrangian(old_kind[c], old_index[c], old_at[c], old_multiplier[c], x, margin, hessian)
        for i in range(n):
            for c in range(5):
                hessian[i, c, c] += damping * scales[i, c]
        factor_blocks(hessian, scales, factor)
        solve_program(factor, gradient, count, index, second, a1, a2, rhs, cap, multiplier, step, 1e-7)
        old_count = count
        force *= 0.5
        gap_force *= 0.5
        sums[:] = 1.0
        gap_sums[:] = 1.0
        for j in range(count):
            old_kind[j], old_index[j], old_at[j], old_multiplier[j] = kind[j], index[j], at[j], multiplier[j]
            if kind[j] == G or kind[j] == FLOOR:
                sums[index[j]] += 1.5 * multiplier[j]
            elif kind[j] <= TAIL_Q:
                gap_sums[index[j]] += 1.5 * multiplier[j]
        for i in range(n):
            force[i] = max(force[i], sums[i])
            gap_force[i] = max(gap_force[i], gap_sums[i])
        fraction = 1.0
        for i in range(n):
            fraction = min(fraction, 1.0 / max(1.0, abs(step[i, 4])))
        if restore:
            step *= fraction
            _advance(x, step, nodes, low, high, trial)
            x[:] = trial
            continue
        merit = loss + penalty(x, margin, force, gap_force, violation)
        new_merit = np.inf
        accepted = False
        for _ in range(6):
            step *= fraction
            _advance(x, step, nodes, low, high, trial)
            new_merit = total_loss(trial, offsets, k, w, weight, huber, prior, precision)
            new_merit += penalty(trial, margin, force, gap_force, new_violation)
            if new_merit < merit + 1e-10 * (1.0 + abs(merit)):
                accepted = True
                break
            fraction = 0.35
        if not accepted:
            damping *= 30.0
            if damping > 1e3:
                return loss, violation[1], iteration + 1, False
            continue
        damping = max(damping * 0.1, 1e-10)
        x[:] = trial
        small = small + 1 if merit - new_merit <= tolerance * (0.1 + merit) and new_violation[0] < 1e-3 else 0
        if small > 0:
            return loss, new_violation[1], iteration + 1, True
    set_margins(x, level, safety, margin)
    penalty(x, margin, force, gap_force, violation)
    return loss, violation[1], iterations_max, False
