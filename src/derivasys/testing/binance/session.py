"""One connection of the local Binance: its path, streams, and what the venue counts of its client."""

from __future__ import annotations

from typing import Literal

import orjson

from derivasys.testing.text import Window

Route = Literal["public", "market", ""]
"""'' for addresses without a route, which upgrade and stay silent."""
MESSAGES_PER_S = 10
STREAMS_MAX = 200
S = 1_000_000_000


class Session:
    """What the venue keeps for one connection. `out` holds payloads that wait to be sent."""

    def __init__(self, route: Route, *, is_combined: bool, now_ns: int, life_s: float) -> None:
        self.route: Route = route
        self.is_combined = is_combined
        self.streams: set[str] = set()
        """All that were asked for, names that do not exist among them."""
        self.out: list[bytes] = []
        self.closing: tuple[int, str] | None = None
        self._ends_ns = now_ns + int(life_s * S)
        self._window = Window(MESSAGES_PER_S, 1.0)

    def take(self) -> list[bytes]:
        """Return the payloads to be sent, and forget them."""
        out, self.out = self.out, []
        return out

    def end(self, code: int, reason: str) -> None:
        """End the session; the first reason stands."""
        self.closing = self.closing or (code, reason)

    def heard(self, now_ns: int) -> None:
        """Count a client's message: more than ten in a second end the session."""
        if not self._window.take(now_ns):
            self.end(1008, "Too many requests")

    def grow_old(self, now_ns: int) -> None:
        """End a session whose 24 hours are over."""
        if now_ns >= self._ends_ns:
            self.end(1001, "24 hours are over")

    def send(self, stream: str, data: bytes) -> None:
        """Queue a stream's message in the form of this connection."""
        if self.is_combined:
            data = b'{"stream":' + orjson.dumps(stream) + b',"data":' + data + b"}"
        self.out.append(data)
