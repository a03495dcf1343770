"""Free fit of one raw SVI slice: seed, then Levenberg-Marquardt, as kernels over one slice's quotes.

The unknowns are x = (a, p, q, m, lns): p = b (1 + rho) and q = b (1 - rho) are the slopes of the right and left wing,
lns = ln sigma. So w = a + p up + q um with up, um = (R +- y)/2, y = k - m, R = sqrt(y**2 + sigma**2): linear in (a,
p, q), |rho| <= 1 is p, q >= 0 and Lee's bound is p, q <= 2, all plain bounds. The objective is
sum delta**2 (sqrt(1 + weight (w(k_i) - w_i)**2 / delta**2) - 1) + a weak quadratic prior (pseudo-Huber: residuals
of one bid-ask spread are quadratic, many spreads are linear; the prior makes the minimum unique where quotes do not).
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]

P, Q, M, LNS = 1, 2, 3, 4
SLOPE_MAX = 2.0
FAST = {"contract", "reassoc", "nsz", "arcp"}


@njit(cache=True, error_model="numpy")
def to_raw(x: FloatArray, out: FloatArray) -> None:
    """Fill out with raw (a, b, rho, m, sigma) of x = (a, p, q, m, lns)."""
    b = 0.5 * (x[1] + x[2])
    out[0] = x[0]
    out[1] = b
    out[2] = min(1.0, max(-1.0, 0.5 * (x[1] - x[2]) / b)) if b > 0.0 else 0.0
    out[3] = x[3]
    out[4] = math.exp(x[4])


@njit(cache=True, error_model="numpy")
def from_raw(raw: FloatArray, x: FloatArray) -> None:
    """Fill x = (a, p, q, m, lns) from raw (a, b, rho, m, sigma)."""
    x[0] = raw[0]
    x[1] = raw[1] * (1.0 + raw[2])
    x[2] = raw[1] * (1.0 - raw[2])
    x[3] = raw[3]
    x[4] = math.log(raw[4])


@njit(cache=True, error_model="numpy", fastmath=FAST)
def quote_loss(x: FloatArray, k: FloatArray, w: FloatArray, weight: FloatArray, huber: float) -> float:
    """Return the pseudo-Huber sum over the quotes."""
    sigma = math.exp(x[4])
    s2 = sigma * sigma
    total = 0.0
    inverse = 1.0 / (huber * huber)
    for i in range(k.shape[0]):
        y = k[i] - x[3]
        r = math.sqrt(y * y + s2)
        error = x[0] + 0.5 * x[1] * (r + y) + 0.5 * x[2] * (r - y) - w[i]
        z = weight[i] * error * error * inverse
        total += z / (1.0 + math.sqrt(1.0 + z))
    return total * huber * huber


@njit(cache=True, error_model="numpy", fastmath=FAST)
def quote_newton(
    x: FloatArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    huber: float,
    gradient: FloatArray,
    hessian: FloatArray,
    exact: bool,
) -> float:
    """Return the quotes' loss; fill its gradient (5,) and Gauss-Newton Hessian (lower triangle of (5, 5)).

    `exact` uses the loss's second derivative (fast near the minimum), otherwise the reweighted least-squares weight,
    which bounds the loss from above and so makes safe steps from far away.
    """
    sigma = math.exp(x[4])
    s2 = sigma * sigma
    a, p, q, m = x[0], x[1], x[2], x[3]
    b = 0.5 * (p + q)
    inverse = 1.0 / (huber * huber)
    loss = 0.0
    g0 = g1 = g2 = g3 = g4 = 0.0
    h00 = h10 = h11 = h20 = h21 = h22 = h30 = h31 = h32 = h33 = h40 = h41 = h42 = h43 = h44 = 0.0
    for i in range(k.shape[0]):
        y = k[i] - m
        r2 = y * y + s2
        r = math.sqrt(r2)
        up = 0.5 * (r + y)
        um = 0.5 * (r - y)
        ir = 1.0 / r
        error = a + p * up + q * um - w[i]
        z = weight[i] * error * error * inverse
        root = math.sqrt(1.0 + z)
        ir_root = 1.0 / root
        loss += z / (1.0 + root)
        first = weight[i] * error * ir_root
        second = weight[i] * ir_root * (ir_root * ir_root if exact else 1.0)
        d3 = (q * um - p * up) * ir
        d4 = b * s2 * ir
        g0 += first
        g1 += first * up
        g2 += first * um
        g3 += first * d3
        g4 += first * d4
        h00 += second
        h10 += second * up
        h11 += second * up * up
        h20 += second * um
        h21 += second * um * up
        h22 += second * um * um
        h30 += second * d3
        h31 += second * d3 * up
        h32 += second * d3 * um
        h33 += second * d3 * d3
        h40 += second * d4
        h41 += second * d4 * up
        h42 += second * d4 * um
        h43 += second * d4 * d3
        h44 += second * d4 * d4
    gradient[0], gradient[1], gradient[2], gradient[3], gradient[4] = g0, g1, g2, g3, g4
    hessian[0, 0], hessian[1, 0], hessian[1, 1], hessian[2, 0], hessian[2, 1] = (
        h00,
        h10,
        h11,
        h20,
        h21,
    )
    hessian[2, 2], hessian[3, 0], hessian[3, 1], hessian[3, 2], hessian[3, 3] = (
        h22,
        h30,
        h31,
        h32,
        h33,
    )
    hessian[4, 0], hessian[4, 1], hessian[4, 2], hessian[4, 3], hessian[4, 4] = (
        h40,
        h41,
        h42,
        h43,
        h44,
    )
    return loss * huber * huber


@njit(cache=True, error_model="numpy", fastmath=FAST)
def add_curvature(
    x: FloatArray, k: FloatArray, w: FloatArray, weight: FloatArray, huber: float, hessian: FloatArray
) -> None:
    """Add sum of (d loss / d w_i) times the Hessian of w(k_i) to the lower triangle: what Gauss-Newton leaves out."""
    s2 = math.exp(2.0 * x[4])
    a, p, q, m = x[0], x[1], x[2], x[3]
    b = 0.5 * (p + q)
    inverse = 1.0 / (huber * huber)
    c_pm = c_qm = c_pl = c_mm = c_ml = c_ll = 0.0
    for i in range(k.shape[0]):
        y = k[i] - m
        r = math.sqrt(y * y + s2)
        up = 0.5 * (r + y)
        um = 0.5 * (r - y)
        ir = 1.0 / r
        error = a + p * up + q * um - w[i]
        force = weight[i] * error / math.sqrt(1.0 + weight[i] * error * error * inverse)
        c_pm -= force * up * ir
        c_qm += force * um * ir
        c_pl += force * 0.5 * s2 * ir
        cube = force * b * s2 * ir * ir * ir
        c_mm += cube
        c_ml += cube * y
        c_ll += force * b * s2 * ir * (2.0 - s2 * ir * ir)
    hessian[3, 1] += c_pm
    hessian[3, 2] += c_qm
    hessian[4, 1] += c_pl
    hessian[4, 2] += c_pl
    hessian[3, 3] += c_mm
    hessian[4, 3] += c_ml
    hessian[4, 4] += c_ll


@njit(cache=True, error_model="numpy")
def copy(source: FloatArray, target: FloatArray) -> None:
    """Copy five numbers (compiles far faster than a slice assignment, which carries its error messages)."""
    for c in range(5):
        target[c] = source[c]


@njit(cache=True, error_model="numpy", fastmath=FAST)
def centre_and_spread(k: FloatArray, weight: FloatArray) -> tuple[float, float]:
    """Return the weighted mean and standard deviation of k."""
    total = first = 0.0
    for i in range(k.shape[0]):
        total += weight[i]
        first += weight[i] * k[i]
    centre = first / total
    second = 0.0
    for i in range(k.shape[0]):
        second += weight[i] * (k[i] - centre) ** 2
    return centre, math.sqrt(second / total)


@njit(cache=True, error_model="numpy")
def clip(x: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Move x onto its bounds, and `a` up until the minimum of w is not negative."""
    for j in range(1, 5):
        x[j] = min(max(x[j], low[j]), high[j])
    x[0] = max(x[0], -math.exp(x[4]) * math.sqrt(x[1] * x[2]))


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _linear_sums(m: float, sigma: float, k: FloatArray, w: FloatArray, weight: FloatArray, out: FloatArray) -> None:
    """Fill out with the weighted sums of the linear problem in (a, p, q) at fixed (m, sigma)."""
    s2 = sigma * sigma
    t00 = t01 = t11 = t02 = t12 = t22 = r0 = r1 = r2 = 0.0
    for i in range(k.shape[0]):
        y = k[i] - m
        r = math.sqrt(y * y + s2)
        up = 0.5 * (r + y)
        um = 0.5 * (r - y)
        v = weight[i]
        t00 += v
        t01 += v * up
        t11 += v * up * up
        t02 += v * um
        t12 += v * up * um
        t22 += v * um * um
        r0 += v * w[i]
        r1 += v * up * w[i]
        r2 += v * um * w[i]
    out[0], out[1], out[2], out[3], out[4], out[5] = t00, t01, t11, t02, t12, t22
    out[6], out[7], out[8] = r0, r1, r2


