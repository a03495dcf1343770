"""New daily expiries: after each delivery the day that is missing among the next four."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.messages import OptionType
from derivasys.testing.deribit_names import expiry_name
from derivasys.testing.market.board import DELIVERED, OPEN, Board, Expiry
from derivasys.testing.market.events import LifeEvent
from derivasys.testing.market.smiles import Smile

DAY_MS = 86_400_000
DAILIES = 4
LISTING_DELAY_MS = 3_000
"""After 08:00 UTC; delivery is at two seconds."""
STRIKES_WITHIN = 0.12
"""Relative distance of the outermost listed strikes from the forward."""


class Listing(Struct, frozen=True):
    """What was listed: its smile, and for each new row the old row it is quoted like."""

    smile: Smile
    like_rows: NDArray[np.int64]
    life: list[LifeEvent]


def list_daily(board: Board, now_ms: int, smiles: list[Smile]) -> Listing | None:
    """List the missing one of the next four days, with its options, once one was delivered.

    Its smile is that of the nearest open expiry in scaled log-moneyness; None if nothing is due.
    """
    day = (now_ms - 8 * 3_600_000 - LISTING_DELAY_MS) // DAY_MS * DAY_MS + 8 * 3_600_000
    delivered = any(e.ms <= day and e.state == DELIVERED for e in board.expiries)
    known = {e.ms for e in board.expiries}
    missing = [day + n * DAY_MS for n in range(1, DAILIES + 1) if day + n * DAY_MS not in known]
    opened = [n for n, e in enumerate(board.expiries) if e.state == OPEN]
    if not delivered or not missing or not opened:
        return None
    ms = missing[0]
    nearest = min(opened, key=lambda n: abs(board.expiries[n].ms - ms))
    like = board.expiries[nearest]
    name = f"SYN.{board.ccy}-{expiry_name(ms)}"
    board.expiries.append(Expiry(ms, name, like.forward, like.rate))
    old = np.flatnonzero(board.expiry_of == nearest)
    strikes = np.unique(board.strike[old])
    strikes = strikes[np.abs(strikes / like.forward - 1.0) <= STRIKES_WITHIN]
    types: tuple[OptionType, ...] = ("C", "P")
    both = [(strike, option_type) for strike in strikes.tolist() for option_type in types]
    rows = board.add_options(
        [len(board.expiries) - 1] * len(both),
        [strike for strike, _ in both],
        [option_type for _, option_type in both],
        [now_ms] * len(both),
    )
    board.ticker["forward"][rows] = like.forward
    place = {(board.strike[row], bool(board.is_call[row])): int(row) for row in old}
    like_rows = np.array([place[strike, option_type == "C"] for strike, option_type in both])
    life = [
        LifeEvent(now_ms, board.symbols[row], "option", state, created=state == "created")
        for state in ("created", "open")
        for row in rows
    ]
    return Listing(smiles[nearest], like_rows, life)
