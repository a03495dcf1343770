"""Capture files: one raw message a line, as `<epoch seconds>: <json>` or as bare JSON; or JSON over several lines.

A document over several lines starts with a line that is a bracket and nothing else. One in braces is a message; one in
square brackets is a list of messages. Lines that tell of the capture itself (`configuration: …`, `wss://… <- <time>: …`
for what was sent, `https://… -> <time>: …` for a REST reply) are recognised; a reply counts as received.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

from msgspec import Struct

_REPLY = re.compile(rb"https?://\S+ -> (\d+(?:\.\d+)?): ")
_ABOUT = re.compile(rb"configuration: |wss?://\S+ (?:<-|<->) |https?://\S+ <- ")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
MESSAGE_BYTES_MAX = 64 << 20
"""A message over several lines is cut off here, and then is not JSON."""


class Line(Struct, frozen=True):
    """One message of a capture and the line it starts on. `payload` is None for lines that hold nothing received."""

    number: int
    payload: bytes | None
    recv_ns: int | None
    """None where the line states no time."""


def read(lines: Iterable[bytes]) -> Iterator[Line]:
    """Yield every line that is not empty, and every message of a document over several lines."""
    numbered = iter(enumerate(lines, start=1))
    for number, raw in numbered:
        text = raw.strip()
        if not text:
            continue
        if text in (b"{", b"["):
            yield from _document(text, number, numbered)
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


def _document(bracket: bytes, number: int, numbered: Iterator[tuple[int, bytes]]) -> Iterator[Line]:
    """Yield the messages of a document over several lines, of which the first was a bracket."""
    outside = 1 if bracket == b"[" else 0  # the depth between two messages
    depth, size = 1, 0
    message: list[bytes] = [] if outside else [bracket]
    for at, raw in numbered:
        text = raw.strip()
        if not text or (not message and text == b"]"):
            if text:
                return
            continue
        if not message:
            number, size = at, 0
        message.append(text)
        size += len(text)
        bare = _STRING.sub(b"", text)
        depth += sum(map(bare.count, (b"{", b"["))) - sum(map(bare.count, (b"}", b"]")))
        if depth <= outside or size > MESSAGE_BYTES_MAX:
            yield Line(number, b"\n".join(message).rstrip(b","), None)
            message = []
            if depth < 1:
                return
    if message:
        yield Line(number, b"\n".join(message), None)


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
