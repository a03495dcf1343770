"""Binance European options: listing, streams on two paths, silence, the 24 hours of a connection.

Source: developers.binance.com/docs/derivatives/options-trading (connecting, live subscriptions, `exchangeInfo`), as of
December 2025, and observed behaviour: a wrong path or an unknown stream is accepted and stays silent, so only the
absence of data tells.

Marks of whole chains, the index and new listings are on /market, one connection. Best prices and trades are on /public,
where a connection may have 200 streams: the contracts are spread over several connections by a hash of the name, which
stays put as expiries come and go. Contracts beyond that have the best prices inside the marks, once a second.

A connection is cut after 24 hours. Each is replaced before, at its own time, so that the others carry on meanwhile.
Ping frames are answered by the socket itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

import msgspec
import orjson
from msgspec import Struct, field

from derivasys.connect.session import Budget, Endpoint, Reconnect, Session, Venue
from derivasys.connect.subscriptions import RelistTimer, Subscriptions

VENUE = "binance"
PRODUCTION = Endpoint(ws="wss://fstream.binance.com", http="https://eapi.binance.com")
LISTING = "/eapi/v1/exchangeInfo"
STREAMS_MAX = 200
"""Of one connection."""
STREAMS_PER_CALL, CALL_BYTES_MAX = 100, 4_000
"""A client's message of more than 4096 bytes was an error on other gateways of this venue."""
MESSAGES_POOL, MESSAGES_PER_S = 4.0, 2.0
"""Ten client messages a second are allowed, pongs among them."""
LIFE_S, LIFE_STEP_S = 23 * 3600.0, 120.0
"""A connection is replaced after 23 hours less its number times the step."""
ANSWER_S_MAX = 10.0
RELIST_DELAY_S = 2.0
RELIST_EVERY_S = 600.0
SILENCE_S = {"optionMarkPrice": 10.0, "index": 10.0, "bookTicker": 30.0, "optionTrade": 1800.0}
"""Marks and index speak each second, the best prices of a connection together every few seconds at the least; a coin
may go without a trade for a while. New listings have no limit."""
_NS = 1_000_000_000


class BinanceSession:
    """One connection's conversation (see `connect.session.Session`). `choose` names its streams after a listing."""

    def __init__(self, path: str, number: int, choose: Callable[[list[Row]], dict[str, int]], now_ns: int) -> None:
        self.ws_path = f"/{path}/stream"
        self.relisting: list[str] = [LISTING]
        self._streams = Subscriptions(STREAMS_PER_CALL, CALL_BYTES_MAX, SILENCE_S["bookTicker"], SILENCE_S)
        self.refused = self._streams.refused
        """Asked for and not among the connection's subscriptions; asked for again after the next listing."""
        self.subscribed = self._streams.subscribed
        self.chosen: set[str] = set()
        """What the last listing gave this connection."""
        self._choose = choose
        self._pending: dict[int, tuple[str, int, Sequence[str]]] = {}
        """Method, time and streams of calls that await their reply, by id."""
        self._next_id = 1
        self._budget = Budget(MESSAGES_POOL, MESSAGES_PER_S, 1.0, now_ns)
        self.is_leaving = False
        self._is_open = False
        self._is_to_check = False
        self._life_ns = int((LIFE_S - LIFE_STEP_S * number) * _NS)
        self._opened_ns = now_ns
        self._lag_ns = number * _NS
        """Connections list one after the other."""
        self._timer = RelistTimer(RELIST_EVERY_S, RELIST_DELAY_S, now_ns - self._lag_ns)

    # --- listing ---

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Queue the streams of what is newly listed, and the end of those of what is no longer."""
        rows = _crypto(_LISTING.decode(payload).rows)
        if not rows:
            # An outage: what is subscribed stays; before the first subscription there is nothing to do but to wait.
            if not self.chosen:
                raise Reconnect("the listing is empty")
            return
        chosen = self._choose(rows)
        for name in sorted(self.chosen - chosen.keys()):
            self._streams.drop(name)
        self.chosen = set(chosen)
        self._streams.want((name, _stream_of(name)) for name in chosen)
        for name, expiry in chosen.items():
            if expiry:
                self._streams.expires(name, expiry)

    # --- conversation ---

    def is_listing(self, payload: bytes) -> bool:
        """Tell whether a frame is of the stream of new listings."""
        return payload.startswith(b'{"stream":"!optionSymbol"')

    def opened(self, now_ns: int) -> list[bytes]:
        """Return the first subscriptions."""
        self._is_open = True
        self._opened_ns = now_ns
        return self._send_queue(now_ns)

    def received(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Note that a stream lives; compare subscriptions with what was asked for."""
        if payload.startswith(b'{"stream":"'):
            name = payload[11 : payload.find(b'"', 11)]
            if not self._streams.heard(name, now_ns) and name == b"!optionSymbol":
                self._timer.soon(now_ns - self._lag_ns)
            return []
        self._control(payload, now_ns)
        return []

    def broken(self, symbol: str) -> None:
        """Do nothing: no stream of changes is subscribed, as REST snapshots of books do not name their contract."""

    def tick(self, now_ns: int) -> list[bytes]:
        """Raise Reconnect for a dead connection; otherwise send what is due, and leave before the 24 hours are over."""
        if self._is_open and now_ns - self._opened_ns > self._life_ns:
            self.is_leaving = True
        for method, sent_ns, _ in self._pending.values():
            if now_ns - sent_ns > ANSWER_S_MAX * _NS:
                raise Reconnect(f"no answer to {method} for {ANSWER_S_MAX:g} s")
        self._streams.check(now_ns)
        self._streams.expire(now_ns)
        if self._timer.is_due(now_ns - self._lag_ns):
            self._timer.restart(now_ns - self._lag_ns)
            self.relisting = [LISTING]
        return self._send_queue(now_ns)

    def _control(self, payload: bytes, now_ns: int) -> None:
        try:
            reply = _REPLY.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # the decoder counts it
        error = reply.error or (_Error(reply.code, reply.msg) if reply.code is not None else None)
        if error is not None:
            raise Reconnect(f"error {error.code} {error.msg}")
        method, _, names = self._pending.pop(reply.id, ("", 0, ())) if reply.id is not None else ("", 0, ())
        if method == "SUBSCRIBE":
            for name in names:
                if name in self._streams:
                    self._streams.grant(name, now_ns)
            # The reply is the same for a name that does not exist; the list of subscriptions may tell more.
            self._is_to_check = True
        elif method == "LIST_SUBSCRIPTIONS" and isinstance(reply.result, list):
            for name in sorted(self.subscribed.difference(reply.result)):
                self._streams.refuse(name)

    def _send_queue(self, now_ns: int) -> list[bytes]:
        out: list[bytes] = []
        queue = self._streams.queue
        while self._is_open and queue and self._budget.take(now_ns):
            is_subscribe, names = self._streams.take(now_ns)
            out.append(self._call("SUBSCRIBE" if is_subscribe else "UNSUBSCRIBE", names, now_ns))
        is_quiet = self._is_open and not queue and not self._pending
        if self._is_to_check and is_quiet and self._budget.take(now_ns):
            self._is_to_check = False
            out.append(self._call("LIST_SUBSCRIPTIONS", (), now_ns))
        return out

    def _call(self, method: str, names: Sequence[str], now_ns: int) -> bytes:
        self._pending[self._next_id] = (method, now_ns, names)
        call: dict[str, object] = {"method": method, "id": self._next_id}
        if names:
            call["params"] = names
        self._next_id += 1
        return orjson.dumps(call)


