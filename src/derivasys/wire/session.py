"""One client's side of the contract, without I/O: what it has asked for, and what to answer.

[W-session] Every input gives an answer or changes the subscription; bad input gives `error` with the path of the
field and the connection lives on; input that is not JSON closes it with 1007.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import orjson
from msgspec import UNSET, Struct

from derivasys.wire import messages as m

CHANNELS: tuple[m.Channel, ...] = ("surface", "levels", "tenors", "through", "fit", "status")
RATES_MS = (50, 200, 1000)
RATE_MS_DEFAULT = 200
CCYS_MAX = 32
"""Currencies that one client may follow at a time."""


class Send(Struct, frozen=True):
    """Send these bytes as one text message."""

    payload: bytes


class Snapshot(Struct, frozen=True):
    """Send the whole state of a channel and currency."""

    channel: m.Channel
    ccy: str


class Close(Struct, frozen=True):
    """Close the connection."""

    code: int
    reason: str


Action = Send | Snapshot | Close


class Session:
    """What one client follows: `ccys` × `channels` at `rate_ms`."""

    def __init__(self, ccys: Collection[str], rate_ms: int = RATE_MS_DEFAULT) -> None:
        self.ccys: tuple[str, ...] = tuple(ccys)
        self.channels: frozenset[m.Channel] = frozenset(CHANNELS)
        self.rate_ms = rate_ms

    def receive(self, text: bytes, available: Collection[str], now_ms: int) -> list[Action]:
        """Return what to do about one message of the client."""
        try:
            request = m.DECODE_CLIENT.decode(text)
        except msgspec.ValidationError as error:
            problem, _, path = str(error).partition(" - at `")
            return [_error("bad_request", problem, now_ms, path.rstrip("`") or "$")]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return [Close(1007, "not JSON")]
        match request:
            case m.Ping():
                return [Send(msgspec.json.encode(m.Pong(schema=m.SCHEMA, ts=now_ms, id=request.id)))]
            case m.SelectCurrency():
                return self._follow([request.ccy], None, None, available, now_ms, "$.ccy")
            case m.Subscribe():
                return self._subscribe(request, available, now_ms)
            case m.Unsubscribe():
                if request.channels is not UNSET:
                    self.channels -= frozenset(request.channels)
                if request.ccys is not UNSET:
                    self.ccys = tuple(ccy for ccy in self.ccys if ccy not in request.ccys)
                return []
            case m.Resync() if request.ccy in available:
                return [Snapshot(request.channel, request.ccy)]
        return [Send(unknown_ccy(request.ccy, available, now_ms, "$.ccy"))]

    def _subscribe(self, request: m.Subscribe, available: Collection[str], now_ms: int) -> list[Action]:
        ccys = list(self.ccys)
        if request.ccys is not UNSET:
            ccys += [ccy for ccy in request.ccys if ccy not in ccys]
        channels = None if request.channels is UNSET else self.channels | set(request.channels)
        rate_ms = None if request.rate_ms is UNSET else request.rate_ms
        return self._follow(ccys, channels, rate_ms, available, now_ms, "$.ccys")

    def _follow(
        self,
        ccys: list[str],
        channels: frozenset[m.Channel] | None,
        rate_ms: int | None,
        available: Collection[str],
        now_ms: int,
        path: str,
    ) -> list[Action]:
        for ccy in ccys:
            if ccy not in available:
                return [Send(unknown_ccy(ccy, available, now_ms, path))]
        if len(ccys) > CCYS_MAX:
            return [_error("too_many", f"at most {CCYS_MAX} currencies", now_ms, path)]
        before = {(channel, ccy) for ccy in self.ccys for channel in self.channels}
        is_new_rate = rate_ms is not None and rate_ms != self.rate_ms
        self.ccys = tuple(ccys)
        self.channels = self.channels if channels is None else channels
        self.rate_ms = self.rate_ms if rate_ms is None else rate_ms
        return [
            Snapshot(channel, ccy)
            for ccy in self.ccys
            for channel in CHANNELS
            if channel in self.channels and (is_new_rate or (channel, ccy) not in before)
        ]


def unknown_ccy(ccy: str, available: Collection[str], now_ms: int, path: str) -> bytes:
    """Return the error message for a currency without a surface."""
    listed = ", ".join(sorted(available)) or "none yet"
    return _encode_error("unknown_ccy", f"no surface for {ccy[:16]!r}; available: {listed}", now_ms, path)


def _error(code: str, message: str, now_ms: int, path: str) -> Send:
    return Send(_encode_error(code, message, now_ms, path))


def _encode_error(code: str, message: str, now_ms: int, path: str) -> bytes:
    return orjson.dumps(
        {
            "type": "error",
            "schema": m.SCHEMA,
            "ts": now_ms,
            "code": code,
            "message": message,
            "path": path,
        }
    )
