"""Futures and the perpetual of a simulated board: quoted one tick either side of their mark."""

from __future__ import annotations

import numpy as np

from derivasys.testing.market.board import OPEN, Board

UPDATES_PER_S = 4.0


def move_futures(board: Board, now_ms: int, seconds: float, rng: np.random.Generator) -> list[str]:
    """Re-quote a random part of the futures about their forwards; return their names."""
    family, count = board.family, len(board.futures)
    chance = 1.0 - np.exp(-UPDATES_PER_S * min(seconds, 1.0))
    forwards = {expiry.ms: expiry.forward for expiry in board.expiries}
    drawn = (rng.random(count) < chance).tolist()
    sizes = np.maximum(np.rint(rng.lognormal(9.0, 1.2, (count, 2))), 1.0) * family.future_lot
    moved, marks = [], []
    for i, future in enumerate(board.futures.values()):
        if future.state != OPEN or not drawn[i]:
            continue
        future.mark = board.index_price if future.expiry is None else forwards.get(future.expiry, board.index_price)
        future.bid_size, future.ask_size = sizes[i].tolist()
        future.time_ms = now_ms
        moved.append(future)
        marks.append(future.mark)
    if not moved:
        return []
    middle = np.rint(np.array(marks) / family.future_tick)
    digits = family.index_digits + 2
    bids = np.round((middle - 1.0) * family.future_tick, digits).tolist()
    asks = np.round((middle + 1.0) * family.future_tick, digits).tolist()
    for future, bid, ask in zip(moved, bids, asks, strict=True):
        future.bid, future.ask = bid, ask
        future.last = bid if future.last is None else future.last
    return [future.symbol for future in moved]
