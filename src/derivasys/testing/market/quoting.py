"""How options are quoted: distances of bid and ask from the mark, and sides that are missing.

Recorded options keep their own. Any other option is quoted like the recorded one that is nearest to it in time to
expiry and in standard deviations from the money, so that every venue and coin has spreads of the recorded kind.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.testing.market.board import Board, tau_years

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUOTING = np.dtype(
    [("bid_gap", "f8"), ("ask_gap", "f8"), ("vega", "f8"), ("offset", "f8")]
    + [(name, "?") for name in ("bid_rare", "ask_rare", "bid_gone", "ask_gone")]
)
"""Distances of bid and ask from the mark (in the board's unit) at a vega (money a vol point), present offset of both
(in spreads), sides that are usually missing, sides missing now."""
WIDE_SHARE, WIDE_TICKS = 0.2, 2.0
"""A side that the recording lacks would be wide: a fifth of the premium and two ticks."""
VEGA_MIN = 1e-8
"""Of the forward."""
GAP_SD_MAX = 0.25
"""No quote is farther from the mark than this part of a standard deviation of the forward."""
FAR_Z = 1.5
"""Beyond so many standard deviations a venue's own gaps begin."""


class Pattern(Struct, frozen=True):
    """The quotes of a recorded board, by expiry and option type in ascending z = ln(K/F)/(iv √tau)."""

    tau: Floats
    columns: dict[tuple[int, bool], tuple[Floats, Floats, Floats]]
    """(number of expiry, is call) → z, gaps of bid and of ask in vol points (NaN where the side was missing)."""


def recorded_quoting(board: Board) -> NDArray[np.void]:
    """Return how the options of a recorded board are quoted."""
    t = board.ticker
    q = np.zeros(len(board.symbols), QUOTING)
    bid, ask, mark = t["bid"], t["ask"], t["mark"]
    q["bid_rare"] = q["bid_gone"] = np.isnan(bid)
    q["ask_rare"] = q["ask_gone"] = np.isnan(ask)
    wide = WIDE_SHARE * mark + WIDE_TICKS * board.family.ticks.base
    q["bid_gap"] = np.where(np.isnan(bid), wide, mark - bid)
    q["ask_gap"] = np.where(np.isnan(ask), wide, ask - mark)
    q["vega"] = t["vega"]
    return q


def pattern_of(board: Board, now_ms: int) -> Pattern:
    """Return the quotes of a recorded board as a pattern for other boards."""
    q, worth = recorded_quoting(board), board.worth(np.arange(len(board.symbols)))
    tau = tau_years(np.array([expiry.ms for expiry in board.expiries]), now_ms)
    z = z_of(board, np.arange(len(board.symbols)), now_ms)
    vega = floored_vega(board, np.arange(len(board.symbols)))
    gaps = [np.where(q[f"{side}_rare"], np.nan, q[f"{side}_gap"]) * worth / vega for side in ("bid", "ask")]
    columns = {}
    for number in range(len(board.expiries)):
        for is_call in (False, True):
            rows = np.flatnonzero((board.expiry_of == number) & (board.is_call == is_call))
            rows = rows[np.argsort(z[rows])]
            columns[number, is_call] = z[rows], gaps[0][rows], gaps[1][rows]
    return Pattern(tau, columns)


def z_of(board: Board, rows: Ints, now_ms: int) -> Floats:
    """Return ln(K/F)/(iv √tau) of `rows`, by their mark IVs."""
    t = board.ticker
    sd = t["mark_iv"][rows] / 100.0 * np.sqrt(np.maximum(tau_years(board.expiry_ms[rows], now_ms), 1e-9))
    out: Floats = np.log(board.strike[rows] / t["forward"][rows]) / np.maximum(sd, 1e-6)
    return out


def floored_vega(board: Board, rows: Ints) -> Floats:
    """Return vega (money a vol point), not less than what keeps the gaps of options without any in proportion."""
    t = board.ticker
    out: Floats = np.maximum(t["vega"][rows], VEGA_MIN * t["forward"][rows])
    return out


def pattern_quoting(
    board: Board, rows: Ints, pattern: Pattern, now_ms: int, spread: float, gaps: float, rng: np.random.Generator
) -> NDArray[np.void]:
    """Return how `rows` are quoted: gaps `spread` times as wide in vols as those of the pattern's nearest options.

    Of the options far from the money a further part `gaps` has no bid, and half as many no ask.
    """
    q = np.zeros(len(rows), QUOTING)
    t, tau = board.ticker, np.maximum(tau_years(board.expiry_ms[rows], now_ms), 1e-6)
    z, worth, vega = z_of(board, rows, now_ms), board.worth(rows), floored_vega(board, rows)
    most = GAP_SD_MAX * t["forward"][rows] * t["mark_iv"][rows] / 100.0 * np.sqrt(tau)
    nearest = np.argmin(np.abs(np.log(tau)[:, None] - np.log(pattern.tau)[None, :]), axis=1)
    for number, is_call in {(int(n), bool(c)) for n, c in zip(nearest, board.is_call[rows], strict=True)}:
        of = np.flatnonzero((nearest == number) & (board.is_call[rows] == is_call))
        known, *_ = pattern.columns[number, is_call]
        at = np.clip(np.searchsorted(known, z[of]), 1, max(len(known) - 1, 1))
        at = np.minimum(np.where(z[of] - known[at - 1] < known[np.minimum(at, len(known) - 1)] - z[of], at - 1, at),
                        len(known) - 1)  # fmt: skip
        wide = WIDE_SHARE * t["mark"][rows[of]] + WIDE_TICKS * board.family.ticks.base
        for side, column in (("bid", 1), ("ask", 2)):
            vols = pattern.columns[number, is_call][column][at]
            gap = np.fmin(spread * vols * vega[of], most[of]) / worth[of]
            q[f"{side}_rare"][of] = np.isnan(vols)
            q[f"{side}_gap"][of] = np.where(np.isnan(vols), wide, gap)
    far = np.abs(z) > FAR_Z
    q["bid_rare"] |= far & (rng.random(len(rows)) < gaps)
    q["ask_rare"] |= far & (rng.random(len(rows)) < 0.5 * gaps)
    q["bid_gone"], q["ask_gone"], q["vega"] = q["bid_rare"], q["ask_rare"], t["vega"][rows]
    return q
