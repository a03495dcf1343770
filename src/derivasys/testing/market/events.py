"""What a market tells its venue server: changed contracts, trades, beginnings and ends."""

from __future__ import annotations

from typing import Literal, Protocol

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from derivasys.testing.market.board import Board

Ints = NDArray[np.int64]


class Print(Struct, frozen=True, gc=False):
    """One trade of an option. `price` and `mark` in the board's unit, `amount` in coins, `iv` in percent."""

    row: int
    time_ms: int
    price: float
    amount: float
    direction: Literal["buy", "sell"]
    tick_direction: int
    trade_seq: int
    trade_id: int
    mark: float
    iv: float
    index: float


class LifeEvent(Struct, frozen=True, gc=False):
    """A contract's new state; `created` marks a listing."""

    time_ms: int
    symbol: str
    kind: Literal["option", "future"]
    state: str
    created: bool = False


class MarketUpdate(Struct):
    """What changed since the last call. Rows are unique and ascending."""

    rows: Ints
    futures: list[str] = field(default_factory=list)
    index_changed: bool = False
    prints: list[Print] = field(default_factory=list)
    life: list[LifeEvent] = field(default_factory=list)


class Market(Protocol):
    """A market behind a local venue server. Sans I/O: time is an argument and never runs back."""

    board: Board
    start_ns: int
    is_simulated: bool
    label: str

    def advance(self, now_ns: int) -> MarketUpdate:
        """Move the market on to `now_ns` and return what changed."""

    def estimated_delivery_price(self, expiry_ms: int) -> float:
        """Return the delivery price of an expiry (ms) as far as it is known, quote currency."""


def nothing() -> MarketUpdate:
    """Return an empty update."""
    return MarketUpdate(np.zeros(0, np.int64))
