"""Prometheus metrics: a few dozen series, set once a second from the status, so that scraping costs little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET
from prometheus_client import CollectorRegistry, Gauge

if TYPE_CHECKING:
    from derivasys.service import Service
    from derivasys.wire.messages import StatusMessage

_STATES = ("connecting", "live", "stale", "down")


class Metrics:
    """The registry and its gauges. Totals are gauges of counters kept elsewhere, and only ever grow."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"derivasys_{name}", text, labels, registry=self.registry)

        self._clients = gauge("clients", "Connected WebSocket clients")
        self._delivered = gauge("deliveries", "Messages written to clients since start")
        self._skipped = gauge("skipped_patches", "Patches replaced by a snapshot for slow clients")
        self._stuck = gauge("stuck_clients", "Clients dropped because they stopped reading, since start")
        self._missed = gauge("missed_cycles", "Cycles that began late")
        self._age = gauge("feed_age_seconds", "Since the last frame", "venue")
        self._rate = gauge("feed_rate", "Frames a second", "venue")
        self._messages = gauge("feed_messages", "Frames since start", "venue")
        self._reconnects = gauge("feed_reconnects", "Reconnects since start", "venue")
        self._gaps = gauge("feed_gaps", "Sequence gaps since start", "venue")
        self._rejects = gauge("feed_rejects", "Undecodable messages since start", "venue", "reason")
        self._drops = gauge("feed_drops", "Events that changed nothing, since start", "venue")
        self._recording = gauge("recorder_recording", "1 while a recorder records, 0 once it has stopped")
        self._lost = gauge("recorder_lost", "Records that were not kept, since start")
        self._state = gauge("feed_state", "1 for the venue's present state", "venue", "state")
        self._latency = gauge("latency_ms", "Recent latency", "stage", "quantile")
        self._waterfall = gauge("waterfall_ms", "Recent latency from exchange to socket", "stage", "quantile")
        self._skew = gauge("clock_skew_ms", "How far the venue's clock is behind ours, estimated", "venue")
        self._refused = gauge("refused", "Requests and connections refused since start", "cause")
        self._sent = gauge("sent_bytes", "Bytes written to clients since start")
        self._expiries = gauge("expiries", "Expiries by fit state", "ccy", "state")
        self._inside = gauge("inside_share", "Used quotes whose band holds the fit", "ccy")
        self._version = gauge("surface_version", "Calibration cycles", "ccy")

    def update(self, service: Service, status: StatusMessage) -> None:
        """Set every gauge."""
        self._clients.set(service.gateway.clients)
        self._delivered.set(service.gateway.delivered)
        self._sent.set(service.gateway.sent_bytes)
        self._skipped.set(service.gateway.skipped)
        self._stuck.set(service.gateway.stuck)
        self._missed.set(service.cycles.missed)
        if service.recorder is not None:
            self._recording.set(float(service.recorder.state == "recording"))
            self._lost.set(service.recorder.lost)
        for venue in status.venues:
            name = venue.venue
            if isinstance(venue.age_ms, int):
                self._age.labels(name).set(venue.age_ms / 1000)
            self._rate.labels(name).set(venue.rate)
            self._messages.labels(name).set(venue.messages)
            self._reconnects.labels(name).set(venue.reconnects)
            self._gaps.labels(name).set(venue.gaps)
            self._drops.labels(name).set(venue.drops)
            for reason, count in venue.rejects.items():
                self._rejects.labels(name, reason).set(count)
            for state in _STATES:
                self._state.labels(name, state).set(float(state == venue.state))
            if venue.clock is not UNSET and isinstance(venue.clock.skew_ms, float):
                self._skew.labels(name).set(venue.clock.skew_ms)
        for stage, at in status.latency_ms.items():
            self._latency.labels(stage, "0.5").set(at.p50)
            self._latency.labels(stage, "0.99").set(at.p99)
        for step in status.waterfall or ():
            self._waterfall.labels(step.stage, "0.5").set(step.p50)
            self._waterfall.labels(step.stage, "0.99").set(step.p99)
        for cause, count in service.server.access.refused.items():
            self._refused.labels(cause).set(count)
        for ccy, feed in service.gateway.feeds.items():
            if feed.state is None:
                continue
            fit = feed.state.fit
            self._version.labels(ccy).set(feed.state.version)
            self._inside.labels(ccy).set(fit.get("inside", 0.0))
            for state in ("fitted", "held", "rejected"):
                count = sum(one["state"] == state for one in fit["expiries"])
                self._expiries.labels(ccy, state).set(count)
