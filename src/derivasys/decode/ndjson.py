"""Events as flat JSON objects, one a line: what `derivasys decode` prints."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from derivasys.messages import Event

_KEPT_NULL = frozenset({"bid", "ask", "bid_size", "ask_size", "event_ns", "recv_ns", "price"})


def encode(event: Event, recv_ns: int | None) -> bytes:
    """Return one line: `kind` and the contract's fields first, then those of the kind; `recv_ns` null if unknown."""
    fields: dict[str, Any] = msgspec.to_builtins(event)
    kind = fields.pop("kind")
    about = fields.pop("contract", None) or {}
    flat: dict[str, Any] = {
        "kind": kind,
        "venue": about.get("venue", fields.get("venue")),
        "symbol": about.get("symbol", fields.get("symbol")),
        "ccy": about.get("ccy", fields.get("ccy")),
    }
    if about:
        flat["contract_kind"] = about["kind"]
        flat["price_unit"] = about["price_unit"]
    for name in ("expiry", "strike", "type"):
        value = about.get(name, fields.get(name))
        if value is not None:
            flat[name] = value
    for name, value in fields.items():
        if name != "series" and name not in flat and (value is not None or name in _KEPT_NULL):
            flat[name] = value
    flat["recv_ns"] = recv_ns
    return orjson.dumps(flat)
