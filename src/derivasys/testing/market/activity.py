"""Which options change most: those near the money and soon to expire."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from derivasys.testing.market.board import Board, tau_years

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def shares(board: Board, rows: Ints, now_ms: int) -> Floats:
    """Return each option's share of all messages."""
    t = board.ticker
    tau = np.maximum(tau_years(board.expiry_ms[rows], now_ms), 1e-6)
    iv = np.nan_to_num(t["mark_iv"][rows], nan=50.0) / 100.0
    z = np.log(board.strike[rows] / t["forward"][rows]) / (np.maximum(iv, 0.1) * np.sqrt(tau))
    weight = (0.1 + np.exp(-0.5 * z * z)) * (0.4 + 1.0 / np.sqrt(1.0 + 365.0 * tau / 3.0))
    share: Floats = weight / weight.sum()
    return share


def rates(share: Floats, total: float, seconds: float) -> Floats:
    """Return rates proportional to `share` at which `total` options a second are drawn.

    An option is drawn at most once a step of `seconds`, so busy ones saturate and all rates rise
    until the total is met, or nearly every option is drawn in every step.
    """
    wanted = min(total * seconds, 0.98 * len(share))
    low, high = 0.0, 1e4
    for _ in range(50):
        factor = 0.5 * (low + high)
        drawn = float(np.sum(1.0 - np.exp(-factor * wanted * share)))
        low, high = (factor, high) if drawn < wanted else (low, factor)
    result: Floats = high * wanted * share / seconds
    return result
