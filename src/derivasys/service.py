"""One process: connectors feed pipelines, cycles publish surfaces, the gateway serves them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import uvicorn

from derivasys.config import Config, ConfigError
from derivasys.latency import Latency
from derivasys.metrics import Metrics
from derivasys.observe import Observer
from derivasys.publish.gateway import Gateway
from derivasys.publish.rest import Rest
from derivasys.publish.websocket import uvicorn_protocol
from derivasys.record.recorder import Recorder
from derivasys.record.segments import Kind
from derivasys.settings import Loaded, load
from derivasys.sources import Feed, Line, OnFrame, Origin, open_origin
from derivasys.surface import REJECTED
from derivasys.warm_up import warm_up
from derivasys.wire import messages as m
from derivasys.wire.state import state_of

log = logging.getLogger("derivasys")

STATUS_EVERY_S = 1.0
CYCLE_S_MAX = 5.0
"""Without a cycle for so long the service is not ready; the watchdog ends it later."""
BUILD = version("derivasys")
_STATES: tuple[m.FeedState, ...] = ("live", "connecting", "stale", "down")
"""From best to worst."""


Opener = Callable[[Config, Callable[[], int], OnFrame], Awaitable[Origin]]
"""Where the market comes from; see `sources.open_origin`."""


class Service:
    """The whole of `derivasys up`."""

    def __init__(self, config: Config, opener: Opener = open_origin, loaded: Loaded | None = None) -> None:
        self.config = config
        self.observer = Observer(loaded or load({}), "up", BUILD, _now_ms)
        self._opener = opener
        self.latency = Latency()
        self.metrics = Metrics()
        self.metrics.registry.register(self.observer.telemetry)
        self.gateway = Gateway(time.monotonic, _now_ms)
        self.epoch = f"{time.time_ns():x}"
        self.origin: Origin
        self.recorder: Recorder | None = None
        self._cycle_taps: list[int] = []
        self.missed_cycles = 0
        self.address = ""
        self.pushed = 0
        """Frames taken from venues."""
        self._server: _Server | None = None
        self._frames: list[int] = []
        """perf_counter_ns of each frame since the last cycle."""
        self._decode_ns = 0
        self._messages_before: dict[str, int] = {}
        self._status_at_s = time.monotonic()
        self._cycled_s = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        with _listen(self.config) as listener:
            await self._serve(listener)

    async def _serve(self, listener: socket.socket) -> None:
        warm_up()
        self.origin = await self._opener(self.config, time.perf_counter_ns, self._on_frame)
        if self.config.record is not None:
            self._record(self.config.record)
        rest = Rest(
            self.gateway,
            source=self.origin.kind,
            build=BUILD,
            health=self._not_ready,
            metrics=self.metrics.registry,
            site=self.config.site,
        )
        server = self._server = _Server(rest, self.gateway)
        self.address = "http://{}:{}/".format(*listener.getsockname()[:2])
        for at, feed in enumerate(self.origin.feeds):
            feed.start(partial(self._start_line, at, feed))
        self._start(self._run_cycles())
        self._start(self._run_status())
        for each in self.observer.background():
            self._start(each)
        print(f"DerivaSys {BUILD} · {self.origin.kind.upper()} · {self.origin.label}", flush=True)
        print(f"Open {self.address}", flush=True)
        try:
            await server.serve([listener])
        finally:
            await self._stop()
        for task in self._tasks:
            if not task.cancelled() and task.exception() is not None:
                raise task.exception() or AssertionError

    def stop(self) -> None:
        """End `run` as a signal would."""
        if self._server is not None:
            self._server.should_exit = True

    def _start(self, running: Coroutine[None, None, None]) -> None:
        """Run something for as long as the service; its fault ends the service."""
        assert self._server is not None
        task = asyncio.create_task(running)
        task.add_done_callback(_stop_on_fault(self._server))
        self._tasks.append(task)

    def _start_line(self, at: int, feed: Feed, line: Line) -> None:
        if self.recorder is not None:
            line.tap = self.recorder.tap(line.venue, at, feed.ccys)
        self._start(line.run())

    def _record(self, folder: Path) -> None:
        """Record every connection and every cycle."""
        try:
            self.recorder = Recorder(folder)
        except OSError as error:
            raise ConfigError(f"--record {folder}: {os.strerror(error.errno or 0)}") from None
        for at, feed in enumerate(self.origin.feeds):
            self._cycle_taps.append(self.recorder.open(feed.clock.now_ns(), "", at, feed.ccys))

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.observer.close()
        for feed in self.origin.feeds:
            for server in feed.servers:
                await server.stop()
        if self.recorder is not None:
            self.recorder.close()

    # --- frames and cycles ---

    def _on_frame(self, feed: Feed, venue: str, payload: bytes, recv_ns: int) -> Sequence[str]:
        started = time.perf_counter_ns()
        broken = feed.pipeline.push(venue, payload, recv_ns)
        self.pushed += 1
        self._frames.append(started)
        self._decode_ns += time.perf_counter_ns() - started
        return broken

    async def _run_cycles(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        # What exists now lives as long as the process: keep the collector from walking it again and again.
        gc.collect()
        gc.freeze()
        while True:
            due_s += self.config.cycle_ms / 1000
            wait_s = due_s - loop.time()
            if wait_s < 0:
                self.missed_cycles += 1
                due_s = loop.time()
            await asyncio.sleep(max(0.0, wait_s))
            self.cycle()

    def cycle(self) -> None:
        """Calibrate what is dirty and publish it."""
        frames, self._frames = self._frames, []
        self.observer.watchdog.beat()
        self._cycled_s = time.monotonic()
        if frames:
            self.latency.add("decode", self._decode_ns / len(frames) / 1e6)
            self._decode_ns = 0
        published = False
        begun = time.perf_counter_ns()
        for at, feed in enumerate(self.origin.feeds):
            now_ns = feed.clock.now_ns()
            if self.recorder is not None:
                self.recorder.add(now_ns, self._cycle_taps[at], Kind.CYCLE)
            for surface in feed.pipeline.drain(now_ns):
                published = True
                self.observer.surface(surface, time.time_ns())
                started = time.perf_counter_ns()
                if surface.ccy not in self.gateway.feeds:
                    self.gateway.add_feed(surface.ccy, self.epoch)
                self.gateway.offer(surface.ccy, surface.now_ns // 1_000_000, partial(state_of, surface))
                for stage, ms in (surface.stages_ms or {}).items():
                    self.latency.add(stage, ms)
                self.latency.add("calibrate", sum((surface.stages_ms or {}).values()))
                self.latency.add("publish", (time.perf_counter_ns() - started) / 1e6)
        if self.recorder is not None:
            self.recorder.tick(time.monotonic())
        if published and frames:
            now = time.perf_counter_ns()
            self.latency.add("cycle", (now - begun) / 1e6)
            self.latency.add_many("frame_to_patch", (now - np.array(frames, np.int64)) / 1e6)

    # --- status ---

    async def _run_status(self) -> None:
        while True:
            status = self._status()
            self.gateway.publish_status(msgspec.json.encode(status))
            self.metrics.update(self, status)
            self._report(status)
            await asyncio.sleep(STATUS_EVERY_S)

    def _status(self) -> m.StatusMessage:
        now_s = time.monotonic()
        passed_s, self._status_at_s = now_s - self._status_at_s, now_s
        quantiles = self.latency.quantiles(0.5, 0.99)
        recorded = {ccy: ms for feed in self.origin.feeds for ccy, ms in feed.recorded.items()}
        return m.StatusMessage(
            schema=m.SCHEMA,
            ts=_now_ms(),
            available_ccys=self.gateway.available,
            source=m.SourceStatus(
                kind=self.origin.kind,
                label=self.origin.label,
                recorded=recorded or msgspec.UNSET,
            ),
            venues=[self._venue_status(venue, passed_s) for venue in self.origin.venues],
            latency_ms={stage: m.Quantiles(p50=at[0], p99=at[1]) for stage, at in quantiles.items()},
            clients=self.gateway.clients,
            recorder=_recorder_status(self.recorder),
            build=BUILD,
        )

    def _report(self, status: m.StatusMessage) -> None:
        """Set the metrics that alarms look at."""
        telemetry, gateway = self.observer.telemetry, self.gateway
        for feed in self.origin.feeds:
            now_ns = feed.clock.now_ns()
            self.observer.freshness(feed.pipeline.chains.values(), now_ns)
            for ccy, surface in feed.pipeline.surfaces.items():
                self.observer.quality(surface)
                telemetry.set("SnapshotAgeSeconds", max(0.0, (now_ns - surface.now_ns) / 1e9), ccy)
        telemetry.set("QueueDepth", len(self._frames), "frames")
        telemetry.set("CycleSaturation", self.latency.quantiles(0.5).get("cycle", [0.0])[0] / self.config.cycle_ms)
        telemetry.set("Connections", gateway.clients)
        telemetry.set("DroppedMessages", gateway.skipped, "slow_client")
        telemetry.set("DroppedMessages", sum(sum(v.rejects.values()) for v in status.venues), "undecodable")
        for venue in status.venues:
            telemetry.set("Reconnects", venue.reconnects, venue.venue)

    def _venue_status(self, venue: str, passed_s: float) -> m.VenueStatus:
        """Join a venue's connections, of which a replay has one for each recorded instant."""
        feeds = [feed for feed in self.origin.feeds if any(c.venue == venue for c in feed.connectors)]
        pairs = [(feed, c) for feed in feeds for c in feed.connectors if c.venue == venue]
        state = max((c.state for _, c in pairs), key=_STATES.index)
        ages_ns = [feed.clock.now_ns() - c.last_frame_ns for feed, c in pairs if c.last_frame_ns]
        messages = sum(c.messages for _, c in pairs)
        before = self._messages_before.get(venue, 0)
        self._messages_before[venue] = messages
        rejects: dict[str, int] = {}
        for feed in feeds:
            for (of, reason), count in feed.pipeline.rejects.items():
                if of == venue:
                    rejects[reason] = rejects.get(reason, 0) + count
        detail = "; ".join(c.detail for _, c in pairs if c.detail)
        return m.VenueStatus(
            venue=venue,
            state=state,
            detail=detail or msgspec.UNSET,
            age_ms=int(max(ages_ns) / 1e6) if ages_ns else msgspec.UNSET,
            rate=round((messages - before) / passed_s, 1) if passed_s > 0 else 0.0,
            messages=messages,
            reconnects=sum(c.reconnects for _, c in pairs),
            gaps=sum(feed.pipeline.gaps[venue] for feed in feeds),
            drops=sum(
                count for feed in feeds for chain in feed.pipeline.chains.values()
                for count in chain.ignored.values()
            ),
            rejects=rejects,
            ccys=[ccy for feed in feeds for ccy in feed.ccys_of.get(venue, feed.ccys)],
        )  # fmt: skip

    def _not_ready(self) -> list[str]:
        """Return why the service should not be relied on now."""
        reasons = []
        if time.monotonic() - self._cycled_s > CYCLE_S_MAX:
            reasons.append("the calibration stands still")
        for venue in self.origin.venues:
            status = self._venue_states(venue)
            if status != "live":
                reasons.append(f"{venue} is {status}")
        surfaces = [s for feed in self.origin.feeds for s in feed.pipeline.surfaces.values()]
        if not surfaces:
            reasons.append("no surface yet")
        for surface in surfaces:
            bad = int((surface.state == REJECTED).sum())
            if 2 * bad > len(surface):
                reasons.append(f"{surface.ccy}: {bad} of {len(surface)} expiries rejected")
        return reasons

    def _venue_states(self, venue: str) -> m.FeedState:
        states = [c.state for feed in self.origin.feeds for c in feed.connectors if c.venue == venue]
        return max(states, key=_STATES.index)


