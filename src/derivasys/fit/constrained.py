"""A certified surface from quotes: free fit, joint constrained fit, rounding, exact certificate, fallbacks.

The certificate is about the published parameters: nine significant digits, as a client reads them. A slice that
cannot be certified is rejected with its reasons, never published as if it were.
"""

import math
from enum import IntEnum, IntFlag
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.arbitrage import NO, YES, Certificate, certify, certify_kernel
from derivasys.analytics.svi import round_published
from derivasys.fit.essvi import essvi_board
from derivasys.fit.imposed import SLOPE_TOP
from derivasys.fit.joint import solve_joint
from derivasys.fit.slice import centre_and_spread, copy, from_raw, to_raw
from derivasys.fit.smile import (
    HUBER,
    SPARSE_MAX,
    SmileFits,
    fit_smiles,
    slice_bounds,
    slice_level,
    summarise,
    weak_prior,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


class FitState(IntEnum):
    """What a published slice is."""

    FITTED = 0  # from this cycle's quotes, certified
    HELD = 1  # no usable quotes: the last parameters, moved only as far as the certificate needs; certified
    REJECTED = 2  # nothing to publish; see the reasons


class FitReason(IntFlag):
    """Remarks on a slice; several may apply."""

    NONE = 0
    NO_QUOTES = 1  # no usable quote in this cycle
    SPARSE = 2  # at most 5 usable quotes: shape from a neighbour or a standard one
    ESSVI = 4  # the three-parameter fallback, because five parameters could not be certified
    NOT_CONVERGED = 8  # iteration limit: certified, but a better certified fit may exist
    BUTTERFLY = 16  # rejected: butterfly arbitrage could not be removed
    CALENDAR = 32  # rejected: calendar arbitrage against the slice before could not be removed
    UNCONSTRAINED = 64  # the free fit itself passed the certificate


class BoardFit(NamedTuple):
    """Certified fits of n expiries, with what the certificate cost."""

    params: FloatArray  # (n, 5) published raw a, b, rho, m, sigma (9 digits); NaN where rejected
    state: npt.NDArray[np.uint8]  # (n,) `FitState`
    reasons: npt.NDArray[np.uint8]  # (n,) `FitReason` bits
    objective: (
        FloatArray  # (n,) loss of the published slice, squared bid-ask spreads; free.objective without constraints
    )
    rmse_iv: FloatArray  # (n,) of the published slice, decimal
    inside_share: FloatArray  # (n,) of the published slice; free.inside_share without constraints
    certificate: (
        Certificate  # of the published slices, in the order given; rejected rows fail, the next row is compared with
    )
    # the last published one before it
    free: SmileFits  # the free fits, whose `start` is the next cycle's free_start
    iterations: int  # joint iterations in all


@njit(cache=True, error_model="numpy")
def _prepare(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    free: FloatArray,
    held: FloatArray,
    x: FloatArray,
    prior: FloatArray,
    precision: FloatArray,
    low: FloatArray,
    high: FloatArray,
    level: FloatArray,
    nodes: FloatArray,
) -> None:
    """Fill the joint problem's inputs per slice from its free fit, or from the held parameters where it has no
    quotes.
    """
    for i in range(x.shape[0]):
        lo, hi = offsets[i], offsets[i + 1]
        count = hi - lo
        from_raw(free[i] if count > 0 else held[i], x[i])
        sigma = math.exp(x[i, 4])
        r = math.sqrt(x[i, 3] ** 2 + sigma * sigma)
        at_money = x[i, 0] + 0.5 * x[i, 1] * (r - x[i, 3]) + 0.5 * x[i, 2] * (r + x[i, 3])
        level[i] = slice_level(w[lo:hi], weight[lo:hi]) if count > 0 else max(at_money, 1e-12)
        scale = math.sqrt(level[i])
        left, right = (k[lo], k[hi - 1]) if count > 0 else (-scale, scale)
        slice_bounds(left, right, level[i], low[i], high[i])
        weak_prior(level[i], prior[i], precision[i])
        if count <= SPARSE_MAX:
            tight = 0.2 if count > 0 else 0.01
            copy(x[i], prior[i])
            slope = tight * 0.5 * (x[i, 1] + x[i, 2])
            precision[i, 0] = 0.0 if count > 0 else 1.0 / (tight * level[i]) ** 2
            precision[i, 1] = precision[i, 2] = 1.0 / slope**2
            precision[i, 3] = 1.0 / (tight * sigma) ** 2
            precision[i, 4] = 1.0 / tight**2
        # Neighbours may force a wider smile on a slice than its own quotes would.
        low[i, 3], high[i, 3], high[i, 4] = low[i, 3] - 2.0 * scale, high[i, 3] + 2.0 * scale, high[i, 4] + WIDER
        low[i, 1] = low[i, 2] = 1e-4 * scale
        high[i, 1] = high[i, 2] = SLOPE_TOP
        for c in range(1, 5):
            if c > 2:
                low[i, c], high[i, c] = min(low[i, c], x[i, c]), max(high[i, c], x[i, c])
            x[i, c] = min(max(x[i, c], low[i, c]), high[i, c])
        centre, spread = 0.0, scale
        if count > 2:
            centre, spread = centre_and_spread(k[lo:hi], weight[lo:hi])
            spread *= 1.2
        spread = max(spread, 0.1 * scale)
        nodes[i, 0], nodes[i, 1], nodes[i, 2] = centre - spread, centre, centre + spread


@njit(cache=True, error_model="numpy")
def _widen(x: FloatArray, low: FloatArray, high: FloatArray) -> None:
    """Widen the bounds of m and lns to include x, and clip the slopes of x."""
    for i in range(x.shape[0]):
        for c in range(1, 5):
            if c > 2:
                low[i, c], high[i, c] = min(low[i, c], x[i, c]), max(high[i, c], x[i, c])
            else:
                x[i, c] = min(max(x[i, c], low[i, c]), high[i, c])


@njit(cache=True, error_model="numpy")
def _raw_rows(x: FloatArray, out: FloatArray) -> None:
    """Fill out (n, 5) with raw parameters of x."""
    for i in range(x.shape[0]):
        to_raw(x[i], out[i])


def _published(x: FloatArray) -> tuple[FloatArray, npt.NDArray[np.int8]]:
    """Return (rounded raw parameters, verdicts of the compiled certificate) of x."""
    rows, verdict = np.empty_like(x), np.empty((x.shape[0], 4), dtype=np.int8)
    _raw_rows(x, rows)
    rounded = round_published(rows)
    certify_kernel(rounded, verdict)
    return rounded, verdict


class _Problem(NamedTuple):
    """The arrays of one joint problem, slices with quotes or held parameters only."""

    offsets: IntArray
    k: FloatArray
    w: FloatArray
    weight: FloatArray
    huber: float
    prior: FloatArray
    precision: FloatArray
    low: FloatArray
    high: FloatArray
    level: FloatArray
    nodes: FloatArray


def _problem(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    huber: float,
    free: FloatArray,
    last: FloatArray,
) -> tuple[_Problem, FloatArray]:
    """Return (joint problem, free fits in its variables)."""
    n = last.shape[0]
    shape = (n, 5)
    x_free, prior, precision = np.empty(shape), np.empty(shape), np.empty(shape)
    low, high, level, nodes = np.empty(shape), np.empty(shape), np.empty(n), np.empty((n, 3))
    _prepare(offsets, k, w, weight, free, last, x_free, prior, precision, low, high, level, nodes)
    return _Problem(offsets, k, w, weight, huber, prior, precision, low, high, level, nodes), x_free


def reference_problem(
    offsets: IntArray, k: FloatArray, w: FloatArray, weight: FloatArray, free: FloatArray
) -> tuple[_Problem, FloatArray, FloatArray]:
    """Return (joint problem, free fits, eSSVI board), so that other solvers can be given the same (`bench/reference`).

    Variables (a, p, q, m, lns) of `fit.slice`; slices with quotes only.
    """
    problem, x_free = _problem(offsets, k, w, weight, HUBER, free, np.full_like(free, np.nan))
    return problem, x_free, _essvi(problem, x_free)


WIDER = math.log(4.0)
"""How much further ln sigma may go in the joint fit than in a free one."""
_SAFETIES = (1.0, 20.0, 400.0)


def _solve(
    problem: _Problem, x: FloatArray, warm: bool, iterations_max: int, tolerance: float
) -> tuple[FloatArray | None, FloatArray, bool, int]:
    """Return (certified published rows or None, last rows, converged, iterations), moving x."""
    used = 0
    rows = x
    converged = False
    for safety in _SAFETIES:
        _, _, steps, done = solve_joint(x, *problem, safety, warm, False, tolerance, iterations_max)
        converged = converged or done
        used += steps
        warm, iterations_max = True, 6
        solve_joint(x, *problem, safety, True, True, tolerance, 10)
        rows, verdict = _published(x)
        if (verdict == YES).all():
            return rows, rows, converged, used
        if not (verdict == NO).any() and certify(rows).ok.all():
            return rows, rows, converged, used
    return None, rows, converged, used


def _between(problem: _Problem, feasible: FloatArray, failed: FloatArray, tolerance: float) -> FloatArray | None:
    """Return certified rows between a feasible board and a failed one, as near the failed one as repair succeeds."""
    for share in (0.7, 0.45, 0.25, 0.12, 0.05):
        x = feasible + share * (failed - feasible)
        _widen(x, problem.low, problem.high)
        if not solve_joint(x, *problem, 1.0, True, True, tolerance, 10)[3]:
            continue
        rows, verdict = _published(x)
        if (verdict == YES).all():
            return rows
    return None


def _essvi(problem: _Problem, x_free: FloatArray) -> FloatArray:
    """Return the eSSVI board in the solver's variables."""
    x = np.empty_like(x_free)
    essvi_board(problem.offsets, problem.k, problem.w, problem.weight, x_free, problem.level, x)
    return x


def _reject(rows: FloatArray, count: IntArray, reasons: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return which rows survive when those that fail are taken out one by one, fewest quotes first; note why."""
    keep = np.ones(rows.shape[0], dtype=np.bool_)
    while keep.any():
        index = np.flatnonzero(keep)
        certificate = certify(rows[index])
        bad = ~(certificate.butterfly_ok & certificate.lee_ok & certificate.positive_ok)
        if bad.any():
            keep[index[bad]] = False
            reasons[index[bad]] |= np.uint8(FitReason.BUTTERFLY)
            continue
        pairs = np.flatnonzero(~certificate.calendar_ok)
        if pairs.size == 0:
            break
        earlier, later = index[pairs[0] - 1], index[pairs[0]]
        out = earlier if count[earlier] < count[later] else later
        keep[out] = False
        reasons[out] |= np.uint8(FitReason.CALENDAR)
    return keep


def fit_board(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    w_bid: FloatArray,
    w_ask: FloatArray,
    tau: FloatArray,
    start: FloatArray | None = None,
    free_start: FloatArray | None = None,
    *,
    huber: float = HUBER,
    iterations_max: int = 60,
    tolerance: float = 1e-6,
) -> BoardFit:
    """Return the certified `BoardFit` of n expiries; inputs as for `fit_smiles`, expiries ascending in tau.

    `start` (n, 5) the last published params (NaN rows for new or rejected expiries), `free_start` (n, 6) the last
    free `start`; both only change the work, the result within the solver's tolerance, and what an expiry without
    quotes holds. Steps: free fits; if they pass the certificate as they are, done; otherwise all slices jointly
    under constraints, from the last parameters or an eSSVI board; restoration, rounding, exact certificate; a
    larger margin if that fails; the eSSVI board if nothing passes; rejection of single slices as the last resort.
    Deterministic.
    """
    n = int(tau.shape[0])
    free = fit_smiles(offsets, k, w, weight, w_bid, w_ask, tau, free_start, huber=huber)
    last = np.full((n, 5), np.nan) if start is None else np.asarray(start, dtype=np.float64)
    known = np.isfinite(last).all(axis=1)
    active = np.flatnonzero((free.quotes > 0) | known)
    params = np.full((n, 5), np.nan)
    state = np.full(n, FitState.REJECTED, dtype=np.uint8)
    reasons = np.where(free.quotes == 0, int(FitReason.NO_QUOTES), 0).astype(np.uint8)
    reasons[(free.quotes > 0) & (free.quotes <= SPARSE_MAX)] |= np.uint8(FitReason.SPARSE)
    used = 0
    if active.size:
        sizes = free.quotes[active]
        inner = np.concatenate((np.zeros(1, dtype=np.int64), np.cumsum(sizes)))
        rows, notes, used = _fit_active(
            inner, k, w, weight, huber, free.params[active], last[active], iterations_max, tolerance
        )
        notes_kept = notes.astype(np.uint8)
        keep = np.ones(active.size, dtype=np.bool_)
        if notes_kept[0] & FitReason.BUTTERFLY:  # nothing passed as a whole
            notes_kept &= ~np.uint8(FitReason.BUTTERFLY)
            keep = _reject(rows, sizes, notes_kept)
        reasons[active] |= notes_kept
        params[active[keep]] = rows[keep]
        state[active[keep]] = np.where(sizes[keep] > 0, FitState.FITTED, FitState.HELD)
    objective, rmse, inside = np.empty(n), np.empty(n), np.empty(n)
    summarise(offsets, k, w, weight, w_bid, w_ask, tau, params, huber, objective, rmse, inside)
    return BoardFit(params, state, reasons, objective, rmse, inside, certify_published(params), free, used)


def _fit_active(
    offsets: IntArray,
    k: FloatArray,
    w: FloatArray,
    weight: FloatArray,
    huber: float,
    free: FloatArray,
    last: FloatArray,
    iterations_max: int,
    tolerance: float,
) -> tuple[FloatArray, npt.NDArray[np.uint8], int]:
    """Return (published rows, notes, iterations) of the slices that have quotes or last parameters.

    The note BUTTERFLY on row 0 says that no candidate passed as a whole and single slices must be rejected.
    """
    n = last.shape[0]
    notes = np.zeros(n, dtype=np.uint8)
    quoted = np.diff(offsets) > 0
    if quoted.all():
        rows = round_published(free)
        verdict = np.empty((n, 4), dtype=np.int8)
        certify_kernel(rows, verdict)
        if (verdict == YES).all():
            notes |= np.uint8(FitReason.UNCONSTRAINED)
            return rows, notes, 0
    problem, x_free = _problem(offsets, k, w, weight, huber, free, last)
    low, high = problem.low, problem.high
    used = 0
    if np.isfinite(last).all():
        x = np.empty_like(x_free)
        for i in range(n):
            from_raw(last[i], x[i])
        _widen(x, low, high)
        rows_ok, rows, converged, steps = _solve(problem, x, True, iterations_max, tolerance)
        used += steps
        if rows_ok is not None:
            notes |= np.uint8(0 if converged else FitReason.NOT_CONVERGED)
            return rows_ok, notes, used
    x_essvi = _essvi(problem, x_free)
    x = x_essvi.copy()
    _widen(x, low, high)
    rows_ok, rows, converged, steps = _solve(problem, x, False, iterations_max, tolerance)
    used += steps
    if rows_ok is not None:
        notes |= np.uint8(0 if converged else FitReason.NOT_CONVERGED)
        return rows_ok, notes, used
    rows_ok = _between(problem, x_essvi, x, tolerance)
    if rows_ok is not None:
        notes |= np.uint8(FitReason.NOT_CONVERGED)
        return rows_ok, notes, used
    essvi_rows, verdict = _published(x_essvi)
    notes |= np.uint8(FitReason.ESSVI)
    if not (verdict == YES).all() and not certify(essvi_rows).ok.all():
        notes[0] |= np.uint8(FitReason.BUTTERFLY)
    return essvi_rows, notes, used


def certify_published(params: FloatArray) -> Certificate:
    """Return the certificate with NaN rows left out of the calendar chain and failing themselves."""
    live = np.flatnonzero(np.isfinite(params).all(axis=1))
    if live.size == params.shape[0]:
        return certify(params)
    n = params.shape[0]
    no, nan = np.zeros(n, dtype=np.bool_), np.full(n, np.nan)
    full = Certificate(
        no,
        nan,
        nan.copy(),
        no.copy(),
        no.copy(),
        no.copy(),
        nan.copy(),
        nan.copy(),
        np.zeros(n, dtype=np.int64),
    )
    if live.size:
        for whole, part in zip(full, certify(params[live]), strict=True):
            whole[live] = part
    return full
