"""Delta nodes of every smile, each with the quotes that it rests on, and what is formed of them.

Forward delta N(d1), puts N(d1) − 1, or premium-adjusted e^k N(d2) and −e^k N(−d2); ATMF is k = 0 in both. Nodes run
from the put wing to the call wing, so k ascends among puts and among calls (40P passes ATMF where √w is above 0.5). A
premium-adjusted call delta above its maximum is not reached: NaN.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from derivasys.analytics.deltas import delta_nodes
from derivasys.analytics.normal import norm_cdf
from derivasys.analytics.strangle import fill_strangles
from derivasys.analytics.svi import w_at
from derivasys.analytics.term import SLICE, WIDTH
from derivasys.analytics.term_delta import delta_goal, fill_nodes
from derivasys.smiles import DeltaConvention, FlyConvention

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DELTAS = (5, 10, 15, 20, 25, 30, 35, 40)
"""Absolute deltas in percent."""
NODES: tuple[str, ...] = (
    *(f"{delta}P" for delta in DELTAS),
    "ATMF",
    *(f"{delta}C" for delta in reversed(DELTAS)),
)
"""Node names in order of log-moneyness."""
ATM = len(DELTAS)
"""Position of ATMF in NODES."""
IS_CALL = np.array([name[-1] in "CF" for name in NODES])
TARGETS = np.array([-d / 100 for d in DELTAS] + [0.5] + [d / 100 for d in reversed(DELTAS)], np.float64)
"""Signed target deltas; the ATMF entry is a placeholder, its delta is N(√w/2), or N(−√w/2) premium-adjusted."""


class Nodes(NamedTuple):
    """Nodes of n smiles; every field is (n, 17), NaN where a node is not reached."""

    k: Floats
    delta: Floats
    """Reached, signed."""
    delta_error: Floats
    """Reached minus target; 0 for ATMF, whose target is its own delta."""
    vol: Floats
    """Decimal."""
    bid_vol: Floats
    ask_vol: Floats
    quotes: Floats
    """Used quotes from the neighbouring node on one side to the other."""
    age_s: Floats
    """Of the older of the two used quotes around the node."""
    is_extrapolated: Floats
    """1 where k lies outside the used quotes."""

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes' names, by column."""
        return NODES


def solve(
    params: Floats,
    tau: Floats,
    offsets: Ints,
    quote_k: Floats,
    quote_bid_iv: Floats,
    quote_ask_iv: Floats,
    quote_age_s: Floats,
    convention: DeltaConvention = "forward",
) -> Nodes:
    """Return the nodes of n smiles.

    `params` (n, 5) raw SVI in total variance, `tau` (n,) years; the used quotes of smile i are entries
    offsets[i]:offsets[i+1] of the quote arrays, ascending in k.
    """
    premium_adjusted = convention == "premium_adjusted"
    if premium_adjusted:
        k, w = np.full((len(tau), len(NODES)), np.nan), np.empty((len(tau), len(NODES)))
        solve_curves(_slices(params), np.full(len(tau), SLICE, np.int64), convention, k, w)
        delta = np.empty_like(k)
        _premium_adjusted(k, w, delta)
    else:
        solved = delta_nodes(params, tau, np.abs(TARGETS), IS_CALL)
        k, delta = solved.k, solved.delta
    target = np.broadcast_to(TARGETS, k.shape).copy()
    n = len(tau)
    vol = np.empty_like(k)
    band = [np.empty_like(k) for _ in range(5)]
    _fill(
        params, tau, offsets, quote_k, quote_bid_iv, quote_ask_iv, quote_age_s, premium_adjusted, k, delta, vol, *band
    )
    target[:, ATM] = delta[:, ATM]
    assert k.shape == (n, len(NODES))
    return Nodes(k, delta, delta - target, vol, *band)


