"""JSON-RPC 2.0 as Deribit speaks it: requests, replies, errors and what calls cost."""

from __future__ import annotations

from typing import Any

import orjson
from msgspec import Struct

Json = dict[str, Any]


class RpcError(Exception):
    """An error reply. `closes`: the venue ends the session after it."""

    def __init__(self, code: int, message: str, data: Any = None, *, closes: bool = False) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.data = data
        self.closes = closes


def invalid_params(param: str, reason: str) -> RpcError:
    return RpcError(-32602, "Invalid params", {"param": param, "reason": reason})


def method_not_found() -> RpcError:
    return RpcError(-32601, "Method not found")


def bad_request() -> RpcError:
    return RpcError(11050, "bad_request")


def not_found() -> RpcError:
    return RpcError(13020, "not_found")


def too_many_requests() -> RpcError:
    return RpcError(10028, "too_many_requests", closes=True)


def raw_unauthorized() -> RpcError:
    return RpcError(13778, "raw_subscriptions_not_available_for_unauthorized")


def invalid_credentials() -> RpcError:
    return RpcError(13004, "invalid_credentials")


def system_maintenance() -> RpcError:
    return RpcError(11051, "system_maintenance")


def settlement_in_progress() -> RpcError:
    return RpcError(10041, "settlement_in_progress")


class Request(Struct, frozen=True):
    """One call; `id` is None when the caller gave none."""

    method: str
    params: Json
    id: int | str | None = None


def parse_request(text: bytes) -> Request:
    """Return the call in `text`. Raises RpcError 11050 when it is not a JSON-RPC object."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise bad_request() from None
    if not isinstance(message, dict) or not isinstance(message.get("method"), str):
        raise bad_request()
    params = message.get("params") or {}
    if not isinstance(params, dict):
        raise bad_request()
    return Request(message["method"], params, message.get("id"))


def result_reply(request_id: Any, result: Any, us_in: int, us_out: int) -> bytes:
    """Return the bytes of a successful reply; `us_*` in microseconds since the epoch."""
    return _reply(request_id, {"result": result}, us_in, us_out)


def error_reply(request_id: Any, error: RpcError, us_in: int, us_out: int) -> bytes:
    """Return the bytes of an error reply."""
    body: Json = {"code": error.code, "message": error.message}
    if error.data is not None:
        body["data"] = error.data
    return _reply(request_id, {"error": body}, us_in, us_out)


def _reply(request_id: Any, body: Json, us_in: int, us_out: int) -> bytes:
    head: Json = {"jsonrpc": "2.0"}
    if request_id is not None:
        head["id"] = request_id
    tail = {"usIn": us_in, "usOut": us_out, "usDiff": us_out - us_in, "testnet": False}
    return orjson.dumps(head | body | tail)


class Pool:
    """A budget of credits: full at first, refilled at a steady rate, spent by calls."""

    def __init__(self, size: float, refill_per_s: float, now_ns: int) -> None:
        self._size = size
        self._refill_per_s = refill_per_s
        self._credits = size
        self._at_ns = now_ns

    def spend(self, cost: float, now_ns: int) -> bool:
        """Take `cost` credits; False, and nothing taken, when there are too few."""
        earned = (now_ns - self._at_ns) / 1e9 * self._refill_per_s
        self._credits, self._at_ns = min(self._credits + earned, self._size), now_ns
        if cost > self._credits:
            return False
        self._credits -= cost
        return True


class Budget:
    """The pools of one caller (sections 3, 5 and 10 of the venue's limits, in credits)."""

    def __init__(self, now_ns: int) -> None:
        self._subscribe = Pool(30_000, 10_000, now_ns)
        self._listing = Pool(500_000, 10_000, now_ns)
        self._other = Pool(50_000, 10_000, now_ns)

    def charge(self, method: str, now_ns: int) -> None:
        """Pay for a call. Raises RpcError 10028 when the pool is empty."""
        if method in ("public/subscribe", "public/unsubscribe"):
            paid = self._subscribe.spend(3_000, now_ns)
        elif method == "public/get_instruments":
            paid = self._listing.spend(10_000, now_ns)
        elif method == "public/test":
            paid = True  # the venue asks for it
        else:
            paid = self._other.spend(500, now_ns)
        if not paid:
            raise too_many_requests()
