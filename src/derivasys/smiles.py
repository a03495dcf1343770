"""Certified smiles by expiry, evaluated at any time to expiry and any strike, log-moneyness or delta."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.arbitrage import YES
from derivasys.analytics.term import (
    CONVEX,
    LINEAR,
    SLICE,
    WIDTH,
    fill_distribution,
    fill_w,
    make_convex,
    place,
)
from derivasys.analytics.term_delta import delta_goal, delta_root
from derivasys.analytics.term_proof import curve_butterfly

Floats = NDArray[np.float64]
Numbers = float | Floats
DeltaConvention = Literal["forward", "premium_adjusted"]
FlyConvention = Literal["full", "half", "market_strangle"]


class NodeConventions(Struct, frozen=True, kw_only=True):
    """What a node means: the delta it is named by, and the fly that is published."""

    delta: DeltaConvention = "forward"
    """N(d1) and N(d1) − 1 on the forward, or less the premium, for options settled in the coin."""
    fly: FlyConvention = "full"
    """call + put − 2 ATMF, half of that, or the vol of the market strangle − ATMF."""


class Curve(NamedTuple):
    """A smile as `analytics.term` has it, with its time and forward."""

    numbers: Floats
    kind: int
    tau: float
    forward: float


class Smiles:
    """What a surface evaluates by; a class that has these fields has these methods."""

    __slots__ = ()

    expiries: tuple[int, ...]
    """Milliseconds UTC, ascending."""
    tau: Floats
    """Years, of the parameters."""
    forward: Floats
    """Quote currency, NaN where there is none."""
    params: Floats
    """(n, 5) a, b, rho, m, sigma in total variance; NaN when rejected."""
    conventions: NodeConventions

    def __len__(self) -> int:
        return len(self.expiries)

    def vol(self, expiry: int | None = None, *, tau: float | None = None, strike: Numbers | None = None,
            k: Numbers | None = None, delta: Numbers | None = None) -> Floats:  # fmt: skip
        """Return the Black vol, decimal, at an `expiry` (ms UTC) or `tau` (years), and a strike, `k` or `delta`.

        `delta` is signed (−0.25 is a put) in the surface's convention. Between expiries the curve is that of the
        tenor rows (`analytics.term`). NaN where the expiry was rejected or the delta is not reached; ValueError for
        an expiry that is not listed.
        """
        curve = self.curve(expiry, tau)
        w = self.w_of(curve, self.k_of(curve, strike, k, delta))
        return np.asarray(np.sqrt(w / curve.tau))

    def total_variance(self, expiry: int | None = None, *, tau: float | None = None, strike: Numbers | None = None,
                       k: Numbers | None = None, delta: Numbers | None = None) -> Floats:  # fmt: skip
        """Return w = vol² tau at the same places."""
        curve = self.curve(expiry, tau)
        return self.w_of(curve, self.k_of(curve, strike, k, delta))

    def density(self, expiry: int | None = None, *, tau: float | None = None, strike: Numbers | None = None,
                k: Numbers | None = None) -> Floats:  # fmt: skip
        """Return the risk-neutral density: per unit of strike at a `strike`, per unit of log-moneyness at `k`."""
        curve = self.curve(expiry, tau)
        at = self.k_of(curve, strike, k, None)
        density = self._distribution(curve, at)[1]
        return density if strike is None else density / (curve.forward * np.exp(at))

    def cdf(self, expiry: int | None = None, *, tau: float | None = None, strike: Numbers | None = None,
            k: Numbers | None = None) -> Floats:  # fmt: skip
        """Return the risk-neutral probability of a settlement at or below a strike."""
        curve = self.curve(expiry, tau)
        return self._distribution(curve, self.k_of(curve, strike, k, None))[0]

    def curve(self, expiry: int | None, tau: float | None) -> Curve:
        """Return the smile of a listed `expiry` (ms UTC), or at `tau` years; ValueError as `vol` raises it."""
        if (expiry is None) == (tau is None):
            raise ValueError("give either expiry or tau")
        numbers = np.full(WIDTH, np.nan)
        if expiry is not None:
            at = self._at(expiry)
            numbers[:5] = numbers[5:10] = self.params[at]
            return Curve(numbers, SLICE, float(self.tau[at]), float(self.forward[at]))
        assert tau is not None
        if not tau > 0:
            raise ValueError(f"tau {tau} is not above zero")
        live = np.flatnonzero(np.isfinite(self.params).all(axis=1) & (self.forward > 0) & (self.tau > 0))
        if not len(live):
            return Curve(numbers, SLICE, tau, np.nan)
        kind, _, _ = place(tau, self.tau[live], self.params[live], numbers)
        if kind == LINEAR and curve_butterfly(numbers, kind) != YES:
            make_convex(numbers)
            kind = CONVEX
        forwards = np.log(self.forward[live])
        return Curve(numbers, kind, tau, float(np.exp(np.interp(tau, self.tau[live], forwards))))

    def k_of(self, curve: Curve, strike: Numbers | None, k: Numbers | None, delta: Numbers | None) -> Floats:
        """Return the log-moneyness of one of strike, k and delta; NaN where a delta is not reached."""
        if (strike is None) + (k is None) + (delta is None) != 2:
            raise ValueError("give one of strike, k and delta")
        if k is not None:
            return np.asarray(k, np.float64)
        if strike is not None:
            return np.asarray(np.log(np.asarray(strike) / curve.forward))
        adjusted = self.conventions.delta == "premium_adjusted"
        targets = np.asarray(delta, np.float64)
        if not ((np.abs(targets) < 1.0) & (targets != 0.0)).all():
            raise ValueError(f"delta {delta} is not between −1 and 1, or is 0")
        roots = [delta_root(*delta_goal(at, adjusted), curve.numbers, curve.kind) for at in targets.ravel().tolist()]
        return np.array(roots).reshape(targets.shape)

    @staticmethod
    def w_of(curve: Curve, k: Floats) -> Floats:
        """Return total variance at k, NaN where it is not positive."""
        w = np.empty(k.size)
        fill_w(k.ravel(), curve.numbers, curve.kind, w)
        return np.where(w > 0.0, w, np.nan).reshape(k.shape)

    @staticmethod
    def _distribution(curve: Curve, k: Floats) -> tuple[Floats, Floats]:
        cdf, density = np.empty(k.size), np.empty(k.size)
        fill_distribution(k.ravel(), curve.numbers, curve.kind, cdf, density)
        return cdf.reshape(k.shape), density.reshape(k.shape)

    def _at(self, expiry: int) -> int:
        try:
            return self.expiries.index(expiry)
        except ValueError:
            listed = ", ".join(map(str, self.expiries))
            raise ValueError(f"expiry {expiry} is not listed; listed are {listed}") from None
