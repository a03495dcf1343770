"""One client's side of the contract, without I/O: what it has asked for, and what to answer.

[W-session] Every input gives an answer or changes the subscription; bad input gives `error` with the path of the
field and the connection lives on; input that is not JSON closes it with 1007.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec
import orjson
from msgspec import UNSET, Struct, structs

from derivasys.smiles import DeltaConvention, FlyConvention
from derivasys.wire import messages as m
from derivasys.wire.published import WITH_NODES
from derivasys.wire.variant import Form, Variant

CHANNELS: tuple[m.Channel, ...] = ("surface", "levels", "tenors", "through", "fit", "status")
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
    """What one client follows: `ccys` × `channels` in one `variant`."""

    def __init__(self, ccys: Collection[str], variant: Variant | None = None) -> None:
        self.ccys: tuple[str, ...] = tuple(ccys)
        self.channels: frozenset[m.Channel] = frozenset(CHANNELS)
        self.variant = variant or Variant()

    def open(self, query: Mapping[str, str], now_ms: int) -> list[Action]:
        """Take what the query of the address asks for (channels, rate_ms, form, delta, fly); return errors to send.

        `ccy` is the caller's: a currency may be waited for. What cannot be read is answered and left out.
        """
        actions: list[Action] = []
        for name, text in query.items():
            if name in {"ccy", "ccys"}:
                continue
            if name not in QUERY:
                listed = ", ".join(("ccy", *QUERY))
                actions.append(_error("bad_request", f"no such parameter; there are {listed}", now_ms, f"?{name[:32]}"))
                continue
            raw: Any = text.split(",") if name == "channels" else text
            try:
                value = msgspec.convert(raw, QUERY[name], strict=False)
            except msgspec.ValidationError as error:
                problem = str(error).partition(" - at `")[0]
                actions.append(_error("bad_request", problem, now_ms, f"?{name}"))
                continue
            if name == "channels":
                self.channels = frozenset(value)
            else:
                self.variant = structs.replace(self.variant, **{name: value})
        return actions

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
        more = [] if request.ccys is UNSET else request.ccys
        ccys = list(dict.fromkeys([*self.ccys, *more]))
        channels = None if request.channels is UNSET else self.channels | set(request.channels)
        chosen: dict[str, Any] = {"rate_ms": request.rate_ms, "form": request.form}
        if request.conventions is not UNSET:
            chosen |= {"delta": request.conventions.delta, "fly": request.conventions.fly}
        chosen = {name: value for name, value in chosen.items() if value is not UNSET}
        return self._follow(ccys, channels, structs.replace(self.variant, **chosen), available, now_ms, "$.ccys")

    def _follow(
        self,
        ccys: list[str],
        channels: frozenset[m.Channel] | None,
        variant: Variant | None,
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
        changed = frozenset() if variant is None else _affected(self.variant, variant)
        self.ccys = tuple(ccys)
        self.channels = self.channels if channels is None else channels
        self.variant = self.variant if variant is None else variant
        return [
            Snapshot(channel, ccy)
            for ccy in self.ccys
            for channel in CHANNELS
            if channel in self.channels and (channel in changed or (channel, ccy) not in before)
        ]


QUERY: dict[str, Any] = {
    "channels": list[m.Channel],
    "rate_ms": Literal[50, 200, 1000],
    "form": Form,
    "delta": DeltaConvention,
    "fly": FlyConvention,
}
"""Parameters of the address besides `ccy`."""


def _affected(before: Variant, after: Variant) -> frozenset[m.Channel]:
    """Return the channels that read otherwise in another variant."""
    if before == after:
        return frozenset()
    if (before.rate_ms, before.form) != (after.rate_ms, after.form):
        return frozenset(CHANNELS)
    return WITH_NODES


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
