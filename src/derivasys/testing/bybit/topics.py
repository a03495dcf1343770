"""Bybit's topics: which names are topics of which market, and what each sends when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from derivasys.testing.bybit import payloads
from derivasys.testing.bybit.payloads import Json
from derivasys.testing.market import MarketView
from derivasys.testing.market.board import OPEN

_MS = 1_000_000
INTERVALS_MS = {"tickers": 100, "orderbook.25": 20, "orderbook.100": 100}


class Topic:
    """One topic with at least one subscriber; `wake` is what it waits for: a contract, a coin's trades, the status."""

    def __init__(self, name: str, wake: tuple[str, str], market: MarketView | None, interval_ms: int) -> None:
        self.name = name
        self.wake = wake
        self.market = market
        self.interval_ns = interval_ms * _MS
        self.last_ns = -(1 << 62)
        self.sessions: dict[Any, None] = {}

    def snapshot(self, now_ms: int) -> Json | list[Json] | None:
        """Return what a new subscriber is sent, None for nothing."""
        return None

    def change(self, now_ms: int) -> tuple[str, Json] | None:
        """Return (type, data) of what is to be sent after a change."""
        return None


class OptionTopic(Topic):
    """An option's ticker: whole each time."""

    def __init__(self, name: str, symbol: str, market: MarketView) -> None:
        super().__init__(name, ("contract", symbol), market, INTERVALS_MS["tickers"])
        self._market = market
        self._row = market.board.row_of[symbol]

    def snapshot(self, now_ms: int) -> Json:
        settling = self._market.estimated_delivery_price(int(self._market.board.expiry_ms[self._row]))
        return payloads.ticker(self._market.board, self._row, now_ms, settling)

    def change(self, now_ms: int) -> tuple[str, Json]:
        return "snapshot", self.snapshot(now_ms)


class FutureTopic(Topic):
    """A future's ticker: a snapshot, then the fields that changed."""

    def __init__(self, name: str, symbol: str, market: MarketView) -> None:
        super().__init__(name, ("contract", symbol), market, INTERVALS_MS["tickers"])
        self._market = market
        self._symbol = symbol
        self._sent: Json = {}

    def snapshot(self, now_ms: int) -> Json:
        board = self._market.board
        now = payloads.future_ticker(board, board.futures[self._symbol])
        # Changes are told against what every subscriber has: the oldest state sent.
        self._sent = self._sent or now
        return now

    def change(self, now_ms: int) -> tuple[str, Json] | None:
        board = self._market.board
        now = payloads.future_ticker(board, board.futures[self._symbol])
        changed = {name: value for name, value in now.items() if self._sent.get(name) != value}
        self._sent = now
        return ("delta", {"symbol": self._symbol} | changed) if changed else None


class BookTopic(Topic):
    """An option's order book: a snapshot, then changes whose `u` rises by one. The best level and two behind it."""

    def __init__(self, name: str, symbol: str, market: MarketView) -> None:
        super().__init__(name, ("contract", symbol), market, INTERVALS_MS[name[: -len(symbol) - 1]])
        self._market = market
        self._symbol = symbol
        self.u = 24_641
        self._sent: tuple[dict[str, str], dict[str, str]] | None = None

    def snapshot(self, now_ms: int) -> Json:
        self._sent = self._sent or self._levels()
        bids, asks = self._sent
        return self._data(bids, asks, self.u if bids or asks else 0)

    def restart(self) -> Json:
        """Return the snapshot that is sent after a restart of the service: `u` begins anew at 1."""
        self._sent, self.u = self._levels(), 1
        return self._data(*self._sent, 1)

    def change(self, now_ms: int) -> tuple[str, Json] | None:
        sent, now = self._sent or ({}, {}), self._levels()
        changed = [
            {price: new.get(price, "0") for price in old | new if old.get(price) != new.get(price)}
            for old, new in zip(sent, now, strict=True)
        ]
        if not any(changed):
            return None
        is_first = not any(sent)
        self._sent, self.u = now, self.u + 1
        if is_first:  # after an empty book, whose u is 0, comes a snapshot
            return "snapshot", self._data(*now, self.u)
        return "delta", self._data(changed[0], changed[1], self.u)

    def _levels(self) -> tuple[dict[str, str], dict[str, str]]:
        board = self._market.board
        row = payloads.ticker(board, board.row_of[self._symbol], 0, 0.0)
        sides: list[dict[str, str]] = []
        for name, factor in (("bid", 0.9), ("ask", 1.1)):
            price, size = row[f"{name}Price"], row[f"{name}Size"]
            levels = {f"{float(price) * factor**step:.8f}".rstrip("0").rstrip("."): str(7 * step) for step in (1, 2)}
            sides.append({} if price == "0" else {price: size} | levels)
        return sides[0], sides[1]

    def _data(self, bids: dict[str, str], asks: dict[str, str], u: int) -> Json:
        return {
            "s": self._symbol, "u": u, "seq": u,
            "b": [list(level) for level in bids.items()], "a": [list(level) for level in asks.items()],
        }  # fmt: skip


class SilentTopic(Topic):
    """Trades of a coin, or the system's state: sent by the venue as they come."""


def open_topic(market_name: str, name: str, markets: Sequence[MarketView]) -> Topic | None:
    """Return the topic `name` of the socket of `market_name` (option, linear, misc/status), None when there is none."""
    head, _, rest = name.partition(".")
    if market_name == "misc/status":
        return SilentTopic(name, ("status", ""), None, 0) if name == "system.status" else None
    if market_name == "linear":
        found = next((market for market in markets if rest in market.board.futures), None)
        return FutureTopic(name, rest, found) if head == "tickers" and found is not None else None
    if market_name != "option":
        return None
    if head == "publicTrade":
        found = next((market for market in markets if market.family.ccy == rest), None)
        return None if found is None else SilentTopic(name, ("trade", rest), found, 0)
    symbol = rest.partition(".")[2] if head == "orderbook" else rest
    found = next((market for market in markets if symbol in market.board.row_of), None)
    if found is None or found.board.state[found.board.row_of[symbol]] != OPEN:
        return None
    if head == "tickers":
        return OptionTopic(name, symbol, found)
    return BookTopic(name, symbol, found) if name[: -len(symbol) - 1] in INTERVALS_MS else None
