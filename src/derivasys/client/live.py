"""A gateway followed live: an async iterator of surfaces over a socket that is kept open.

One task reads the socket into a `Replica`; the iterator takes the newest complete version when its turn comes. A slow
consumer so skips versions and never holds up the socket, and what is held is one state a channel.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import random
from collections.abc import AsyncIterator, Sequence
from types import TracebackType
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_socket
from websockets.exceptions import InvalidStatus, WebSocketException

from derivasys.client.address import key_headers, socket_url
from derivasys.client.published import PublishedSurface
from derivasys.client.refusal import ClientError
from derivasys.client.replica import NotUnderstood, Replica
from derivasys.smiles import DeltaConvention, FlyConvention
from derivasys.wire.messages import Channel
from derivasys.wire.table import Tree

SETTLE_S = 0.06
"""A version is complete when all channels have it, or when nothing more has come for so long: not all had news."""
BACKOFF_S_MAX = 5.0
_JITTER = random.SystemRandom()
MESSAGE_BYTES_MAX = 32 << 20
REFUSED = frozenset({400, 401, 403, 404})
"""Answers to a handshake that trying again would not change."""


def connect(
    url: str,
    ccy: str = "BTC",
    *,
    channels: Sequence[Channel] = ("surface", "tenors", "fit"),
    rate_ms: int = 200,
    delta: DeltaConvention | None = None,
    fly: FlyConvention | None = None,
    api_key: str | None = None,
    patience_s: float = math.inf,
) -> Live:
    """Return an async iterator of the live surfaces of a currency, from the gateway at `url` (http://HOST:PORT).

        async with dv.connect("http://127.0.0.1:8080", "BTC") as live:
            async for surface in live:
                print(surface.version, surface.vol(tau=30 / 365, delta=-0.25))

    It resyncs after a gap, reconnects with jitter, and gives the newest version each time. `rate_ms` is 50, 200 or
    1000; `delta` and `fly` are the server's own when None; also `levels`, `through` and `status` are channels.
    Iterating raises ClientError where the server refuses, and when nothing has come for `patience_s`.
    """
    wanted: tuple[Channel, ...] = ("surface", *(channel for channel in channels if channel != "surface"))
    return Live(
        socket_url(
            url,
            {"ccy": ccy, "channels": ",".join(wanted), "rate_ms": rate_ms, "delta": delta, "fly": fly},
        ),
        Replica(ccy, tuple(channel for channel in wanted if channel != "status")),
        key_headers(api_key),
        patience_s,
    )


class Live:
    """The connection behind `connect`: iterate it, and close it (or use `async with`)."""

    def __init__(self, url: str, replica: Replica, headers: dict[str, str], patience_s: float) -> None:
        self.replica = replica
        """What is held, and what the server last said of itself (`replica.status`, `replica.detail`)."""
        self.reconnects = 0
        self._url = url
        self._headers = headers
        self._patience_s = patience_s
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._cut: PublishedSurface | None = None
        self._given: PublishedSurface | None = None
        self._settle: asyncio.TimerHandle | None = None
        self._why = "no answer yet"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the socket and end the iteration."""
        if self._settle is not None:
            self._settle.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def __aiter__(self) -> AsyncIterator[PublishedSurface]:
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        try:
            while self._task is not None:
                surface = await self._next()
                if surface is None:
                    return
                yield surface
        finally:
            await self.close()

    async def _next(self) -> PublishedSurface | None:
        """Return the newest surface as soon as it is not the last one given; None when closed."""
        task = self._task
        patience_s = None if self._patience_s == math.inf else self._patience_s
        while task is not None and self._task is task:
            if self._cut is not None and self._cut is not self._given:
                self._given = self._cut
                return self._given
            self._news.clear()
            news = asyncio.ensure_future(self._news.wait())
            done, _ = await asyncio.wait({news, task}, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
            news.cancel()
            if task in done:
                if not task.cancelled():
                    task.result()
                return None
            if not done:
                raise ClientError(f"nothing new from {self._url} for {self._patience_s:g} s: {self._why}")
        return None

    async def _run(self) -> None:
        attempts = 0
        options: dict[str, Any] = {"additional_headers": self._headers, "max_size": MESSAGE_BYTES_MAX}
        while True:
            try:
                async with open_socket(self._url, **options) as socket:
                    async for text in socket:
                        await self._receive(socket, text)
                        attempts = 0 if not self.replica.awaiting else attempts
                self._why = (
                    f"the server closed the connection: {socket.close_code} {socket.close_reason or ''}".rstrip()
                )
            except InvalidStatus as refused:
                self._why = (
                    f"HTTP {refused.response.status_code}: {refused.response.body[:200].decode(errors='replace')}"
                )
                if refused.response.status_code in REFUSED:
                    raise ClientError(f"{self._url}: {self._why}") from None
            except NotUnderstood as error:
                raise ClientError(f"{self._url}: {error}") from None
            except (OSError, WebSocketException, TimeoutError) as error:
                self._why = str(error) or type(error).__name__
            self.replica.lost()
            self.reconnects += 1
            await asyncio.sleep(backoff_s(attempts, _JITTER.random()))
            attempts += 1

    async def _receive(self, socket: ClientConnection, text: str | bytes) -> None:
        was = self.replica.states.copy()
        for message in self.replica.receive(text):
            await socket.send(orjson.dumps(message).decode())
        self._why = self.replica.detail or self._why
        held = self.replica.states
        if self.replica.awaiting or all(held[channel] is was.get(channel) for channel in held):
            return
        if self._settle is not None:
            self._settle.cancel()
            self._settle = None
        if self.replica.is_settled:
            self._complete()
        else:
            self._settle = asyncio.get_running_loop().call_later(SETTLE_S, self._complete)

    def _complete(self) -> None:
        if self.replica.awaiting:
            return
        states: dict[str, Tree] = {str(channel): state for channel, state in self.replica.states.items()}
        states["surface"] = {**states["surface"], "ccy": self.replica.ccy}
        self._cut = PublishedSurface(states, self.replica.status)
        self._news.set()


def backoff_s(attempts: int, jitter: float) -> float:
    """Return the wait before the next attempt: fast first, then doubling to a cap; `jitter` is in [0, 1)."""
    if attempts == 0:
        return 0.05 + 0.15 * jitter
    return min(BACKOFF_S_MAX, 0.5 * 2.0 ** min(attempts - 1, 10)) * (0.5 + 0.5 * jitter)
