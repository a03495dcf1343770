"""The socket around a venue's session: connects, lists, feeds frames, reconnects."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import httpx
import msgspec
from picows import WSCloseCode, WSError, WSFrame, WSInvalidStatusError, WSListener, WSMsgType, WSTransport, ws_connect

from derivasys.clock import Clock
from derivasys.connect.login import is_withheld
from derivasys.connect.session import Backoff, ConnectionState, Endpoint, Reconnect, Session

log = logging.getLogger("derivasys.connect")

TICK_S = 0.1
HTTP_TIMEOUT_S = 10.0
FRAME_BYTES_MAX = 32 << 20
STALE_S = 3.0
"""A connection without market data for so long is shown as stale."""
OVERLAP_S = 10.0
"""A connection that the venue will soon end is kept for so long beside its successor, whose subscriptions take time."""
PROVED_S = 5.0
"""A connection that has lived so long resets the backoff."""
STAY_AWAY_S = {403: 600.0, 418: 600.0, 429: 10.0}
"""By HTTP status: how long a venue is left alone that was asked too much. (403: shut out at the edge.)"""
RELIST_RETRY_S = 10.0
"""A live connection whose listing cannot be fetched tries again after this."""

_FAILURES = (Reconnect, OSError, WSError, httpx.HTTPError, msgspec.DecodeError, UnicodeDecodeError)
"""What ends a conversation and is no fault of ours."""

TCP_INFO_BYTES = 152
TCP_MIN_RTT_AT = 148
"""Where Linux's struct tcp_info holds tcpi_min_rtt (µs)."""

OnFrame = Callable[[str, bytes, int], Sequence[str]]
"""(venue, payload, recv_ns) → contracts with a gap. Called for every frame and listing reply, on the event loop."""


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
        self._rng = rng
        self._backoff = Backoff(rng)
        self._is_connected = False
        self._listener: _Listener | None = None
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

    @property
    def round_trip_ns(self) -> int | None:
        """The least round trip of the connection as the kernel measured it; None where it does not say."""
        return None if self._listener is None else self._listener.round_trip_ns()

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
                except WSInvalidStatusError as error:
                    status = 0 if error.response is None else int(error.response.status)
                    self.detail = f"handshake refused with HTTP {status}"
                    self._stay_away_s = STAY_AWAY_S.get(status, 0.0)
                except _FAILURES as error:
                    self.detail = str(error) or type(error).__name__
                except Exception as error:  # a fault of one venue must not stop the others
                    log.exception("%s: connection failed", self.venue)
                    self.detail = f"{type(error).__name__}: {error}"
                finally:
                    self._is_connected = False
                    self._listener = None
                if asyncio.get_running_loop().time() - started_s > PROVED_S:
                    self._backoff.reset()
                wait_s = max(self._backoff.next_s(), self._stay_away_s)
                self._stay_away_s = 0.0
                log.warning("%s: %s; next try in %.1f s", self.venue, self.detail, wait_s)
                await asyncio.sleep(wait_s)
                self.reconnects += 1

    async def _converse(self, http: httpx.AsyncClient) -> None:
        """Hold one conversation; when its session is leaving, open the next beside it and let the old one go."""
        lines = [await self._open(http)]
        self._is_connected = True
        self.detail = ""
        opening: asyncio.Task[_Listener] | None = None
        try:
            while not lines[-1].closed.is_set():
                for line in lines:
                    line.tick(self.clock.now_ns())
                    line.list_anew(http)
                if opening is None and len(lines) == 1 and lines[0].session.is_leaving:
                    opening = asyncio.create_task(self._open_beside(http))
                if opening is not None and opening.done():
                    lines.append(opening.result())
                    opening = None
                if len(lines) > 1 and (lines[0].closed.is_set() or lines[1].age_s() > OVERLAP_S):
                    lines.pop(0).disconnect()
                with suppress(TimeoutError):
                    await asyncio.wait_for(lines[-1].closed.wait(), TICK_S)
        finally:
            if opening is not None:
                opening.add_done_callback(_drop)
                opening.cancel()
            for line in lines:
                line.disconnect()
        raise Reconnect(lines[-1].reason or "connection closed by the venue")

    async def _open(self, http: httpx.AsyncClient) -> _Listener:
        """Return a new connection, its listings read and its first messages sent."""
        session = self._make_session(self.clock.now_ns())
        if self.tap is not None:
            self.tap.opened(self.clock.now_ns())
        await self.list_all(http, session)
        listener = self._listener = _Listener(self, session)
        address = self._endpoint.ws + session.ws_path
        _, client = await ws_connect(lambda: listener, address, max_frame_size=FRAME_BYTES_MAX, enable_auto_ping=False)
        assert client is listener
        return listener

    async def _open_beside(self, http: httpx.AsyncClient) -> _Listener:
        """Return a connection to follow the present one, tried for until there is one."""
        backoff = Backoff(self._rng)
        while True:
            try:
                return await self._open(http)
            except _FAILURES as error:
                wait_s = backoff.next_s()
                log.warning("%s: no connection beside the old one: %s; next try in %.1f s", self.venue, error, wait_s)
                await asyncio.sleep(wait_s)

    async def relist(self, http: httpx.AsyncClient, session: Session) -> None:
        """Fetch listings beside the live conversation, which a failure of HTTP does not end."""
        try:
            await self.list_all(http, session)
        except httpx.HTTPError as error:
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
            wait_s = max(RELIST_RETRY_S, STAY_AWAY_S.get(status, 0.0))
            log.warning("%s: listing failed: %s; next try in %g s", self.venue, error or type(error).__name__, wait_s)
            await asyncio.sleep(wait_s)

    async def list_all(self, http: httpx.AsyncClient, session: Session) -> None:
        """Fetch every listing that the session asks for."""
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

    def received(self, session: Session, payload: bytes, now_ns: int) -> None:
        """Count a frame and hand it to the pipeline."""
        self.messages += 1
        self.last_frame_ns = now_ns
        if is_withheld(payload):
            return
        if self.tap is not None:
            record = self.tap.listing if session.is_listing(payload) else self.tap.received
            record(payload, now_ns)
        for symbol in self._on_frame(self.venue, payload, now_ns):
            session.broken(symbol)


