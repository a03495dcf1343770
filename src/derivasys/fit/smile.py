"""Free (unconstrained) raw-SVI fits of a whole board in one call."""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.ssvi import raw_from_ssvi
from derivasys.analytics.svi import w_at
from derivasys.fit.descent import descend
from derivasys.fit.slice import FAST, SLOPE_MAX, copy, from_raw, quote_loss, seed, to_raw

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

SPARSE_MAX = 5
"""Slices of at most this many quotes take their shape from a neighbour."""
GOOD_LOSS = 0.06
"""Loss per quote up to which a warm start is not checked against a cold one (0.06: a third of a spread off) …"""
TRUST = 1.25
"""… nor up to this multiple of what the last such check found: stale quotes make every good fit of some slices dear."""
HUBER = 1.0
"""Residual, in bid-ask spreads of iv, from which a quote counts linearly rather than quadratically."""


class FitStatus(IntEnum):
    """How a slice came about."""

    FITTED = 0  # five parameters from its own quotes
    SPARSE_NEIGHBOUR = 1  # 1 to 5 quotes: shape of the nearest fitted expiry, level and what else the quotes say
    SPARSE_DEFAULT = 2  # 1 to 5 quotes and no fitted expiry: a standard SSVI shape, level from the quotes
    NO_QUOTES = 3  # no usable quote: parameters NaN
    NOT_CONVERGED = 4  # best point after the iteration limit; parameters are usable, quality is in rmse_iv


class SmileFits(NamedTuple):
    """Fits of n expiries."""

    params: FloatArray  # (n, 5) raw a, b, rho, m, sigma in total variance; NaN when NO_QUOTES
    start: FloatArray  # (n, 6) the next cycle's `start`: params, and the loss a quote up to which they are trusted
    objective: FloatArray  # (n,) pseudo-Huber sum over the quotes, in squared bid-ask spreads
    rmse_iv: FloatArray  # (n,) root mean square of iv_fit - mid_iv over the quotes, decimal (0.01 = one vol point)
    inside_share: FloatArray  # (n,) share of the quotes whose fitted w lies inside [w_bid, w_ask]
    quotes: IntArray  # (n,) quotes used
    iterations: IntArray  # (n,) Newton steps
    status: npt.NDArray[np.uint8]  # (n,) `FitStatus`


@njit(cache=True, error_model="numpy", fastmath=FAST)
def slice_level(w: FloatArray, weight: FloatArray) -> float:
    """Return the precision-weighted mean of w: the scale of the slice's total variance."""
    total = first = 0.0
    for i in range(w.shape[0]):
        total += weight[i]
        first += weight[i] * w[i]
    return first / total


@njit(cache=True, error_model="numpy")
def slice_bounds(left: float, right: float, level: float, low: FloatArray, high: FloatArray) -> None:
    """Fill the bounds of x = (a, p, q, m, lns): Lee's slopes, m within the quotes (left to right), sigma between 1
    % of the scale and 4 scales or half-ranges.
    """
    scale = math.sqrt(level)
    k_low, k_high = min(left, 0.0), max(right, 0.0)
    low[0], high[0] = -np.inf, np.inf
    low[1], high[1] = 0.0, SLOPE_MAX
    low[2], high[2] = 0.0, SLOPE_MAX
    low[3], high[3] = k_low - scale, k_high + scale
    low[4], high[4] = math.log(0.01 * scale), math.log(4.0 * max(scale, 0.5 * (k_high - k_low)))


@njit(cache=True, error_model="numpy")
def weak_prior(level: float, prior: FloatArray, precision: FloatArray) -> None:
    """Fill the weak prior of a well-quoted slice: SSVI with phi = 1.2 / sqrt(level), worth 0.001 squared spreads."""
    scale = math.sqrt(level)
    prior[0], prior[1], prior[2], prior[3], prior[4] = (
        level,
        0.6 * scale,
        0.6 * scale,
        0.0,
        math.log(0.8 * scale),
    )
    precision[0] = 0.0
    precision[1] = precision[2] = 1e-6 / level
    precision[3] = 0.0002 / level
    precision[4] = 0.0004


@njit(cache=True, error_model="numpy")
def _scaled_neighbour(raw: FloatArray, k: FloatArray, w: FloatArray, weight: FloatArray, out: FloatArray) -> None:
    """Fill out with the neighbour's slice c w(k / sqrt(c)), c by weighted least squares in ln w."""
    c = 1.0
    for _ in range(30):
        root = math.sqrt(c)
        top = bottom = 0.0
        for i in range(k.shape[0]):
            v = weight[i] * w[i] * w[i]
            model = c * w_at(k[i] / root, raw[0], raw[1], raw[2], raw[3], raw[4])
            top += v * math.log(w[i] / model)
            bottom += v
        c *= math.exp(top / bottom)
        if abs(top) <= 1e-12 * bottom:
            break
    root = math.sqrt(c)
    out[0], out[1], out[2], out[3], out[4] = (
        raw[0] * c,
        raw[1] * root,
        raw[2],
        raw[3] * root,
        raw[4] * root,
    )


