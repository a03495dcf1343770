"""The surface at fixed tenors: linear in total variance between two expiries, at constant log-moneyness.

That is the market's habit and keeps calendar order between certified slices; it does not by itself keep butterfly.
Outside the listed expiries the nearest slice is scaled in time, w·(tau/tau_i), and the row is flagged.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from derivasys.analytics.normal import norm_inv
from derivasys.analytics.svi import w_at
from derivasys.nodes.deltas import ATM, NODES, TARGETS

Floats = NDArray[np.float64]

TENORS: dict[str, int] = {
    "1D": 1, "2D": 2, "3D": 3, "1W": 7, "2W": 14, "3W": 21,
    "1M": 30, "2M": 60, "3M": 90, "6M": 180, "9M": 270, "1Y": 365,
}  # fmt: skip
"""Days by label."""
TENOR_TAU = np.array(list(TENORS.values()), np.float64) / 365.0
_D1 = np.array([norm_inv(1.0 + t if t < 0 else t) if at != ATM else 0.0 for at, t in enumerate(TARGETS)])
"""d1 at each node's target: N(d1) is the call's delta, 1 + the put's."""
_ITERATIONS_MAX = 60


class TenorNodes(NamedTuple):
    """The surface at T tenors. Rows are NaN when no smile is fitted."""

    forward: Floats  # (T,) log-linear in tau, quote currency
    vol: Floats  # (T, 17), decimal
    k: Floats  # (T, 17)
    is_extrapolated: NDArray[np.bool_]  # (T,)


def solve(params: Floats, tau: Floats, forward: Floats) -> TenorNodes:
    """Return the nodes at TENORS of a surface of n smiles in order of tau, all with finite parameters."""
    count = len(TENOR_TAU)
    vol, k = np.full((count, len(NODES)), np.nan), np.full((count, len(NODES)), np.nan)
    if not len(tau):
        return TenorNodes(np.full(count, np.nan), vol, k, np.ones(count, np.bool_))
    after = np.clip(np.searchsorted(tau, TENOR_TAU), 1, max(len(tau) - 1, 1))
    left, right = after - 1, np.minimum(after, len(tau) - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(right > left, (TENOR_TAU - tau[left]) / (tau[right] - tau[left]), 0.0)
    is_extrapolated = (tau[0] > TENOR_TAU) | (tau[-1] < TENOR_TAU)
    low = np.where(is_extrapolated & (tau[0] > TENOR_TAU), 0, left)
    low = np.where(is_extrapolated & (tau[-1] < TENOR_TAU), len(tau) - 1, low)
    weight_low = np.where(is_extrapolated, TENOR_TAU / tau[low], 1.0 - share)
    weight_high = np.where(is_extrapolated, 0.0, share)
    _solve(params, low, right, weight_low, weight_high, _D1, k, vol)
    vol = np.sqrt(vol / TENOR_TAU[:, None])
    inner = np.clip(share, 0.0, 1.0)
    forwards = np.exp((1.0 - inner) * np.log(forward[low]) + inner * np.log(forward[right]))
    forwards = np.where(is_extrapolated, forward[low], forwards)
    return TenorNodes(forwards, vol, k, is_extrapolated)


@njit(cache=True, error_model="numpy")
def _solve(
    params: Floats, low: NDArray[np.int64], high: NDArray[np.int64], weight_low: Floats,
    weight_high: Floats, d1: Floats, k: Floats, w: Floats,
) -> None:  # fmt: skip
    """Fill k and w of every tenor and node: the root of d1(k) = target by bracketing and regula falsi."""
    atm = len(d1) // 2
    for i in range(k.shape[0]):
        p, q, u, v = params[low[i]], params[high[i]], weight_low[i], weight_high[i]
        w0 = _mixed(0.0, p, q, u, v)
        if not w0 > 0.0:
            continue
        k[i, atm], w[i, atm] = 0.0, w0
        for j in range(len(d1)):
            if j == atm:
                continue
            root = _root(d1[j], math.sqrt(w0), p, q, u, v)
            k[i, j] = root
            w[i, j] = _mixed(root, p, q, u, v)


@njit(cache=True, error_model="numpy")
def _mixed(k: float, p: Floats, q: Floats, u: float, v: float) -> float:
    """Return u w_p(k) + v w_q(k)."""
    w = u * w_at(k, p[0], p[1], p[2], p[3], p[4])
    if v != 0.0:
        w += v * w_at(k, q[0], q[1], q[2], q[3], q[4])
    return w


@njit(cache=True, error_model="numpy")
def _excess(k: float, target: float, p: Floats, q: Floats, u: float, v: float) -> float:
    """Return d1(k) − target, NaN where the total variance is not positive."""
    w = _mixed(k, p, q, u, v)
    if not w > 0.0:
        return np.nan
    s = math.sqrt(w)
    return -k / s + 0.5 * s - target


@njit(cache=True, error_model="numpy")
def _root(target: float, scale: float, p: Floats, q: Floats, u: float, v: float) -> float:
    """Return k with d1(k) = target; NaN when no sign change lies within 60 standard deviations."""
    at = 0.0
    value = _excess(at, target, p, q, u, v)
    step = scale if value > 0.0 else -scale
    for _ in range(60):
        there = at + step
        value_there = _excess(there, target, p, q, u, v)
        if value_there != value_there:
            return np.nan
        if (value_there > 0.0) != (value > 0.0):
            break
        at, value = there, value_there
    else:
        return np.nan
    # Illinois' modification of regula falsi: superlinear, and never leaves the bracket.
    for _ in range(_ITERATIONS_MAX):
        middle = there - value_there * (there - at) / (value_there - value)
        value_middle = _excess(middle, target, p, q, u, v)
        if abs(value_middle) < 1e-13 or abs(there - at) < 1e-15:
            return middle
        if (value_middle > 0.0) != (value_there > 0.0):
            at, value = there, value_there
        else:
            value *= 0.5
        there, value_there = middle, value_middle
    return there
