"""What a service tells about itself, in the Prometheus text format, written without a registry's cost."""

from __future__ import annotations

from collections import deque
from typing import Any

from derivasys.observe import Observer
from derivasys.telemetry.catalogue import Service
from derivasys.telemetry.registry import Telemetry

METRICS = {
    "bus_lag": "Records between a consumer and the end of its partition",
    "bus_queue": "Records in a producer's queue, not yet acknowledged",
    "bus_errors": "Errors told by Kafka clients since start",
    "bus_lost": "Records that could not be logged since start",
    "bus_held": "Flushes put off because the producer's queue was full, since start: quotes conflate meanwhile",
    "bus_records": "Records read or written since start",
    "dead_letters": "Records or frames given to dead-letter since start",
    "rebalances": "Assignments and revocations of partitions since start",
    "partitions": "Partitions owned now",
    "fenced": "Times that this process was shut out by a successor, since start",
    "stale_records": "Records of an owner that had been succeeded, dropped since start",
    "state_gaps": "Patches that did not continue the state held, since start",
    "missed_cycles": "Cycles that began late, since start",
    "rebuild_seconds": "Time from assignment to the first cycle, last rebuild",
    "surface_version": "Version of the surface last published",
    "latency_ms": "Recent latency by stage",
    "feed_age_seconds": "Since the last frame",
    "feed_messages": "Frames since start",
    "feed_reconnects": "Reconnects since start",
    "feed_gaps": "Sequence gaps since start",
    "feed_rejects": "Undecodable messages since start",
    "feed_state": "1 for the venue's present state",
    "clients": "Connected WebSocket clients",
    "deliveries": "Messages written to clients since start",
    "skipped_patches": "Patches replaced by a snapshot for slow clients",
    "stuck_clients": "Clients dropped because they stopped reading, since start",
    "recorder_bytes": "Bytes written since start",
    "recorder_records": "Records written since start",
}
TRACES_KEPT = 200


class Gauges:
    """Values by metric and labels. Totals are gauges of counters kept elsewhere, and only ever grow."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.telemetry = Telemetry(service)
        """The metrics that alarms and scaling look at, beside those that are read here only."""
        self.observer: Observer | None = None
        """Where surfaces are told of, while the service runs."""
        self._values: dict[str, dict[str, float]] = {}
        self.traces: deque[dict[str, Any]] = deque(maxlen=TRACES_KEPT)
        """The last traces that passed here, one a second: ids and stages."""

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set one series."""
        assert name in METRICS, name
        told = ",".join(f'{key}="{_escaped(text)}"' for key, text in {"service": self._service, **labels}.items())
        self._values.setdefault(name, {})[told] = value

    def clear(self, name: str) -> None:
        """Forget a metric's series: labels that come and go are set anew each time."""
        self._values.pop(name, None)

    def text(self) -> bytes:
        """Return all series."""
        lines = []
        for name, series in self._values.items():
            lines += [f"# HELP derivasys_{name} {METRICS[name]}", f"# TYPE derivasys_{name} gauge"]
            lines += [f"derivasys_{name}{{{labels}}} {value}" for labels, value in series.items()]
        return ("\n".join(lines) + "\n").encode() + self.telemetry.text()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
