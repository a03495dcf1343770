"""OKX's public market data: families and listings, batched subscriptions, text pings, silence.

Source: www.okx.com/docs-v5 (WebSocket: connect, subscribe, notification; REST `public/instruments` and
`public/instrument-tick-bands`; channels `tickers`, `opt-summary`, `option-trades`, `index-tickers`, `instruments` and
`status`).

Quotes come from `tickers` (every 100 ms on change, each message whole): they need no sequence numbers, and cycles run
every 50 ms anyway. `bbo-tbt` would send up to ten times as much to the same end. Marks, vols and forwards of a whole
family come in `opt-summary`. A channel is named by the JSON text of its `arg`, as requests and frames carry it.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from derivasys.connect.session import Budget, Endpoint, Reconnect, Session, Venue
from derivasys.connect.subscriptions import RelistTimer, Subscriptions

VENUE = "okx"
PRODUCTION = Endpoint(ws="wss://ws.okx.com:8443", http="https://www.okx.com")
_REST = "/api/v5"
FAMILIES = f"{_REST}/public/instrument-tick-bands?instType=OPTION"
"""Lists every option family; `public/underlying` leaves out the linear ones (X-USD_UM)."""
ARGS_PER_REQUEST = 500
REQUEST_BYTES_MAX = 60_000
"""The args of a request may have 64 KB."""
REQUESTS_PER_HOUR = 480
"""Requests to subscribe and unsubscribe that one connection may make."""
PING_AFTER_S, PONG_S_MAX = 20.0, 8.0
"""The venue cuts a connection after 30 s without data; "ping" is bare text."""
ANSWER_S_MAX = 10.0
STREAM_SILENCE_S_MAX = 60.0
STREAM_LIMITS = {"opt-summary": 20.0, "index-tickers": 75.0, "books": 75.0}
"""Summaries come about every second, an index and a word of each still book at least every minute."""
RELIST_DELAY_S, RELIST_EVERY_S = 2.0, 600.0
NO_SUCH_FAMILY = frozenset({"51000", "51001", "51002"})
_NS = 1_000_000_000


class OkxSession:
    """One connection's conversation with OKX (see `connect.session.Session`)."""

    ws_path = "/ws/v5/public"

    def __init__(self, ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> None:
        self.relisting: list[str] = []
        self._channels = Subscriptions(
            ARGS_PER_REQUEST, REQUEST_BYTES_MAX, STREAM_SILENCE_S_MAX, STREAM_LIMITS, patience=2.0
        )
        self.subscribed = self._channels.subscribed
        self.refused = self._channels.refused
        """Channels asked for and answered with an error."""
        self._ccys = frozenset(ccys)
        self._has_books = has_books
        self._families: set[str] = set()
        self._budget = Budget(REQUESTS_PER_HOUR, REQUESTS_PER_HOUR / 3600, 1.0, now_ns)
        self._timer = RelistTimer(RELIST_EVERY_S, RELIST_DELAY_S, now_ns)
        self._next_id = 1
        self._last_frame_ns = now_ns
        self._pinged_ns: int | None = None
        self._has_errors = False
        self.is_leaving = False
        self._is_open = False
        self._relist(now_ns)

    # --- listing ---

    def _relist(self, now_ns: int) -> None:
        if FAMILIES not in self.relisting:
            self.relisting.append(FAMILIES)
        self._timer.restart(now_ns)

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Queue subscriptions for what a listing shows and this connection lacks. Raises Reconnect for an error."""
        reply = _LISTING.decode(payload)
        if reply.code in NO_SUCH_FAMILY and path != FAMILIES:
            return
        if reply.code != "0":
            raise Reconnect(f"{path}: error {reply.code} {reply.msg}")
        if path == FAMILIES:
            self._list_families({row.inst_family for row in reply.data})
            return
        wanted = [(_INSTRUMENTS, ""), (_STATUS, "")]
        for row in reply.data:
            if row.state not in ("live", "suspend") or row.rule_type == "xperp":
                continue
            names = ["tickers", "books"] if self._has_books and row.inst_type == "OPTION" else ["tickers"]
            for name in names:
                channel = _channel(name, "instId", row.inst_id)
                wanted.append((channel, f"{name} {row.inst_type} {row.inst_family}"))
                if row.exp_time.isdigit() and channel not in self._channels:
                    self._channels.expires(channel, int(row.exp_time))
        for family in sorted({row.inst_family for row in reply.data if row.inst_type == "OPTION"}):
            index = family.removesuffix("_UM")
            wanted += [
                (_channel("opt-summary", "instFamily", family), f"opt-summary {family}"),
                (_trades(family), ""),
                (_channel("index-tickers", "instId", index), f"index-tickers {index}"),
            ]
        self._channels.want(wanted)

    def _list_families(self, found: set[str]) -> None:
        self._families = {
            family for family in found if family and (not self._ccys or family.partition("-")[0] in self._ccys)
        }
        for family in sorted(self._families):
            for kind in ("OPTION", "FUTURES"):
                path = f"{_REST}/public/instruments?instType={kind}&instFamily={family}"
                if path not in self.relisting:
                    self.relisting.append(path)

    # --- conversation ---

    def is_listing(self, payload: bytes) -> bool:
        """Tell whether a frame is of the channel `instruments`."""
        return payload.startswith(b'{"arg":{"channel":"instruments"')

    def opened(self, now_ns: int) -> list[bytes]:
        """Return the first subscriptions."""
        self._is_open = True
        self._last_frame_ns = now_ns
        return self._send_queue(now_ns)

    def received(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Note that a stream lives; compare acknowledgements with requests."""
        self._last_frame_ns = now_ns
        self._pinged_ns = None
        if payload.startswith(b'{"arg":{'):
            key = payload[7 : payload.find(b"}", 8) + 1]
            if not self._channels.heard(key, now_ns):
                self._unknown(key, payload, now_ns)
        elif payload != b"pong":
            self._control(payload, now_ns)
        return []

    def broken(self, symbol: str) -> None:
        """Subscribe to a contract's book anew: a snapshot follows."""
        self._channels.renew(_channel("books", "instId", symbol))

    def tick(self, now_ns: int) -> list[bytes]:
        """Raise Reconnect for a dead connection; otherwise send what is due."""
        pings = []
        if self._pinged_ns is not None and now_ns - self._pinged_ns > PONG_S_MAX * _NS:
            raise Reconnect(f"no answer to a ping for {PONG_S_MAX:g} s")
        if self._pinged_ns is None and now_ns - self._last_frame_ns > PING_AFTER_S * _NS:
            self._pinged_ns = now_ns
            pings.append(b"ping")
        self._check_answers(now_ns)
        self._channels.check(now_ns)
        self._channels.expire(now_ns)
        if self._timer.is_due(now_ns):
            self._relist(now_ns)
        return pings + self._send_queue(now_ns)

    def _check_answers(self, now_ns: int) -> None:
        late = self._channels.overdue(now_ns, ANSWER_S_MAX)
        if not late:
            return
        if not self._has_errors:
            raise Reconnect(f"no answer to a subscription for {ANSWER_S_MAX:g} s")
        # An error need not name its channel: what else was asked for has been acknowledged since.
        for channel in late:
            self._channels.refuse(channel)
        self._has_errors = False

    def _unknown(self, key: bytes, payload: bytes, now_ns: int) -> None:
        """Take a frame of a channel that belongs to no stream, or that is written in another order than ours."""
        try:
            arg = _ARG.decode(key)
            if arg.channel == "instruments":
                for row in _PUSH.decode(payload).data:
                    self._lifecycle(row, now_ns)
            elif arg.channel == "status":
                # What was listed during maintenance may not have been told.
                self._timer.soon(now_ns)
            else:
                self._channels.heard(arg.name().encode(), now_ns)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # the decoder counts it

    def _lifecycle(self, row: _Row, now_ns: int) -> None:
        channel = _channel("tickers", "instId", row.inst_id)
        if row.state == "expired":
            self._channels.drop(channel)
            self._channels.drop(_channel("books", "instId", row.inst_id))
        elif row.state == "live" and row.inst_family in self._families and channel not in self._channels:
            self._timer.soon(now_ns)

    def _control(self, payload: bytes, now_ns: int) -> None:
        try:
            message = _CONTROL.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # the decoder counts it
        if message.event == "subscribe" and message.arg is not None:
            self._channels.grant(message.arg.name(), now_ns)
        elif message.event == "notice":
            # A service upgrade closes the connection in about a minute: there is time to open the next first.
            self.is_leaving = True
        elif message.event == "error":
            self._error(message, now_ns)

    def _error(self, message: _Control, now_ns: int) -> None:
        """Refuse the channels that an error names, in the words of the request or as `instId:X`."""
        if message.code == "60014":
            raise Reconnect(f"error {message.code} {message.msg}")
        named = [channel for channel in self._channels.awaiting if channel in message.msg]
        if not named:
            words = set(message.msg.replace(",", " ").replace(":", " ").split())
            named = [
                channel
                for channel in self._channels.awaiting
                if (arg := _ARG.decode(channel)).channel in words and words & {arg.inst_id, arg.inst_family}
            ]
        for channel in named:
            self._channels.refuse(channel)
        self._has_errors = self._has_errors or not named
        if message.code == "64007":
            self._timer.soon(now_ns)  # an internal error of the venue: ask again

    def _send_queue(self, now_ns: int) -> list[bytes]:
        out = []
        while self._is_open and self._channels.queue and self._budget.take(now_ns):
            is_subscribe, channels = self._channels.take(now_ns)
            op = "subscribe" if is_subscribe else "unsubscribe"
            out.append(f'{{"id":"{self._next_id}","op":"{op}","args":[{",".join(channels)}]}}'.encode())
            self._next_id += 1
        return out


def _channel(channel: str, key: str, value: str) -> str:
    return f'{{"channel":"{channel}","{key}":"{value}"}}'


def _trades(family: str) -> str:
    return f'{{"channel":"option-trades","instType":"OPTION","instFamily":"{family}"}}'


_INSTRUMENTS = _channel("instruments", "instType", "OPTION")
_STATUS = '{"channel":"status"}'


class _Arg(Struct, rename="camel"):
    channel: str
    inst_id: str = ""
    inst_family: str = ""
    inst_type: str = ""

    def name(self) -> str:
        """Return the channel as this session names it."""
        if self.channel == "option-trades":
            return _trades(self.inst_family)
        for key, value in (("instId", self.inst_id), ("instFamily", self.inst_family), ("instType", self.inst_type)):
            if value:
                return _channel(self.channel, key, value)
        return f'{{"channel":"{self.channel}"}}'


class _Row(Struct, rename="camel"):
    """Of a listing, of tick bands (which name only families) and of pushed changes."""

    inst_family: str = ""
    inst_id: str = ""
    inst_type: str = ""
    state: str = ""
    exp_time: str = ""
    rule_type: str = ""


class _Listing(Struct):
    code: str
    msg: str = ""
    data: list[_Row] = []


class _Push(Struct):
    data: list[_Row]


class _Control(Struct):
    event: str | None = None
    arg: _Arg | None = None
    code: str = ""
    msg: str = ""


_LISTING = msgspec.json.Decoder(_Listing)
_ARG = msgspec.json.Decoder(_Arg)
_PUSH = msgspec.json.Decoder(_Push)
_CONTROL = msgspec.json.Decoder(_Control)


def _sessions(ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> list[Session]:
    return [OkxSession(ccys, now_ns, has_books=has_books)]


def _coins(payload: bytes) -> list[str]:
    return [row.inst_family.partition("-")[0] for row in _LISTING.decode(payload).data if row.inst_family]


ENTRY = Venue(VENUE, PRODUCTION, f"{_REST}/public/time", (FAMILIES,), _coins, _sessions)
