"""Capture files: one raw message a line, as `<epoch seconds>: <json>` or as bare JSON.

Lines that tell of the capture itself (`configuration: …`, `wss://… <- <time>: …` for what was sent,
`https://… -> <time>: …` for a REST reply) are recognised; a reply counts as received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

from msgspec import Struct

_REPLY = re.compile(rb"https?://\S+ -> (\d+(?:\.\d+)?): ")
_ABOUT = re.compile(rb"configuration: |wss?://\S+ (?:<-|<->) |https?://\S+ <- ")


class Line(Struct, frozen=True):
    """One line of a capture. `payload` is None for lines that hold nothing received."""

    number: int
    payload: bytes | None
    recv_ns: int | None
    """None where the line states no time."""


def read(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield every line that is not empty."""
    for number, raw in enumerate(lines, start=1):
        text = raw.strip()
        if not text:
            continue
        if _ABOUT.match(text):
            yield Line(number, None, None)
            continue
        if text[:1] in b"{[":
            yield Line(number, text, None)
            continue
        reply = _REPLY.match(text)
        head, payload = (reply[1], text[reply.end() :]) if reply else _split(text)
        yield Line(number, payload, _nanoseconds(head))


def _split(text: bytes) -> tuple[bytes, bytes]:
    head, separator, payload = text.partition(b": ")
    return (head, payload) if separator and _nanoseconds(head) is not None else (b"", text)


def _nanoseconds(seconds: bytes) -> int | None:
    """Return epoch seconds, written in decimal, as nanoseconds without a detour through a double."""
    try:
        value = Decimal(seconds.decode("ascii"))
    except (InvalidOperation, UnicodeDecodeError):
        return None
    return int(value * 1_000_000_000) if value.is_finite() and 0 <= value < 10**11 else None
