"""Block-diagonal quadratic programs with sparse inequality constraints, solved in the dual.

min sum_i (s_i' H_i s_i / 2 + c_i' s_i) subject to A s >= rhs, multipliers 0 <= lambda <= cap. Each constraint
touches one or two blocks of five variables. The cap makes an infeasible program its exact L1 relaxation instead of
a failure. Projected coordinate ascent finds the active set, a dense Cholesky solve on it finishes to machine
precision.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@njit(cache=True, error_model="numpy")
def factor_blocks(hessian: FloatArray, scales: FloatArray, factor: FloatArray) -> None:
    """Fill factor (n, 5, 5) with Cholesky factors of H_i + shift diag(scales_i), the least shift of a few that
    works.
    """
    for block in range(hessian.shape[0]):
        shift = 0.0
        for _ in range(60):
            good = True
            for i in range(5):
                for j in range(i + 1):
                    total = hessian[block, i, j]
                    if i == j:
                        total += shift * scales[block, i]
                    for c in range(j):
                        total -= factor[block, i, c] * factor[block, j, c]
                    if i == j:
                        if not total > 1e-13 * scales[block, i]:
                            good = False
                            break
                        factor[block, i, i] = math.sqrt(total)
                    else:
                        factor[block, i, j] = total / factor[block, j, j]
                if not good:
                    break
            if good:
                break
            shift = max(4.0 * shift, 1e-9)


@njit(cache=True, error_model="numpy")
def _dot(x: FloatArray, y: FloatArray) -> float:
    """Return the product of two blocks; np.dot would call scipy's BLAS, whose sums depend on the processor."""
    total = 0.0
    for c in range(5):
        total += x[c] * y[c]
    return total


@njit(cache=True, error_model="numpy")
def block_solve(factor: FloatArray, rhs: FloatArray, out: FloatArray) -> None:
    """Fill out (5,) with (L L')**-1 rhs."""
    for i in range(5):
        total = rhs[i]
        for j in range(i):
            total -= factor[i, j] * out[j]
        out[i] = total / factor[i, i]
    for i in range(4, -1, -1):
        total = out[i]
        for j in range(i + 1, 5):
            total -= factor[j, i] * out[j]
        out[i] = total / factor[i, i]


@njit(cache=True, error_model="numpy")
def _residual(
    j: int,
    first: IntArray,
    second: IntArray,
    a1: FloatArray,
    a2: FloatArray,
    rhs: FloatArray,
    s: FloatArray,
) -> float:
    """Return rhs_j - a_j s."""
    i = first[j]
    total = rhs[j]
    for c in range(5):
        total -= a1[j, c] * s[i, c]
    i = second[j]
    if i >= 0:
        for c in range(5):
            total -= a2[j, c] * s[i, c]
    return total


@njit(cache=True, error_model="numpy")
def _move(
    j: int,
    change: float,
    first: IntArray,
    second: IntArray,
    u1: FloatArray,
    u2: FloatArray,
    s: FloatArray,
) -> None:
    """Add change * H**-1 a_j to s."""
    i = first[j]
    for c in range(5):
        s[i, c] += change * u1[j, c]
    i = second[j]
    if i >= 0:
        for c in range(5):
            s[i, c] += change * u2[j, c]


@njit(cache=True, error_model="numpy")
def _coupling(
    j: int,
    i: int,
    first: IntArray,
    second: IntArray,
    a1: FloatArray,
    a2: FloatArray,
    u1: FloatArray,
    u2: FloatArray,
) -> float:
    """Return a_j' H**-1 a_i."""
    total = 0.0
    if first[i] == first[j]:
        for c in range(5):
            total += a1[j, c] * u1[i, c]
    if second[i] >= 0 and second[i] == first[j]:
        for c in range(5):
            total += a1[j, c] * u2[i, c]
    if second[j] >= 0 and first[i] == second[j]:
        for c in range(5):
            total += a2[j, c] * u1[i, c]
    if second[j] >= 0 and second[i] == second[j]:
        for c in range(5):
            total += a2[j, c] * u2[i, c]
    return total


