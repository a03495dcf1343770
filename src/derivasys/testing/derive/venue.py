"""The local Derive, sans I/O: sessions in, calls in, time in; payloads out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson
from msgspec import Struct

from derivasys.testing.derive import payloads
from derivasys.testing.derive.payloads import Json
from derivasys.testing.market import MarketUpdate, MarketView, VenueMarket
from derivasys.testing.text import Losses, Window

S = 1_000_000_000
SPOT_NS = S
CALLS_PER_S = 10
"""What the venue permits is not documented."""
PAGE_SIZE_MAX = 1000
_CHANNEL = re.compile(
    r"ticker_slim\.([^.]+)\.(100|1000)|orderbook\.([^.]+)\.(?:1|10|100)\.(?:1|10|20|100)"
    r"|trades\.(?:option\.)?([^.]+)|spot_feed\.([A-Z0-9]+)"
)


class RpcError(Exception):
    """A call's error: code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Session:
    """What the venue keeps for one connection. `out` holds payloads that wait to be sent."""

    def __init__(self) -> None:
        self.channels: set[str] = set()
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self.window = Window(CALLS_PER_S, 1.0)

    def take(self) -> list[bytes]:
        """Return the payloads to be sent, and forget them."""
        out, self.out = self.out, []
        return out


class Topic:
    """One channel with subscribers. Tickers and books are sent after a change, at most once an interval."""

    def __init__(self, market: MarketView, row: int | None, interval_ns: int) -> None:
        self.market = market
        self.row = row
        self.interval_ns = interval_ns
        self.last_ns = -(1 << 62)
        self.sessions: dict[Session, None] = {}