class _Server(uvicorn.Server):
    """uvicorn, telling clients to come back before it closes their sockets."""

    def __init__(self, rest: Rest, gateway: Gateway) -> None:
        self._gateway = gateway
        super().__init__(
            uvicorn.Config(
                rest.app(),
                ws=uvicorn_protocol(lambda path: gateway if path == "/ws" else None),
                lifespan="off",
                log_config=None,
                access_log=False,
                timeout_graceful_shutdown=3,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take SIGINT and SIGTERM as the wish to end well: uvicorn's own way raises them anew after its shutdown."""
        loop = asyncio.get_running_loop()
        for which in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(which, self.handle_exit, which, None)
        yield

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._gateway.close_all(1012, "service restart")
        await super().shutdown(sockets)


def _recorder_status(recorder: Recorder | None) -> m.RecorderStatus | msgspec.UnsetType:
    if recorder is None:
        return msgspec.UNSET
    return m.RecorderStatus(
        state="recording" if recorder.state == "recording" else "stopped",
        detail=recorder.detail or msgspec.UNSET,
        records=recorder.records,
        lost=recorder.lost,
        bytes=recorder.bytes_written,
    )


def _listen(config: Config) -> socket.socket:
    try:
        return socket.create_server((config.host, config.port), backlog=1024)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {config.host}:{config.port} ({os.strerror(error.errno or 0)}); choose another --port"
        ) from None


def _stop_on_fault(server: uvicorn.Server) -> Callable[[asyncio.Task[None]], None]:
    def done(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            log.error("stopping: %r failed", task.get_coro(), exc_info=task.exception())
            server.should_exit = True

    return done


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def run(config: Config, opener: Opener = open_origin, loaded: Loaded | None = None) -> None:
    """Run the service until it is told to stop."""
    import uvloop

    uvloop.run(Service(config, opener, loaded).run())