@njit(cache=True, error_model="numpy")
def _fill(
    params: Floats, tau: Floats, offsets: Ints, quote_k: Floats, quote_bid: Floats, quote_ask: Floats,
    quote_age: Floats, premium_adjusted: bool, k: Floats, delta: Floats, vol: Floats, bid: Floats, ask: Floats,
    count: Floats, age: Floats, extrapolated: Floats,
) -> None:  # fmt: skip
    """Fill ATMF, vols and, per node, the band and support from the used quotes around it."""
    nodes = k.shape[1]
    atm = nodes // 2
    for i in range(k.shape[0]):
        a, b, rho, m, sigma = params[i]
        w0 = w_at(0.0, a, b, rho, m, sigma)
        is_good = w0 > 0.0 and tau[i] > 0.0
        k[i, atm] = 0.0 if is_good else np.nan
        d = -0.5 if premium_adjusted else 0.5  # d2 or d1 in units of √w
        delta[i, atm] = norm_cdf(d * math.sqrt(w0)) if is_good else np.nan
        first, last = offsets[i], offsets[i + 1]
        for j in range(nodes):
            at = k[i, j]
            w = w_at(at, a, b, rho, m, sigma)
            vol[i, j] = math.sqrt(w / tau[i]) if is_good and w > 0.0 else np.nan
            bid[i, j] = ask[i, j] = age[i, j] = count[i, j] = extrapolated[i, j] = np.nan
            if not vol[i, j] > 0.0:
                continue
            low = k[i, j - 1] if j > 0 else -np.inf
            high = k[i, j + 1] if j < nodes - 1 else np.inf
            low, high = min(low, high), max(low, high)
            count[i, j] = 0.0
            for q in range(first, last):
                if low <= quote_k[q] <= high:
                    count[i, j] += 1.0
            outside = first == last or at < quote_k[first] or at > quote_k[last - 1]
            extrapolated[i, j] = 1.0 if outside else 0.0
            if outside:
                continue
            q = first
            while q < last - 1 and quote_k[q + 1] < at:
                q += 1
            r = q + 1 if q + 1 < last else q
            gap = quote_k[r] - quote_k[q]
            share = (at - quote_k[q]) / gap if gap > 0.0 else 0.0
            bid[i, j] = quote_bid[q] + share * (quote_bid[r] - quote_bid[q])
            ask[i, j] = quote_ask[q] + share * (quote_ask[r] - quote_ask[q])
            age[i, j] = max(quote_age[q], quote_age[r])


def _slices(params: Floats) -> Floats:
    """Return slices as curves of `analytics.term`."""
    curves = np.zeros((len(params), WIDTH))
    curves[:, :5] = curves[:, 5:10] = params
    curves[:, 10] = 1.0
    return curves


_GOALS, _KINDS = (
    {adjusted: np.array([delta_goal(at, adjusted)[part] for at in TARGETS.tolist()]) for adjusted in (False, True)}
    for part in (0, 1)
)


def solve_curves(curves: Floats, kinds: Ints, convention: DeltaConvention, k: Floats, w: Floats) -> None:
    """Fill k and w (n, 17) of the nodes of n curves of `analytics.term`; NaN where not reached."""
    adjusted = convention == "premium_adjusted"
    fill_nodes(curves, kinds, _GOALS[adjusted], _KINDS[adjusted].astype(np.int64), k, w)


@njit(cache=True, error_model="numpy")
def _premium_adjusted(k: Floats, w: Floats, delta: Floats) -> None:
    """Fill the premium-adjusted deltas at k: e^k N(d2) of calls, −e^k N(−d2) of puts."""
    for i in range(k.shape[0]):
        for j in range(k.shape[1]):
            root = math.sqrt(w[i, j]) if w[i, j] > 0.0 else np.nan
            d2 = -k[i, j] / root - 0.5 * root
            delta[i, j] = math.exp(k[i, j]) * (norm_cdf(d2) if 2 * j >= k.shape[1] - 1 else -norm_cdf(-d2))


def strangles(params: Floats, tau: Floats, convention: DeltaConvention = "forward") -> Floats:
    """Return the vols, decimal, of the market strangles of n smiles by DELTAS, (n, 8)."""
    return strangle_vols(_slices(params), np.full(len(tau), SLICE, np.int64), tau, convention)


def strangle_vols(curves: Floats, kinds: Ints, tau: Floats, convention: DeltaConvention) -> Floats:
    """Return the same of curves of `analytics.term`."""
    w = np.empty((len(tau), len(DELTAS)))
    fill_strangles(curves, kinds, np.array(DELTAS) / 100.0, convention == "premium_adjusted", w)
    return np.asarray(np.sqrt(w / tau[:, None]))


def risk_reversals(vol: Floats) -> Floats:
    """Return vol(call) − vol(put) by DELTAS, (n, 8), in the unit of `vol` (n, 17)."""
    return vol[:, :ATM:-1] - vol[:, :ATM]


def flies(vol: Floats, convention: FlyConvention = "full", strangle: Floats | None = None) -> Floats:
    """Return the flies by DELTAS, (n, 8), in the unit of `vol` (n, 17).

    Full: vol(call) + vol(put) − 2 vol(ATMF); half: half of that; market strangle: `strangle` (n, 8) − vol(ATMF).
    """
    if convention == "market_strangle":
        assert strangle is not None
        return strangle - vol[:, ATM : ATM + 1]
    full = vol[:, :ATM:-1] + vol[:, :ATM] - 2.0 * vol[:, ATM : ATM + 1]
    return full if convention == "full" else 0.5 * full
