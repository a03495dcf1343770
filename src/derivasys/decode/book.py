"""Order books kept from snapshots and deltas, for venues whose best bid and ask come that way."""

from __future__ import annotations

from collections.abc import Iterable

Level = tuple[float, float]


class Book:
    """One instrument's bids and asks by price. `last_id` is the venue's id of the last change applied.

    `time_ms` is the venue's time of it, where a decoder keeps that.
    """

    __slots__ = ("asks", "bids", "last_id", "time_ms")

    def __init__(self, bids: Iterable[Level], asks: Iterable[Level], last_id: int, time_ms: int = 0) -> None:
        self.bids = {price: size for price, size in bids if size > 0}
        self.asks = {price: size for price, size in asks if size > 0}
        self.last_id = last_id
        self.time_ms = time_ms

    def apply(self, bids: Iterable[Level], asks: Iterable[Level], change_id: int) -> None:
        """Set the size at each price; size 0 removes the price."""
        for side, changes in ((self.bids, bids), (self.asks, asks)):
            for price, size in changes:
                if size > 0:
                    side[price] = size
                else:
                    side.pop(price, None)
        self.last_id = change_id

    def best(self) -> tuple[float | None, float | None, float | None, float | None]:
        """Return bid, ask, bid size, ask size; None for an empty side."""
        bid = max(self.bids, default=None)
        ask = min(self.asks, default=None)
        return (
            bid,
            ask,
            None if bid is None else self.bids[bid],
            None if ask is None else self.asks[ask],
        )
