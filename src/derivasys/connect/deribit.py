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

from derivasys.connect.session import Budget, Endpoint, Reconnect, Session, Venue, batches

VENUE = "deribit"
PRODUCTION = Endpoint(ws="wss://streams.deribit.com", http="https://www.deribit.com")
_REST = "/api/v2"
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
_NS = 1_000_000_000


class _Stream:
    """The channels that should never all be silent together: one currency's options, futures or index."""

    def __init__(self, now_ns: int) -> None:
        self.channels: set[str] = set()
        self.last_ns = now_ns
        self.is_retried = False


class _Pending(Struct):
    """A call that awaits its reply."""

    channels: tuple[str, ...]
    sent_ns: int
    is_subscribe: bool


class DeribitSession:
    """One connection's conversation with Deribit (see `connect.session.Session`)."""

    ws_path = "/ws/api/v2"

    def __init__(self, ccys: Sequence[str], now_ns: int) -> None:
        self.relisting: list[str] = []
        self.refused: set[str] = set()
        """Channels asked for and missing from the acknowledgement."""
        self.subscribed: set[str] = set()
        self._ccys = tuple(ccys)
        self._wanted: dict[str, str] = {}
        """Channel → stream."""
        self._queue: list[tuple[bool, list[str]]] = []
        self._pending: dict[int, _Pending] = {}
        self._next_id = 1
        self._budget = Budget(SUBSCRIBE_POOL, SUBSCRIBE_REFILL, SUBSCRIBE_COST, now_ns)
        self._streams: dict[str, _Stream] = {}
        self._stream_by_channel: dict[bytes, _Stream] = {}
        self._last_frame_ns = now_ns
        self._is_open = False
        self._relist_at_ns: int | None = None
        self._listed: set[str] = set()
        self._relist(now_ns)

    # --- listing ---

    def _relist(self, now_ns: int) -> None:
        self.relisting = [
            f"{_REST}/public/get_instruments?currency={ccy}&kind={kind}&expired=false"
            for ccy in self._ccys
            for kind in ("option", "future")
        ]
        self._relist_at_ns = now_ns + int(RELIST_EVERY_S * _NS)

    def listed(self, path: str, payload: bytes, now_ns: int) -> None:
        """Queue subscriptions for what a listing shows and this connection lacks."""
        rows = _LISTING.decode(payload).result
        added = []
        for row in rows:
            if row.kind not in ("option", "future") or row.instrument_name in self._listed:
                continue
            self._listed.add(row.instrument_name)
            channel = f"ticker.{row.instrument_name}.100ms"
            self._wanted[channel] = _stream_of(channel)
            added.append(channel)
        for ccy in self._ccys:
            for channel in (
                f"instrument.state.option.{ccy}",
                f"instrument.creation.option.{ccy}",
                f"trades.option.{ccy}.100ms",
                f"deribit_price_index.{ccy.lower()}_usd",
                "platform_state",
            ):
                if channel not in self._wanted:
                    self._wanted[channel] = _stream_of(channel)
                    added.append(channel)
        self._queue += [(True, run) for run in batches(added, CHANNELS_PER_CALL, CALL_BYTES_MAX) if run]

    # --- conversation ---

    def opened(self, now_ns: int) -> list[bytes]:
        """Return the heartbeat request and the first subscriptions."""
        self._is_open = True
        self._last_frame_ns = now_ns
        heartbeat = self._call("public/set_heartbeat", {"interval": HEARTBEAT_S})
        return [heartbeat, *self._send_queue(now_ns)]

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
                stream = self._stream_by_channel.get(channel)
                if stream is not None:
                    stream.last_ns = now_ns
                    stream.is_retried = False
            return []
        return self._control(payload, now_ns)

    def tick(self, now_ns: int) -> list[bytes]:
        """Raise Reconnect for a dead connection; otherwise send what is due."""
        if now_ns - self._last_frame_ns > SILENCE_S_MAX * _NS:
            raise Reconnect(f"no frame for {SILENCE_S_MAX:g} s")
        for pending in self._pending.values():
            if now_ns - pending.sent_ns > ANSWER_S_MAX * _NS:
                raise Reconnect(f"no answer to a call for {ANSWER_S_MAX:g} s")
        self._check_streams(now_ns)
        if self._relist_at_ns is not None and now_ns >= self._relist_at_ns:
            self._relist(now_ns)
        return self._send_queue(now_ns)

    def _control(self, payload: bytes, now_ns: int) -> list[bytes]:
        try:
            message = _CONTROL.decode(payload)
        except msgspec.DecodeError:
            return []  # the decoder counts it
        if message.method == "heartbeat":
            if message.params is not None and message.params.type == "test_request":
                return [self._call("public/test", {})]
            return []
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
                self.refused.discard(channel)
                self.subscribed.add(channel)
                name = self._wanted.get(channel, "")
                if name:
                    stream = self._streams.setdefault(name, _Stream(now_ns))
                    stream.channels.add(channel)
                    self._stream_by_channel[channel.encode()] = stream
            else:
                # Dropped without an error: the contract has gone, or was not there yet. The next listing tells.
                self.refused.add(channel)
                self._forget(channel)

    def _forget(self, channel: str) -> None:
        self._wanted.pop(channel, None)
        self.subscribed.discard(channel)
        if channel.startswith("ticker."):
            self._listed.discard(channel[7:].rpartition(".")[0])
        stream = self._stream_by_channel.pop(channel.encode(), None)
        if stream is not None:
            stream.channels.discard(channel)

    def _lifecycle(self, payload: bytes, now_ns: int) -> None:
        try:
            row = _LIFECYCLE.decode(payload).params.data
        except msgspec.DecodeError:
            return  # the decoder counts it
        channel = f"ticker.{row.instrument_name}.100ms"
        if row.state in ("delivered", "closed", "archivized", "terminated", "settled"):
            if channel in self.subscribed:
                self._queue.append((False, [channel]))
                self._forget(channel)
        elif row.instrument_name not in self._listed:
            soon = now_ns + int(RELIST_DELAY_S * _NS)
            if self._relist_at_ns is None or self._relist_at_ns > soon:
                self._relist_at_ns = soon

    def _check_streams(self, now_ns: int) -> None:
        for name, stream in self._streams.items():
            if not stream.channels or now_ns - stream.last_ns <= STREAM_SILENCE_S_MAX * _NS:
                continue
            if stream.is_retried:
                raise Reconnect(f"stream {name} silent for {2 * STREAM_SILENCE_S_MAX:g} s")
            stream.is_retried = True
            stream.last_ns = now_ns
            # A repeated subscription is acknowledged but sends nothing: unsubscribe first.
            for run in batches(sorted(stream.channels), CHANNELS_PER_CALL, CALL_BYTES_MAX):
                self._queue += [(False, run), (True, run)]

    def _send_queue(self, now_ns: int) -> list[bytes]:
        out = []
        while self._is_open and self._queue and self._budget.take(now_ns):
            is_subscribe, channels = self._queue.pop(0)
            method = "public/subscribe" if is_subscribe else "public/unsubscribe"
            self._pending[self._next_id] = _Pending(tuple(channels), now_ns, is_subscribe)
            out.append(self._call(method, {"channels": channels}))
        return out

    def _call(self, method: str, params: dict[str, object]) -> bytes:
        call = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        self._next_id += 1
        return orjson.dumps(call)


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


def _sessions(ccys: Sequence[str], now_ns: int) -> list[Session]:
    return [DeribitSession(ccys, now_ns)]


DERIBIT = Venue(VENUE, PRODUCTION, ("BTC", "ETH"), f"{_REST}/public/test", _sessions)
