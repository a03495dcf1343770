"""Exact certificate of freedom from static arbitrage for raw SVI slices, on the whole real line.

Nothing is sampled and there is no tolerance: the answer is about the parameters as given (the published, rounded
doubles), taken as exact rational numbers. Compiled double-precision kernels with proven error bounds decide nearly
always; where rounding could change the answer they say so and `analytics.exact` decides in rational arithmetic.

Butterfly (Gatheral-Jacquier 2014, lemma 2.2): with k = m + (sigma/2)(t - 1/t), t > 0, D = t**2 + 1,
W = t w = (b sigma/2)(1 - rho) + a t + (b sigma/2)(1 + rho) t**2, N = (1 + rho) t**2 - (1 - rho) and
K = -sigma + 2 m t + sigma t**2, the density factor is g = P(t) / (16 W**2 D**3) with the polynomial of degree 10
P = D ((4 W D - b K N)**2 - b**2 N**2 W (4 t + W)) + (64 b / sigma) t**3 W**2. So g >= 0 on all of R is P >= 0 on
(0, inf), given w > 0. Positivity of P on (0, 1] and [1, inf) is shown by Bernstein coefficients under subdivision:
a polynomial is at least its least coefficient, and the coefficients converge to it quadratically.

Calendar: w2 - w1 >= 0 on all of R. Both slices are convex, so on an interval w2 is above its tangent and w1 below its
chord; subdivision closes the gap quadratically, and beyond the last interval slopes decide.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics import exact
from derivasys.analytics.svi import g_at, w_at

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

YES, NO, UNDECIDED = 1, 0, -1

# Rounding: a coefficient of P is reached through at most 40 operations, the Bernstein coefficients through 13 more
# and every subdivision through 10, each with relative error u = 2**-53 of a sum of absolute values that is carried
# along. 2e-14 > (40 + 13) u with a factor 3 to spare, 4e-15 > 10 u (1 + u)... likewise per level.
_ERROR_BASE = 2e-14
_ERROR_LEVEL = 4e-15
_DEPTH_MAX = 40
_SCAN = np.sinh(np.linspace(-8.0, 8.0, 65))
_GOLDEN = 0.381966011250105
_BINOMIAL = np.array([[math.comb(i, j) / math.comb(10, j) if j <= i else 0.0 for j in range(11)] for i in range(11)])


class Certificate(NamedTuple):
    """Certificate of n slices in ascending expiry; entry i of the calendar fields compares slice i with slice i -
    1.
    """

    butterfly_ok: BoolArray  # (n,) g >= 0 on all of R and w > 0 (exact)
    min_g: FloatArray  # (n,) least value of g over R (limits of the wings included), for display
    min_g_k: FloatArray  # (n,) where; +-inf for a limit
    lee_ok: BoolArray  # (n,) b (1 + |rho|) <= 2 (exact)
    positive_ok: BoolArray  # (n,) w > 0 on all of R (exact)
    calendar_ok: BoolArray  # (n,) w_i >= w_(i-1) on all of R (exact); True for the first
    calendar_margin: FloatArray  # (n,) least w_i - w_(i-1) over R, for display; nan for the first
    calendar_k: FloatArray  # (n,) where; +-inf when the tails cross
    exact_used: npt.NDArray[np.int64]  # (n,) decisions of this slice that needed rational arithmetic

    @property
    def ok(self) -> BoolArray:
        """Whether each slice passes everything."""
        return self.butterfly_ok & self.lee_ok & self.positive_ok & self.calendar_ok


@njit(cache=True, error_model="numpy")
def _multiply(x: FloatArray, nx: int, y: FloatArray, ny: int, out: FloatArray) -> None:
    """Fill out with the product of two polynomials of nx and ny coefficients."""
    for i in range(nx + ny - 1):
        out[i] = 0.0
    for i in range(nx):
        for j in range(ny):
            out[i + j] += x[i] * y[j]


@njit(cache=True, error_model="numpy")
def _butterfly_polynomial(a: float, b: float, rho: float, m: float, sigma: float, sign: float, out: FloatArray) -> None:
    """Fill out (11,) with P's coefficients for sign = -1; with sign = 1, |a| and |m|, bounds of all intermediate
    sums.

    With sign = 1 every minus in the formula becomes a plus (1 - rho and 1 + rho are single roundings, no sum to
    bound).
    """
    width, d, n, kk = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    width[0], width[1], width[2] = 0.5 * b * sigma * (1.0 - rho), a, 0.5 * b * sigma * (1.0 + rho)
    d[0], d[1], d[2] = 1.0, 0.0, 1.0
    n[0], n[1], n[2] = sign * (1.0 - rho), 0.0, 1.0 + rho
    kk[0], kk[1], kk[2] = sign * sigma, 2.0 * m, sigma
    wd, kn, top, first, nn, second = (
        np.empty(5),
        np.empty(5),
        np.empty(5),
        np.empty(9),
        np.empty(5),
        np.empty(9),
    )
    inner, ww = np.empty(5), np.empty(5)
    _multiply(width, 3, d, 3, wd)
    _multiply(kk, 3, n, 3, kn)
    for i in range(5):
        top[i] = 4.0 * wd[i] + sign * b * kn[i]
    _multiply(top, 5, top, 5, first)
    _multiply(n, 3, n, 3, nn)
    wide = np.empty(3)
    wide[0], wide[1], wide[2] = width[0], 4.0 + width[1], width[2]
    _multiply(width, 3, wide, 3, inner)
    _multiply(nn, 5, inner, 5, second)
    for i in range(9):
        first[i] += sign * b * b * second[i]
    _multiply(first, 9, d, 3, out)
    _multiply(width, 3, width, 3, ww)
    for i in range(5):
        out[i + 3] += 64.0 * b / sigma * ww[i]


@njit(cache=True, error_model="numpy")
def _positive_on_unit(c: FloatArray, size: FloatArray) -> int:
    """Return whether the polynomial c (11,) is positive on (0, 1], given bounds size on its coefficients'
    magnitudes.
    """
    zeros = 0
    while zeros < 11 and size[zeros] == 0.0:
        zeros += 1  # a structural factor t**r is positive
    degree = 10
    work, bound = np.zeros(11), np.zeros(11)
    for j in range(11 - zeros):
        work[j], bound[j] = c[j + zeros], size[j + zeros]
    stack, errors = np.empty((_DEPTH_MAX + 2, 11)), np.empty((_DEPTH_MAX + 2, 11))
    depth = np.empty(_DEPTH_MAX + 2, dtype=np.int64)
    for i in range(degree + 1):
        stack[0, i] = 0.0
        errors[0, i] = 0.0
        for j in range(i + 1):
            stack[0, i] += _BINOMIAL[i, j] * work[j]
            errors[0, i] += _BINOMIAL[i, j] * bound[j]
    depth[0] = 0
    top = 0
    undecided = False
    while top >= 0:
        level = depth[top]
        tolerance = _ERROR_BASE + _ERROR_LEVEL * level
        safe = True
        for i in range(degree + 1):
            if not stack[top, i] > tolerance * errors[top, i]:
                safe = False
        if safe:
            top -= 1
            continue
        ends_ok = stack[top, 0] >= -tolerance * errors[top, 0]
        if not (ends_ok and stack[top, degree] >= -tolerance * errors[top, degree]):
            return NO
        if level >= _DEPTH_MAX:
            undecided = True
            top -= 1
            continue
        # halves: the right one stays in place, the left one goes on top
        for i in range(degree + 1):
            stack[top + 1, i] = stack[top, i]
            errors[top + 1, i] = errors[top, i]
        for r in range(1, degree + 1):
            for i in range(degree, r - 1, -1):
                stack[top + 1, i] = 0.5 * (stack[top + 1, i - 1] + stack[top + 1, i])
                errors[top + 1, i] = 0.5 * (errors[top + 1, i - 1] + errors[top + 1, i])
            for i in range(degree - r + 1):
                stack[top, i] = 0.5 * (stack[top, i] + stack[top, i + 1])
                errors[top, i] = 0.5 * (errors[top, i] + errors[top, i + 1])
        depth[top], depth[top + 1] = level + 1, level + 1
        top += 1
    return UNDECIDED if undecided else YES


@njit(cache=True, error_model="numpy")
def lee_kernel(b: float, rho: float) -> int:
    """Return whether b (1 + |rho|) <= 2 (with b >= 0 and |rho| <= 1)."""
    if not (b >= 0.0 and abs(rho) <= 1.0):
        return NO
    slope = b * (1.0 + abs(rho))
    if abs(slope - 2.0) <= 1e-15:
        return UNDECIDED
    return YES if slope < 2.0 else NO


@njit(cache=True, error_model="numpy")
def positive_kernel(a: float, b: float, rho: float, sigma: float) -> int:
    """Return whether a + b sigma sqrt(1 - rho**2) > 0 (with sigma > 0)."""
    if not (sigma > 0.0 and b >= 0.0 and abs(rho) <= 1.0):
        return NO
    lift = b * sigma * math.sqrt((1.0 - rho) * (1.0 + rho))
    if abs(a + lift) <= 1e-15 * (abs(a) + lift):
        return UNDECIDED
    return YES if a + lift > 0.0 else NO


@njit(cache=True, error_model="numpy")
def butterfly_kernel(a: float, b: float, rho: float, m: float, sigma: float) -> int:
    """Return whether P > 0 on (0, inf): YES, NO or UNDECIDED; w > 0 and Lee's bound are separate."""
    if b == 0.0:
        return YES
    c, size, back, back_size = np.empty(11), np.empty(11), np.empty(11), np.empty(11)
    _butterfly_polynomial(a, b, rho, m, sigma, -1.0, c)
    _butterfly_polynomial(abs(a), b, rho, abs(m), sigma, 1.0, size)
    if abs(rho) == 1.0:
        return UNDECIDED
    for i in range(11):
        back[i], back_size[i] = c[10 - i], size[10 - i]
    left = _positive_on_unit(c, size)
    if left == NO:
        return NO
    right = _positive_on_unit(back, back_size)
    if right == NO:
        return NO
    return YES if left == YES and right == YES else UNDECIDED


