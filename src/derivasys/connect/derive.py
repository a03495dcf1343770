"""Derive's public market data: listing over the socket, page by page, then batched subscriptions; silence.

Source: docs.derive.xyz, API v3, autumn 2026: JSON-RPC methods are served over the socket too, `get_all_instruments` has
at most 1000 a page, and a channel's status other than "ok" is its error. The venue was seen to drop connections without
a closing frame, so silence counts. There is no channel of new listings: they are asked for every few minutes and after
08:00 UTC. The permitted rate of calls is not documented: it is kept low.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import orjson
from msgspec import Struct, field

from derivasys.connect.session import Budget, Endpoint, Reconnect, Session, Venue
from derivasys.connect.subscriptions import RelistTimer, Subscriptions

VENUE = "derive"
PRODUCTION = Endpoint(ws="wss://api.derive.xyz", http="https://api.derive.xyz")
INTERVAL_MS = 1000
PAGE_SIZE, PAGES_MAX = 1000, 50
CHANNELS_PER_CALL, CALL_BYTES_MAX = 200, 16_000
CALLS_POOL, CALLS_PER_S = 3.0, 2.0
SILENCE_S_MAX = 25.0
STREAM_SILENCE_S_MAX = 30.0
"""Of all tickers of a currency together, or its spot feed: then they are subscribed anew; again, a new connection."""
ANSWER_S_MAX = 10.0
RELIST_EVERY_S = 300.0
_NS = 1_000_000_000


class _Pending(Struct):
    """A call that awaits its reply."""

    method: str
    sent_ns: int
    ccy: str = ""
    page: int = 0
    channels: Sequence[str] = ()


class DeriveSession:
    """One connection's conversation with Derive (see `connect.session.Session`)."""

    ws_path = "/v3/ws"

    def __init__(self, ccys: Sequence[str], now_ns: int) -> None:
        self.relisting: list[str] = []
        """Stays empty: listings come over the socket."""
        self._channels = Subscriptions(CHANNELS_PER_CALL, CALL_BYTES_MAX, STREAM_SILENCE_S_MAX)
        self.refused = self._channels.refused
        """Channels whose status was not ok; asked for again after the next listing."""
        self.subscribed = self._channels.subscribed
        self._ccys = tuple(ccys)
        self._found: dict[str, set[str]] = {}
        """By currency, the channels of the contracts on the pages read so far."""
        self._listed: dict[str, set[str]] = {}
        """The same of the last whole listing."""
        self._pages: deque[tuple[str, int]] = deque()
        """Pages to ask for: (currency, number)."""
        self._pending: dict[int, _Pending] = {}
        self._next_id = 1
        self._budget = Budget(CALLS_POOL, CALLS_PER_S, 1.0, now_ns)
        self._last_frame_ns = now_ns
        self.is_leaving = False
        self._is_open = False
        self._timer = RelistTimer(RELIST_EVERY_S, 0.0, now_ns)

    # --- listing ---

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Do nothing: there is no listing by REST."""

    def _page(self, ccy: str, number: int, result: msgspec.Raw) -> None:
        """Take one page; after the last, subscribe to what is new and unsubscribe from what is gone."""
        try:
            page = _PAGE.decode(result)
        except msgspec.DecodeError as error:
            raise Reconnect(f"listing of {ccy}: {error}") from None
        found = set() if number == 1 else self._found.get(ccy, set())
        self._found[ccy] = found
        listed = {
            f"ticker_slim.{row.name}.{INTERVAL_MS}": row.option.expiry
            for row in page.instruments
            if row.is_active and row.option is not None
        }
        found |= listed.keys()
        self._channels.want((channel, _stream_of(channel)) for channel in listed)
        for channel, expiry_s in listed.items():
            self._channels.expires(channel, expiry_s * 1000)
        if number < min(page.pagination.pages, PAGES_MAX):
            self._pages.appendleft((ccy, number + 1))
            return
        if found:  # a listing of nothing is an outage, and ends nothing
            for channel in sorted(self._listed.get(ccy, set()) - found):
                self._channels.drop(channel)
            self._listed[ccy] = found
        self._channels.want((name, _stream_of(name)) for name in (f"trades.option.{ccy}", f"spot_feed.{ccy}"))

    # --- conversation ---

    def is_listing(self, payload: bytes) -> bool:
        """Tell whether a frame is a page of the listing, which comes over the socket."""
        return payload.find(b'"instruments":[', 0, 128) >= 0

    def opened(self, now_ns: int) -> list[bytes]:
        """Return the first requests for listings."""
        self._is_open = True
        self._last_frame_ns = now_ns
        self._pages.extend((ccy, 1) for ccy in self._ccys)
        return self._send_queue(now_ns)

    def received(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Note that a stream lives; take listings; compare acknowledgements."""
        self._last_frame_ns = now_ns
        at = payload.find(b'"channel":"', 0, 96)
        if at >= 0:
            start = at + 11
            self._channels.heard(payload[start : payload.find(b'"', start)], now_ns)
            return []
        self._control(payload, now_ns)
        return self._send_queue(now_ns)

    def broken(self, symbol: str) -> None:
        """Do nothing: every message of the venue is whole."""

    def tick(self, now_ns: int) -> list[bytes]:
        """Raise Reconnect for a dead connection; otherwise send what is due."""
        if now_ns - self._last_frame_ns > SILENCE_S_MAX * _NS:
            raise Reconnect(f"no frame for {SILENCE_S_MAX:g} s")
        for call in self._pending.values():
            if now_ns - call.sent_ns > ANSWER_S_MAX * _NS:
                raise Reconnect(f"no answer to {call.method} for {ANSWER_S_MAX:g} s")
        self._channels.check(now_ns)
        self._channels.expire(now_ns)
        if self._is_open and self._timer.is_due(now_ns):
            self._timer.restart(now_ns)
            self._pages.extend((ccy, 1) for ccy in self._ccys)
        return self._send_queue(now_ns)

    def _control(self, payload: bytes, now_ns: int) -> None:
        try:
            message = _REPLY.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # the decoder counts it
        if message.error is not None:
            raise Reconnect(f"error {message.error.code} {message.error.message}")
        call = self._pending.pop(message.id, None) if message.id is not None else None
        if call is None:
            return
        if call.page:
            self._page(call.ccy, call.page, message.result)
        elif call.method == "subscribe":
            self._acknowledge(call, message.result, now_ns)

    def _acknowledge(self, call: _Pending, result: msgspec.Raw, now_ns: int) -> None:
        try:
            status = _ACKNOWLEDGEMENT.decode(result).status
        except msgspec.DecodeError as error:
            raise Reconnect(f"acknowledgement: {error}") from None
        for channel in call.channels:
            if channel not in self._channels:
                continue  # not wanted any more
            if status.get(channel) == "ok":
                self._channels.grant(channel, now_ns)
            else:
                self._channels.refuse(channel)

    def _send_queue(self, now_ns: int) -> list[bytes]:
        out: list[bytes] = []
        while self._is_open and (self._pages or self._channels.queue) and self._budget.take(now_ns):
            if self._pages:
                ccy, page = self._pages.popleft()
                call = _Pending("public/get_all_instruments", now_ns, ccy, page)
                params: dict[str, object] = {
                    "currency": ccy, "expired": False, "instrument_type": "option", "page": page,
                    "page_size": PAGE_SIZE,
                }  # fmt: skip
            else:
                is_subscribe, channels = self._channels.take(now_ns)
                call = _Pending("subscribe" if is_subscribe else "unsubscribe", now_ns, channels=channels)
                params = {"channels": channels}
            self._pending[self._next_id] = call
            out.append(orjson.dumps({"id": self._next_id, "method": call.method, "params": params}))
            self._next_id += 1
        return out


