"""The socket and HTTP shell around a local venue. No logic of any venue: that is sans I/O, in the venue's own files."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from derivasys.clock import Clock
from derivasys.publish.access import Access, AccessRules
from derivasys.publish.frames import text_frame
from derivasys.publish.websocket import Connection, uvicorn_protocol

TICK_S = 0.02
WRITE_BUFFER_BYTES_MAX = 1 << 20
"""A client that leaves more than this unread is dropped."""
ABNORMAL = 1006
"""Not a code that is sent: the connection is cut without a closing handshake."""
Reply = tuple[int, bytes, Mapping[str, str]]
"""HTTP status, JSON body, headers."""


class Session(Protocol):
    """What a venue keeps for one connection."""

    closing: tuple[int, str] | None
    """Close code and reason once the venue has ended the session; `ABNORMAL` cuts it."""

    def take(self) -> list[bytes]:
        """Return the payloads to be sent, and forget them."""


class Venue(Protocol):
    """A local venue, sans I/O: calls and time in, payloads out by the sessions."""

    def receive(self, session: Any, text: bytes, now_ns: int) -> None:
        """Take one message of a client."""

    def disconnect(self, session: Any) -> None:
        """Forget a session."""

    def tick(self, now_ns: int) -> None:
        """Move on to `now_ns`; called about fifty times a second."""


class Doors(Access):
    """How many connections a venue takes from an address: at once, and anew within seconds. 0: any number."""

    def __init__(self, at_once: int = 0, anew: int = 0, span_s: float = 1.0) -> None:
        super().__init__(AccessRules(connections_per_address=at_once), lambda: asyncio.get_running_loop().time())
        self._opened_s: deque[float] = deque(maxlen=anew)
        self._span_s = span_s

    def connect(self, address: str) -> bool:
        """Count a connection; return False for one too many."""
        now_s = asyncio.get_running_loop().time()
        opened_s = self._opened_s
        if opened_s.maxlen and len(opened_s) == opened_s.maxlen and now_s - opened_s[0] < self._span_s:
            return False
        if not super().connect(address):
            return False
        opened_s.append(now_s)
        return True


class LocalServer:
    """Serves one venue on loopback. A subclass says what its paths are."""

    doors: tuple[int, int, float] = (0, 0, 1.0)
    """Of an address: connections at once, and new ones in so many seconds; see `Doors`."""

    def __init__(self, venue: Venue, clock: Clock) -> None:
        self._venue = venue
        self._clock = clock
        self._connections: dict[Connection, None] = {}
        self._server: _Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.address = ""
        """host:port once started."""

    # --- for the venue ---

    def has_socket(self, path: str) -> bool:
        """Tell whether there is a WebSocket at `path`; elsewhere the handshake answers 404."""
        raise NotImplementedError

    def open_session(self, path: str, query: Mapping[str, str], now_ns: int) -> Session:
        """Return the session of a new connection."""
        raise NotImplementedError

    def http(self, method: str, path: str, query: Mapping[str, str], body: bytes, now_ns: int) -> Reply:
        """Answer one HTTP request."""
        raise NotImplementedError

    # --- life ---

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1:`port`, 0 for a free one. Returns when connections are accepted."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])]),
            ws=uvicorn_protocol(
                lambda path: self if self.has_socket(path) else None,
                Doors(*self.doors),
                buffer_bytes_max=WRITE_BUFFER_BYTES_MAX,
            ),
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._tasks = [
            asyncio.create_task(self._server.serve([listener])),
            asyncio.create_task(self._run()),
        ]
        self._tasks[1].add_done_callback(_complain)
        await self._server.ready.wait()

    async def stop(self) -> None:
        """Cut all connections and stop listening."""
        if self._server is None:
            return
        serving, ticking = self._tasks
        ticking.cancel()
        self.cut_connections()
        self._server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await ticking
        await serving
        self._server = None

    def cut_connections(self, code: int = ABNORMAL, reason: str = "") -> None:
        """Close all connections: with a closing handshake, or cut (the default)."""
        for connection in list(self._connections):
            _close(connection, code, reason)

    async def _run(self) -> None:
        while True:
            self._venue.tick(self._clock.now_ns())
            self.flush()
            await asyncio.sleep(TICK_S)

    # --- connections (publish.websocket.Handler) ---

    def flush(self) -> None:
        """Write to every client what waits for it."""
        for connection in list(self._connections):
            self._flush(connection)

    def _flush(self, connection: Connection) -> None:
        """Write all that waits for a client in one piece; drop a client that does not read."""
        session = connection.state
        payloads = session.take()
        if payloads:
            if connection.is_slow:
                _close(connection, ABNORMAL, "connection_too_slow")
                return
            connection.write(b"".join([text_frame(payload) for payload in payloads]))
        if session.closing is not None:
            _close(connection, *session.closing)

    def on_open(self, connection: Connection) -> None:
        connection.state = self.open_session(connection.path, connection.query, self._clock.now_ns())
        self._connections[connection] = None
        self._flush(connection)

    def on_text(self, connection: Connection, text: bytes) -> None:
        self._venue.receive(connection.state, text, self._clock.now_ns())
        self._flush(connection)

    def on_drain(self, connection: Connection) -> None:
        """Nothing to do: a slow client has been dropped by then."""

    def on_close(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._venue.disconnect(connection.state)

    async def _answer(self, request: Request) -> Response:
        status, body, headers = self.http(
            request.method, request.url.path, dict(request.query_params), await request.body(), self._clock.now_ns()
        )
        return Response(body, status, dict(headers), media_type="application/json")


def _complain(task: asyncio.Task[None]) -> None:
    """Let a venue that broke down be heard, rather than fall silent."""
    if not task.cancelled() and task.exception() is not None:
        context = {"message": "the local venue broke down", "exception": task.exception()}
        asyncio.get_running_loop().call_exception_handler(context)


def _close(connection: Connection, code: int, reason: str) -> None:
    if code == ABNORMAL:
        connection.abort()
    else:
        connection.close(code, reason)


class _Server(uvicorn.Server):
    """uvicorn as a guest of the caller's loop: it says when it is ready and takes no signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