@njit(cache=True, error_model="numpy")
def _gap_with_error(k: float, p: FloatArray, q: FloatArray) -> tuple[float, float]:
    """Return (w_q - w_p at k, bound of its rounding error)."""
    y1, y2 = k - p[3], k - q[3]
    r1, r2 = math.sqrt(y1 * y1 + p[4] * p[4]), math.sqrt(y2 * y2 + q[4] * q[4])
    gap = (q[0] + q[1] * (q[2] * y2 + r2)) - (p[0] + p[1] * (p[2] * y1 + r1))
    size = abs(q[0]) + q[1] * (abs(y2) + r2 + abs(k)) + abs(p[0]) + p[1] * (abs(y1) + r1 + abs(k))
    return gap, 4e-15 * size


@njit(cache=True, error_model="numpy")
def _tail(k: float, p: FloatArray, q: FloatArray, right: bool) -> int:
    """Return YES if w_q > w_p from k outwards: gap and slope of the gap's lower bound are positive there."""
    gap, error = _gap_with_error(k, p, q)
    y = k - q[3]
    r = math.sqrt(y * y + q[4] * q[4])
    side = 1.0 if right else -1.0
    slope = side * q[1] * (q[2] + y / r) - p[1] * (1.0 + side * p[2])
    return YES if gap > error and slope > 4e-15 * (q[1] + p[1]) else UNDECIDED


