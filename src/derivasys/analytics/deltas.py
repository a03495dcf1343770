"""Log-moneyness of a target delta on SVI slices, by either delta convention."""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.normal import SQRT_2PI, SQRT_HALF, norm_inv
from derivasys.analytics.svi import w_and_derivatives_at

FloatArray = npt.NDArray[np.float64]


class DeltaStatus(IntEnum):
    """Why a node has, or has not, a log-moneyness."""

    OK = 0
    NOT_REACHED = 1  # no strike of this slice has the target delta (premium-adjusted call above its maximum)
    BAD_SLICE = 2  # parameters or tau not usable: NaN, tau <= 0, or total variance not positive


class DeltaNodes(NamedTuple):
    """Nodes of n slices and m targets, each field of shape (n, m)."""

    k: FloatArray  # log-moneyness, NaN unless status is OK
    delta: FloatArray  # delta reached at k in the asked convention; negative for puts
    status: npt.NDArray[np.uint8]  # `DeltaStatus`


_K_LIMIT = 50.0


@njit(cache=True, error_model="numpy")
def _d_and_slope(k: float, p: FloatArray, shift: float) -> tuple[float, float]:
    """Return (d, d') at k, d = -k/sqrt(w) + shift sqrt(w); shift 1/2 gives d1, -1/2 gives d2. NaN where w <= 0."""
    w, w1, _ = w_and_derivatives_at(k, p[0], p[1], p[2], p[3], p[4])
    if not w > 0.0:
        return np.nan, np.nan
    root = math.sqrt(w)
    return -k / root + shift * root, -1.0 / root + 0.5 * w1 / root * (k / w + shift)


@njit(cache=True, error_model="numpy")
def _log_cdf_and_ratio(d: float) -> tuple[float, float]:
    """Return (ln N(d), phi(d) / N(d)), also far in the lower tail."""
    if d > -30.0:
        n = 0.5 * math.erfc(-d * SQRT_HALF)
        return math.log(n), math.exp(-0.5 * d * d) / (SQRT_2PI * n)
    i = 1.0 / (d * d)
    mills = (1.0 - i * (1.0 - 3.0 * i * (1.0 - 5.0 * i))) / -d
    return -0.5 * d * d + math.log(mills / SQRT_2PI), 1.0 / mills


@njit(cache=True, error_model="numpy")
def _objective(k: float, p: FloatArray, goal: float, kind: int) -> tuple[float, float]:
    """Return (f, f') whose root is the node.

    kind 0: d1(k) - goal, decreasing. kind 1: premium-adjusted call, k + ln N(d2) - goal. kind 2: premium-adjusted
    put, k + ln N(-d2) - goal, increasing. kind 3: slope of kind 1 (its root is the maximum of the call delta), f'
    unused.
    """
    if kind == 0:
        d, slope = _d_and_slope(k, p, 0.5)
        return d - goal, slope
    d, slope = _d_and_slope(k, p, -0.5)
    if kind == 2:
        value, ratio = _log_cdf_and_ratio(-d)
        return k + value - goal, 1.0 - ratio * slope
    value, ratio = _log_cdf_and_ratio(d)
    if kind == 3:
        return 1.0 + ratio * slope, 0.0
    return k + value - goal, 1.0 + ratio * slope


@njit(cache=True, error_model="numpy")
def _root(low: float, high: float, p: FloatArray, goal: float, kind: int, rising: bool) -> float:
    """Return the root inside [low, high] by Newton kept in a shrinking bracket; f rises through it when `rising`."""
    k = 0.5 * (low + high)
    for _ in range(200):
        value, slope = _objective(k, p, goal, kind)
        if value == 0.0:
            return k
        if (value > 0.0) == rising:
            high = k
        else:
            low = k
        step = k - value / slope if slope != 0.0 else np.nan
        if not low < step < high:
            step = 0.5 * (low + high)
        if abs(step - k) <= 1e-15 * (1.0 + abs(k)):
            return step
        k = step
    return k


@njit(cache=True, error_model="numpy")
def _edge(
    start: float,
    direction: float,
    scale: float,
    p: FloatArray,
    goal: float,
    kind: int,
    positive: bool,
) -> float:
    """Return the first k away from start where f has the asked sign; NaN if there is none within |k| = 50."""
    step = scale
    k = start
    while abs(k) < _K_LIMIT:
        value = _objective(k, p, goal, kind)[0]
        if (value > 0.0) == positive and value != 0.0:
            return k
        k = k + direction * step
        step *= 1.6
    return np.nan


