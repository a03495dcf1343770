"""One process: connectors feed pipelines, cycles publish surfaces, the gateway serves them."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec
import uvicorn

from derivasys import waterfall
from derivasys.config import Config, ConfigError
from derivasys.cycles import Cycles
from derivasys.latency import Latency
from derivasys.metrics import Metrics
from derivasys.observe import Observer, poor_fits
from derivasys.publish.access import Access
from derivasys.publish.binding import ListenError
from derivasys.publish.gateway import Gateway
from derivasys.publish.rest import Rest
from derivasys.publish.server import GatewayServer, address_of, listen, open_access
from derivasys.record.recorder import Recorder
from derivasys.settings import Loaded, load
from derivasys.sources import Feed, Line, OnFrame, Origin, open_origin
from derivasys.warm_up import warm_up
from derivasys.wire import messages as m

log = logging.getLogger("derivasys")

STATUS_EVERY_S = 1.0
TURN_S_MAX = 5.0
"""Without a turn of the cycles for so long the service is not ready; the watchdog ends it later."""
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
        self.metrics = Metrics()
        self.metrics.registry.register(self.observer.telemetry)
        self.gateway = Gateway(time.monotonic, _now_ms)
        self.origin: Origin
        self.cycles: Cycles
        self.recorder: Recorder | None = None
        self.address = ""
        self.server: GatewayServer
        self._messages_before: dict[str, int] = {}
        self._status_at_s = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def latency(self) -> Latency:
        return self.cycles.latency

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM."""
        try:
            access = open_access(self.config.access, self.config.binding)
            with listen(self.config.binding) as listener:
                await self._serve(listener, access)
        except ListenError as error:
            raise ConfigError(str(error)) from None

    async def _serve(self, listener: socket.socket, access: Access) -> None:
        warm_up()
        self.origin = await self._opener(self.config, time.perf_counter_ns, self._on_frame)
        self.cycles = Cycles(self.origin, self.gateway, f"{time.time_ns():x}", self.config.cycle_ms)
        self.cycles.on_turn = self.observer.watchdog.beat
        self.cycles.on_surface = lambda surface: self.observer.surface(surface, time.time_ns())
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
        self.server = GatewayServer(rest.app(), self.gateway, self.config.binding, access)
        server = self.server
        self.address = address_of(self.config.binding, listener)
        for at, feed in enumerate(self.origin.feeds):
            feed.start(partial(self._start_line, at, feed))
        self._start(self.cycles.run())
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

    def _on_frame(self, feed: Feed, venue: str, payload: bytes, recv_ns: int) -> Sequence[str]:
        return self.cycles.on_frame(feed, venue, payload, recv_ns)

    def stop(self) -> None:
        """End `run` as a signal would."""
        self.server.should_exit = True

    def _start(self, running: Coroutine[None, None, None]) -> None:
        """Run something for as long as the service; its fault ends the service."""
        task = asyncio.create_task(running)
        task.add_done_callback(_stop_on_fault(self.server))
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
        self.cycles.record(self.recorder)

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

    # --- status ---

    async def _run_status(self) -> None:
        while True:
            status = self._status()
            self.gateway.publish_status(msgspec.json.encode(status))
            self.metrics.update(self, status)
            self._report(status)
            self.cycles.waterfall.tick()
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
            venues=[self._venue_status(venue, passed_s, quantiles) for venue in self.origin.venues],
            latency_ms={
                stage: m.Quantiles(p50=at[0], p99=at[1]) for stage, at in quantiles.items() if "." not in stage
            },
            waterfall=[
                m.Stage(stage=stage, p50=at[0], p99=at[1])
                for stage in (*waterfall.STAGES, "total", "net")
                if (at := quantiles.get(f"waterfall.{stage}")) is not None
            ],
            gateway=self._gateway_status(),
            clients=self.gateway.clients,
            recorder=_recorder_status(self.recorder),
            build=BUILD,
        )

    def _report(self, status: m.StatusMessage) -> None:
        """Set the metrics that alarms look at."""
        telemetry, gateway = self.observer.telemetry, self.gateway
        chains = 0
        for feed in self.origin.feeds:
            now_ns = feed.clock.now_ns()
            chains += len(feed.pipeline.chains)
            self.observer.freshness(feed.pipeline.chains.values(), now_ns)
            for ccy, surface in feed.pipeline.surfaces.items():
                self.observer.quality(surface)
                telemetry.set("SnapshotAgeSeconds", max(0.0, (now_ns - surface.now_ns) / 1e9), ccy)
        turn_ms = self.latency.quantiles(0.5).get("cycle", [0.0])[0]
        telemetry.set("CycleSaturation", turn_ms * chains / self.config.cycle_ms)
        telemetry.set("QueueDepth", self.cycles.waterfall.waiting, "frames")
        self.observer.clients(gateway.clients, gateway.sent_bytes, gateway.skipped, time.monotonic())
        telemetry.set("DroppedMessages", sum(sum(v.rejects.values()) for v in status.venues), "undecodable")
        for venue in status.venues:
            telemetry.set("Reconnects", venue.reconnects, venue.venue)

    def _gateway_status(self) -> m.GatewayStatus:
        gateway = self.gateway
        return m.GatewayStatus(
            delivered=gateway.delivered,
            sent_bytes=gateway.sent_bytes,
            skipped=gateway.skipped,
            stuck=gateway.stuck,
            refused=dict(self.server.access.refused),
            missed_cycles=self.cycles.missed,
        )

    def _clock_status(self, venue: str, quantiles: dict[str, list[float]]) -> m.ClockStatus:
        """Return what is known of a venue's clock; the round trip is the least of its connections'."""
        lines = [c for feed in self.origin.feeds for c in feed.connectors if c.venue == venue]
        trips = [trip for line in lines if (trip := line.round_trip_ns) is not None]
        clock = self.cycles.waterfall.clocks.get(venue)
        if clock is not None:
            clock.round_trip_ns = min(trips, default=None)
        skew_ns = None if clock is None else clock.skew_ns
        transit = quantiles.get(f"transit.{venue}")
        return m.ClockStatus(
            skew_ms=msgspec.UNSET if skew_ns is None else round(skew_ns / 1e6, 3),
            round_trip_ms=round(min(trips) / 1e6, 3) if trips else msgspec.UNSET,
            transit_ms=msgspec.UNSET if transit is None else m.Quantiles(p50=transit[0], p99=transit[1]),
        )

    def _venue_status(self, venue: str, passed_s: float, quantiles: dict[str, list[float]]) -> m.VenueStatus:
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
            drops=sum(feed.pipeline.drops(venue) for feed in feeds),
            rejects=rejects,
            clock=self._clock_status(venue, quantiles),
            ccys=[ccy for feed in feeds for ccy in feed.ccys_of.get(venue, feed.ccys)],
        )  # fmt: skip

    def _not_ready(self) -> list[str]:
        """Return why the service should not be relied on now."""
        reasons = []
        if time.monotonic() - self.cycles.turned_s > TURN_S_MAX:
            reasons.append("the calibration stands still")
        for venue in self.origin.venues:
            status = self._venue_states(venue)
            if status != "live":
                reasons.append(f"{venue} is {status}")
        surfaces = [s for feed in self.origin.feeds for s in feed.pipeline.surfaces.values()]
        if not surfaces:
            reasons.append("no surface yet")
        return reasons + poor_fits(surfaces)

    def _venue_states(self, venue: str) -> m.FeedState:
        states = [c.state for feed in self.origin.feeds for c in feed.connectors if c.venue == venue]
        return max(states, key=_STATES.index)


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
