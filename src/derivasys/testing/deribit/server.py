"""The local Deribit on a port: REST at /api/v2, sockets at /ws/api/v2. No logic of the venue."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator, Sequence

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from derivasys.clock import Clock
from derivasys.publish.websocket import Connection, text_frame, uvicorn_protocol
from derivasys.testing.deribit.faults import Faults
from derivasys.testing.deribit.rpc import RpcError, error_reply, parse_request
from derivasys.testing.deribit.session import ABNORMAL
from derivasys.testing.deribit.venue import Venue
from derivasys.testing.market import Market

TICK_S = 0.02
SOCKET_PATH = "/ws/api/v2"
REST_PATH = "/api/v2"


class DeribitServer:
    """Serves markets recorded at one instant, on the clock that started there."""

    def __init__(
        self,
        markets: Market | Sequence[Market],
        clock: Clock,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        ticker_interval_ms: int = 100,
    ) -> None:
        """`ticker_interval_ms`: what `100ms` means for tickers; less only to load a client."""
        several = markets if isinstance(markets, Sequence) else [markets]
        self.venue = Venue(several, seed, faults, ticker_interval_ms)
        self._clock = clock
        self._connections: dict[Connection, None] = {}
        self._server: _Server | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.address = ""
        """host:port once started."""

    @property
    def faults(self) -> Faults:
        """The switches of the venue's misbehaviour."""
        return self.venue.faults

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1:`port`, 0 for a free one. Returns when connections are accepted."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        self.address = f"127.0.0.1:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            self._app(),
            ws=uvicorn_protocol(lambda path: self if path == SOCKET_PATH else None),
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

    # --- the shell around the venue ---

    async def _run(self) -> None:
        while True:
            self.venue.tick(self._clock.now_ns())
            self.flush()
            await asyncio.sleep(TICK_S)

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
        connection.state = self.venue.connect(self._clock.now_ns())
        self._connections[connection] = None

    def on_text(self, connection: Connection, text: bytes) -> None:
        self.venue.receive(connection.state, text, self._clock.now_ns())
        self._flush(connection)

    def on_drain(self, connection: Connection) -> None:
        """Nothing to do: a slow client has been dropped by then."""

    def on_close(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self.venue.disconnect(connection.state)

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route(REST_PATH + "/{scope}/{method}", self._get, methods=["GET"]),
                Route(REST_PATH, self._post, methods=["POST"]),
                Route(REST_PATH + "/{scope}/{method}", self._post, methods=["POST"]),
            ]
        )

    async def _get(self, request: Request) -> Response:
        method = "{scope}/{method}".format_map(request.path_params)
        return self._reply(method, dict(request.query_params), None)

    async def _post(self, request: Request) -> Response:
        try:
            call = parse_request(await request.body())
        except RpcError as error:
            now_us = self._clock.now_ns() // 1000
            return _json(400, error_reply(None, error, now_us, now_us))
        return self._reply(call.method, call.params, call.id)

    def _reply(self, method: str, params: dict[str, object], request_id: object) -> Response:
        return _json(*self.venue.rest(method, params, request_id, self._clock.now_ns()))


def _complain(task: asyncio.Task[None]) -> None:
    """Let a venue that broke down be heard, rather than fall silent."""
    if not task.cancelled() and task.exception() is not None:
        context = {"message": "the local venue broke down", "exception": task.exception()}
        asyncio.get_running_loop().call_exception_handler(context)


def _json(status: int, body: bytes) -> Response:
    return Response(body, status, media_type="application/json")


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


def describe(server: DeribitServer) -> bytes:
    """Return one line of JSON about a running server, for whoever started it."""
    labels = [market.label for market in server.venue.markets]
    simulated = any(market.is_simulated for market in server.venue.markets)
    return orjson.dumps({"address": server.address, "simulated": simulated, "markets": labels})
