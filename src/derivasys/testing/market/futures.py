"""Futures and the perpetual of a simulated board: quoted one tick either side of their mark."""

from __future__ import annotations

import numpy as np

from derivasys.testing.market.board import OPEN, Board, Future

FUTURE_TICK = {"BTC": 0.5, "ETH": 0.05}
"""USD."""
UPDATES_PER_S = 4.0
LOT_USD = 10.0


def add_perpetual(board: Board, now_ms: int) -> None:
    """Add <coin>-PERPETUAL at the index."""
    symbol = f"{board.ccy}-PERPETUAL"
    board.futures[symbol] = Future(symbol, None, board.index_price, now_ms)


def move_futures(board: Board, now_ms: int, seconds: float, rng: np.random.Generator) -> list[str]:
    """Re-quote a random part of the futures about their forwards; return their names."""
    chance = 1.0 - np.exp(-UPDATES_PER_S * min(seconds, 1.0))
    tick = FUTURE_TICK.get(board.ccy, 0.05)
    forwards = {expiry.underlying_index: expiry.forward for expiry in board.expiries}
    drawn = rng.random(len(board.futures)) < chance
    sizes = np.maximum(np.rint(rng.lognormal(9.0, 1.2, (len(board.futures), 2))), 1.0) * LOT_USD
    moved = []
    for i, future in enumerate(board.futures.values()):
        if future.state != OPEN or not drawn[i]:
            continue
        future.mark = forwards.get(future.symbol, board.index_price)
        middle = round(future.mark / tick)
        future.bid, future.ask = round((middle - 1) * tick, 2), round((middle + 1) * tick, 2)
        future.bid_size, future.ask_size = float(sizes[i, 0]), float(sizes[i, 1])
        future.last = future.bid if future.last is None else future.last
        future.time_ms = now_ms
        moved.append(future.symbol)
    return moved
