"""The venue's channels: which names are channels, and what each sends when.

A `Topic` is one channel with at least one subscriber. It sends at most once per its interval and
only after a change, always the state at the time of sending.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

import orjson

from derivasys.testing.deribit import payloads
from derivasys.testing.deribit.books import DEPTHS, Book
from derivasys.testing.deribit.methods import Markets, find, ticker
from derivasys.testing.deribit.rpc import Json
from derivasys.testing.market import LifeEvent, Market
from derivasys.testing.market.board import DELIVERED

SECOND_NS = 1_000_000_000
INTERVALS_NS = {"raw": 0, "100ms": SECOND_NS // 10, "agg2": SECOND_NS}
"""agg2: documented as two seconds, seen as one."""
KINDS = ("option", "future", "any")
INCREMENTAL_NS = SECOND_NS

Wake = Literal["contract", "trade", "index", "life", "creation", "platform"]
Body = Callable[[], bytes | None]


class Topic:
    """One channel. `body` returns what it has to send now, None for nothing."""

    def __init__(self, name: str, wake: Wake, keys: frozenset[str], interval_ns: int) -> None:
        self.name = name
        self.wake = wake
        """What kind of change it waits for."""
        self.keys = keys
        """The contracts or the families whose changes it waits for."""
        self.interval_ns = interval_ns
        self.last_ns = -(1 << 62)
        self.is_snapshot = False
        """Whether a new subscriber is sent the state at once."""
        self.queue: list[Json] = []
        """Events that wait for the next message: trades, states."""
        self.sessions: dict[Any, None] = {}

    def body(self) -> bytes | None:
        """Return what there is to send, and count it as sent."""
        if not self.queue:
            return None
        data = orjson.dumps(self.queue)
        self.queue = []
        return data

    def snapshot(self) -> bytes | None:
        """Return what a new subscriber is sent."""
        return self.body()


class TickerTopic(Topic):
    """The whole ticker."""

    def __init__(self, name: str, market: Market, symbol: str, row: int | None, ns: int) -> None:
        super().__init__(name, "contract", frozenset([symbol]), ns)
        self.market, self.symbol, self.row = market, symbol, row
        self.is_snapshot = True

    def body(self) -> bytes | None:
        return orjson.dumps(ticker(self.market, self.symbol, self.row))


class IncrementalTopic(TickerTopic):
    """The fields of the ticker that changed."""

    def __init__(self, name: str, market: Market, symbol: str, row: int | None) -> None:
        super().__init__(name, market, symbol, row, INCREMENTAL_NS)
        self._sent: Json = {}

    def body(self) -> bytes | None:
        now = _printed(ticker(self.market, self.symbol, self.row))
        changed = {name: value for name, value in now.items() if self._sent.get(name) != value}
        self._sent = now
        identity = {"instrument_name": self.symbol, "timestamp": now["timestamp"]}
        return orjson.dumps({"type": "change"} | changed | identity)

    def snapshot(self) -> bytes | None:
        now = _printed(ticker(self.market, self.symbol, self.row))
        # Changes are told against what every subscriber has: the oldest state sent.
        self._sent = self._sent or now
        return orjson.dumps({"type": "snapshot"} | now)


class QuoteTopic(TickerTopic):
    """Best bid and offer, whenever they change."""

    def __init__(self, name: str, market: Market, symbol: str, row: int | None) -> None:
        super().__init__(name, market, symbol, row, 0)
        self._sent: tuple[Any, ...] = ()

    def body(self) -> bytes | None:
        data = self._data()
        state = tuple(data.values())[2:]
        if state == self._sent:
            return None
        self._sent = state
        return orjson.dumps(data)

    def snapshot(self) -> bytes | None:
        data = self._data()
        self._sent = self._sent or tuple(data.values())[2:]
        return orjson.dumps(data)

    def _data(self) -> Json:
        board = self.market.board
        if self.row is None:
            return payloads.future_quote(board.futures[self.symbol])
        return payloads.quote(board, self.row)


class BookTopic(TickerTopic):
    """An order book: a snapshot and its changes, or with a depth the whole window each time."""

    def __init__(
        self, name: str, market: Market, symbol: str, row: int | None, ns: int, depth: int, ids: Iterator[int]
    ) -> None:
        super().__init__(name, market, symbol, row, ns)
        self._book = Book(market, symbol, row, ids)
        self._depth = depth

    def body(self) -> bytes | None:
        if self._depth:
            return self._book.window(self._depth, self._time_ms())
        return self._book.change(self._time_ms())

    def snapshot(self) -> bytes | None:
        return self.body() if self._depth else self._book.snapshot(self._time_ms())

    def _time_ms(self) -> int:
        board = self.market.board
        return board.futures[self.symbol].time_ms if self.row is None else int(board.ticker["time_ms"][self.row])


class ComputedTopic(Topic):
    """A channel whose message is computed from the present state, on a beat."""

    def __init__(self, name: str, keys: frozenset[str], compute: Callable[[], bytes]) -> None:
        super().__init__(name, "index", keys, SECOND_NS)
        self._compute = compute
        self.is_snapshot = True

    def body(self) -> bytes | None:
        return self._compute()


class LifeTopic(Topic):
    """instrument.state and instrument.creation: one message an event, at once."""

    def __init__(self, name: str, wake: Wake, keys: frozenset[str], kind: str) -> None:
        super().__init__(name, wake, keys, 0)
        self.kind = kind

    def message(self, market: Market, event: LifeEvent) -> Json | None:
        """Return the message about `event`, None when it is not for this channel."""
        if self.kind not in ("any", event.kind):
            return None
        if self.wake == "life":
            return {
                "timestamp": event.time_ms,
                "state": event.state,
                "instrument_name": event.symbol,
            }
        row = market.board.row_of.get(event.symbol)
        if not event.created or row is None:
            return None
        return payloads.instrument(market.board, row)


def _printed(data: Json) -> Json:
    """Return data as it prints, NaN as null, so that equal means equal on the wire.

    A change cannot say that a price is gone by leaving it out: there it is null.
    """
    gone = {"best_bid_price": None, "best_ask_price": None}
    printed: Json = orjson.loads(orjson.dumps(gone | data))
    return printed


def open_topic(
    name: str, markets: Markets, ticker_ns: int, now_ms: Callable[[], int], ids: Iterator[int]
) -> Topic | None:
    """Return the channel called `name`, None when there is none: unknown contract or interval.

    `ticker_ns` is what 100ms means for tickers (other than 100 ms only in load tests); `ids` are those of book changes.
    """
    head, _, rest = name.partition(".")
    match head:
        case "platform_state":
            known = rest in ("", "public_methods_state")
            return Topic(name, "platform", frozenset(), 0) if known else None
        case "deribit_price_index" | "estimated_expiration_price" | "markprice":
            return _index_topic(name, head, rest.removeprefix("options."), markets, now_ms)
        case "trades":
            return _trades_topic(name, rest, markets)
        case "instrument":
            return _life_topic(name, rest, markets)
        case "ticker":
            symbol, _, interval = rest.rpartition(".")
            ns = ticker_ns if interval == "100ms" else INTERVALS_NS.get(interval)
            found = find(markets, symbol)
            if ns is None or found is None or _is_delivered(*found):
                return None
            return TickerTopic(name, found[0], symbol, found[1], ns)
        case "book":
            return _book_topic(name, rest, markets, ids)
        case "quote" | "incremental_ticker":
            found = find(markets, rest)
            if found is None or _is_delivered(*found):
                return None
            kind = QuoteTopic if head == "quote" else IncrementalTopic
            return kind(name, found[0], rest, found[1])
    return None


def _book_topic(name: str, rest: str, markets: Markets, ids: Iterator[int]) -> Topic | None:
    symbol, *parts = rest.split(".")
    found = find(markets, symbol)
    if found is None or _is_delivered(*found) or not parts or parts[-1] not in INTERVALS_NS:
        return None
    if len(parts) == 3 and parts[0] == "none" and parts[1] in DEPTHS:
        depth = int(parts[1])
    elif len(parts) == 1:
        depth = 0
    else:
        return None
    return BookTopic(name, found[0], symbol, found[1], INTERVALS_NS[parts[-1]], depth, ids)


def _is_delivered(market: Market, row: int | None) -> bool:
    return row is not None and bool(market.board.state[row] == DELIVERED)


def _trades_topic(name: str, rest: str, markets: Markets) -> Topic | None:
    *parts, interval = rest.split(".")
    if interval not in INTERVALS_NS:
        return None
    if len(parts) == 1:
        found = find(markets, parts[0])
        keys = frozenset(parts) if found and not _is_delivered(*found) else frozenset()
    elif len(parts) == 2 and parts[0] in KINDS:
        keys = _currencies(parts[1], markets)
        if parts[0] == "future" and keys:
            keys = frozenset(["no prints of futures"])
    else:
        return None
    return Topic(name, "trade", keys, INTERVALS_NS[interval]) if keys else None


def _life_topic(name: str, rest: str, markets: Markets) -> Topic | None:
    match = re.fullmatch(r"(state|creation)\.(\w+)\.(\w+)", rest)
    if match is None or match[2] not in KINDS:
        return None
    keys = _currencies(match[3], markets)
    wake: Wake = "life" if match[1] == "state" else "creation"
    return LifeTopic(name, wake, keys, match[2]) if keys else None


def _currencies(currency: str, markets: Markets) -> frozenset[str]:
    return frozenset(m.board.family.name for m in markets if currency in ("any", m.board.family.settle))


def _index_topic(name: str, head: str, index: str, markets: Markets, now_ms: Callable[[], int]) -> Topic | None:
    for market in markets:
        if market.board.index_name == index:
            compute = {
                "deribit_price_index": lambda m=market: _index_body(m, now_ms()),
                "estimated_expiration_price": lambda m=market: _expiration_body(m, now_ms()),
                "markprice": lambda m=market: payloads.mark_prices(m.board),
            }[head]
            return ComputedTopic(name, frozenset([market.board.family.name]), compute)
    return None


def _index_body(market: Market, now_ms: int) -> bytes:
    board = market.board
    return orjson.dumps({"timestamp": now_ms, "price": board.index_price, "index_name": board.index_name})


def _expiration_body(market: Market, now_ms: int) -> bytes:
    soonest = min((e.ms for e in market.board.expiries if e.ms > now_ms), default=now_ms)
    return orjson.dumps(
        {
            "seconds": (soonest - now_ms) // 1000,
            "price": market.estimated_delivery_price(soonest),
            "is_estimated": soonest - now_ms <= 30 * 60_000,
        }
    )