@njit(cache=True, error_model="numpy", fastmath=FAST)
def _summarise(
    i: int,
    raw: FloatArray,
    k: FloatArray,
    w: FloatArray,
    w_bid: FloatArray,
    w_ask: FloatArray,
    tau: float,
    rmse: FloatArray,
    inside: FloatArray,
) -> None:
    """Fill rmse[i] and inside[i] of one slice."""
    total = hits = 0.0
    a, b, rho, m, s2 = raw[0], raw[1], raw[2], raw[3], raw[4] * raw[4]
    for j in range(k.shape[0]):
        y = k[j] - m
        model = a + b * (rho * y + math.sqrt(y * y + s2))
        error = math.sqrt(max(model, 0.0)) - math.sqrt(w[j])
        total += error * error
        hits += 1.0 if (w_bid[j] <= model) & (model <= w_ask[j]) else 0.0
    count = k.shape[0]
    rmse[i] = math.sqrt(total / (count * tau)) if count else np.nan
    inside[i] = hits / count if count else np.nan


@njit(cache=True, error_model="numpy")
def _fit_own(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    start: FloatArray,
    huber: float,
    raw: FloatArray,
    next_start: FloatArray,
) -> tuple[float, int, bool]:
    """Fit one slice from its own quotes; return (quote loss, iterations, converged)."""
    count = k.shape[0]
    x, other = np.empty(5), np.empty(5)
    low, high, prior, precision = np.empty(5), np.empty(5), np.empty(5), np.empty(5)
    level = slice_level(w, weight)
    slice_bounds(k[0], k[-1], level, low, high)
    weak_prior(level, prior, precision)
    loss, steps, converged, checked = np.inf, 0, False, False
    if start[4] > 0.0 and start[1] > 0.0:
        from_raw(start, x)
        loss, steps, converged = descend(x, k, w, weight, huber, prior, precision, low, high, True)
        trusted = max(GOOD_LOSS, start[5]) if start[5] > 0.0 else GOOD_LOSS
        checked = converged and loss <= trusted * count
        next_start[5] = trusted
    if not checked:
        seed(k, w, weight, huber, math.sqrt(level), low, high, other)
        # A check of a converged start: even an unfinished cold one would have to be better.
        if not converged or quote_loss(other, k, w, weight, huber) < loss:
            reached, more, done = descend(other, k, w, weight, huber, prior, precision, low, high, False)
            steps += more
            if reached < loss:
                copy(other, x)
                loss, converged = reached, done
        next_start[5] = max(GOOD_LOSS, TRUST * loss / count)
    to_raw(x, raw)
    copy(raw, next_start)
    for c in range(5):
        loss -= 0.5 * precision[c] * (x[c] - prior[c]) ** 2
    return loss, steps, converged


@njit(cache=True, error_model="numpy")
def _fit_sparse(
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    shape: FloatArray,
    huber: float,
    raw: FloatArray,
) -> tuple[float, int, bool]:
    """Fit a slice of few quotes: shape scaled to their level, then a fit with that shape as a strong prior."""
    x, prior = np.empty(5), np.empty(5)
    low, high, precision = np.empty(5), np.empty(5), np.empty(5)
    _scaled_neighbour(shape, k, w, weight, raw)
    from_raw(raw, prior)
    slope = 0.5 * (prior[1] + prior[2])
    precision[0] = 0.0
    precision[1] = precision[2] = 1.0 / (0.2 * slope) ** 2
    precision[3] = 1.0 / (0.2 * raw[4]) ** 2
    precision[4] = 1.0 / 0.2**2
    slice_bounds(k[0], k[-1], max(w_at(0.0, raw[0], raw[1], raw[2], raw[3], raw[4]), 1e-12), low, high)
    low[3], high[3] = min(low[3], prior[3]), max(high[3], prior[3])
    low[4], high[4] = min(low[4], prior[4]), max(high[4], prior[4])
    copy(prior, x)
    near = k.shape[0] > 0
    _, steps, converged = descend(x, k, w, weight, huber, prior, precision, low, high, near)
    to_raw(x, raw)
    return quote_loss(x, k, w, weight, huber), steps, converged


