"""What every service process is: a loop of its own, probes and metrics beside it, and an orderly end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from importlib.metadata import version
from typing import Protocol

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from derivasys.bus.settings import BusError
from derivasys.config import ConfigError
from derivasys.observe import Observer
from derivasys.services.gauges import Gauges
from derivasys.settings import Loaded, load
from derivasys.telemetry.watchdog import Watchdog

log = logging.getLogger("derivasys.services")

BUILD = version("derivasys")
BEAT_S = 1.0
STALLED_S = 10.0
"""A loop that has not come round for so long is not alive."""


class Worker(Protocol):
    """One service."""

    gauges: Gauges
    turned_s: float
    """When its loop last came round, monotonic; see `STALLED_S`."""

    async def run(self) -> None:
        """Work until cancelled."""

    async def drain(self) -> None:
        """Hand over and deliver what waits; called once, after `run` was cancelled."""

    def not_ready(self) -> list[str]:
        """Return why the service should not be relied on now."""


def instance() -> str:
    """Return this process's name among its like: host and process id."""
    return f"{socket.gethostname()}-{os.getpid()}"


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises ConfigError."""
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host}:{port} ({os.strerror(error.errno or 0)}); choose another --port"
        ) from None


class Server(uvicorn.Server):
    """uvicorn that takes SIGINT and SIGTERM as the wish to end well."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(which, self.handle_exit, which, None)
        yield


def probes(worker: Worker) -> list[Route]:
    """Return /healthz, /readyz, /metrics and /traces of a service."""

    async def healthz(request: Request) -> Response:
        silent_s = time.monotonic() - worker.turned_s
        is_alive = silent_s < STALLED_S
        body = {"status": "ok"} if is_alive else {"status": "stalled", "seconds": round(silent_s, 1)}
        return Response(orjson.dumps(body), 200 if is_alive else 503, media_type="application/json")

    async def readyz(request: Request) -> Response:
        reasons = worker.not_ready()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return Response(orjson.dumps(body), 503 if reasons else 200, media_type="application/json")

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(worker.gauges.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def traces(request: Request) -> Response:
        return Response(orjson.dumps(list(worker.gauges.traces)), media_type="application/json")

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", metrics),
        Route("/traces", traces),
    ]


async def serve(worker: Worker, listener: socket.socket, name: str, loaded: Loaded | None = None) -> None:
    """Run a service and its probes until SIGINT, SIGTERM or a fault of its own, which is raised."""
    server = Server(
        uvicorn.Config(Starlette(routes=probes(worker)), lifespan="off", log_config=None, access_log=False,
                       timeout_graceful_shutdown=3)
    )  # fmt: skip
    await run_beside(worker, server, listener, name, loaded)


async def _beat(worker: Worker, watchdog: Watchdog) -> None:
    """Tell the watchdog of a worker whose own loop turns, in an event loop that does."""
    while True:
        if time.monotonic() - worker.turned_s < STALLED_S:
            watchdog.beat()
        await asyncio.sleep(BEAT_S)


async def run_beside(
    worker: Worker, server: uvicorn.Server, listener: socket.socket, name: str, loaded: Loaded | None = None
) -> None:
    """Run a service beside its server; end both when either ends."""
    telemetry = worker.gauges.telemetry
    observer = Observer(loaded or load({}), telemetry.service, BUILD, _now_ms, telemetry)
    worker.gauges.observer = observer
    working = asyncio.create_task(worker.run())
    beside = [asyncio.create_task(each) for each in (*observer.background(), _beat(worker, observer.watchdog))]

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            error = task.exception()
            log.error("%s failed: %s", name, error, exc_info=None if isinstance(error, BusError) else error)
        server.should_exit = True

    working.add_done_callback(ended)
    scheme = "https" if server.config.is_ssl else "http"
    print("Open {}://{}:{}/".format(scheme, *listener.getsockname()[:2]), f"· {name}", flush=True)
    try:
        await server.serve([listener])
    finally:
        for task in (working, *beside):
            task.cancel()
        await asyncio.gather(working, *beside, return_exceptions=True)
        await observer.close()
        await worker.drain()
    if not working.cancelled() and working.exception() is not None:
        raise working.exception() or AssertionError


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
