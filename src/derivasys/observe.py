"""What a running process reports, joined: metrics for both back ends, traces of cycles, the watchdog, rotation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import numpy as np

from derivasys.estimate.chain import Chain
from derivasys.settings import Loaded
from derivasys.surface import REJECTED, Surface
from derivasys.telemetry.catalogue import Service
from derivasys.telemetry.emf import Emf, emit
from derivasys.telemetry.logs import CONTEXT, Context
from derivasys.telemetry.quality import report_fits
from derivasys.telemetry.registry import Telemetry
from derivasys.telemetry.traces import Cycle, open_tracer
from derivasys.telemetry.watchdog import Watchdog

FIT_STAGES = ("fit",)


class Observer:
    """One process's telemetry. `now_ms` is the edge's clock."""

    def __init__(
        self, loaded: Loaded, service: Service, build: str, now_ms: Callable[[], int],
        telemetry: Telemetry | None = None,
    ) -> None:  # fmt: skip
        settings = loaded.settings
        self.telemetry = telemetry or Telemetry(service)
        self.watchdog = Watchdog()
        self._sent = (0, -1.0)
        self._vault = loaded.vault
        self._refresh_s = settings.refresh_s
        self._now_ms = now_ms
        self._emf = Emf(self.telemetry, settings.environment, build) if settings.metrics == "emf" else None
        self._tracer = open_tracer(settings.otlp_endpoint, settings.service or service, settings.environment, build)

    def background(self) -> list[Coroutine[Any, Any, None]]:
        """Return what runs beside the service until it is cancelled, and start the watchdog."""
        self.watchdog.start()
        running: list[Coroutine[Any, Any, None]] = [self._vault.watch(self._refresh_s)]
        if self._emf is not None:
            running.append(emit(self._emf, self._now_ms, _write))
        return running

    async def close(self) -> None:
        """Send the spans that wait."""
        self.watchdog.stop()
        await asyncio.to_thread(self._tracer.close)

    def surface(self, surface: Surface, ended_ns: int, parent: str = "") -> None:
        """Note one calibrated surface; log lines that follow carry its trace and version."""
        stages = surface.stages_ms or {}
        cycle = Cycle(surface.ccy, surface.version, ended_ns, stages, parent)
        CONTEXT.set(Context(self._tracer.cycle(cycle), surface.ccy, surface.version))
        self.telemetry.observe("FitMilliseconds", [sum(stages.get(stage, 0.0) for stage in FIT_STAGES)])
        self.telemetry.observe("CycleMilliseconds", [sum(stages.values())])

    def quality(self, surface: Surface) -> None:
        """Set a currency's calibration quality from its newest surface."""
        report_quality(self.telemetry, surface)

    def clients(self, connected: int, sent_bytes: int, skipped: int, now_s: float) -> None:
        """Set what scaling looks at; `sent_bytes` and `skipped` count since start."""
        before_bytes, before_s = self._sent
        self._sent = (sent_bytes, now_s)
        self.telemetry.set("Connections", connected)
        self.telemetry.set("DroppedMessages", skipped, "slow_client")
        if now_s > before_s >= 0:
            self.telemetry.set("EgressBytesPerSecond", (sent_bytes - before_bytes) / (now_s - before_s))

    def freshness(self, chains: Iterable[Chain], now_ns: int) -> None:
        """Set the age of each venue's newest quote by currency."""
        for chain in chains:
            for at, venue in enumerate(chain.venues):
                newest = np.max(chain.recv_ns, initial=0, where=chain.venue == at)
                if newest > 0:
                    self.telemetry.set("FeedAgeSeconds", max(0.0, (now_ns - int(newest)) / 1e9), venue, chain.ccy)


def poor_fits(surfaces: Iterable[Surface]) -> list[str]:
    """Return a line for each currency of which more than half of the expiries are rejected."""
    rejected = [(surface.ccy, int((surface.state == REJECTED).sum()), len(surface)) for surface in surfaces]
    return [f"{ccy}: {bad} of {count} expiries rejected" for ccy, bad, count in rejected if 2 * bad > count]


def report_quality(telemetry: Telemetry, surface: Surface) -> None:
    """Set a currency's calibration quality from its newest surface."""
    fits = zip(
        surface.expiries,
        (100.0 * surface.rmse).tolist(),
        surface.inside.tolist(),
        (surface.state == REJECTED).tolist(),
        strict=True,
    )
    report_fits(telemetry, surface.ccy, surface.now_ns // 1_000_000, fits)


def _write(lines: bytes) -> None:
    sys.stdout.buffer.write(lines)
    sys.stdout.buffer.flush()
