"""Trace context as W3C writes it (Trace Context, level 1): `00-<32 hex trace>-<16 hex span>-<2 hex flags>`."""

from __future__ import annotations

import re
import secrets

from msgspec import Struct

HEADER = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


class Trace(Struct, frozen=True, gc=False):
    """One span of one trace."""

    trace_id: str
    span_id: str
    flags: str = "01"

    def header(self) -> bytes:
        """Return the header's value."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}".encode()

    def child(self) -> Trace:
        """Return a new span of the same trace."""
        return Trace(self.trace_id, secrets.token_hex(8), self.flags)


def start() -> Trace:
    """Return the first span of a new trace."""
    return Trace(secrets.token_hex(16), secrets.token_hex(8))


def parse(value: bytes | str | None) -> Trace | None:
    """Return the trace that a header names; None when it is absent or no valid traceparent."""
    if value is None:
        return None
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    match = _FORM.fullmatch(text)
    if match is None or (text.startswith("00-") and match[4]):
        return None
    return Trace(match[1], match[2], match[3])