@njit(cache=True, error_model="numpy")
def calendar_kernel(p: FloatArray, q: FloatArray) -> int:
    """Return whether w_q > w_p on all of R (q the later slice), both raw (a, b, rho, m, sigma): YES, NO or
    UNDECIDED.
    """
    low = min(p[3] - 4.0 * p[4], q[3] - 4.0 * q[4])
    high = max(p[3] + 4.0 * p[4], q[3] + 4.0 * q[4])
    reach = high - low
    tails = np.full(2, UNDECIDED)
    for _ in range(40):
        if tails[0] != YES:
            tails[0] = _tail(low, p, q, False)
        if tails[1] != YES:
            tails[1] = _tail(high, p, q, True)
        if tails[0] == YES and tails[1] == YES:
            break
        reach *= 2.0
        if tails[0] != YES:
            low -= reach
            gap, error = _gap_with_error(low, p, q)
            if gap < -error:
                return NO
        if tails[1] != YES:
            high += reach
            gap, error = _gap_with_error(high, p, q)
            if gap < -error:
                return NO
    undecided = tails[0] != YES or tails[1] != YES
    lows, highs = np.empty(80), np.empty(80)
    lows[0], highs[0] = low, high
    top = 0
    for _ in range(4000):
        if top < 0:
            return UNDECIDED if undecided else YES
        left, right = lows[top], highs[top]
        centre = 0.5 * (left + right)
        gap, error = _gap_with_error(centre, p, q)
        if gap < -error:
            return NO
        y = centre - q[3]
        r = math.sqrt(y * y + q[4] * q[4])
        slope = q[1] * (q[2] + y / r)
        base = q[0] + q[1] * (q[2] * y + r)
        at_left, error_left = _gap_with_error(left, p, q)
        at_right, error_right = _gap_with_error(right, p, q)
        w_left = w_at(left, p[0], p[1], p[2], p[3], p[4])
        w_right = w_at(right, p[0], p[1], p[2], p[3], p[4])
        if at_left < -error_left or at_right < -error_right:
            return NO
        slack = error + 2.0 * max(error_left, error_right) + 4e-15 * q[1] * (right - left)
        if base + slope * (left - centre) - w_left > slack and base + slope * (right - centre) - w_right > slack:
            top -= 1
            continue
        if top >= 78 or right - left < 1e-14 * (1.0 + abs(centre)):
            undecided = True
            top -= 1
            continue
        lows[top], highs[top] = centre, right
        lows[top + 1], highs[top + 1] = left, centre
        top += 1
    return UNDECIDED


