"""What a family lists: at the start the whole ladder, later what each delivery at 08:00 UTC leaves missing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from derivasys.messages import OptionType
from derivasys.testing.market.board import DELIVERED, Board, Expiry
from derivasys.testing.market.coin import Coin
from derivasys.testing.market.events import LifeEvent
from derivasys.testing.market.ladder import Ladder, expiry_dates, last_eight_ms, strike_grid
from derivasys.testing.market.smiles import smile_iv
from derivasys.testing.recordings import YEAR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FUTURES = Ladder(days=0, weeks=2, months=2, quarters=4)
"""Which expiries have a dated future, of those that have options."""
LISTING_DELAY_MS = 3_000
"""After 08:00 UTC; delivery is at two seconds."""


def due_dates(board: Board, now_ms: int) -> list[int]:
    """Return the expiries that the ladder has and the board lacks, once what ended has been delivered."""
    eight = last_eight_ms(now_ms - LISTING_DELAY_MS)
    known = {expiry.ms for expiry in board.expiries}
    if known and not any(expiry.ms <= eight and expiry.state == DELIVERED for expiry in board.expiries):
        return []
    return [ms for ms in expiry_dates(now_ms, board.family.ladder) if ms not in known]


def list_expiry(board: Board, coin: Coin, ms: int, forward: float, now_ms: int) -> Ints:
    """Add one expiry with its options, without quotes, and its future; return the rows."""
    family, slot = board.family, coin.slot_of[ms]
    name = board.names.future(family, ms)
    is_listed = family.has_dated_futures and ms in expiry_dates(now_ms, FUTURES)
    board.expiries.append(Expiry(ms, name if is_listed else f"SYN.{name}", forward, coin.rates[slot]))
    if is_listed:
        board.add_future(ms, forward, now_ms)
    strikes = listed_strikes(board, coin, ms, forward, now_ms)
    return list_strikes(board, len(board.expiries) - 1, strikes.tolist(), now_ms)


def list_strikes(board: Board, number: int, strikes: Sequence[float], now_ms: int) -> Ints:
    """Add options at `strikes` to the expiry of this number, without quotes; return the rows."""
    types: tuple[OptionType, ...] = ("C", "P")
    both = [(strike, option_type) for strike in strikes for option_type in types]
    rows = board.add_options(
        [number] * len(both),
        [strike for strike, _ in both],
        [option_type for _, option_type in both],
        [now_ms] * len(both),
    )
    board.ticker["forward"][rows], board.ticker["index"][rows] = board.expiries[number].forward, board.index_price
    return rows


def missing_strikes(board: Board, coin: Coin, number: int, count: int, now_ms: int) -> list[float]:
    """Return up to `count` round strikes that the expiry of this number lacks, those nearest to its forward first."""
    expiry = board.expiries[number]
    iv = float(smile_iv(coin.joined, np.array([coin.slot_of[expiry.ms]]), np.zeros(1))[0])
    grid = strike_grid(expiry.forward, iv * (max(expiry.ms - now_ms, 1) / YEAR_MS) ** 0.5)
    listed = set(board.strike[board.expiry_of == number].tolist())
    lacking = [strike for strike in grid.tolist() if strike not in listed]
    return sorted(lacking, key=lambda strike: abs(strike - expiry.forward))[:count]


def listed_strikes(board: Board, coin: Coin, ms: int, forward: float, now_ms: int) -> Floats:
    """Return those of the coin's strikes that the family lists: so far from the forward, and each n-th of them."""
    slot, family = coin.slot_of[ms], board.family
    iv = float(smile_iv(coin.joined, np.array([slot]), np.zeros(1))[0])
    sd = iv * (max(ms - now_ms, 1) / YEAR_MS) ** 0.5
    strikes = coin.strikes[slot]
    near = np.abs(np.log(strikes / forward)) <= family.z_max * sd
    # Spot may have left the strikes that the coin began with.
    strikes = strikes[near] if near.any() else strike_grid(forward, sd)
    return strikes[int(np.argmin(np.abs(strikes - forward))) % family.every :: family.every]


def listing_life(board: Board, rows: Ints, futures: Collection[str], now_ms: int) -> list[LifeEvent]:
    """Return what the venue tells of new options and futures."""
    named: list[tuple[Literal["option", "future"], list[str]]]
    named = [("option", [board.symbols[row] for row in rows]), ("future", sorted(futures))]
    return [
        LifeEvent(now_ms, symbol, kind, state, created=state == "created")
        for state in ("created", "open")
        for kind, symbols in named
        for symbol in symbols
    ]