class Venue:
    """All sessions and channels of one local venue. Not thread-safe; time never runs back."""

    def __init__(self, view: VenueMarket) -> None:
        self.view = view
        self.losses = Losses()
        self.refused: dict[str, str] = {}
        """Channels that a subscription to is refused, with the status told."""
        self.sessions: dict[Session, None] = {}
        self._topics: dict[str, Topic] = {}
        self._of_row: dict[tuple[str, int], list[str]] = {}
        """(family, row) → channels that wait for its changes."""
        self._dirty: dict[str, None] = {}
        self._publish_id = 628_000

    # --- sessions ---

    def connect(self) -> Session:
        """Return the session of a new connection."""
        session = Session()
        self.sessions[session] = None
        return session

    def disconnect(self, session: Session) -> None:
        """Forget a session and its subscriptions."""
        for name in list(session.channels):
            self._leave(session, name)
        self.sessions.pop(session, None)

    def receive(self, session: Session, text: bytes, now_ns: int) -> None:
        """Answer one message of a client; the reply is in `session.out`."""
        if session.closing is not None:
            return
        call = None
        try:
            call = _CALL.decode(text)
            if not session.window.take(now_ns):
                raise RpcError(-32000, "Rate limit exceeded")
            result = self._session_call(session, call)
        except msgspec.DecodeError as error:
            session.out.append(_error(None, -32600, str(error)))
        except RpcError as error:
            session.out.append(_error(call.id if call else None, error.code, str(error)))
        else:
            session.out.append(orjson.dumps({"id": call.id, "result": result}))

    def _session_call(self, session: Session, call: _Call) -> Any:
        if call.method not in ("subscribe", "unsubscribe"):
            return self.call(call.method, call.params)
        channels = call.params.get("channels")
        if not isinstance(channels, list) or not all(isinstance(name, str) for name in channels):
            raise RpcError(-32602, "Invalid params")
        status = {}
        for name in channels:
            if call.method == "unsubscribe":
                self._leave(session, name)
                status[name] = "ok"
            else:
                status[name] = self._join(session, name)
        return {"status": status, "current_subscriptions": sorted(session.channels)}

    def _join(self, session: Session, name: str) -> str:
        """Subscribe; the status of a channel that does not exist is its error."""
        if name in self.refused:
            return self.refused[name]
        topic = self._topics.get(name) or self._open(name)
        if topic is None:
            return "channel does not exist"
        session.channels.add(name)
        topic.sessions[session] = None
        if topic.row is not None:
            self._dirty[name] = None
        return "ok"

    def _open(self, name: str) -> Topic | None:
        match = _CHANNEL.fullmatch(name)
        if match is None:
            return None
        symbol, interval_ms, book, traded, ccy = match.groups()
        instrument = symbol or book or (traded if traded and "-" in traded else None)
        if instrument:
            found = self.find(instrument)
        else:
            market = next((one for one in self.view.markets if one.family.ccy == (traded or ccy)), None)
            found = None if market is None else (market, -1)
        if found is None:
            return None
        market, row = found
        topic = self._topics[name] = Topic(
            market, row if symbol or book else None, int(interval_ms or 100) * 1_000_000
        )  # fmt: skip
        if topic.row is not None:
            self._of_row.setdefault((market.family.ccy, row), []).append(name)
        return topic

    def _leave(self, session: Session, name: str) -> None:
        session.channels.discard(name)
        topic = self._topics.get(name)
        if topic is None:
            return
        topic.sessions.pop(session, None)
        if not topic.sessions:
            del self._topics[name]
            self._dirty.pop(name, None)
            if topic.row is not None:
                self._of_row[topic.market.family.ccy, topic.row].remove(name)

    # --- calls ---

    def call(self, method: str, params: Json) -> Any:
        """Return the result of a public method; raises RpcError."""
        if method == "public/get_all_currencies":
            return [{"currency": market.family.ccy} for market in self.view.markets]
        if method == "public/get_all_instruments":
            return self._instruments(params)
        raise RpcError(-32601, "Method not found")

    def _instruments(self, params: Json) -> Json:
        page, size, ccy = params.get("page", 1), params.get("page_size", 100), params.get("currency")
        if not isinstance(page, int) or not isinstance(size, int) or not (page > 0 and 0 < size <= PAGE_SIZE_MAX):
            raise RpcError(-32602, "Invalid params")
        rows = [
            (market.board, row)
            for market in self.view.markets
            if ccy in (None, market.family.ccy)
            for row in market.board.open_rows().tolist()
        ]
        shown = rows[(page - 1) * size : page * size]
        return {
            "instruments": [payloads.instrument(board, row) for board, row in shown],
            "pagination": {"num_pages": max(1, -(-len(rows) // size)), "count": len(rows)},
        }

    def rest(self, method: str, params: Json) -> tuple[int, bytes]:
        """Return HTTP status and body of a call by POST, or of one without parameters by GET."""
        try:
            return 200, orjson.dumps({"id": "", "result": self.call(method, params)})
        except RpcError as error:
            return 404 if error.code == -32601 else 400, _error(None, error.code, str(error))

    def find(self, symbol: str) -> tuple[MarketView, int] | None:
        """Return the market and row of an option that trades."""
        for market in self.view.markets:
            row = market.board.row_of.get(symbol)
            if row is not None and row in market.board.open_rows():
                return market, row
        return None

    # --- time ---

    def tick(self, now_ns: int) -> None:
        """Move on to `now_ns`: markets, messages."""
        for market, update in self.view.advance(now_ns):
            self._absorb(market, update)
        for name in list(self._dirty):
            topic = self._topics[name]
            if topic.row is not None and now_ns - topic.last_ns >= topic.interval_ns:
                del self._dirty[name]
                topic.last_ns = now_ns
                self._send(name, self._body(name, topic.market, topic.row))
        for name, topic in self._topics.items():
            if name.startswith("spot_feed.") and now_ns - topic.last_ns >= SPOT_NS:
                topic.last_ns = now_ns
                self._send(name, payloads.spot(topic.market.board, topic.market.now_ms()))

    def _absorb(self, market: MarketView, update: MarketUpdate) -> None:
        ccy, board = market.family.ccy, market.board
        for row in update.rows.tolist():
            for name in self._of_row.get((ccy, row), ()):
                self._dirty[name] = None
        for made in update.prints:
            fills = payloads.trades(board, made)
            for name in (f"trades.option.{ccy}", f"trades.{board.symbols[made.row]}"):
                self._send(name, fills)

    def _body(self, name: str, market: MarketView, row: int) -> Json:
        if name.startswith("ticker_slim."):
            return payloads.slim(market.board, row, market.now_ms())
        self._publish_id += 1
        return payloads.book(market.board, row, self._publish_id, market.now_ms())

    def _send(self, name: str, data: Json | Sequence[Json]) -> None:
        topic = self._topics.get(name)
        if topic is None:
            return
        payload = orjson.dumps({"method": "subscription", "params": {"channel": name, "data": data}})
        for _ in range(self.losses.copies(name)):
            for session in topic.sessions:
                session.out.append(payload)


class _Call(Struct):
    method: str
    id: int | str | None = None
    params: Json = {}


_CALL = msgspec.json.Decoder(_Call)


def _error(call_id: int | str | None, code: int, message: str) -> bytes:
    return orjson.dumps({"id": call_id, "error": {"code": code, "message": message}})