@njit(cache=True, error_model="numpy")
def _fit_board(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    w_bid: FloatArray,
    w_ask: FloatArray,
    tau: FloatArray,
    start: FloatArray,
    huber: float,
    params: FloatArray,
    next_start: FloatArray,
    objective: FloatArray,
    rmse: FloatArray,
    inside: FloatArray,
    iterations: IntArray,
    status: npt.NDArray[np.uint8],
) -> None:
    """Fill the outputs: well-quoted expiries first, then the sparse ones from their neighbours."""
    n = tau.shape[0]
    shape = np.empty(5)
    for sparse in (False, True):
        for i in range(n):
            lo, hi = offsets[i], offsets[i + 1]
            count = hi - lo
            if (count <= SPARSE_MAX) != sparse:
                continue
            kk, ww, vv = k[lo:hi], w[lo:hi], weight[lo:hi]
            if count == 0:
                for c in range(6):
                    params[i, min(c, 4)] = next_start[i, c] = np.nan
                objective[i], rmse[i], inside[i], iterations[i], status[i] = (
                    np.nan,
                    np.nan,
                    np.nan,
                    0,
                    3,
                )
                continue
            if not sparse:
                objective[i], iterations[i], converged = _fit_own(kk, ww, vv, start[i], huber, params[i], next_start[i])
                status[i] = 0 if converged else 4
            else:
                nearest = -1
                for j in range(n):
                    own = offsets[j + 1] - offsets[j] > SPARSE_MAX
                    if own and (nearest < 0 or abs(math.log(tau[j] / tau[i])) < abs(math.log(tau[nearest] / tau[i]))):
                        nearest = j
                status[i] = 1 if nearest >= 0 else 2
                if nearest >= 0:
                    copy(params[nearest], shape)
                else:
                    level = slice_level(ww, vv)
                    shape[0], shape[1], shape[2], shape[3], shape[4] = raw_from_ssvi(
                        level, 1.2 * math.sqrt(level), -0.1
                    )
                objective[i], iterations[i], _ = _fit_sparse(kk, ww, vv, shape, huber, params[i])
                copy(params[i], next_start[i])
                next_start[i, 5] = GOOD_LOSS
            _summarise(i, params[i], kk, ww, w_bid[lo:hi], w_ask[lo:hi], tau[i], rmse, inside)


@njit(cache=True, error_model="numpy")
def summarise(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    w_bid: FloatArray,
    w_ask: FloatArray,
    tau: FloatArray,
    params: FloatArray,
    huber: float,
    objective: FloatArray,
    rmse: FloatArray,
    inside: FloatArray,
) -> None:
    """Fill objective, rmse and inside (n,) of given raw parameters; NaN where parameters or quotes are missing."""
    x = np.empty(5)
    for i in range(tau.shape[0]):
        lo, hi = offsets[i], offsets[i + 1]
        objective[i], rmse[i], inside[i] = np.nan, np.nan, np.nan
        if hi > lo and params[i, 4] > 0.0:
            from_raw(params[i], x)
            objective[i] = quote_loss(x, k[lo:hi], w[lo:hi], weight[lo:hi], huber)
            _summarise(i, params[i], k[lo:hi], w[lo:hi], w_bid[lo:hi], w_ask[lo:hi], tau[i], rmse, inside)


def fit_smiles(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    w_bid: FloatArray,
    w_ask: FloatArray,
    tau: FloatArray,
    start: FloatArray | None = None,
    *,
    huber: float = HUBER,
) -> SmileFits:
    """Return the `SmileFits` of n expiries: weighted robust raw-SVI fits without arbitrage constraints.

    CSR layout: quotes offsets[i]:offsets[i+1] of the flat arrays belong to expiry i, k ascending within each
    (`fit.quotes.group_by_expiry`). `w` target total variance, `weight` its precision so that sqrt(weight) (w_fit - w)
    is in bid-ask spreads, `w_bid`, `w_ask` for the share inside, `tau` (n,) years ascending, `start` (n, 6) that
    of the last cycle's result, with NaN rows for a cold start. Deterministic; a warm start changes the work, and the
    answer only by the convergence tolerance (about 1e-8 in iv) where the minimum is unique.
    """
    n = int(tau.shape[0])
    first = np.full((n, 6), np.nan) if start is None else np.ascontiguousarray(start, dtype=np.float64)
    params, objective, rmse, inside = np.empty((n, 5)), np.empty(n), np.empty(n), np.empty(n)
    following = np.empty((n, 6))
    iterations, status = np.empty(n, dtype=np.int64), np.empty(n, dtype=np.uint8)
    _fit_board(
        offsets,
        k,
        w,
        weight,
        w_bid,
        w_ask,
        tau,
        first,
        huber,
        params,
        following,
        objective,
        rmse,
        inside,
        iterations,
        status,
    )
    return SmileFits(params, following, objective, rmse, inside, np.diff(offsets), iterations, status)