@njit(cache=True, error_model="numpy")
def _least_g(p: FloatArray) -> tuple[float, float]:
    """Return (least g, its k) for display: scan in u = asinh((k - m)/sigma), then golden section; limits included."""
    a, b, rho, m, sigma = p[0], p[1], p[2], p[3], p[4]
    best, at, slot = np.inf, m, 0
    for i in range(_SCAN.shape[0]):
        value = g_at(m + sigma * _SCAN[i], a, b, rho, m, sigma)
        if value < best:
            best, slot = value, i
    low = m + sigma * _SCAN[max(slot - 1, 0)]
    high = m + sigma * _SCAN[min(slot + 1, _SCAN.shape[0] - 1)]
    k1, k2 = low + _GOLDEN * (high - low), high - _GOLDEN * (high - low)
    g1, g2 = g_at(k1, a, b, rho, m, sigma), g_at(k2, a, b, rho, m, sigma)
    for _ in range(24):
        if g1 < g2:
            high, k2, g2 = k2, k1, g1
            k1 = low + _GOLDEN * (high - low)
            g1 = g_at(k1, a, b, rho, m, sigma)
        else:
            low, k1, g1 = k1, k2, g2
            k2 = high - _GOLDEN * (high - low)
            g2 = g_at(k2, a, b, rho, m, sigma)
    best, at = (g1, k1) if g1 < g2 else (g2, k2)
    right, left = b * (1.0 + rho), b * (1.0 - rho)
    if 0.25 - right * right / 16.0 < best:
        best, at = 0.25 - right * right / 16.0, np.inf
    if 0.25 - left * left / 16.0 < best:
        best, at = 0.25 - left * left / 16.0, -np.inf
    return best, at


@njit(cache=True, error_model="numpy")
def _least_gap(p: FloatArray, q: FloatArray) -> tuple[float, float]:
    """Return (least w_q - w_p, its k) for display; -inf at +-inf when a tail falls below."""
    if q[1] * (1.0 + q[2]) < p[1] * (1.0 + p[2]):
        return -np.inf, np.inf
    if q[1] * (1.0 - q[2]) < p[1] * (1.0 - p[2]):
        return -np.inf, -np.inf
    best, at, low, high = np.inf, 0.0, 0.0, 0.0
    wide = max(p[4], q[4], abs(p[3] - q[3]))
    for side in range(2):
        centre, sigma = (q[3], q[4]) if side else (0.5 * (p[3] + q[3]), wide)
        for i in range(0, _SCAN.shape[0], 2):
            k = centre + sigma * _SCAN[i]
            gap, _ = _gap_with_error(k, p, q)
            if gap < best:
                best, at = gap, k
                low = centre + sigma * _SCAN[max(i - 2, 0)]
                high = centre + sigma * _SCAN[min(i + 2, _SCAN.shape[0] - 1)]
    k1, k2 = low + _GOLDEN * (high - low), high - _GOLDEN * (high - low)
    (g1, _), (g2, _) = _gap_with_error(k1, p, q), _gap_with_error(k2, p, q)
    for _ in range(24):
        if g1 < g2:
            high, k2, g2 = k2, k1, g1
            k1 = low + _GOLDEN * (high - low)
            g1, _ = _gap_with_error(k1, p, q)
        else:
            low, k1, g1 = k1, k2, g2
            k2 = high - _GOLDEN * (high - low)
            g2, _ = _gap_with_error(k2, p, q)
    if g1 < best:
        best, at = g1, k1
    return (g2, k2) if g2 < best else (best, at)


