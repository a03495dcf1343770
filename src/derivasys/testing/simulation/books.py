"""Order books followed by their changes, at the venues whose local servers send such: OKX `books`, Bybit `orderbook`.

The connectors follow tickers, which carry no sequence numbers. What the decoders do with those of order books is driven
here: a client that subscribes to the books of some options, and anew to one whose sequence the decoder finds broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from derivasys.connect.session import Reconnect, Session
from derivasys.testing.simulation.faults import S

BOOKS = 8
PING_S, SILENCE_S_MAX = 15.0, 30.0
ANEW_EVERY_S = 3.0
"""Requests are counted by the venues: broken books are gathered for so long."""
SNAPSHOT_S_MAX = 6.0
"""A book whose snapshot has not come after so long is asked for again."""


class BookSession:
    """One connection's conversation (see `connect.session.Session`). Subclasses put it into the venue's words."""

    venue = ""
    ws_path = ""
    is_leaving = False

    def __init__(self, ccys: Sequence[str], now_ns: int) -> None:
        self.relisting = self._listings(ccys[0])
        self._broken: set[str] = set()
        self._symbols: list[str] = []
        self._asked_ns: dict[str, int] = {}
        """When books that have not spoken since were asked for."""
        self._heard_ns = self._pinged_ns = self._anew_ns = now_ns
        self._begun_ns = now_ns

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Choose books, spread over the listing."""
        try:
            found = self._names(orjson.loads(payload))
        except KeyError as error:
            raise Reconnect(f"{path}: no listing: {error}") from None  # an error, as in maintenance
        self._symbols += found[:: max(1, len(found) // BOOKS)][:BOOKS]

    def opened(self, now_ns: int) -> list[bytes]:
        """Return the subscriptions."""
        self._heard_ns = now_ns
        return self._ask(self._symbols, now_ns)

    def received(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Note which book spoke."""
        self._heard_ns = now_ns
        self._asked_ns.pop(self._symbol(payload), None)
        return []

    def broken(self, symbol: str) -> None:
        """Note that a book has a gap."""
        self._broken.add(symbol)

    def is_listing(self, payload: bytes) -> bool:
        """Return False: listings come by REST."""
        return False

    def tick(self, now_ns: int) -> list[bytes]:
        """Subscribe anew to broken and unheard books; raise Reconnect for silence."""
        if now_ns - self._heard_ns > SILENCE_S_MAX * S:
            raise Reconnect(f"no book for {SILENCE_S_MAX:g} s")
        out: list[bytes] = []
        if now_ns - self._pinged_ns > PING_S * S:
            self._pinged_ns = now_ns
            out.append(self._ping())
        if now_ns - self._anew_ns > ANEW_EVERY_S * S:
            self._anew_ns = now_ns
            unheard = {name for name, at in self._asked_ns.items() if now_ns - at > SNAPSHOT_S_MAX * S}
            anew = sorted((self._broken | unheard).intersection(self._symbols))
            self._broken.clear()
            if anew:
                out += [self._call("unsubscribe", anew), *self._ask(anew, now_ns)]
        return out

    def _ask(self, symbols: Sequence[str], now_ns: int) -> list[bytes]:
        self._asked_ns |= dict.fromkeys(symbols, now_ns)
        return [self._call("subscribe", symbols)] if symbols else []

    # --- the venue's words ---

    def _listings(self, ccy: str) -> list[str]:
        raise NotImplementedError

    def _names(self, reply: dict[str, Any]) -> list[str]:
        raise NotImplementedError

    def _call(self, op: str, symbols: Sequence[str]) -> bytes:
        raise NotImplementedError

    def _ping(self) -> bytes:
        raise NotImplementedError

    def _symbol(self, payload: bytes) -> str:
        raise NotImplementedError


class OkxBooks(BookSession):
    """`books`: 100 ms, a snapshot, then changes that name the sequence number before them."""

    venue = "okx"
    ws_path = "/ws/v5/public"

    def _listings(self, ccy: str) -> list[str]:
        return [f"/api/v5/public/instruments?instType=OPTION&instFamily={ccy}-USD_UM"]

    def _names(self, reply: dict[str, Any]) -> list[str]:
        return [row["instId"] for row in reply["data"] if row["state"] == "live"]

    def _call(self, op: str, symbols: Sequence[str]) -> bytes:
        return orjson.dumps({"op": op, "args": [{"channel": "books", "instId": symbol} for symbol in symbols]})

    def _ping(self) -> bytes:
        return b"ping"

    def _symbol(self, payload: bytes) -> str:
        return _between(payload, b'"instId":"') if b'"action":"snapshot"' in payload else ""


class BybitBooks(BookSession):
    """`orderbook.25`: a snapshot, then changes whose update ids rise by one."""

    venue = "bybit"
    ws_path = "/v5/public/option"

    def _listings(self, ccy: str) -> list[str]:
        return [f"/v5/market/instruments-info?category=option&baseCoin={ccy}&limit=1000"]

    def _names(self, reply: dict[str, Any]) -> list[str]:
        return [row["symbol"] for row in reply["result"]["list"] if row["status"] == "Trading"]

    def _call(self, op: str, symbols: Sequence[str]) -> bytes:
        return orjson.dumps({"op": op, "args": [f"orderbook.25.{symbol}" for symbol in symbols]})

    def _ping(self) -> bytes:
        return b'{"op":"ping"}'

    def _symbol(self, payload: bytes) -> str:
        return _between(payload, b'"s":"') if b'"type":"snapshot"' in payload else ""


BOOK_SESSIONS: dict[str, type[BookSession]] = {"okx": OkxBooks, "bybit": BybitBooks}


def _between(payload: bytes, mark: bytes) -> str:
    at = payload.find(mark)
    return payload[at + len(mark) : payload.find(b'"', at + len(mark))].decode(errors="replace") if at >= 0 else ""


def book_session(venue: str, ccys: Sequence[str], now_ns: int) -> Session:
    """Return a new conversation about a venue's books."""
    return BOOK_SESSIONS[venue](ccys, now_ns)
