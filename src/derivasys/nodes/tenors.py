"""The surface at fixed tenors, free of static arbitrage with the expiries and with one another.

Between two expiries a row is linear in total variance at constant log-moneyness: the market's habit, calendar order
kept, butterfly proved row by row (`analytics.term_proof`). Should the proof fail for one row, all rows between those
expiries become convex combinations of prices, which keep both by construction. Outside the listed expiries the row is
the nearest slice, scaled or shifted in time, with the exact certificate, and flagged. See `analytics.term`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from derivasys.analytics.arbitrage import NO, YES
from derivasys.analytics.term import CONVEX, LINEAR, WIDTH, make_convex, place
from derivasys.analytics.term_proof import curve_butterfly
from derivasys.nodes.deltas import NODES, solve_curves
from derivasys.smiles import DeltaConvention
from derivasys.surface import CERTIFIED, UNCHECKED, VIOLATED

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TENORS: dict[str, int] = {
    "1D": 1, "2D": 2, "3D": 3, "1W": 7, "2W": 14, "3W": 21,
    "1M": 30, "2M": 60, "3M": 90, "6M": 180, "9M": 270, "1Y": 365,
}  # fmt: skip
"""Days by label."""
TENOR_TAU = np.array(list(TENORS.values()), np.float64) / 365.0
INDEX_TAU = 30.0 / 365.0
"""Of the variance index."""


class TenorNodes(NamedTuple):
    """The surface at T tenors. Numbers are NaN when no smile is fitted."""

    forward: Floats  # (T,) log-linear in tau, quote currency
    vol: Floats  # (T, 17), decimal
    k: Floats  # (T, 17)
    is_extrapolated: NDArray[np.bool_]  # (T,)
    method: Ints  # (T,) index into analytics.term.METHODS
    butterfly: Ints  # (T,) index into surface.VERDICTS: proved on the whole line, disproved, neither
    calendar: Ints  # (T,) … against the expiries around it and the rows between them
    curves: Floats  # (T, 12) of analytics.term

    @property
    def labels(self) -> tuple[str, ...]:
        """The tenors' labels, by row."""
        return tuple(TENORS)

    @property
    def tau(self) -> Floats:
        """The tenors in years."""
        return TENOR_TAU


def solve(
    params: Floats,
    tau: Floats,
    forward: Floats,
    is_certified: NDArray[np.bool_],
    convention: DeltaConvention = "forward",
) -> TenorNodes:
    """Return the nodes at TENORS of a surface of n smiles in order of tau, all with finite parameters.

    `is_certified` (n,): whether each smile's own butterfly, calendar and Lee verdicts hold, on which the rows' rest.
    """
    count = len(TENOR_TAU)
    shape = (count, len(NODES))
    w, k, curves = np.full(shape, np.nan), np.full(shape, np.nan), np.full((count, WIDTH), np.nan)
    method, proof = np.zeros(count, np.int64), np.full(count, -1, np.int64)
    left, right = np.zeros(count, np.int64), np.zeros(count, np.int64)
    unchecked = np.full(count, UNCHECKED, np.int64)
    if not len(tau):
        nothing = np.full(count, np.nan)
        return TenorNodes(nothing, w, k, np.ones(count, np.bool_), method, unchecked, unchecked, curves)
    _place_all(TENOR_TAU, np.ascontiguousarray(tau), np.ascontiguousarray(params), curves, method, left, right, proof)
    solve_curves(curves, method, convention, k, w)
    rests = is_certified[left] & is_certified[right]
    verdict = np.where(proof == YES, CERTIFIED, np.where(proof == NO, VIOLATED, UNCHECKED))
    span = np.where(right > left, tau[right] - tau[left], 1.0)
    share = np.where(right > left, (TENOR_TAU - tau[left]) / span, 0.0)
    return TenorNodes(
        forward=forward[left] * (forward[right] / forward[left]) ** share,
        vol=np.sqrt(w / TENOR_TAU[:, None]),
        k=k,
        is_extrapolated=(tau[0] > TENOR_TAU) | (tau[-1] < TENOR_TAU),
        method=method,
        butterfly=np.where(rests, verdict, UNCHECKED),
        calendar=np.where(rests, CERTIFIED, UNCHECKED),
        curves=curves,
    )


def variance_index(variance_swap_w: Floats, tau: Floats) -> float:
    """Return the 30-day variance-swap vol, decimal: total variance swap linear in tau between the expiries around it.

    As the published volatility indices are formed. NaN where 30 days lie outside the expiries: never extrapolated.
    """
    good = np.isfinite(variance_swap_w)
    w, at = variance_swap_w[good], tau[good]
    if not len(at) or not at[0] <= INDEX_TAU <= at[-1]:
        return math.nan
    return math.sqrt(float(np.interp(INDEX_TAU, at, w)) / INDEX_TAU)


@njit(cache=True, error_model="numpy")
def _place_all(
    targets: Floats, tau: Floats, params: Floats, curves: Floats, method: Ints, left: Ints, right: Ints, proof: Ints
) -> None:
    """Fill every row's curve, its method, the slices it rests on, and the proof of its butterfly (YES, NO, else)."""
    for i in range(targets.shape[0]):
        method[i], left[i], right[i] = place(targets[i], tau, params, curves[i])
        proof[i] = curve_butterfly(curves[i], method[i])
    for i in range(targets.shape[0]):
        if method[i] != LINEAR or proof[i] == YES:
            continue
        for j in range(targets.shape[0]):  # one method between two expiries, or rows of different ones could cross
            if method[j] == LINEAR and left[j] == left[i]:
                make_convex(curves[j])
                method[j], proof[j] = CONVEX, YES
