"""The end of an expiry: settlement at 08:00 UTC, delivery two seconds later, delivery price.

The delivery price is the average of the index over the last 30 minutes.
"""

from __future__ import annotations

import numpy as np

from derivasys.testing.market.board import DELIVERED, OPEN, SETTLEMENT, STATES, Board, Expiry
from derivasys.testing.market.events import LifeEvent
from derivasys.testing.market.ladder import last_eight_ms

SETTLEMENT_MS = 2_000
AVERAGE_MS = 30 * 60_000


class DeliveryAverages:
    """The running averages of the index over the last 30 minutes of each expiry."""

    def __init__(self) -> None:
        self._sums: dict[int, tuple[float, int]] = {}
        """Expiry (ms) → (sum of index · ms, ms)."""

    def observe(self, board: Board, last_ms: int, now_ms: int) -> None:
        """Account for the index price having held from `last_ms` to `now_ms`."""
        for expiry in board.expiries:
            held = min(now_ms, expiry.ms) - max(last_ms, expiry.ms - AVERAGE_MS)
            if held > 0 and expiry.state == OPEN:
                total, ms = self._sums.get(expiry.ms, (0.0, 0))
                self._sums[expiry.ms] = total + board.index_price * held, ms + held

    def price(self, board: Board, expiry_ms: int) -> float:
        """Return the estimated delivery price: the average so far, before that the index."""
        total, ms = self._sums.get(expiry_ms, (0.0, 0))
        return round(total / ms, board.family.index_digits) if ms else board.index_price


def settle(board: Board, averages: DeliveryAverages, last_ms: int, now_ms: int) -> list[LifeEvent]:
    """Move expiries whose time came in (last_ms, now_ms] on; return the changes of state.

    At 08:00 UTC an expiry that ends goes to settlement, and to delivered two seconds later; the
    others take their marks as settlement prices.
    """
    life: list[LifeEvent] = []
    for number, expiry in enumerate(board.expiries):
        if expiry.state == OPEN and now_ms >= expiry.ms:
            expiry.delivery_price = averages.price(board, expiry.ms)
            life += _enter(board, number, expiry, SETTLEMENT, expiry.ms)
        if expiry.state == SETTLEMENT and now_ms >= expiry.ms + SETTLEMENT_MS:
            life += _enter(board, number, expiry, DELIVERED, expiry.ms + SETTLEMENT_MS)
    if last_eight_ms(last_ms) < last_eight_ms(now_ms):
        rows = board.open_rows()
        board.ticker["settlement"][rows] = board.ticker["mark"][rows]
    return life


def _enter(board: Board, number: int, expiry: Expiry, state: int, time_ms: int) -> list[LifeEvent]:
    expiry.state = state
    rows = np.flatnonzero(board.expiry_of == number)
    board.state[rows] = state
    t = board.ticker
    t["time_ms"][rows] = time_ms
    for name in ("bid", "ask"):
        t[name][rows] = np.nan
        t[f"{name}_size"][rows] = 0.0
    t["bid_iv"][rows], t["ask_iv"][rows] = 0.0, 500.0
    if state == DELIVERED:
        for name in ("delta", "gamma", "vega", "theta", "rho"):
            t[name][rows] = 0.0
        sign = np.where(board.is_call[rows], 1.0, -1.0)
        payoff = np.maximum(sign * (expiry.delivery_price - board.strike[rows]), 0.0)
        worth = expiry.delivery_price if board.family.price_unit == "coin" else 1.0
        t["mark"][rows] = np.round(payoff / worth, board.family.mark_digits)
    name = STATES[state]
    life = [LifeEvent(time_ms, board.symbols[row], "option", name) for row in rows]
    for future in [future for future in board.futures.values() if future.expiry == expiry.ms]:
        future.state, future.time_ms = state, time_ms
        future.bid = future.ask = None
        life.append(LifeEvent(time_ms, future.symbol, "future", name))
    return life
