"""Joint constrained fit of all slices: sequential quadratic programming with points added where constraints are
tightest.

All expiries are solved together (the calendar condition couples neighbours), because one expiry after the other stops
short of the joint optimum. Every iteration linearises the constraints at the current local minima of g and of the
gaps between neighbours, and at the previous iteration's; the quadratic programme uses the Hessian of the Lagrangian.
"""

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.fit.descent import retract
from derivasys.fit.imposed import (
    FLOOR,
    GAP,
    KEPT,
    TAIL_Q,
    G,
    add_lagrangian,
    collect,
    gradient_of,
    scan,
    set_margins,
    value_of,
)
from derivasys.fit.quadratic import factor_blocks, solve_program
from derivasys.fit.slice import quote_loss, quote_newton

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def total_loss(
    x: FloatArray,
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    huber: float,
    prior: FloatArray,
    precision: FloatArray,
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
def _carry_multipliers(
    count: int,
    kind: IntArray,
    index: IntArray,
    at: FloatArray,
    multiplier: FloatArray,
    old_count: int,
    old_kind: IntArray,
    old_index: IntArray,
    old_at: FloatArray,
    old_multiplier: FloatArray,
) -> None:
    """Give each constraint the multiplier of the nearest like one of the last iteration, else 0 (both lists by
    slice).
    """
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
def _scan_arrays(n: int) -> tuple[FloatArray, FloatArray, IntArray, FloatArray]:
    """Return empty (points, values, counts, bad) of `scan`."""
    return (
        np.empty((n, 2, KEPT)),
        np.empty((n, 2, KEPT)),
        np.zeros((n, 2), dtype=np.int64),
        np.zeros((n, 2)),
    )


@njit(cache=True, error_model="numpy")
def _merit(loss: float, force: FloatArray, bad: FloatArray) -> float:
    """Return the exact penalty function: loss plus force times the worst violation of each slice and pair."""
    for i in range(force.shape[0]):
        loss += force[i, 0] * bad[i, 0] + force[i, 1] * bad[i, 1]
    return loss


@njit(cache=True, error_model="numpy")
def _remember(
    count: int,
    kind: IntArray,
    index: IntArray,
    at: FloatArray,
    multiplier: FloatArray,
    old_kind: IntArray,
    old_index: IntArray,
    old_at: FloatArray,
    old_multiplier: FloatArray,
    sums: FloatArray,
    force: FloatArray,
) -> None:
    """Keep the constraints and multipliers for the next iteration; raise the penalty forces above the multipliers."""
    for i in range(force.shape[0]):
        sums[i, 0], sums[i, 1] = 1.0, 1.0
    for j in range(count):
        old_kind[j], old_index[j], old_at[j], old_multiplier[j] = (
            kind[j],
            index[j],
            at[j],
            multiplier[j],
        )
        if kind[j] == G or kind[j] == FLOOR:
            sums[index[j], 0] += 1.5 * multiplier[j]
        elif kind[j] <= TAIL_Q:
            sums[index[j], 1] += 1.5 * multiplier[j]
    for i in range(force.shape[0]):
        force[i, 0] = max(0.5 * force[i, 0], sums[i, 0])
        force[i, 1] = max(0.5 * force[i, 1], sums[i, 1])


@njit(cache=True, error_model="numpy")
def _advance(
    x: FloatArray,
    step: FloatArray,
    fraction: float,
    nodes: FloatArray,
    low: FloatArray,
    high: FloatArray,
    trial: FloatArray,
) -> None:
    """Set trial to x moved by fraction times step along the valley, inside its bounds."""
    part = np.empty(5)
    for i in range(x.shape[0]):
        for c in range(5):
            part[c] = fraction * step[i, c]
        retract(x[i], part, nodes[i], trial[i])
        for c in range(1, 5):
            trial[i, c] = min(max(trial[i, c], low[i, c]), high[i, c])


@njit(cache=True, error_model="numpy")
def solve_joint(
    x: FloatArray,
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    huber: float,
    prior: FloatArray,
    precision: FloatArray,
    low: FloatArray,
    high: FloatArray,
    level: FloatArray,
    nodes: FloatArray,
    safety: float,
    warm: bool,
    restore: bool,
    tolerance: float,
    iterations_max: int,
) -> tuple[float, float, int, bool]:
    """Move x (n, 5) towards the joint optimum; return (loss, largest violation in margins, iterations, converged).

    Stops when the merit falls by less than tolerance of itself (and violations are small). With `restore` it
    ignores the quotes and makes the smallest step, in the metric of the fit, that repairs violations, until they
    are half a margin.
    """
    n = x.shape[0]
    limit = n * (4 * KEPT + 11)
    kind, index = np.empty(limit, dtype=np.int64), np.empty(limit, dtype=np.int64)
    old_kind, old_index = np.empty(limit, dtype=np.int64), np.empty(limit, dtype=np.int64)
    second = np.empty(limit, dtype=np.int64)
    at, rhs, cap, multiplier = (
        np.empty(limit),
        np.empty(limit),
        np.full(limit, 1e5),
        np.zeros(limit),
    )
    old_at, old_multiplier = np.empty(limit), np.empty(limit)
    a1, a2 = np.empty((limit, 5)), np.empty((limit, 5))
    old_count = 0 * n  # a literal 0 would make numba compile the callee twice
    points, values, counts, bad = _scan_arrays(n)
    next_points, next_values, next_counts, next_bad = _scan_arrays(n)
    old_points, old_counts = np.empty((n, 2, KEPT)), np.zeros((n, 2), dtype=np.int64)
    gradient, hessian, scales = np.empty((n, 5)), np.empty((n, 5, 5)), np.empty((n, 5))
    factor, step, trial, margin = (
        np.empty((n, 5, 5)),
        np.empty((n, 5)),
        np.empty((n, 5)),
        np.empty((n, 4)),
    )
    force, sums = np.ones((n, 2)), np.ones((n, 2))
    damping = 1e-6
    loss, worst, ratio = np.inf, np.inf, np.inf
    set_margins(x, level, safety, margin)
    worst, ratio = scan(x, margin, points, values, counts, bad)
    for iteration in range(iterations_max):
        if restore and ratio <= 0.5:
            return loss, ratio, iteration, True
        loss = 0.0
        exact = warm or iteration > 1
        for i in range(n):
            lo, hi = offsets[i], offsets[i + 1]
            loss += quote_newton(x[i], k[lo:hi], w[lo:hi], weight[lo:hi], huber, gradient[i], hessian[i], exact)
            for c in range(5):
                scales[i, c] = hessian[i, c, c] + precision[i, c]
                loss += 0.5 * precision[i, c] * (x[i, c] - prior[i, c]) ** 2
                gradient[i, c] += precision[i, c] * (x[i, c] - prior[i, c])
                hessian[i, c, c] += precision[i, c] + damping * scales[i, c]
                if restore:
                    gradient[i, c] = 0.0
        count = collect(x, low, high, margin, points, counts, old_points, old_counts, kind, index, at)
        for j in range(count):
            gradient_of(kind[j], index[j], at[j], x, margin, a1[j], a2[j])
            rhs[j] = -value_of(kind[j], index[j], at[j], x, low, high, margin)
            second[j] = index[j] + 1 if GAP <= kind[j] <= TAIL_Q else -1
        _carry_multipliers(
            count,
            kind,
            index,
            at,
            multiplier,
            old_count,
            old_kind,
            old_index,
            old_at,
            old_multiplier,
        )
        if not restore:
            for c in range(old_count):
                if old_multiplier[c] > 0.0:
                    add_lagrangian(old_kind[c], old_index[c], old_at[c], old_multiplier[c], x, margin, hessian)
        factor_blocks(hessian, scales, factor)
        solve_program(factor, gradient, count, index, second, a1, a2, rhs, cap, multiplier, step, 1e-7)
        old_count = count
        _remember(
            count,
            kind,
            index,
            at,
            multiplier,
            old_kind,
            old_index,
            old_at,
            old_multiplier,
            sums,
            force,
        )
        merit = _merit(loss, force, bad)
        fraction = 1.0
        for i in range(n):
            fraction = min(fraction, 1.0 / max(1.0, abs(step[i, 4])))
        accepted = False
        new_merit, new_worst, new_ratio = np.inf, np.inf, np.inf
        for _ in range(6):
            _advance(x, step, fraction, nodes, low, high, trial)
            new_worst, new_ratio = scan(trial, margin, next_points, next_values, next_counts, next_bad)
            new_merit = total_loss(trial, offsets, k, w, weight, huber, prior, precision)
            new_merit = _merit(new_merit, force, next_bad)
            if restore or new_merit < merit + 1e-10 * (1.0 + abs(merit)):
                accepted = True
                break
            fraction *= 0.35
        if not accepted:
            damping *= 30.0
            if damping > 1e3:
                return loss, ratio, iteration + 1, False
            continue
        damping = max(damping * 0.1, 1e-10)
        for i in range(n):
            for c in range(5):
                x[i, c] = trial[i, c]
            for row in range(2):
                old_counts[i, row] = counts[i, row]
                for c in range(KEPT):
                    old_points[i, row, c] = points[i, row, c]
        points, next_points = next_points, points
        values, next_values = next_values, values
        counts, next_counts = next_counts, counts
        bad, next_bad = next_bad, bad
        worst, ratio = new_worst, new_ratio
        set_margins(x, level, safety, margin)
        if not restore and merit - new_merit <= tolerance * (0.1 + merit) and worst < 1e-3:
            return loss, ratio, iteration + 1, True
    return loss, ratio, iterations_max, restore and ratio <= 0.5
