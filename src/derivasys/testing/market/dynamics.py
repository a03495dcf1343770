"""How a simulated market moves: the index, the forward basis, and level, skew and curvature.

All factors are Ornstein-Uhlenbeck processes stepped by their exact transition, so a step may be of
any length. The log of the index reverts slowly to its recorded value: a server left running for
weeks keeps its board near its strikes (stationary spread about 3 % at an iv of 50 %).
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

YEAR_S = 365 * 86_400.0
INDEX_REVERSION_S = 3 * 86_400.0
INDEX_CORRELATION = 0.7
"""Of the index moves of two coins."""
SMILE_REVERSION_S = 1_200.0
BASIS_REVERSION_S = 300.0
BASIS_SD = 0.5e-4
"""Relative noise of one expiry's forward about its term structure."""
COMMON_SHARE = 0.85
"""Share of the variance of a smile factor that all expiries move with."""
LEVEL_SD_SHORT, LEVEL_SD_LONG = 0.04, 0.012
"""Relative spread of the iv level at the shortest expiries and beyond half a year."""
SKEW_SD, CURVATURE_SD = 0.004, 0.003
"""Spread of skew and curvature in iv, decimal, reached about two standard deviations out."""


class Moves(Struct):
    """The state of the factors; arrays by expiry. All start at 0, the recorded market."""

    index_log: float
    common: Floats
    """Level, skew, curvature: the part common to all expiries, in standard deviations."""
    own: Floats
    """(3, expiries): each expiry's own part, in standard deviations."""
    basis: Floats
    """Relative deviation of each forward from its term structure, in standard deviations."""


def still(expiries: int) -> Moves:
    """Return the factors at the recorded market."""
    return Moves(0.0, np.zeros(3), np.zeros((3, expiries)), np.zeros(expiries))


def step(
    moves: Moves, seconds: float, index_iv: float, rng: np.random.Generator, shared: np.random.Generator | None = None
) -> None:
    """Move all factors on by `seconds`; the index diffuses at `index_iv` (decimal, annual).

    `shared` draws what the indices of all coins have in common: each holds a generator of the same seed.
    """
    expiries = moves.basis.shape[0]
    draw = rng.standard_normal(4 + 4 * expiries)
    if shared is not None:
        draw[0] = INDEX_CORRELATION**0.5 * shared.standard_normal() + (1.0 - INDEX_CORRELATION) ** 0.5 * draw[0]
    keep = math.exp(-seconds / INDEX_REVERSION_S)
    rate = 1.0 / INDEX_REVERSION_S
    spread = index_iv * math.sqrt((1.0 - keep * keep) / (2.0 * rate) / YEAR_S)
    moves.index_log = keep * moves.index_log + spread * float(draw[0])
    keep = math.exp(-seconds / SMILE_REVERSION_S)
    spread = math.sqrt(1.0 - keep * keep)
    moves.common = keep * moves.common + spread * draw[1:4]
    moves.own = keep * moves.own + spread * draw[4 : 4 + 3 * expiries].reshape(3, expiries)
    keep = math.exp(-seconds / BASIS_REVERSION_S)
    moves.basis = keep * moves.basis + math.sqrt(1.0 - keep * keep) * draw[4 + 3 * expiries :]


def grow(moves: Moves) -> None:
    """Add one expiry, at rest."""
    moves.own = np.concatenate([moves.own, np.zeros((3, 1))], axis=1)
    moves.basis = np.concatenate([moves.basis, np.zeros(1)])


def smile_factors(moves: Moves, tau: Floats, at: Ints | None = None) -> tuple[Floats, Floats, Floats]:
    """Return by expiry: the multiplier of iv, and the skew and curvature added to it (decimal).

    `at` picks the expiries that `tau` is of; None means all, in order.
    """
    own = moves.own if at is None else moves.own[:, at]
    mixed = math.sqrt(COMMON_SHARE) * moves.common[:, None] + math.sqrt(1.0 - COMMON_SHARE) * own
    # Short vols move more than long ones; √tau scaling keeps total variance in calendar order.
    level_sd = LEVEL_SD_LONG + (LEVEL_SD_SHORT - LEVEL_SD_LONG) * np.exp(-4.0 * np.sqrt(tau))
    return np.exp(level_sd * mixed[0]), SKEW_SD * mixed[1], CURVATURE_SD * mixed[2]
