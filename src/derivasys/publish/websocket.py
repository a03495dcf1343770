"""WebSocket connections on the port of the HTTP server, written for fan-out.

The `websockets` package's sans-I/O protocol does handshake, parsing, control frames and close; this file gives it a
transport and lets a caller write frames that were made once for everybody (`frames`) straight to that transport.
uvicorn hands a connection over here at its upgrade request, so that REST, static files and sockets share one port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast
from urllib.parse import parse_qs, urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import Protocol as Wire
from websockets.protocol import Side, State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from derivasys.publish.access import SUBPROTOCOL, Access, AccessRules, Header, Refusal
from derivasys.publish.fanout import Audience, send_to_all
from derivasys.publish.frames import PING_FRAME, SharedDeflate, deflated_frame, text_frame

WRITE_BUFFER_BYTES_MAX = 16 << 10
"""Above this many bytes that the kernel does not take (of a snapshot under way: besides it) a client counts as slow
until all are gone. The kernel has `server.UNSENT_BYTES_MAX` by then; a write that waits here costs half a kilobyte."""
MESSAGE_BYTES_MAX = 64 << 10
"""A larger message from a client closes its connection with 1009."""
FRAGMENTS_MAX = 1024
"""A message in more pieces closes the connection with 1008."""
BEAT_S = 5.0
"""Each connection is looked at this often."""
PING_EVERY_BEATS = 4
"""… and pinged at every so manieth look: a client that has not answered by the next one is dropped."""
UNFINISHED_S_MAX = 30.0
"""A message begun and not finished for so long closes the connection with 1008, an unanswered close drops it."""
STUCK_S_MAX = 30.0
"""A slow client that has not caught up for so long is dropped."""
_ROWS = 5


class Handler(Protocol):
    """What serves a connection. All methods are called on the event loop and must not block."""

    def on_open(self, connection: Connection) -> None: ...
    def on_text(self, connection: Connection, text: bytes) -> None:
        """A whole message, valid UTF-8."""

    def on_drain(self, connection: Connection) -> None:
        """A slow connection has read everything."""

    def on_close(self, connection: Connection) -> None: ...


Router = Callable[[str], Handler | None]
"""Path → handler; None answers the handshake with 404."""


class Pulse:
    """Looks at every connection each `BEAT_S`, a fifth of them each second: one timer for all of them."""

    def __init__(self) -> None:
        self._rows: list[set[Connection]] = [set() for _ in range(_ROWS)]
        self._at = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, connection: Connection) -> None:
        """Begin to look at a connection."""
        min(self._rows, key=len).add(connection)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BEAT_S / _ROWS, self._beat)

    def discard(self, connection: Connection) -> None:
        """Cease to."""
        for row in self._rows:
            row.discard(connection)

    def _beat(self) -> None:
        self._timer = None
        self._at = (self._at + 1) % _ROWS
        for connection in list(self._rows[self._at]):
            connection.beat()
        if any(self._rows):
            self._timer = asyncio.get_running_loop().call_later(BEAT_S / _ROWS, self._beat)


class Connection(asyncio.Protocol):
    """One client's socket. `is_slow` while too many bytes wait for it; `is_open` between handshake and close."""

    __slots__ = (
        "_access", "_address", "_awaits_pong", "_beats", "_buffer_bytes_max", "_descriptor", "_fragments", "_handler",
        "_high", "_pulse", "_router", "_since_s", "_socket", "_wire", "audiences", "deflates", "is_open", "is_slow",
        "path", "query", "remote", "state", "transport", "why_dropped",
    )  # fmt: skip

    def __init__(self, router: Router, access: Access, pulse: Pulse, buffer_bytes_max: int) -> None:
        self._router = router
        self._buffer_bytes_max = buffer_bytes_max
        self._access = access
        self._pulse = pulse
        self._handler: Handler | None = None
        self._wire: Wire = ServerProtocol(
            max_size=MESSAGE_BYTES_MAX, extensions=[SharedDeflate()], select_subprotocol=_select_subprotocol
        )
        self._fragments: list[bytes] = []
        self._beats = 0
        self._awaits_pong = False
        self._since_s: float | None = None
        """When the slow state, the unfinished message or the closing handshake began."""
        self._address: str | None = None
        self._high = 0
        self._socket = -1
        """Its descriptor, where bytes may be sent past the transport: not below TLS, not once it may be closed."""
        self._descriptor = -1
        self.audiences: list[Audience[Connection]] = []
        self.transport: asyncio.Transport
        self.deflates = False
        """Whether the client reads compressed frames."""
        self.is_open = False
        self.is_slow = False
        self.path = ""
        self.query: dict[str, str] = {}
        self.remote = ""
        self.why_dropped = ""
        self.state: Any = None
        """Whatever the handler keeps for this connection."""

    @property
    def descriptor(self) -> int:
        """Where bytes may be sent past the transport; -1 as long as earlier ones may wait in it."""
        return self._descriptor

    @descriptor.setter
    def descriptor(self, value: int) -> None:
        if value != self._descriptor:
            self._descriptor = value
            for audience in self.audiences:
                audience.note(self, value)

    # --- for handlers ---

    def write(self, frames: bytes) -> None:
        """Queue bytes of whole, ready-made frames. The caller heeds `is_slow`."""
        if self.is_open:
            self._queue(frames)

    def write_rest(self, frames: bytes, sent: int) -> None:
        """Write what a send past the transport left of `frames`: all of it, unless `sent` is above 0."""
        if not self.is_open:
            return
        if self.descriptor < 0 <= self._socket and not self.transport.get_write_buffer_size():
            self.descriptor = self._socket
            (sent,) = send_to_all([self.descriptor], frames).tolist()
        rest = frames[max(0, sent) :]
        if rest:
            self._queue(rest)  # the kernel is full, or the connection broken: the transport finds out

    def _queue(self, data: bytes) -> None:
        self.descriptor = -1
        self.transport.write(data)

    def write_whole(self, frames: bytes) -> None:
        """Queue a snapshot: its own bytes do not make the client a slow one, what comes on top does."""
        if self.is_open:
            self._high = self.transport.get_write_buffer_size() + len(frames) + self._buffer_bytes_max
            self.transport.set_write_buffer_limits(high=self._high, low=0)
            self._queue(frames)

    def send_text(self, payload: bytes) -> None:
        """Queue one text message for this client alone."""
        self.write(deflated_frame(payload) if self.deflates else text_frame(payload))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the closing handshake, unless it has begun: a fault further on in what was received may have."""
        if self.is_open and self._wire.state is State.OPEN:
            self._wire.send_close(code, reason)
            self._flush()

    def abort(self, why: str = "") -> None:
        """Drop the connection at once, unsent bytes included."""
        self.why_dropped = why
        self.is_open = False
        self.descriptor = -1
        self.transport.abort()

    @property
    def unsent_bytes(self) -> int:
        return self.transport.get_write_buffer_size()

    # --- asyncio.Protocol ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit asyncio's classes.
        self.transport = cast("asyncio.Transport", transport)
        self._set_limit(self._buffer_bytes_max)
        if transport.get_extra_info("sslcontext") is None:
            link = transport.get_extra_info("socket")
            self._socket = -1 if link is None else link.fileno()
        peer = transport.get_extra_info("peername")
        self.remote = str(peer[0]) if isinstance(peer, tuple) else ""
        self._pulse.add(self)

    def data_received(self, data: bytes) -> None:
        if not self._wire.eof_sent:  # what comes after the closing handshake is not read
            self._wire.receive_data(data)
            self._handle_events()
            self._flush()

    def eof_received(self) -> None:
        self._wire.receive_eof()
        self._handle_events()
        self._flush()

    def pause_writing(self) -> None:
        self.is_slow = True
        self._since_s = asyncio.get_running_loop().time()
        if not self.transport.is_closing():
            # Who does not read the answers gets no further questions in.
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.is_slow = False
        self._since_s = None
        if not self.transport.is_closing():
            self.transport.resume_reading()
        if self._high != self._buffer_bytes_max:
            self._set_limit(self._buffer_bytes_max)
        if self._handler is not None:
            self._handler.on_drain(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        self.descriptor = self._socket = -1
        self._pulse.discard(self)
        if self._address is not None:
            self._access.disconnect(self._address)
            self._address = None
        if self._handler is not None:
            self._handler.on_close(self)
            self._handler = None

    # --- upkeep ---

    def beat(self) -> None:
        """Ping now and then; drop who is stuck, silent, or does not finish what it began."""
        self._beats += 1
        now_s = asyncio.get_running_loop().time()
        if self.is_slow:
            if self._since_s is not None and now_s - self._since_s > STUCK_S_MAX:
                # Its socket is full, so a close frame with a reason would not reach it: the reason goes to the log.
                self.abort(f"has not caught up for {STUCK_S_MAX:.0f} s")
            return
        if self._high != self._buffer_bytes_max and not self.transport.get_write_buffer_size():
            self._set_limit(self._buffer_bytes_max)
        is_unfinished = not self.is_open or bool(self._fragments)
        if not is_unfinished:
            self._since_s = None
        elif self._since_s is None:
            self._since_s = now_s
        elif now_s - self._since_s > UNFINISHED_S_MAX:
            if self.is_open:
                self.close(1008, "message not finished in time")
            else:
                self.abort("did not close")
        if self.is_open and self._beats % PING_EVERY_BEATS == 0:
            if self._awaits_pong:
                self.abort("did not answer a ping")
                return
            self._awaits_pong = True
            self._queue(PING_FRAME)

    # --- protocol events ---

    def _set_limit(self, high: int) -> None:
        self._high = high
        self.transport.set_write_buffer_limits(high=high, low=0)

    def _handle_events(self) -> None:
        for event in self._wire.events_received():
            if isinstance(event, Request):
                self._accept(event)
            elif isinstance(event, Frame):
                self._receive(event)

    def _receive(self, frame: Frame) -> None:
        if frame.opcode is Opcode.PONG:
            self._awaits_pong = False
        if frame.opcode is Opcode.BINARY:
            self.close(1003, "text messages only")
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT) or not self.is_open:
            return
        self._fragments.append(bytes(frame.data))
        if len(self._fragments) > FRAGMENTS_MAX:
            self._fragments.clear()
            self.close(1008, "too many fragments")
        elif frame.fin:
            text = b"".join(self._fragments)
            self._fragments.clear()
            try:
                text.decode()
            except UnicodeDecodeError:
                self.close(1007, "not UTF-8")
                return
            if self._handler is not None:
                self._handler.on_text(self, text)

    def _accept(self, request: Request) -> None:
        assert isinstance(self._wire, ServerProtocol)
        url = urlsplit(request.path)
        handler = self._router(url.path)
        header = _header(request)
        address = self._access.address(self.remote, header)
        refusal = self._refusal(handler, header, address)
        if refusal is not None:
            self._wire.send_response(self._wire.reject(refusal.status, refusal.detail + "\n"))
            return
        self._wire.send_response(self._wire.accept(request))
        if self._wire.state is not State.OPEN:
            self._access.disconnect(address)
            return
        self._address = address
        self._handler = handler
        self.path = url.path
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self._flush()
        # The handshake's headers are not needed any more: a plain protocol takes half the memory.
        extensions = self._wire.extensions
        self._wire = Wire(Side.SERVER, state=State.OPEN, max_size=MESSAGE_BYTES_MAX)
        self._wire.extensions = extensions
        self.deflates = bool(extensions)
        self.is_open = True
        assert handler is not None
        handler.on_open(self)

    def _refusal(self, handler: Handler | None, header: Header, address: str) -> Refusal | None:
        """Return why the handshake is refused; when it is not, the connection has been counted."""
        if handler is None:
            return Refusal(404, "Not found", "no socket at this path")
        refusal = self._access.check(header, address, is_socket=True)
        if refusal is None and not self._access.connect(address):
            return Refusal(429, "Too many connections", "too many connections from your address")
        return refusal

    def _flush(self) -> None:
        for data in self._wire.data_to_send():
            if data:
                self._queue(data)
            else:
                self._end()
        if self.is_open and self._wire.state is not State.OPEN:
            self.is_open = False
            self.descriptor = -1
            self._fragments.clear()
            self._since_s = None
        if self._wire.close_expected() and self._wire.state is State.CLOSED:
            self.transport.close()

    def _end(self) -> None:
        """End the stream: at once after a whole closing handshake, else only our half of it.

        A socket closed with bytes unread resets the connection, and our close frame would be lost on its way.
        """
        is_agreed = self._wire.close_rcvd is not None
        if not is_agreed and self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        else:
            self.transport.close()


def _header(request: Request) -> Header:
    def value(name: str) -> str | None:
        found: Sequence[str] = request.headers.get_all(name)
        return ", ".join(found) if found else None

    return value


def _select_subprotocol(_: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Choose ours; one that carries a key is never sent back."""
    return Subprotocol(SUBPROTOCOL) if SUBPROTOCOL in offered else None


def uvicorn_protocol(
    router: Router, access: Access | None = None, *, buffer_bytes_max: int = WRITE_BUFFER_BYTES_MAX
) -> type[asyncio.Protocol]:
    """Return the class for uvicorn's `ws=` option whose connections `router` serves; without `access`, to everybody."""
    pulse = Pulse()
    rules = access or Access(AccessRules(), lambda: asyncio.get_running_loop().time())

    class UvicornConnection(Connection):
        __slots__ = ()

        def __init__(self, **_: Any) -> None:
            super().__init__(router, rules, pulse, buffer_bytes_max)

    return UvicornConnection
