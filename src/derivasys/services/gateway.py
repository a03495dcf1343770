"""`derivasys serve gateway`: the published states of all currencies to browsers, like the gateway of one process.

It holds nothing that another gateway cannot rebuild from the log: clients may come and go between gateways.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import msgspec
from msgspec import Struct
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.routing import Mount, Route

from derivasys.bus import trace
from derivasys.bus.clients import Clients
from derivasys.bus.dead_letters import DeadLetters
from derivasys.bus.topics import PATCHES, SURFACES
from derivasys.latency import Latency
from derivasys.publish.gateway import Gateway
from derivasys.publish.rest import Rest
from derivasys.services import heartbeat
from derivasys.services.follower import Follower, Held
from derivasys.services.gauges import Gauges
from derivasys.services.process import probes
from derivasys.wire import messages as m

POLL_S = 0.005
TAKE_S = 0.02
BEAT_S_MAX = 3.0
"""A connector that has not been heard for so long is stale: it, or the way to it, has failed …"""
DOWN_S = 15.0
"""… and after this it is down."""
_STATES: tuple[m.FeedState, ...] = ("live", "connecting", "stale", "down")
_RANK: tuple[m.Source, ...] = ("live", "replay", "simulated")
"""What is not the live market wins: nothing is shown as live when a part of it is not."""
SILENT = m.SourceStatus(kind="live", label="no connector has been heard yet")


class GatewayOptions(Struct, frozen=True, kw_only=True):
    """What one gateway serves besides the stream."""

    site: Path


class GatewayService:
    """A follower of the log and the fan-out to clients."""

    def __init__(self, clients: Clients, options: GatewayOptions) -> None:
        self.gauges = Gauges("gateway")
        self.turned_s = time.monotonic()
        self.gateway = Gateway(time.monotonic, _now_ms)
        self._build = version("derivasys")
        self._clients = clients
        self._dead = DeadLetters(clients, "gateway")
        self._follower = Follower(clients, self._dead, time.time_ns)
        self._latency = Latency()
        self._epochs: dict[str, int] = {}
        self.rest = Rest(
            self.gateway, source="live", build=self._build, health=self.not_ready, metrics=CollectorRegistry(),
            site=options.site,
        )  # fmt: skip
        self._told_s = 0.0
        self._traced_s = 0.0

    def app(self) -> Starlette:
        """Return the service's routes: its own probes and metrics before those of the contract."""
        return Starlette(routes=[*_of_this_process(self), Mount("/", self.rest.app())])

    async def run(self) -> None:
        """Follow the log until cancelled."""
        self._follower.open()
        while True:
            self._publish(self._follower.take(TAKE_S))
            now_s = self.turned_s = time.monotonic()
            if now_s - self._told_s >= heartbeat.EVERY_S:
                self._told_s = now_s
                self._tell()
            await asyncio.sleep(POLL_S)

    async def drain(self) -> None:
        """Nothing is held that anybody waits for."""
        self._follower.close()
        self._dead.close(1.0)

    def not_ready(self) -> list[str]:
        """Return what a client would miss now."""
        if not self._follower.is_whole:
            return ["reading the state of all currencies"]
        reasons = [] if self._follower.held else ["no surface yet"]
        venues = self.venues()
        if not venues:
            reasons.append("no connector is heard")
        # One venue that is away is shown as such; were it to count, Kubernetes would shut out every gateway for it.
        if all(venue.state != "live" for venue in venues):
            reasons += [f"{venue.venue} is {venue.state}" for venue in venues]
        return reasons

    def _publish(self, news: set[str]) -> None:
        # Until all has been read, a state may be a superseded one: nobody is shown it.
        if not self._follower.is_whole:
            return
        for ccy in news or (self._follower.held.keys() - self._epochs.keys()):
            held = self._follower.held[ccy]
            epoch = held.stamp.epoch
            if ccy not in self.gateway.feeds:
                self.gateway.add_feed(ccy, f"{epoch:x}")
            elif self._epochs[ccy] != epoch:
                self.gateway.feeds[ccy].renew(f"{epoch:x}")
            self._epochs[ccy] = epoch
            self.gateway.offer(ccy, held.state.ts, lambda held=held: held.state)  # type: ignore[misc]
            self._note(ccy, held)

    # --- what it tells ---

    def _note(self, ccy: str, held: Held) -> None:
        times = held.record.times
        if times is None:
            return
        done_ns = time.time_ns()
        stages = {
            "connector": times.sent_ns - times.recv_ns,
            "bus_quotes": times.taken_ns - times.sent_ns,
            "cycle": times.made_ns - times.taken_ns,
            "bus_patches": held.arrived_ns - times.made_ns,
            "fanout": done_ns - held.arrived_ns,
            "quote_to_client": done_ns - times.recv_ns,
        }
        for stage, ns in stages.items():
            self._latency.add(stage, ns / 1e6)
        if time.monotonic() - self._traced_s >= 1.0:
            self._traced_s = time.monotonic()
            span = trace.parse(held.traceparent)
            self.gauges.traces.append({
                "trace_id": span.trace_id if span else "", "ccy": ccy, "version": held.stamp.version,
                "stages_ms": {stage: round(ns / 1e6, 3) for stage, ns in stages.items()},
            })  # fmt: skip

    def _tell(self) -> None:
        beats = [beat for beat in self._follower.beats.values() if _now_ms() - beat.ts_ms < 1000 * DOWN_S]
        sources = [beat.source for beat in beats if beat.source is not None]
        source = max(sources, key=lambda at: _RANK.index(at.kind), default=SILENT)
        self.rest.source = source.kind
        recorders = [beat.recorder for beat in beats if beat.recorder is not None]
        latency = self._latency.quantiles(0.5, 0.99)
        told = {stage: m.Quantiles(p50=at[0], p99=at[1]) for stage, at in latency.items()}
        for beat in beats:
            if beat.service == "calibrator":
                told = beat.latency_ms | told
        status = m.StatusMessage(
            schema=m.SCHEMA, ts=_now_ms(), available_ccys=self.gateway.available, source=source, venues=self.venues(),
            latency_ms=told, clients=self.gateway.clients, recorder=recorders[0] if recorders else msgspec.UNSET,
            build=self._build,
        )  # fmt: skip
        self.gateway.publish_status(msgspec.json.encode(status))
        self._set_gauges(latency)

    def venues(self) -> list[m.VenueStatus]:
        """Return each venue's status: the best of its connectors, as old as the last word of it."""
        now_ms = _now_ms()
        best: dict[str, tuple[int, m.VenueStatus]] = {}
        for beat in self._follower.beats.values():
            if beat.venue is None:
                continue
            silent_s = (now_ms - beat.ts_ms) / 1000
            venue = beat.venue
            if silent_s > BEAT_S_MAX:
                state: m.FeedState = "down" if silent_s > DOWN_S else "stale"
                age = venue.age_ms if isinstance(venue.age_ms, int) else 0
                venue = msgspec.structs.replace(
                    venue, state=state, detail=f"its connector has not been heard for {silent_s:.0f} s",
                    age_ms=age + int(1000 * silent_s), rate=0.0,
                )  # fmt: skip
            rank = _STATES.index(venue.state)
            if venue.venue not in best or rank < best[venue.venue][0]:
                best[venue.venue] = (rank, venue)
        return [best[name][1] for name in sorted(best)]

    def _set_gauges(self, latency: dict[str, list[float]]) -> None:
        gauges, follower, gateway = self.gauges, self._follower, self.gateway
        for (topic, part), lag in follower.lag().items():
            gauges.set("bus_lag", lag, topic=topic, partition=str(part))
        for name, value in (
            ("bus_errors", self._clients.errors), ("bus_records", follower.taken), ("dead_letters", self._dead.count),
            ("stale_records", follower.stale), ("state_gaps", follower.gaps), ("clients", gateway.clients),
            ("deliveries", gateway.delivered), ("skipped_patches", gateway.skipped), ("stuck_clients", gateway.stuck),
        ):  # fmt: skip
            gauges.set(name, float(value))
        lags = Counter({SURFACES: 0, PATCHES: 0})
        for (topic, _), lag in follower.lag().items():
            lags[topic.removeprefix(self._clients.topic(""))] += lag
        for topic in (SURFACES, PATCHES):
            gauges.telemetry.set("TopicLag", lags[topic], topic)
        gauges.telemetry.set("DroppedMessages", self._dead.count, "undecodable")
        if gauges.observer is not None:
            gauges.observer.clients(gateway.clients, gateway.sent_bytes, gateway.skipped, time.monotonic())
        for ccy, held in follower.held.items():
            gauges.telemetry.set("SnapshotAgeSeconds", max(0.0, (_now_ms() - held.state.ts) / 1000), ccy)
            gauges.set("surface_version", held.stamp.version, ccy=ccy)
        for venue in self.venues():
            for state in _STATES:
                gauges.set("feed_state", float(state == venue.state), venue=venue.venue, state=state)
        for stage, (p50, p99) in latency.items():
            gauges.set("latency_ms", p50, stage=stage, quantile="0.5")
            gauges.set("latency_ms", p99, stage=stage, quantile="0.99")


def _of_this_process(service: GatewayService) -> Iterator[Route]:
    return (route for route in probes(service) if route.path != "/readyz")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
