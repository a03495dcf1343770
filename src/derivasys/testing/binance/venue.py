"""The local Binance, sans I/O: sessions in, calls in, time in; payloads out.

`tick(now_ns)` moves the markets on and puts every session's messages of that moment into its `out`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
import orjson
from msgspec import Struct

from derivasys.testing.binance import payloads
from derivasys.testing.binance.payloads import Json, Printer
from derivasys.testing.binance.session import STREAMS_MAX, Route, Session
from derivasys.testing.market import MarketUpdate, MarketView, VenueMarket
from derivasys.testing.market.board import OPEN
from derivasys.testing.text import Losses

S = 1_000_000_000
MARKS_NS, INDEX_NS, OPEN_INTEREST_NS, STATISTICS_NS = S, S, 60 * S, S
LIFE_S = 24 * 3600.0
WEIGHT_MAX = 2400
"""Of REST requests a minute and address; further requests are banned for `BAN_NS` when they go on regardless."""
REFUSED_MAX, BAN_NS = 20, 120 * S
_WEIGHTS = {"mark": 5, "depth": 2, "trades": 5, "ticker": 5}

_MARKET = re.compile(
    r"[a-z0-9]+@(?:optionMarkPrice|(?:openInterest|optionOpenInterest)@[0-9]{6})|!index@arr|!optionSymbol"
)
_PUBLIC = re.compile(r"\S+@(?:bookTicker|optionTrade|optionTicker|depth(?:5|10|20)?@(?:100|500)ms)")


class Venue:
    """All sessions and streams of one local venue. Not thread-safe; time never runs back."""

    def __init__(self, view: VenueMarket, life_s: float = LIFE_S) -> None:
        """`life_s`: how long a connection may live."""
        self.view = view
        self.losses = Losses()
        self.sessions: dict[Session, None] = {}
        self._life_s = life_s
        self._subscribers: dict[str, dict[Session, None]] = {}
        self._timed: dict[str, int] = {}
        """Subscribed streams that speak at intervals: when each speaks next."""
        self._depths: set[str] = set()
        """Subscribed streams of books."""
        self._printers = {market.family.name: Printer(market.board) for market in view.markets}
        self._market_of = {market.family.name.lower(): market for market in view.markets}
        self._update_id = 121_000_000
        """One counter for all symbols, as at the venue."""
        self._depth_id: dict[str, int] = {}
        self._weights: dict[int, int] = {}
        self._refused = 0
        self._banned_until_ns = 0

    # --- sessions ---

    def connect(self, route: Route, *, is_combined: bool, streams: list[str], now_ns: int) -> Session:
        """Return the session of a new connection to /public, /market or an address without a route."""
        session = Session(route, is_combined=is_combined, now_ns=now_ns, life_s=self._life_s)
        self.sessions[session] = None
        for name in streams[:STREAMS_MAX]:
            self._join(session, name)
        return session

    def disconnect(self, session: Session) -> None:
        """Forget a session and its subscriptions."""
        for name in list(session.streams):
            self._leave(session, name)
        self.sessions.pop(session, None)

    def receive(self, session: Session, text: bytes, now_ns: int) -> None:
        """Answer one message of a client; the reply is in `session.out`."""
        if session.closing is not None:
            return
        session.heard(now_ns)
        try:
            call = _CALL.decode(text)
        except msgspec.DecodeError as error:
            session.out.append(orjson.dumps({"code": 2, "msg": f"Invalid request: {error}"}))
            return
        if not session.route:
            return
        session.out.append(orjson.dumps(self._answer(session, call)))

    def _answer(self, session: Session, call: _Call) -> Json:
        if call.method == "LIST_SUBSCRIPTIONS":
            return {"result": sorted(session.streams), "id": call.id}
        if call.method == "SUBSCRIBE":
            if len(session.streams.union(call.params)) > STREAMS_MAX:
                return {"error": {"code": 3, "msg": f"Invalid request: more than {STREAMS_MAX} streams"}, "id": call.id}
            for name in call.params:
                self._join(session, name)
        elif call.method == "UNSUBSCRIBE":
            for name in call.params:
                self._leave(session, name)
        elif call.method != "SET_PROPERTY":
            return {"code": 2, "msg": f"Invalid request: unknown variant `{call.method}`, expected one of `SUBSCRIBE`"}
        return {"result": None, "id": call.id}

    def _join(self, session: Session, name: str) -> None:
        """Subscribe; a name of the other path, or of nothing, is accepted and stays silent."""
        session.streams.add(name)
        grammar = _MARKET if session.route == "market" else _PUBLIC
        if session.route and grammar.fullmatch(name):
            self._subscribers.setdefault(name, {})[session] = None
            if "@depth" in name:
                self._depths.add(name)
            elif name.endswith("@optionTicker") or (session.route == "market" and name != "!optionSymbol"):
                self._timed.setdefault(name, 0)

    def _leave(self, session: Session, name: str) -> None:
        session.streams.discard(name)
        to = self._subscribers.get(name, {})
        to.pop(session, None)
        if not to:
            self._subscribers.pop(name, None)
            self._timed.pop(name, None)
            self._depths.discard(name)

    # --- time ---

    def tick(self, now_ns: int) -> None:
        """Move on to `now_ns`: markets, messages, the end of old connections."""
        for market, update in self.view.advance(now_ns):
            self._publish(market, update)
        for name, due_ns in list(self._timed.items()):
            if now_ns >= due_ns:
                self._beat(name, now_ns)
        for session in list(self.sessions):
            session.grow_old(now_ns)

    def _publish(self, market: MarketView, update: MarketUpdate) -> None:
        board, printer = market.board, self._printers[market.family.name]
        for row in update.rows.tolist():
            name = board.symbols[row].lower()
            if f"{name}@bookTicker" in self._subscribers and board.state[row] == OPEN:
                self._update_id += 7
                self._send(f"{name}@bookTicker", payloads.book_ticker(printer, row, self._update_id))
            for stream in [stream for stream in self._depths if stream.startswith(f"{name}@")]:
                self._depth(stream, printer, row, market.now_ms())
        for made in update.prints:
            message = payloads.trade(printer, made)
            for name in (market.family.name.lower(), board.symbols[made.row].lower()):
                self._send(f"{name}@optionTrade", message)
        for event in update.life:
            if event.created and event.kind == "option":
                self._send("!optionSymbol", payloads.new_symbol(board, board.row_of[event.symbol], event.time_ms))

    def _depth(self, name: str, printer: Printer, row: int, now_ms: int) -> None:
        previous = self._depth_id.get(name, self._update_id)
        self._update_id += 7
        self._depth_id[name] = self._update_id
        message = payloads.depth(printer, row, (previous + 3, self._update_id, previous), now_ms)
        self._send(name, message)

    def _beat(self, name: str, now_ns: int) -> None:
        """Send what is sent at intervals."""
        head, _, kind = name.partition("@")
        now_ms = now_ns // 1_000_000
        data: Any = None
        if name == "!index@arr":
            every, data = INDEX_NS, [payloads.index(market.board, now_ms) for market in self.view.markets]
        elif kind == "optionMarkPrice" and head in self._market_of:
            every, data = MARKS_NS, self.marks(self._market_of[head])
        elif "penInterest@" in kind and head in self._market_of:
            every, data = OPEN_INTEREST_NS, self._open_interest(self._market_of[head], kind[-6:])
        elif kind == "optionTicker":
            found = self.find(head.upper())
            if found is None:
                return
            every, data = STATISTICS_NS, payloads.statistics(self._printers[found[0].family.name], found[1], now_ms)
        else:
            return
        self._timed[name] = now_ns + every
        self._send(name, data)

    def _send(self, name: str, data: Any) -> None:
        to = self._subscribers.get(name)
        if not to:
            return
        body = orjson.dumps(data)
        for _ in range(self.losses.copies(name)):
            for session in to:
                session.send(name, body)

    # --- state ---

    def find(self, symbol: str) -> tuple[MarketView, int] | None:
        """Return the market and row of an option."""
        for market in self.view.markets:
            row = market.board.row_of.get(symbol)
            if row is not None:
                return market, row
        return None

    def marks(self, market: MarketView) -> list[Json]:
        """Return the elements of a family's mark message."""
        now_ms = market.now_ms()
        delivery = {
            expiry.ms: market.estimated_delivery_price(expiry.ms)
            for expiry in market.board.expiries
            if payloads.is_settling(expiry.ms, now_ms)
        }
        rows = market.board.open_rows().tolist()
        return payloads.marks(self._printers[market.family.name], rows, now_ms, delivery)

    def _open_interest(self, market: MarketView, date: str) -> list[Json]:
        printer, board = self._printers[market.family.name], market.board
        rows = [row for row in board.open_rows().tolist() if f"-{date}-" in board.symbols[row]]
        return [payloads.open_interest(printer, row, market.now_ms()) for row in rows]

    # --- REST ---

    def rest(self, path: str, query: Mapping[str, str], now_ns: int) -> tuple[int, bytes, dict[str, str]]:
        """Return HTTP status, body and headers of one GET under /eapi/v1; all callers count as one address."""
        if now_ns < self._banned_until_ns:
            return 418, _error(-1003, "Way too much request weight used; IP banned."), {"Retry-After": "120"}
        minute = now_ns // (60 * S)
        used = self._weights.get(minute, 0) + _WEIGHTS.get(path, 1)
        self._weights = {minute: used}
        headers = {"X-MBX-USED-WEIGHT-1M": str(used)}
        if used > WEIGHT_MAX:
            self._refused += 1
            if self._refused > REFUSED_MAX:
                self._refused, self._banned_until_ns = 0, now_ns + BAN_NS
            return 429, _error(-1003, "Too much request weight used."), {**headers, "Retry-After": "60"}
        status, body = self._get(path, query, now_ns // 1_000_000)
        return status, body, headers

    def _get(self, path: str, query: Mapping[str, str], now_ms: int) -> tuple[int, bytes]:
        if path == "ping":
            return 200, b"{}"
        if path == "time":
            return 200, orjson.dumps({"serverTime": now_ms})
        if path == "exchangeInfo":
            return 200, orjson.dumps(self._listing(now_ms))
        if path == "index":
            market = self._market_of.get(query.get("underlying", "").lower())
            if market is None:
                return 400, _error(-1128, "Invalid underlying.")
            return 200, orjson.dumps({"time": now_ms, "indexPrice": f"{market.board.index_price:.8f}"})
        if path == "depth":
            found = self.find(query.get("symbol", ""))
            if found is None:
                return 400, _error(-1121, "Invalid symbol.")
            message = payloads.depth(self._printers[found[0].family.name], found[1], (0, 0, 0), now_ms)
            body = {"bids": message["b"], "asks": message["a"], "T": message["T"], "lastUpdateId": self._update_id}
            return 200, orjson.dumps(body)
        return 404, _error(-1000, "Path not found.")

    def _listing(self, now_ms: int) -> Json:
        rows: list[Json] = []
        for market in self.view.markets:
            printer = self._printers[market.family.name]
            rows += [payloads.symbol(printer, row) for row in market.board.open_rows().tolist()]
        last = int(np.max(self.view.markets[0].board.expiry_ms))
        coins = [market.family for market in self.view.markets]
        return {
            "timezone": "UTC",
            "serverTime": now_ms,
            "optionContracts": [
                {"baseAsset": one.ccy, "quoteAsset": "USDT", "underlying": one.name, "settleAsset": "USDT"}
                for one in coins
            ],
            "optionAssets": [{"name": "USDT"}],
            "optionSymbols": [*rows, payloads.stock_symbol(last)],
            "rateLimits": [
                {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": WEIGHT_MAX}
            ],
        }


class _Call(Struct):
    method: str
    id: int
    params: list[str] = []

    def __post_init__(self) -> None:
        if self.id < 0:
            raise ValueError("id must be an unsigned integer")


_CALL = msgspec.json.Decoder(_Call)


def _error(code: int, message: str) -> bytes:
    return orjson.dumps({"code": code, "msg": message})
