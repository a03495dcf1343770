"""The recorded smiles of a board, as functions of scaled log-moneyness x = ln(K/F)/√tau.

Scaled by √tau a smile keeps its meaning as its expiry draws near. Between recorded strikes it is a
shape-preserving cubic (Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980), which invents no humps;
beyond the outermost ones its slope fades out exponentially.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.testing.market import kernels
from derivasys.testing.market.kernels import FADE_X

__all__ = ["FADE_X", "Smile", "SmileSet", "join_smiles", "make_smile", "smile_iv"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SAME_TAU = 0.01
"""Times to expiry this near in ln are the same: a recorded smile is then taken as it is."""


class Smile(Struct, frozen=True):
    """Knots of one expiry, x ascending; iv decimal, slope = d iv / d x."""

    x: Floats
    iv: Floats
    slope: Floats


class SmileSet(Struct, frozen=True):
    """Smiles of several expiries end to end; those of expiry e at [offset[e], offset[e + 1])."""

    offset: Ints
    x: Floats
    iv: Floats
    slope: Floats


def make_smile(x: Floats, iv: Floats) -> Smile:
    """Return the smile through the points (x, iv), in any order; equal x are averaged."""
    assert len(x) == len(iv) > 0
    knots, inverse = np.unique(x, return_inverse=True)
    mean = np.bincount(inverse, weights=iv) / np.bincount(inverse)
    return Smile(knots, mean, _slopes(knots, mean))


def _slopes(x: Floats, y: Floats) -> Floats:
    if len(x) == 1:
        return np.zeros(1)
    h = np.diff(x)
    d = np.diff(y) / h
    if len(x) == 2:
        return np.array([d[0], d[0]])
    before, after = d[:-1], d[1:]
    w1, w2 = 2 * h[1:] + h[:-1], h[1:] + 2 * h[:-1]
    same = before * after > 0.0
    safe = np.where(same, before, 1.0), np.where(same, after, 1.0)
    inner = np.where(same, (w1 + w2) / (w1 / safe[0] + w2 / safe[1]), 0.0)
    return np.concatenate(([d[0]], inner, [d[-1]]))


def join_smiles(smiles: list[Smile]) -> SmileSet:
    """Return the smiles as one set, expiry e being `smiles[e]`."""
    lengths = [len(smile.x) for smile in smiles]
    return SmileSet(
        offset=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        x=np.concatenate([smile.x for smile in smiles]),
        iv=np.concatenate([smile.iv for smile in smiles]),
        slope=np.concatenate([smile.slope for smile in smiles]),
    )


def smile_iv(smiles: SmileSet, expiry: Ints, x: Floats) -> Floats:
    """Return the iv (decimal) of points x, each on the smile of its expiry index."""
    out: Floats = kernels.smile_ivs(smiles.offset, smiles.x, smiles.iv, smiles.slope, expiry, x)
    return out


def scale_smile(smile: Smile, factor: float) -> Smile:
    """Return the smile whose vols are `factor` times as high at the same number of standard deviations."""
    return Smile(smile.x * factor, smile.iv * factor, smile.slope)


class SmileTerm:
    """Recorded smiles by time to expiry, and between them: total variance at equal x runs linearly in tau."""

    def __init__(self, tau: Floats, smiles: list[Smile], factor: float = 1.0) -> None:
        """`tau` ascending, in years, one for each smile; vols are scaled by `factor`."""
        self._tau = tau
        self._smiles = [scale_smile(smile, factor) if factor != 1.0 else smile for smile in smiles]
        self._joined = join_smiles(self._smiles)

    def at(self, tau: float) -> Smile:
        """Return the smile of an expiry that is `tau` years away; beyond the recorded ones their nearest."""
        number = int(np.argmin(np.abs(np.log(self._tau / tau))))
        outside = not self._tau[0] < tau < self._tau[-1]
        if outside or abs(np.log(self._tau[number] / tau)) < SAME_TAU:
            return self._smiles[number]
        after = int(np.searchsorted(self._tau, tau))
        before = after - 1
        share = (tau - self._tau[before]) / (self._tau[after] - self._tau[before])
        x = np.union1d(self._smiles[before].x, self._smiles[after].x)
        number_of = np.zeros(len(x), np.int64)
        variance = [self._tau[at] * smile_iv(self._joined, number_of + at, x) ** 2 for at in (before, after)]
        return make_smile(x, np.sqrt(((1.0 - share) * variance[0] + share * variance[1]) / tau))
