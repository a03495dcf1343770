"""The recorded smiles of a board, as functions of scaled log-moneyness x = ln(K/F)/√tau.

Scaled by √tau a smile keeps its meaning as its expiry draws near. Between recorded strikes it is a
shape-preserving cubic (Fritsch and Carlson, SIAM J. Numer. Anal. 17, 1980), which invents no humps;
beyond the outermost ones its slope fades out exponentially.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from msgspec import Struct
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FADE_X = 0.5
"""Distance in x over which the slope fades beyond the last strike: about one standard deviation."""


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
    out: Floats = _evaluate(smiles.offset, smiles.x, smiles.iv, smiles.slope, expiry, x)
    return out


@njit(cache=True)
def _evaluate(offset: Any, knots: Any, iv: Any, slope: Any, expiry: Any, x: Any) -> Any:
    out = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        first, last = offset[expiry[i]], offset[expiry[i] + 1] - 1
        if x[i] <= knots[first]:
            distance = knots[first] - x[i]
            fade = FADE_X * (1.0 - math.exp(-distance / FADE_X))
            out[i] = iv[first] - slope[first] * fade
        elif x[i] >= knots[last]:
            distance = x[i] - knots[last]
            fade = FADE_X * (1.0 - math.exp(-distance / FADE_X))
            out[i] = iv[last] + slope[last] * fade
        else:
            j = first + np.searchsorted(knots[first : last + 1], x[i]) - 1
            h = knots[j + 1] - knots[j]
            s = (x[i] - knots[j]) / h
            out[i] = (
                (1 + 2 * s) * (1 - s) ** 2 * iv[j]
                + s * (1 - s) ** 2 * h * slope[j]
                + s * s * (3 - 2 * s) * iv[j + 1]
                + s * s * (s - 1) * h * slope[j + 1]
            )
    return out
