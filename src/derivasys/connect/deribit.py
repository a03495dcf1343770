"""Deribit's public market data: listing, batched subscriptions, heartbeats, silence.

Source: docs.deribit.com, API v2: `public/subscribe`, `public/set_heartbeat`, rate limits, and the observed behaviour
that a subscription to an unknown channel is dropped from the acknowledgement without an error.

One socket carries all currencies. Listings come by REST and are fetched again when the lifecycle channels tell of a
contract that is not listed here; at the 08:00 UTC roll hundreds of such messages arrive at once, so they are gathered
for `RELIST_DELAY_S` first.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import orjson
from msgspec import Struct

from derivasys.connect.login import Credentials, Login
from derivasys.connect.session import Budget, Endpoint, Reconnect, Session, Venue
from derivasys.connect.subscriptions import RelistTimer, Subscriptions

VENUE = "deribit"
PRODUCTION = Endpoint(ws="wss://streams.deribit.com", http="https://www.deribit.com")
_REST = "/api/v2"
INVERSE_CCYS = ("BTC", "ETH")
CHANNELS_PER_CALL = 400
CALL_BYTES_MAX = 28_000
"""A request may have 32 kB; the envelope takes some."""
SUBSCRIBE_POOL, SUBSCRIBE_REFILL, SUBSCRIBE_COST = 30_000.0, 9_000.0, 3_000.0
HEARTBEAT_S = 10
SILENCE_S_MAX = 25.0
"""Without any frame for so long (heartbeats come every 10 s) the connection is dead."""
STREAM_SILENCE_S_MAX = 15.0
"""A stream silent for so long is subscribed anew; silent again, the connection is replaced."""
ANSWER_S_MAX = 10.0
RELIST_DELAY_S = 2.0
RELIST_EVERY_S = 600.0
"""Listings are fetched this often even if no lifecycle message told of a change."""
LOGIN_SHARE, LOGIN_S_MIN = 0.5, 10.0
"""A login is renewed after this share of its life, but not more often."""
_NS = 1_000_000_000


class _Pending(Struct):
    """A call that awaits its reply."""

    channels: tuple[str, ...]
    sent_ns: int
    is_subscribe: bool


class DeribitSession:
    """One connection's conversation with Deribit (see `connect.session.Session`)."""

    ws_path = "/ws/api/v2"

    def __init__(self, ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> None:
        self.relisting: list[str] = []
        self._channels = Subscriptions(CHANNELS_PER_CALL, CALL_BYTES_MAX, STREAM_SILENCE_S_MAX)
        self.refused = self._channels.refused
        """Channels asked for and missing from the acknowledgement."""
        self.subscribed = self._channels.subscribed
        self.login: Login | None = None
        """Credentials for the raw feed; without them, or while the venue refuses them, the public one is used."""
        self._used: Credentials | None = None
        self._login_id: int | None = None
        self._login_ns: int | None = None
        """When to log in again."""
        self._ccys = frozenset(ccys)
        self._has_books = has_books
        # Inverse contracts are listed under their coin, all linear ones under USDC.
        self._settlements = [ccy for ccy in ccys if ccy in INVERSE_CCYS] + ["USDC"]
        self._pending: dict[int, _Pending] = {}
        self._next_id = 1
        self._budget = Budget(SUBSCRIBE_POOL, SUBSCRIBE_REFILL, SUBSCRIBE_COST, now_ns)
        self._last_frame_ns = now_ns
        self.is_leaving = False
        self._is_open = False
        self._timer = RelistTimer(RELIST_EVERY_S, RELIST_DELAY_S, now_ns)
        self._relist(now_ns)

    # --- listing ---

    def _relist(self, now_ns: int) -> None:
        self.relisting = [
            f"{_REST}/public/get_instruments?currency={settlement}&kind={kind}&expired=false"
            for settlement in self._settlements
            for kind in ("option", "future")
        ]
        self._timer.restart(now_ns)

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Queue subscriptions for what a listing shows and this connection lacks."""
        rows = [
            row
            for row in _LISTING.decode(payload).result
            if row.kind in ("option", "future") and row.base_currency in self._ccys
        ]
        channels = [f"ticker.{row.instrument_name}.{self._interval}" for row in rows]
        if self._has_books:
            channels += [_book(row.instrument_name) for row in rows if row.kind == "option"]
        channels += dict.fromkeys(f"deribit_price_index.{row.price_index}" for row in rows if row.price_index)
        for settlement in self._settlements:
            channels += [
                f"instrument.state.option.{settlement}",
                f"instrument.creation.option.{settlement}",
                f"trades.option.{settlement}.{self._interval}",
            ]
        channels.append("platform_state")
        self._channels.want((channel, _stream_of(channel)) for channel in channels)

    # --- conversation ---

    def is_listing(self, payload: bytes) -> bool:
        """Tell whether a frame is of a life-cycle channel."""
        return payload.find(b'"channel":"instrument.', 0, 128) >= 0

    def opened(self, now_ns: int) -> list[bytes]:
        """Return the heartbeat request and the first subscriptions."""
        self._is_open = True
        self._last_frame_ns = now_ns
        heartbeat = self._call("public/set_heartbeat", {"interval": HEARTBEAT_S})
        # Raw channels are for those who have logged in: the subscriptions wait for the answer.
        return [heartbeat, *(self._log_in(now_ns) or self._send_queue(now_ns))]

    # --- login ---

    @property
    def _interval(self) -> str:
        if self._used is None and self.login is not None:
            self._used = self.login.credentials
        return "100ms" if self._used is None else "raw"

    def _log_in(self, now_ns: int) -> list[bytes]:
        if self.login is None or self._used is None:
            return []
        self._login_id, self._login_ns = self._next_id, None
        self._pending[self._next_id] = _Pending((), now_ns, is_subscribe=False)
        return [self._call("public/auth", self.login.signature(self._used, now_ns // 1_000_000))]

    def _logged_in(self, message: _Control, now_ns: int) -> list[bytes]:
        assert self.login is not None
        assert self._used is not None
        self._login_id = None
        if message.error is not None:
            why = f"{message.error.code} {message.error.message}"
            self.login.refuse(self._used, why)
            raise Reconnect(f"login refused ({why}): the public feed from now on")
        self.login.accept()
        expires_s = message.result.get("expires_in", 0) if isinstance(message.result, dict) else 0
        self._login_ns = now_ns + int(max(LOGIN_S_MIN, LOGIN_SHARE * expires_s) * _NS)
        return self._send_queue(now_ns)

    def _renew(self, now_ns: int) -> list[bytes]:
        """Log in again before the login ends, and at once when the credentials were replaced."""
        if self.login is None or self._login_id is not None:
            return []
        found = self.login.credentials
        if found is not None and self._used is None:
            raise Reconnect("credentials have come: the raw feed from now on")
        is_due = self._login_ns is not None and now_ns >= self._login_ns
        if found is None or (found == self._used and not is_due):
            return []
        self._used = found
        return self._log_in(now_ns)

    def received(self, payload: bytes, now_ns: int) -> list[bytes]:
        """Note that a stream lives; answer heartbeats; compare acknowledgements."""
        self._last_frame_ns = now_ns
        at = payload.find(b'"channel":"', 0, 128)
        if at >= 0:
            start = at + 11
            channel = payload[start : payload.find(b'"', start)]
            # instrument.state.* and platform_state are rare and change what is subscribed.
            if channel[:1] == b"i":
                self._lifecycle(payload, now_ns)
            else:
                self._channels.heard(channel, now_ns)
            return []
        return self._control(payload, now_ns)

    def broken(self, symbol: str) -> None:
        """Subscribe to a contract's book anew: unsubscribe first, or no snapshot comes."""
        self._channels.renew(_book(symbol))

    def tick(self, now_ns: int) -> list[bytes]:
        """Raise Reconnect for a dead connection; otherwise send what is due."""
        if now_ns - self._last_frame_ns > SILENCE_S_MAX * _NS:
            raise Reconnect(f"no frame for {SILENCE_S_MAX:g} s")
        for pending in self._pending.values():
            if now_ns - pending.sent_ns > ANSWER_S_MAX * _NS:
                raise Reconnect(f"no answer to a call for {ANSWER_S_MAX:g} s")
        self._channels.check(now_ns)
        if self._timer.is_due(now_ns):
            self._relist(now_ns)
        return self._renew(now_ns) + self._send_queue(now_ns)

    def _control(self, payload: bytes, now_ns: int) -> list[bytes]:
        try:
            message = _CONTROL.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return []  # the decoder counts it
        if message.method == "heartbeat":
            if message.params is not None and message.params.type == "test_request":
                return [self._call("public/test", {})]
            return []
        if message.id is not None and message.id == self._login_id:
            self._pending.pop(message.id, None)
            return self._logged_in(message, now_ns)
        if message.error is not None:
            raise Reconnect(f"error {message.error.code} {message.error.message}")
        pending = self._pending.pop(message.id, None) if message.id is not None else None
        if pending is not None and pending.is_subscribe:
            self._acknowledge(pending, message.result, now_ns)
        return []

    def _acknowledge(self, pending: _Pending, result: object, now_ns: int) -> None:
        accepted = set(result) if isinstance(result, list) else set()
        for channel in pending.channels:
            if channel in accepted:
                self._channels.grant(channel, now_ns)
            else:
                self._channels.refuse(channel)  # dropped without an error: it has gone, or was not there yet

    def _lifecycle(self, payload: bytes, now_ns: int) -> None:
        try:
            row = _LIFECYCLE.decode(payload).params.data
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # the decoder counts it
        channel = f"ticker.{row.instrument_name}.{self._interval}"
        if row.state in ("delivered", "closed", "archivized", "terminated", "settled"):
            self._channels.drop(channel)
            self._channels.drop(_book(row.instrument_name))
        elif channel not in self._channels:
            self._timer.soon(now_ns)

    def _send_queue(self, now_ns: int) -> list[bytes]:
        out = []
        while self._is_open and self._login_id is None and self._channels.queue and self._budget.take(now_ns):
            is_subscribe, channels = self._channels.take(now_ns)
            method = "public/subscribe" if is_subscribe else "public/unsubscribe"
            self._pending[self._next_id] = _Pending(tuple(channels), now_ns, is_subscribe)
            out.append(self._call(method, {"channels": list(channels)}))
        return out

    def _call(self, method: str, params: dict[str, object]) -> bytes:
        call = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        self._next_id += 1
        return orjson.dumps(call)


def _book(symbol: str) -> str:
    return f"book.{symbol}.100ms"


def _stream_of(channel: str) -> str:
    """Return the stream of a channel: `ticker.BTC option`, `deribit_price_index.btc_usd`; '' for rare channels."""
    if channel.startswith("ticker."):
        currency = channel[7:].partition("-")[0]
        is_option = channel.count("-") == 3
        return f"ticker.{currency} {'option' if is_option else 'future'}"
    if channel.startswith("deribit_price_index."):
        return channel
    return ""


class _ListingRow(Struct):
    instrument_name: str
    kind: str
    base_currency: str = ""
    price_index: str | None = None


class _Listing(Struct):
    result: list[_ListingRow]


class _Params(Struct):
    type: str | None = None


class _Error(Struct):
    code: int
    message: str = ""


class _Control(Struct):
    id: int | None = None
    method: str | None = None
    params: _Params | None = None
    result: object = None
    error: _Error | None = None


class _LifecycleRow(Struct):
    instrument_name: str
    state: str = "open"


class _LifecycleParams(Struct):
    data: _LifecycleRow


class _Lifecycle(Struct):
    params: _LifecycleParams


_LISTING = msgspec.json.Decoder(_Listing)
_CONTROL = msgspec.json.Decoder(_Control)
_LIFECYCLE = msgspec.json.Decoder(_Lifecycle)


def _sessions(ccys: Sequence[str], now_ns: int, *, has_books: bool = False) -> list[Session]:
    return [DeribitSession(ccys, now_ns, has_books=has_books)]


def _coins(payload: bytes) -> list[str]:
    return [row.base_currency for row in _LISTING.decode(payload).result]


def _use_login(session: Session, login: Login) -> None:
    assert isinstance(session, DeribitSession)
    session.login = login


_ALL_OPTIONS = f"{_REST}/public/get_instruments?currency=any&kind=option&expired=false"
ENTRY = Venue(VENUE, PRODUCTION, f"{_REST}/public/test", (_ALL_OPTIONS,), _coins, _sessions, _use_login)