@njit(cache=True, error_model="numpy")
def _solve_one(p: FloatArray, magnitude: float, is_call: bool, premium_adjusted: bool) -> tuple[float, int]:
    """Return (k, status) of one target |delta| = magnitude on one slice."""
    w0 = w_and_derivatives_at(0.0, p[0], p[1], p[2], p[3], p[4])[0]
    if not (w0 > 0.0 and w0 < 1e6 and p[4] >= 0.0):
        return np.nan, 2
    if not 0.0 < magnitude < 1.0 and not (premium_adjusted and not is_call and magnitude > 0.0):
        return np.nan, 1
    scale = 0.5 * math.sqrt(w0)
    if not premium_adjusted:
        goal = norm_inv(magnitude if is_call else 1.0 - magnitude)
        if not is_call:
            goal = -norm_inv(magnitude)
        kind, rising, start = 0, False, 0.0
    elif is_call:
        goal, kind, rising = math.log(magnitude), 1, False
        left = _edge(0.0, -1.0, scale, p, 0.0, 3, True)
        right = _edge(0.0, 1.0, scale, p, 0.0, 3, False)
        if math.isnan(left) or math.isnan(right):
            return np.nan, 1
        start = _root(left, right, p, 0.0, 3, False)
        if _objective(start, p, goal, 1)[0] < 0.0:
            return np.nan, 1
        high = _edge(start, 1.0, scale, p, goal, 1, False)
        return (np.nan, 1) if math.isnan(high) else (_root(start, high, p, goal, 1, False), 0)
    else:
        goal, kind, rising, start = math.log(magnitude), 2, True, 0.0
    low = _edge(start, -1.0, scale, p, goal, kind, not rising)
    high = _edge(start, 1.0, scale, p, goal, kind, rising)
    if math.isnan(low) or math.isnan(high):
        return np.nan, 1
    return _root(low, high, p, goal, kind, rising), 0


@njit(cache=True, error_model="numpy")
def delta_at(k: float, p: FloatArray, is_call: bool, premium_adjusted: bool) -> float:
    """Return the delta at k on slice p: N(d1) or N(d1) - 1, premium-adjusted e**k N(d2) or -e**k N(-d2)."""
    d, _ = _d_and_slope(k, p, -0.5 if premium_adjusted else 0.5)
    sign = 1.0 if is_call else -1.0
    value = sign * 0.5 * math.erfc(-sign * d * SQRT_HALF)
    return value * math.exp(k) if premium_adjusted else value


@njit(cache=True, error_model="numpy")
def _solve_all(
    params: FloatArray,
    tau: FloatArray,
    targets: FloatArray,
    is_call: npt.NDArray[np.bool_],
    premium_adjusted: bool,
    k: FloatArray,
    delta: FloatArray,
    status: npt.NDArray[np.uint8],
) -> None:
    for i in range(params.shape[0]):
        for j in range(targets.shape[0]):
            root, code = (
                _solve_one(params[i], abs(targets[j]), is_call[j], premium_adjusted) if tau[i] > 0.0 else (np.nan, 2)
            )
            k[i, j] = root
            status[i, j] = code
            delta[i, j] = delta_at(root, params[i], is_call[j], premium_adjusted) if code == 0 else np.nan


def delta_nodes(
    params: npt.ArrayLike,
    tau: npt.ArrayLike,
    targets: npt.ArrayLike,
    is_call: npt.ArrayLike,
    premium_adjusted: bool = False,
) -> DeltaNodes:
    """Return `DeltaNodes` (k, delta reached, status; each (n, m)) of m target deltas on n slices.

    `params` (n, 5) raw SVI in total variance, `tau` (n,) years, `targets` (m,) deltas whose sign is ignored (0.25 and
    -0.25 are the same put), `is_call` (m,). Forward delta: N(d1) for a call, N(d1) - 1 for a put. Premium-adjusted
    (coin-settled): e**k N(d2) and -e**k N(-d2); the call's is not monotone in strike and is searched only right of
    its maximum, so a target above the maximum is NOT_REACHED. The volatility at a node is sqrt(w(k) / tau).
    """
    slices = np.ascontiguousarray(np.atleast_2d(np.asarray(params, dtype=np.float64)))
    taus = np.ascontiguousarray(np.broadcast_to(np.asarray(tau, dtype=np.float64), slices.shape[:1]))
    goals = np.ascontiguousarray(np.atleast_1d(np.asarray(targets, dtype=np.float64)))
    calls = np.ascontiguousarray(np.broadcast_to(np.asarray(is_call, dtype=np.bool_), goals.shape))
    shape = (slices.shape[0], goals.shape[0])
    k, delta, status = np.empty(shape), np.empty(shape), np.empty(shape, dtype=np.uint8)
    _solve_all(slices, taus, goals, calls, premium_adjusted, k, delta, status)
    return DeltaNodes(k, delta, status)
