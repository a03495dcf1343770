"""The server of a gateway: one listening socket for HTTP and WebSocket, with deadlines that uvicorn does not set."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from derivasys.publish.access import Access, AccessError, AccessRules
from derivasys.publish.binding import Binding, ListenError
from derivasys.publish.gateway import Gateway
from derivasys.publish.guard import Guard
from derivasys.publish.websocket import uvicorn_protocol

log = logging.getLogger("derivasys.publish")

REQUEST_S_MAX = 10.0
"""From a connection's start, or a request's first byte, to its end; slower clients are dropped."""
RESPONSE_S_MAX = 60.0
"""From a request's end to the last byte of the answer taken by the client."""
HEAD_BYTES_MAX = 32 << 10
"""Request line and headers together."""
DRAIN_S = 3
"""Requests under way get so long at shutdown."""
BACKLOG = 1024
RENEW_TICKS = 10
"""Of uvicorn's 0.1 s, between two looks at the certificate's files."""
UNSENT_BYTES_MAX = 128 << 10
"""Unsent bytes in the kernel above which a socket takes no more: what waits there cannot be conflated."""


def listen(binding: Binding) -> socket.socket:
    """Return the listening socket. Raises ListenError."""
    family = socket.AF_INET6 if ":" in binding.host else socket.AF_INET
    try:
        address = (binding.host, binding.port)
        listener = socket.create_server(address, family=family, backlog=BACKLOG, reuse_port=binding.reuse_port)
    except OSError as error:
        raise ListenError(
            f"cannot listen on {binding.host}:{binding.port} ({os.strerror(error.errno or 0)}); choose another --port"
        ) from None
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        # Connections inherit it.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES_MAX)
    return listener


def address_of(binding: Binding, listener: socket.socket) -> str:
    """Return the address that a person opens."""
    host, port = listener.getsockname()[:2]
    return f"{binding.scheme}://{f'[{host}]' if ':' in host else host}:{port}/"


class GatewayServer(uvicorn.Server):
    """uvicorn with a gateway at /ws, telling clients to come back before it closes their sockets."""

    def __init__(self, app: ASGIApp, gateway: Gateway, binding: Binding, access: Access) -> None:
        self._gateway = gateway
        self.access = access
        is_tls = binding.tls_cert is not None
        config = uvicorn.Config(
            Guard(app, access, is_tls=is_tls),
            http=_http_protocol(access),
            ws=uvicorn_protocol(lambda path: gateway if path == "/ws" else None, access),
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            h11_max_incomplete_event_size=HEAD_BYTES_MAX,
            timeout_graceful_shutdown=DRAIN_S,
            ssl_certfile=binding.tls_cert,
            ssl_keyfile=binding.tls_key,
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            # OpenSSL's text names what is wrong with the file, not the file.
            raise ListenError(f"--tls-cert {binding.tls_cert}: {error}") from None
        super().__init__(config)
        self._binding = binding
        self._loaded = self._stamps()

    async def on_tick(self, counter: int) -> bool:
        if counter % RENEW_TICKS == 0:
            self._renew_certificate()
        return await super().on_tick(counter)

    def _stamps(self) -> list[tuple[int, int]]:
        """Return what tells a replaced file from the one before."""
        files = [file for file in (self._binding.tls_cert, self._binding.tls_key) if file is not None]
        return [(told.st_mtime_ns, told.st_ino) for told in map(os.stat, files)]

    def _renew_certificate(self) -> None:
        """Let later connections get the files' certificate where it was replaced; those that are open keep theirs."""
        try:
            stamps = self._stamps()
        except OSError:
            return  # between two files
        if stamps == self._loaded:
            return
        self._loaded = stamps
        try:
            # Tried aside first: a certificate whose key is still to come would leave the server with neither.
            for context in (ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), self.config.ssl):
                assert context is not None
                assert self._binding.tls_cert is not None
                context.load_cert_chain(self._binding.tls_cert, self._binding.tls_key)
        except OSError as error:  # SSLError is one
            log.warning("the certificate of before stays in use: %s", error)
            return
        log.warning("the certificate was replaced: new connections get it")

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to end well: uvicorn's own way raises them anew after its shutdown."""
        loop = asyncio.get_running_loop()
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(which, self.handle_exit, which, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Send every client away with 1012, then end."""
        self._gateway.close_all(1012, "service restart")
        await super().shutdown(sockets)


def open_access(rules: AccessRules, binding: Binding) -> Access:
    """Return the rules at work, once binding and rules fit together. Raises ListenError."""
    binding.check(rules)
    try:
        return Access(rules, _loop_s)
    except AccessError as error:
        raise ListenError(str(error)) from None


def _loop_s() -> float:
    return asyncio.get_running_loop().time()


def _http_protocol(access: Access) -> type[asyncio.Protocol]:
    class HttpProtocol(_DeadlinedHttp):
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.access = access

    return HttpProtocol


class _DeadlinedHttp(H11Protocol):
    """uvicorn's HTTP connection, counted by address, that must finish each request and take each answer in time."""

    access: Access

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._deadline: asyncio.TimerHandle | None = None
        self._counted: str | None = None
        self._is_handed_over = False
        peer = self.access.address(self.client[0] if self.client else "", lambda _: None)
        if not self.access.is_proxy(peer):
            if not self.access.connect(peer):
                self._refuse()
                return
            self._counted = peer
        self._within(REQUEST_S_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        self._within(None)
        self._uncount()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        was_idle = self._deadline is None
        super().data_received(data)
        if self._is_handed_over:
            return
        is_unfinished = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if is_unfinished and was_idle:
            self._within(REQUEST_S_MAX)
        elif not is_unfinished:
            self._within(RESPONSE_S_MAX)

    def on_response_complete(self) -> None:
        self._within(None)
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._within(None)
        self._is_handed_over = True
        self._uncount()  # the socket counts itself, by the address that its headers tell
        super().handle_websocket_upgrade(event)
        # Frames that came in the same packet as the handshake.
        early = self.conn.trailing_data[0]
        if early:
            self.transport.get_protocol().data_received(early)  # type: ignore[attr-defined]

    def _within(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._expire)

    def _expire(self) -> None:
        self._deadline = None
        self.transport.abort()

    def _uncount(self) -> None:
        if self._counted is not None:
            self.access.disconnect(self._counted)
            self._counted = None

    def _refuse(self) -> None:
        self.transport.write(
            b"HTTP/1.1 429 Too Many Requests\r\nconnection: close\r\ncontent-length: 0\r\nretry-after: 1\r\n\r\n"
        )
        self.transport.close()