@njit(cache=True, error_model="numpy")
def _linear_solve(t: FloatArray, ridge: float, x: FloatArray) -> None:
    """Set x[0:3] to the least-squares (a, p, q) with 0 <= p, q <= 2, by elimination of a and clipping."""
    c11 = t[2] - t[1] * t[1] / t[0] + ridge
    c12 = t[4] - t[1] * t[3] / t[0]
    c22 = t[5] - t[3] * t[3] / t[0] + ridge
    b1 = t[7] - t[1] * t[6] / t[0]
    b2 = t[8] - t[3] * t[6] / t[0]
    determinant = c11 * c22 - c12 * c12
    p = (b1 * c22 - b2 * c12) / determinant
    q = (b2 * c11 - b1 * c12) / determinant
    if not (0.0 <= p <= SLOPE_MAX and 0.0 <= q <= SLOPE_MAX):
        p_edge = min(max(p, 0.0), SLOPE_MAX)
        q_edge = min(max(q, 0.0), SLOPE_MAX)
        if p_edge != p:
            p = p_edge
            q = min(max((b2 - c12 * p) / c22, 0.0), SLOPE_MAX)
        else:
            q = q_edge
            p = min(max((b1 - c12 * q) / c11, 0.0), SLOPE_MAX)
    x[0] = (t[6] - t[1] * p - t[3] * q) / t[0]
    x[1], x[2] = p, q


@njit(cache=True, error_model="numpy")
def seed(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    huber: float,
    scale: float,
    low: FloatArray,
    high: FloatArray,
    x: FloatArray,
) -> float:
    """Set x to the best of 25 closed-form fits on a grid of (m, sigma) in units of scale; return its loss.

    Slices of more than 24 quotes are thinned evenly for the search (not for the fit).
    """
    count = k.shape[0]
    stride = (count + 23) // 24
    ks, ws, vs = k[::stride].copy(), w[::stride].copy(), weight[::stride].copy()
    sums = np.empty(9)
    trial = np.empty(5)
    best = np.inf
    for m_unit in (-1.2, -0.45, 0.0, 0.45, 1.2):
        for s_unit in (0.08, 0.3, 0.8, 1.8, 4.0):
            trial[3] = m_unit * scale
            trial[4] = math.log(s_unit * scale)
            _linear_sums(trial[3], s_unit * scale, ks, ws, vs, sums)
            _linear_solve(sums, 1e-9 * sums[0] * scale * scale, trial)
            clip(trial, low, high)
            loss = quote_loss(trial, ks, ws, vs, huber)
            if loss < best:
                best = loss
                copy(trial, x)
    return best
