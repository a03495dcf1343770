"""OKX's channels: which args name one, on which path, and what each sends when.

A `Topic` is one channel with at least one subscriber. What depends on state is sent at most once an interval and only
after a change; trades and listings at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from derivasys.testing.market import LifeEvent, MarketView, Print
from derivasys.testing.okx import payloads
from derivasys.testing.okx.payloads import Json

_MS = 1_000_000
BOOK_CHANNELS = ("books", "books5", "bbo-tbt")
INTERVALS_MS = {
    "tickers": 100, "bbo-tbt": 10, "books5": 100, "books": 100, "mark-price": 200, "open-interest": 3000,
    "index-tickers": 100, "opt-summary": 1000,
}  # fmt: skip
IDLE_MS = 60_000
"""After so long without change, a book says that it lives."""
KEYS = {
    "opt-summary": "instFamily", "option-trades": "instFamily", "instruments": "instType", "status": "",
    **dict.fromkeys(("tickers", "trades", "mark-price", "open-interest", "index-tickers", *BOOK_CHANNELS), "instId"),
}  # fmt: skip
"""What names a channel beside its own name."""
BUSINESS = frozenset({"trades-all", "public-block-trades", "public-struc-block-trades", "candle1m"})
"""Channels of /business."""

Wake = Literal["contract", "family", "index", "trade", "life", "status"]
_WAKES: dict[str, Wake] = {
    "opt-summary": "family", "option-trades": "trade", "trades": "trade", "instruments": "life", "status": "status",
    "index-tickers": "index",
}  # fmt: skip


class Topic:
    """One channel of one instrument or family."""

    def __init__(self, channel: str, key: str, markets: Sequence[MarketView]) -> None:
        self.channel = channel
        self.key = key
        self.name = f"{channel}:{key}"
        self.markets = tuple(markets)
        self.wake: Wake = _WAKES.get(channel, "contract")
        self.interval_ns = INTERVALS_MS.get(channel, 0) * _MS
        self.last_ns = -(1 << 62)
        self.sessions: dict[Any, bytes] = {}
        """Session → the `arg` as that client wrote it."""
        self.rows: set[int] = set()
        """Rows of the family that changed since the last summary."""
        self.trades: list[Json] = []
        self.cached: Json | None = None
        """The last trade, which a new subscriber may get again."""

    def snapshot(self, now_ms: int) -> list[Json]:
        """Return the rows that a new subscriber is sent."""
        market = self.markets[0] if self.markets else None
        if self.channel == "opt-summary" and market is not None:
            return [payloads.summary(market.board, row) for row in market.board.open_rows().tolist()]
        if self.channel == "option-trades":
            return [] if self.cached is None else [self.cached]
        if self.channel in ("trades", "instruments"):
            return []
        return self.state(now_ms)

    def state(self, now_ms: int) -> list[Json]:
        """Return the rows that say how things stand."""
        board = self.markets[0].board
        if self.channel == "tickers":
            return [payloads.ticker(board, self.key)]
        if self.channel == "mark-price":
            return [payloads.mark_price(board, self.key)]
        if self.channel == "open-interest":
            return [payloads.open_interest(board, board.row_of[self.key])]
        if self.channel == "index-tickers":
            return [payloads.index(board, now_ms)]
        if self.channel == "opt-summary":
            rows, self.rows = sorted(self.rows), set()
            return [payloads.summary(board, row) for row in rows if board.state[row] == 0]
        return []

    def traded(self, market: MarketView, made: Print) -> None:
        """Take note of a trade of this channel."""
        row = payloads.option_trade if self.channel == "option-trades" else payloads.plain_trade
        self.cached = row(market.board, made)
        self.trades.append(self.cached)

    def listed(self, market: MarketView, life: Sequence[LifeEvent]) -> list[Json]:
        """Return the rows of `instruments` for changes of contracts."""
        rows = []
        for event in life:
            is_option = event.kind == "option"
            # A new contract is preopen; the venue tells of its opening later.
            if is_option != (self.key == "OPTION") or event.state in ("settlement", "open"):
                continue
            rows.append(payloads.instrument(market.board, event.symbol, "preopen" if event.created else None))
        return rows


class BookTopic(Topic):
    """Order books of three kinds, with the sequence numbers of `books`: the market's best level and two behind it."""

    def __init__(self, channel: str, key: str, markets: Sequence[MarketView]) -> None:
        super().__init__(channel, key, markets)
        self.seq = 100_000
        self._sent: tuple[dict[str, str], dict[str, str]] = ({}, {})

    def levels(self) -> tuple[dict[str, str], dict[str, str]]:
        """Return bids and asks, price → size, best first."""
        row = payloads.ticker(self.markets[0].board, self.key)
        depth = 1 if self.channel == "bbo-tbt" else 3
        sides = []
        for name, factor in (("bid", 0.9), ("ask", 1.1)):
            price, size = row[f"{name}Px"], row[f"{name}Sz"]
            best = float(price) if price else 0.0
            deeper = [f"{best * factor**step:.12f}".rstrip("0").rstrip(".") for step in range(1, depth)]
            sides.append({price: size} | {at: str(7 * number) for number, at in enumerate(deeper, 1)} if price else {})
        return sides[0], sides[1]

    def window(self, now_ms: int) -> Json:
        """Return the whole book."""
        bids, asks = self.levels()
        self._sent = (bids, asks)
        return self._row(bids, asks, now_ms) | {"seqId": self.seq}

    def joined(self, now_ms: int) -> Json:
        """Return the snapshot of `books` for a new subscriber: what the others have been told so far."""
        if not self._sent[0] and not self._sent[1]:
            self._sent = self.levels()
        return self._row(*self._sent, now_ms) | {"prevSeqId": -1, "seqId": self.seq, "checksum": 0}

    def change(self, now_ms: int, step: int = 1) -> Json | None:
        """Return the change of `books` since the last, None when there is none."""
        now = self.levels()
        changed = [
            {price: new.get(price, "0") for price in old | new if old.get(price) != new.get(price)}
            for old, new in zip(self._sent, now, strict=True)
        ]
        if not any(changed):
            return None
        self._sent = now
        previous, self.seq = self.seq, self.seq + step
        return self._row(changed[0], changed[1], now_ms) | {"prevSeqId": previous, "seqId": self.seq, "checksum": 0}

    def idle(self, now_ms: int) -> Json:
        """Return what says that nothing has changed for a minute."""
        return self._row({}, {}, now_ms) | {"prevSeqId": self.seq, "seqId": self.seq, "checksum": 0}

    def _row(self, bids: dict[str, str], asks: dict[str, str], now_ms: int) -> Json:
        sides = {"bids": bids, "asks": asks}
        return {
            name: [[price, size, "0", "0" if size == "0" else "1"] for price, size in side.items()]
            for name, side in sides.items()
        } | {"ts": str(now_ms)}


def open_topic(channel: str, key: str, markets: Sequence[MarketView]) -> Topic | None:
    """Return the channel so named, None when there is none."""
    if channel == "status":
        return Topic(channel, key, ())
    if channel == "instruments":
        return Topic(channel, key, markets) if key in ("OPTION", "FUTURES", "SWAP", "SPOT") else None
    if channel in ("opt-summary", "option-trades"):
        found = [market for market in markets if market.family.name == key]
    elif channel == "index-tickers":
        found = [market for market in markets if f"{market.family.ccy}-USD" == key][:1]
    else:
        found = [market for market in markets if _is_listed(market, key, channel)]
    if not found:
        return None
    return (BookTopic if channel in BOOK_CHANNELS else Topic)(channel, key, found)


def _is_listed(market: MarketView, symbol: str, channel: str) -> bool:
    row = market.board.row_of.get(symbol)
    if row is not None:
        return bool(market.board.state[row] == 0)
    return symbol in market.board.futures and channel in ("tickers", "mark-price")
