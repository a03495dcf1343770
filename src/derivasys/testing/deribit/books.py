"""Order books of the local Deribit: a snapshot, then changes linked by `prev_change_id`; or whole windows.

The market has one level a side; two more are put behind it. Ids of changes are of one counter that all contracts share,
so they jump.
"""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from derivasys.testing.deribit import payloads
from derivasys.testing.deribit.rpc import Json
from derivasys.testing.market import Market

Side = dict[float, float]
_BEHIND = (("bid", (0.9, 0.8)), ("ask", (1.1, 1.2)))
DEPTHS = ("1", "10", "20")


def sides(market: Market, symbol: str, row: int | None) -> tuple[Side, Side]:
    """Return amounts by price, best first: bids, asks."""
    board = market.board
    top = payloads.future_quote(board.futures[symbol]) if row is None else payloads.quote(board, row)
    found: list[Side] = []
    for name, factors in _BEHIND:
        price, amount = float(top[f"best_{name}_price"]), float(top[f"best_{name}_amount"])
        behind = {round(price * factor, 8): 7.0 * step for step, factor in enumerate(factors, start=1)}
        found.append({price: amount} | behind if price > 0 and amount > 0 else {})
    return found[0], found[1]


class Book:
    """One channel's book as its subscribers have it."""

    def __init__(self, market: Market, symbol: str, row: int | None, ids: Iterator[int]) -> None:
        self._of = (market, symbol, row)
        self._symbol = symbol
        self._ids = ids
        self._sent: tuple[Side, Side] | None = None
        self.change_id = 0

    def snapshot(self, time_ms: int) -> bytes:
        """Return what a new subscriber is sent: the state that changes are told against."""
        if self._sent is None:
            self._sent, self.change_id = sides(*self._of), next(self._ids)
        bids, asks = ([["new", *level] for level in side.items()] for side in self._sent)
        return orjson.dumps(self._data("snapshot", time_ms) | {"bids": bids, "asks": asks})

    def change(self, time_ms: int) -> bytes | None:
        """Return what has changed since, None for nothing."""
        now, sent = sides(*self._of), self._sent or ({}, {})
        changes = [_changes(old, new) for old, new in zip(sent, now, strict=True)]
        if not any(changes):
            return None
        previous, self.change_id, self._sent = self.change_id, next(self._ids), now
        data = self._data("change", time_ms) | {"prev_change_id": previous}
        return orjson.dumps(data | {"bids": changes[0], "asks": changes[1]})

    def window(self, depth: int, time_ms: int) -> bytes:
        """Return the whole of the first `depth` levels, without type and link."""
        bids, asks = ([list(level) for level in side.items()][:depth] for side in sides(*self._of))
        self.change_id = next(self._ids)
        data = self._data("", time_ms)
        del data["type"]
        return orjson.dumps(data | {"bids": bids, "asks": asks})

    def _data(self, kind: str, time_ms: int) -> Json:
        return {"type": kind, "timestamp": time_ms, "change_id": self.change_id, "instrument_name": self._symbol}


def _changes(old: Side, new: Side) -> list[list[object]]:
    gone = [["delete", price, 0.0] for price in old if price not in new]
    return gone + [
        ["change" if price in old else "new", price, amount]
        for price, amount in new.items()
        if old.get(price) != amount
    ]