def _drop(opening: asyncio.Task[_Listener]) -> None:
    """Close what was still being opened when it was no longer wanted."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().disconnect()


class _Listener(WSListener):
    """picows calls it for every frame, on the event loop."""

    def __init__(self, connector: Connector, session: Session) -> None:
        super().__init__()
        self.closed = asyncio.Event()
        self.reason = ""
        self.session = session
        self._connector = connector
        self._clock = connector.clock
        self._opened_ns = connector.clock.now_ns()
        self._listing: asyncio.Task[None] | None = None
        self._transport: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._send(self.session.opened(self._clock.now_ns()))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type in (WSMsgType.TEXT, WSMsgType.BINARY):
            payload = frame.get_payload_as_bytes()
            now_ns = self._clock.now_ns()
            self._connector.received(self.session, payload, now_ns)
            try:
                answers = self.session.received(payload, now_ns)
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

    def age_s(self) -> float:
        return (self._clock.now_ns() - self._opened_ns) / 1e9

    def tick(self, now_ns: int) -> None:
        """Let the session say what is due. Raises Reconnect, unless another connection follows this one already."""
        try:
            self._send(self.session.tick(now_ns))
        except Reconnect as error:
            if not self.session.is_leaving:
                raise
            self._fail(str(error))

    def list_anew(self, http: httpx.AsyncClient) -> None:
        """Start to fetch what the session wants listed; raise what became of the last time."""
        if self._listing is not None and self._listing.done():
            self._listing.result()
            self._listing = None
        if self.session.relisting and self._listing is None:
            self._listing = asyncio.create_task(self._connector.relist(http, self.session))

    def round_trip_ns(self) -> int | None:
        """Return `tcpi_min_rtt` of Linux's TCP_INFO: no ping of ours is needed."""
        if self._transport is None or not hasattr(socket, "TCP_INFO"):
            return None
        link = self._transport.underlying_transport.get_extra_info("socket")
        try:
            told = link.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        except (AttributeError, OSError):
            return None
        if len(told) < TCP_INFO_BYTES:
            return None
        (least_us,) = struct.unpack_from("=I", told, TCP_MIN_RTT_AT)
        return None if least_us in (0, 0xFFFFFFFF) else int(least_us) * 1000

    def disconnect(self) -> None:
        if self._listing is not None and not self._listing.cancel():
            self._listing.exception()  # seen: the connection is being replaced anyway
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def _send(self, messages: list[bytes]) -> None:
        if self._transport is not None:
            tap = self._connector.tap
            for message in messages:
                self._transport.send(WSMsgType.TEXT, message)
                if tap is not None and not is_withheld(message):
                    tap.sent(message, self._clock.now_ns())

    def _fail(self, reason: str) -> None:
        self.reason = reason
        if self._transport is not None:
            self._transport.send_close(WSCloseCode.OK)
            self._transport.disconnect()
        self.closed.set()