@njit(cache=True, error_model="numpy")
def _solve_active(
    active: IntArray,
    count: int,
    first: IntArray,
    second: IntArray,
    a1: FloatArray,
    a2: FloatArray,
    u1: FloatArray,
    u2: FloatArray,
    residual: FloatArray,
    matrix: FloatArray,
    begin: IntArray,
    change: FloatArray,
) -> None:
    """Fill change (count,) with the multiplier changes that make the active constraints equalities.

    Constraints come sorted by slice, so the matrix is banded: row r starts at column begin[r]. A row that depends on
    earlier ones (to 1e-10) gets no change.
    """
    for r in range(count):
        j = active[r]
        start = begin[r - 1] if r > 0 else 0
        while first[active[start]] < first[j] - 1:
            start += 1
        begin[r] = start
        for t in range(start, r + 1):
            total = _coupling(j, active[t], first, second, a1, a2, u1, u2)
            scale = total
            for c in range(max(start, begin[t]), t):
                total -= matrix[r, c] * matrix[t, c]
            if r == t:
                matrix[r, r] = math.sqrt(total) if total > 1e-10 * scale else np.inf
            else:
                matrix[r, t] = total / matrix[t, t]
        total = residual[j]
        for t in range(start, r):
            total -= matrix[r, t] * change[t]
        change[r] = total / matrix[r, r]
    for r in range(count - 1, -1, -1):
        change[r] /= matrix[r, r]
        for t in range(begin[r], r):
            change[t] -= matrix[r, t] * change[r]


@njit(cache=True, error_model="numpy")
def _sweep(
    count: int,
    first: IntArray,
    second: IntArray,
    a1: FloatArray,
    a2: FloatArray,
    u1: FloatArray,
    u2: FloatArray,
    rhs: FloatArray,
    cap: FloatArray,
    diagonal: FloatArray,
    multiplier: FloatArray,
    s: FloatArray,
) -> float:
    """Maximise the dual over each multiplier in turn; return the largest scaled violation met."""
    worst = 0.0
    for j in range(count):
        residual = _residual(j, first, second, a1, a2, rhs, s)
        value = multiplier[j] + residual / diagonal[j]
        value = min(max(value, 0.0), cap[j])
        if value != multiplier[j]:
            worst = max(worst, abs(residual) / (1e-3 + abs(rhs[j])))
            _move(j, value - multiplier[j], first, second, u1, u2, s)
            multiplier[j] = value
    return worst


@njit(cache=True, error_model="numpy")
def solve_program(
    factor: FloatArray,
    linear: FloatArray,
    count: int,
    first: IntArray,
    second: IntArray,
    a1: FloatArray,
    a2: FloatArray,
    rhs: FloatArray,
    cap: FloatArray,
    multiplier: FloatArray,
    s: FloatArray,
    tolerance: float,
) -> int:
    """Fill s (n, 5) and multiplier (count,), whose entries are the starting guess; return the linear solves used.

    Constraints sorted by `first`. A sweep of dual coordinate ascent proposes the active set; solves on it, dropping
    multipliers that reach a bound, make it exact; until no violation above tolerance is left.
    """
    n = linear.shape[0]
    u1, u2 = np.empty((count, 5)), np.empty((count, 5))
    diagonal = np.empty(count)
    active, begin = np.empty(count, dtype=np.int64), np.empty(count, dtype=np.int64)
    residual, change = np.empty(count), np.empty(count)
    matrix = np.empty((count, count))
    work = np.empty(5)
    for i in range(n):
        block_solve(factor[i], linear[i], work)
        for c in range(5):
            s[i, c] = -work[c]
    for j in range(count):
        block_solve(factor[first[j]], a1[j], u1[j])
        diagonal[j] = _dot(a1[j], u1[j])
        if second[j] >= 0:
            block_solve(factor[second[j]], a2[j], u2[j])
            diagonal[j] += _dot(a2[j], u2[j])
        if multiplier[j] > 0.0:
            _move(j, multiplier[j], first, second, u1, u2, s)
    solves = 0
    for outer in range(12):
        for _ in range(3 if outer == 0 else 1):
            worst = _sweep(count, first, second, a1, a2, u1, u2, rhs, cap, diagonal, multiplier, s)
        if worst <= tolerance:
            break
        for _ in range(20):
            size = 0 * count  # a literal 0 would make numba compile the callee twice
            for j in range(count):
                if 0.0 < multiplier[j] < cap[j]:
                    active[size] = j
                    size += 1
                    residual[j] = _residual(j, first, second, a1, a2, rhs, s)
            if size == 0:
                break
            solves += 1
            _solve_active(active, size, first, second, a1, a2, u1, u2, residual, matrix, begin, change)
            fraction = 1.0
            for r in range(size):
                j = active[r]
                if multiplier[j] + change[r] < 0.0:
                    fraction = min(fraction, multiplier[j] / -change[r])
                elif multiplier[j] + change[r] > cap[j]:
                    fraction = min(fraction, (cap[j] - multiplier[j]) / change[r])
            for r in range(size):
                j = active[r]
                value = multiplier[j] + fraction * change[r]
                if fraction < 1.0 and value <= 1e-12 * abs(change[r]):
                    value = 0.0
                elif fraction < 1.0 and value >= cap[j] * (1.0 - 1e-12):
                    value = cap[j]
                _move(j, value - multiplier[j], first, second, u1, u2, s)
                multiplier[j] = value
            if fraction == 1.0:
                break
    return solves
