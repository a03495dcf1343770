"""The socket around a venue's session: connects, lists, feeds frames, reconnects."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any, Protocol

import httpx
import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from derivasys.clock import Clock
from derivasys.connect.session import Backoff, ConnectionState, Endpoint, Reconnect, Session

log = logging.getLogger("derivasys.connect")

TICK_S = 0.1
HTTP_TIMEOUT_S = 10.0
FRAME_BYTES_MAX = 32 << 20
STALE_S = 3.0
"""A connection without market data for so long is shown as stale."""
PROVED_S = 5.0
"""A connection that has lived so long resets the backoff."""
STAY_AWAY_S = {403: 600.0, 418: 600.0, 429: 10.0}
"""By HTTP status: how long a venue is left alone that was asked too much. (403: shut out at the edge.)"""
RELIST_RETRY_S = 10.0
"""A live connection whose listing cannot be fetched tries again after this."""

OnFrame = Callable[[str, bytes, int], None]
"""(venue, payload, recv_ns): called for every frame and listing reply, on the event loop."""


class Tap(Protocol):
    """Who listens in on a connection, to record it."""

    def opened(self, now_ns: int) -> None: ...
    def listing(self, payload: bytes, now_ns: int) -> None: ...
    def received(self, payload: bytes, now_ns: int) -> None: ...
    def sent(self, payload: bytes, now_ns: int) -> None: ...


class Connector:
    """Keeps one connection to a venue alive. `state`, `detail` and the counters are for the status message."""

    def __init__(
        self,
        venue: str,
        endpoint: Endpoint,
        session: Callable[[int], Session],
        clock: Clock,
        on_frame: OnFrame,
        rng: random.Random,
    ) -> None:
        self.venue = venue
        self.detail = ""
        self.messages = 0
        self.reconnects = 0
        self.last_frame_ns: int | None = None
        self.tap: Tap | None = None
        self._endpoint = endpoint
        self._make_session = session
        self.clock = clock
        self._on_frame = on_frame
        self._backoff = Backoff(rng)
        self._is_connected = False
        self._stay_away_s = 0.0

    @property
    def state(self) -> ConnectionState:
        """Whether data flows: connecting (never had any), live, stale, or down."""
        if not self._is_connected:
            return "down" if self.detail else "connecting"
        if self.last_frame_ns is None:
            return "connecting"
        silent_ns = self.clock.now_ns() - self.last_frame_ns
        return "stale" if silent_ns > STALE_S * 1e9 else "live"

    async def run(self) -> None:
        """Connect and reconnect until cancelled."""
        async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=True) as http:
            while True:
                started_s = asyncio.get_running_loop().time()
                try:
                    await self._converse(http)
                except httpx.HTTPStatusError as error:
                    self.detail = str(error)
                    self._stay_away_s = STAY_AWAY_S.get(error.response.status_code, 0.0)
                except (Reconnect, OSError, httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError) as error:
                    self.detail = str(error) or type(error).__name__
                except Exception as error:  # a fault of one venue must not stop the others
                    log.exception("%s: connection failed", self.venue)
                    self.detail = f"{type(error).__name__}: {error}"
                finally:
                    self._is_connected = False
                if asyncio.get_running_loop().time() - started_s > PROVED_S:
                    self._backoff.reset()
                wait_s = max(self._backoff.next_s(), self._stay_away_s)
                self._stay_away_s = 0.0
                log.warning("%s: %s; next try in %.1f s", self.venue, self.detail, wait_s)
                await asyncio.sleep(wait_s)
                self.reconnects += 1

    async def _converse(self, http: httpx.AsyncClient) -> None:
        session = self._make_session(self.clock.now_ns())
        if self.tap is not None:
            self.tap.opened(self.clock.now_ns())
        await self._list(http, session)
        listener = _Listener(self, session)
        address = self._endpoint.ws + session.ws_path
        _, client = await ws_connect(lambda: listener, address, max_frame_size=FRAME_BYTES_MAX, enable_auto_ping=False)
        assert client is listener
        self._is_connected = True
        self.detail = ""
        listing: asyncio.Task[None] | None = None
        try:
            while not listener.closed.is_set():
                listener.tick(self.clock.now_ns())
                if listing is not None and listing.done():
                    listing.result()
                    listing = None
                if session.relisting and listing is None:
                    listing = asyncio.create_task(self._relist(http, session))
                try:
                    await asyncio.wait_for(listener.closed.wait(), TICK_S)
                except TimeoutError:
                    continue
        finally:
            if listing is not None and not listing.cancel():
                listing.exception()  # seen: the connection is being replaced anyway
            listener.disconnect()
        raise Reconnect(listener.reason or "connection closed by the venue")

    async def _relist(self, http: httpx.AsyncClient, session: Session) -> None:
        """Fetch listings beside the live conversation, which a failure of HTTP does not end."""
        try:
            await self._list(http, session)
        except httpx.HTTPError as error:
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
            wait_s = max(RELIST_RETRY_S, STAY_AWAY_S.get(status, 0.0))
            log.warning("%s: listing failed: %s; next try in %g s", self.venue, error or type(error).__name__, wait_s)
            await asyncio.sleep(wait_s)

    async def _list(self, http: httpx.AsyncClient, session: Session) -> None:
        while session.relisting:
            path = session.relisting[0]
            reply = await http.get(self._endpoint.http + path)
            reply.raise_for_status()
            if path in session.relisting:
                session.relisting.remove(path)
            now_ns = self.clock.now_ns()
            if self.tap is not None:
                self.tap.listing(reply.content, now_ns)
            self._on_frame(self.venue, reply.content, now_ns)
            session.listed(path, reply.content, now_ns)

    def received(self, payload: bytes, now_ns: int) -> None:
        """Count a frame and hand it to the pipeline."""
        self.messages += 1
        self.last_frame_ns = now_ns
        if self.tap is not None:
            self.tap.received(payload, now_ns)
        self._on_frame(self.venue, payload, now_ns)


class _Listener(WSListener):
    """picows calls it for every frame, on the event loop."""

    def __init__(self, connector: Connector, session: Session) -> None:
        super().__init__()
        self.closed = asyncio.Event()
        self.reason = ""
        self._connector = connector
        self._session = session
        self._clock = connector.clock
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._send(self._session.opened(self._clock.now_ns()))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            payload = frame.get_payload_as_bytes()
            now_ns = self._clock.now_ns()
            self._connector.received(payload, now_ns)
            try:
                answers = self._session.received(payload, now_ns)
            except Reconnect as error:
                self._fail(str(error))
                return
            if answers:
                self._send(answers)
        elif frame.msg_type == WSMsgType.CLOSE:
            message: Any = frame.get_close_message() or b""
            self._fail(f"closed by the venue: {frame.get_close_code()} {bytes(message).decode(errors='replace')}")

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed.set()

    def tick(self, now_ns: int) -> None:
        self._send(self._session.tick(now_ns))

    def disconnect(self) -> None:
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _send(self, messages: list[bytes]) -> None:
        if self._transport is not None:
            tap = self._connector.tap
            for message in messages:
                self._transport.send(WSMsgType.TEXT, message)
                if tap is not None:
                    tap.sent(message, self._clock.now_ns())

    def _fail(self, reason: str) -> None:
        self.reason = reason
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()
        self.closed.set()