@njit(cache=True, error_model="numpy")
def certify_kernel(params: FloatArray, verdict: npt.NDArray[np.int8]) -> None:
    """Fill verdict (n, 4) = (butterfly, lee, positive, calendar with the previous row) with YES, NO or UNDECIDED."""
    for i in range(params.shape[0]):
        a, b, rho, m, sigma = params[i, 0], params[i, 1], params[i, 2], params[i, 3], params[i, 4]
        if not math.isfinite(a + b + rho + m + sigma):
            for c in range(4):
                verdict[i, c] = NO
            continue
        verdict[i, 1] = lee_kernel(b, rho)
        verdict[i, 2] = positive_kernel(a, b, rho, sigma)
        verdict[i, 0] = NO
        verdict[i, 3] = YES
        if verdict[i, 2] != NO and verdict[i, 1] != NO:
            verdict[i, 0] = butterfly_kernel(a, b, rho, m, sigma)
        if i > 0:
            verdict[i, 3] = NO
            if verdict[i, 2] != NO and verdict[i - 1, 2] != NO:
                verdict[i, 3] = calendar_kernel(params[i - 1], params[i])


@njit(cache=True, error_model="numpy")
def _display(params: FloatArray, out: FloatArray) -> None:
    """Fill out (n, 4) with least g, its k, least calendar gap, its k."""
    for i in range(params.shape[0]):
        for c in range(4):
            out[i, c] = np.nan
        if math.isfinite(params[i].sum()) and params[i, 4] > 0.0:
            out[i, 0], out[i, 1] = _least_g(params[i])
            if i > 0 and math.isfinite(params[i - 1].sum()):
                out[i, 2], out[i, 3] = _least_gap(params[i - 1], params[i])


def certify(params: npt.ArrayLike) -> Certificate:
    """Return the `Certificate` of slices in ascending expiry, `params` (n, 5) raw a, b, rho, m, sigma in total
    variance.

    Exact for the doubles given: pass `svi.round_published` parameters, which are what a client reads. A row with NaN
    fails everything, and so does the calendar of the row after it. Microseconds a slice; rational arithmetic (about a
    millisecond) only where doubles cannot decide, counted in `exact_used`.
    """
    rows = np.ascontiguousarray(np.atleast_2d(np.asarray(params, dtype=np.float64)))
    n = rows.shape[0]
    verdict = np.empty((n, 4), dtype=np.int8)
    certify_kernel(rows, verdict)
    used = (verdict == UNDECIDED).sum(axis=1)
    for i in np.flatnonzero(used).tolist():
        row = rows[i].tolist()
        if verdict[i, 1] == UNDECIDED:
            verdict[i, 1] = exact.lee(row)
        if verdict[i, 2] == UNDECIDED:
            verdict[i, 2] = exact.positive(row)
        if verdict[i, 0] == UNDECIDED:
            verdict[i, 0] = bool(verdict[i, 1] and verdict[i, 2]) and exact.butterfly(row)
        if verdict[i, 3] == UNDECIDED:
            verdict[i, 3] = exact.calendar(rows[i - 1].tolist(), row)
    display = np.empty((n, 4))
    _display(rows, display)
    good = verdict == YES
    return Certificate(
        butterfly_ok=good[:, 0] & good[:, 1] & good[:, 2],
        min_g=display[:, 0],
        min_g_k=display[:, 1],
        lee_ok=good[:, 1],
        positive_ok=good[:, 2],
        calendar_ok=good[:, 3],
        calendar_margin=display[:, 2],
        calendar_k=display[:, 3],
        exact_used=used.astype(np.int64),
    )