def _stream_of(name: str) -> str:
    """Return what is timed together: marks by underlying, all best prices, all trades; '' for what may be silent."""
    head, _, kind = name.partition("@")
    if head.startswith("!"):
        return head.removeprefix("!") if head == "!index" else ""
    return f"{kind} {head}" if kind == "optionMarkPrice" else kind


# --- which streams -------------------------------------------------------------------------------


class Row(Struct):
    """One option of the listing."""

    symbol: str
    underlying: str = ""
    underlying_type: str = field(name="underlyingType", default="")
    expiry: int = field(name="expiryDate", default=0)

    @property
    def ccy(self) -> str:
        """The coin."""
        return self.symbol.partition("-")[0]


def _crypto(rows: list[Row]) -> list[Row]:
    """Leave out options on stocks, which stand in the same listing since July 2026."""
    return [row for row in rows if row.underlying_type in ("", "CRYPTO", "COIN")]


def market_streams(rows: Sequence[Row], ccys: Sequence[str]) -> dict[str, int]:
    """Return the streams of /market: marks of each underlying, the index, new listings. None of them expires (0)."""
    underlyings = dict.fromkeys(row.underlying.lower() for row in rows if row.ccy in ccys and row.underlying)
    return dict.fromkeys(["!index@arr", "!optionSymbol", *(f"{name}@optionMarkPrice" for name in underlyings)], 0)


def public_streams(rows: Sequence[Row], ccys: Sequence[str], shard: int, shards: int) -> dict[str, int]:
    """Return one connection's share of the streams of /public, with their expiries: trades, soonest best prices."""
    mine = [row for row in rows if row.ccy in ccys]
    names = {f"{row.underlying.lower()}@optionTrade": 0 for row in mine if row.underlying}
    names |= {f"{row.symbol.lower()}@bookTicker": row.expiry for row in sorted(mine, key=lambda row: row.expiry)}
    share = [(name, expiry) for name, expiry in names.items() if crc32(name.encode()) % shards == shard]
    return dict(share[:STREAMS_MAX])


SHARDS = {"BTC": 6, "ETH": 5}
"""Connections of /public that a coin adds: 752 and 600 contracts in September 2026, at about 130 a connection. Other
coins have fewer contracts and add one."""


def _sessions(ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> list[Session]:  # noqa: ARG001
    shards = sum(SHARDS.get(ccy, 1) for ccy in ccys)

    def market(rows: list[Row]) -> dict[str, int]:
        return market_streams(rows, ccys)

    def share(shard: int) -> Callable[[list[Row]], dict[str, int]]:
        return lambda rows: public_streams(rows, ccys, shard, shards)

    return [
        BinanceSession("market", 0, market, now_ns),
        *(BinanceSession("public", shard + 1, share(shard), now_ns) for shard in range(shards)),
    ]


class _Listing(Struct):
    rows: list[Row] = field(name="optionSymbols")


class _Error(Struct):
    code: int
    msg: str = ""


class _Reply(Struct):
    id: int | None = None
    result: object = None
    error: _Error | None = None
    code: int | None = None
    msg: str = ""


_LISTING = msgspec.json.Decoder(_Listing)
_REPLY = msgspec.json.Decoder(_Reply)


def _coins(payload: bytes) -> list[str]:
    return [row.ccy for row in _crypto(_LISTING.decode(payload).rows)]


ENTRY = Venue(VENUE, PRODUCTION, "/eapi/v1/ping", (LISTING,), _coins, _sessions)
