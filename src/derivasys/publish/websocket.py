"""WebSocket connections on the port of the HTTP server, written for fan-out.

The `websockets` package's sans-I/O protocol does handshake, parsing, fragments, pings and close;
this file gives it a transport and lets a caller write frames that were encoded once for everybody
(`text_frame`) straight to that transport. uvicorn hands a connection over here at its upgrade request,
so that REST, static files and sockets share one port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol

WRITE_BUFFER_BYTES_MAX = 1 << 20
"""Above this many unsent bytes a client counts as slow until the buffer drains."""
MESSAGE_BYTES_MAX = 64 << 10
"""A larger message from a client closes its connection with 1009."""
PING_INTERVAL_S = 20.0
"""A client that has not answered the last ping by the next one is closed."""


def text_frame(payload: bytes) -> bytes:
    """Return the bytes of one unmasked, final text frame around `payload` (RFC 6455, 5.2)."""
    n = len(payload)
    if n < 126:
        return bytes((0x81, n)) + payload
    if n < 65536:
        return b"\x81\x7e" + n.to_bytes(2, "big") + payload
    return b"\x81\x7f" + n.to_bytes(8, "big") + payload


class Handler(Protocol):
    """What serves a connection. All methods are called on the event loop and must not block."""

    def on_open(self, connection: Connection) -> None: ...
    def on_text(self, connection: Connection, text: bytes) -> None: ...
    def on_drain(self, connection: Connection) -> None:
        """The write buffer of a slow connection is empty again."""

    def on_close(self, connection: Connection) -> None: ...


Router = Callable[[str], Handler | None]
"""Path → handler; None answers the handshake with 404."""


class Connection(asyncio.Protocol):
    """One client's socket. `is_slow` while more than `WRITE_BUFFER_BYTES_MAX` bytes wait for it."""

    path: str
    query: dict[str, str]

    def __init__(self, router: Router) -> None:
        self._router = router
        self._handler: Handler | None = None
        self._protocol = ServerProtocol(max_size=MESSAGE_BYTES_MAX)
        self._transport: asyncio.Transport
        self._fragments: list[bytes] = []
        self._pinger: asyncio.TimerHandle | None = None
        self._awaits_pong = False
        self.is_slow = False
        self.path = ""
        self.query = {}
        self.remote = ""
        self.state: Any = None
        """Whatever the handler keeps for this connection."""

    # --- for handlers ---

    def write(self, frames: bytes) -> None:
        """Queue bytes of whole, ready-made frames. The caller heeds `is_slow`."""
        if self._protocol.state is State.OPEN:
            self._transport.write(frames)

    def send_text(self, payload: bytes) -> None:
        """Queue one text message for this client alone."""
        self.write(text_frame(payload))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()

    def abort(self) -> None:
        """Drop the connection at once, unsent bytes included."""
        self._transport.abort()

    @property
    def unsent_bytes(self) -> int:
        return self._transport.get_write_buffer_size()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES_MAX, low=0)
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) else ""

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._handle_events()
        self._flush()

    def eof_received(self) -> None:
        self._protocol.receive_eof()
        self._handle_events()
        self._flush()

    def pause_writing(self) -> None:
        self.is_slow = True

    def resume_writing(self) -> None:
        self.is_slow = False
        if self._handler is not None:
            self._handler.on_drain(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._pinger is not None:
            self._pinger.cancel()
        if self._handler is not None:
            self._handler.on_close(self)
            self._handler = None

    # --- protocol events ---

    def _handle_events(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._accept(event)
            elif isinstance(event, Frame):
                self._receive(event)

    def _receive(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._awaits_pong = False
        if frame.opcode is Opcode.BINARY:
            self.close(1003, "text messages only")
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return
        self._fragments.append(bytes(frame.data))
        if frame.fin and self._handler is not None:
            text = b"".join(self._fragments)
            self._fragments.clear()
            self._handler.on_text(self, text)

    def _accept(self, request: Request) -> None:
        url = urlsplit(request.path)
        handler = self._router(url.path)
        if handler is None:
            self._protocol.send_response(self._protocol.reject(404, "no socket at this path\n"))
            return
        response = self._protocol.accept(request)
        self._protocol.send_response(response)
        if self._protocol.state is not State.OPEN:
            return
        self.path = url.path
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self._handler = handler
        self._flush()
        self._schedule_ping()
        handler.on_open(self)

    def _schedule_ping(self) -> None:
        loop = asyncio.get_running_loop()
        self._pinger = loop.call_later(PING_INTERVAL_S, self._ping)

    def _ping(self) -> None:
        if self._awaits_pong:
            self.abort()
            return
        try:
            self._protocol.send_ping(b"")
        except ConnectionClosed:
            return
        self._awaits_pong = True
        self._flush()
        self._schedule_ping()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._transport.write(data)
            else:
                self._transport.close()
        if self._protocol.close_expected() and self._protocol.state is State.CLOSED:
            self._transport.close()


def uvicorn_protocol(router: Router) -> type[asyncio.Protocol]:
    """Return the class for uvicorn's `ws=` option whose connections `router` serves."""

    class UvicornConnection(Connection):
        def __init__(self, **_: object) -> None:
            super().__init__(router)

    return UvicornConnection