def _stream_of(channel: str) -> str:
    """Return the stream of a channel: `ticker_slim BTC`, `spot_feed.BTC`; '' for trades, which may be rare."""
    family, _, rest = channel.partition(".")
    if family == "ticker_slim":
        return f"ticker_slim {rest.partition('-')[0]}"
    return channel if family == "spot_feed" else ""


class _Option(Struct):
    expiry: int
    """Seconds."""


class _Row(Struct):
    name: str = field(name="instrument_name")
    is_active: bool = True
    option: _Option | None = field(name="option_details", default=None)


class _Pagination(Struct, frozen=True):
    pages: int = field(name="num_pages", default=1)


class _Page(Struct):
    instruments: list[_Row]
    pagination: _Pagination = _Pagination()


class _Acknowledgement(Struct):
    status: dict[str, str]


class _Error(Struct):
    code: int
    message: str = ""


class _Reply(Struct):
    id: int | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None


_PAGE = msgspec.json.Decoder(_Page)
_ACKNOWLEDGEMENT = msgspec.json.Decoder(_Acknowledgement)
_REPLY = msgspec.json.Decoder(_Reply)


def _sessions(ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> list[Session]:  # noqa: ARG001
    return [DeriveSession(ccys, now_ns)]


class _Currency(Struct):
    currency: str
    instrument_types: tuple[str, ...] = ("option",)


class _Currencies(Struct):
    result: list[_Currency]


_CURRENCIES = msgspec.json.Decoder(_Currencies)
_DIRECTORY = "/v3/public/get_all_currencies"


def _coins(payload: bytes) -> list[str]:
    return [row.currency for row in _CURRENCIES.decode(payload).result if "option" in row.instrument_types]


ENTRY = Venue(VENUE, PRODUCTION, _DIRECTORY, (_DIRECTORY,), _coins, _sessions)
