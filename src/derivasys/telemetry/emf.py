"""CloudWatch's embedded metric format: metrics as log lines, which CloudWatch Logs turns into metrics.

No agent, no call to AWS in the process. Source: Amazon CloudWatch User Guide, "Embedded metric format specification":
at most 100 values of a metric, 100 metrics and 30 dimensions in a document; one document here for each set of dimension
values, every `EVERY_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from derivasys.telemetry.catalogue import BY_NAME, NAMESPACE
from derivasys.telemetry.registry import Key, Telemetry

EVERY_S = 10.0
VALUES_MAX = 100


class Emf:
    """Turns a process's metrics into lines. Totals become increases since the last reading."""

    def __init__(self, telemetry: Telemetry, environment: str, build: str) -> None:
        self._telemetry = telemetry
        self._namespace = f"{NAMESPACE}/{environment}"
        self._build = build
        self._before: dict[Key, float] = {}

    def lines(self, now_ms: int) -> list[bytes]:
        """Return the documents of this moment, each one line without its end."""
        grouped: dict[tuple[tuple[str, str], ...], dict[str, float | list[float]]] = {}
        for (name, of), value in self._telemetry.values.items():
            metric = BY_NAME[name]
            dimensions = tuple(zip(metric.dimensions, of, strict=True))
            told = value
            if metric.kind == "total":
                # A first reading is no increase: the process may have been counting for long.
                told = max(0.0, value - self._before.get((name, of), value))
                self._before[name, of] = value
            grouped.setdefault(dimensions, {})[name] = told
        for name, samples in self._telemetry.take_samples().items():
            if samples:
                grouped.setdefault((), {})[name] = thinned(samples)
        return [self._document(now_ms, dimensions, metrics) for dimensions, metrics in grouped.items()]

    def _document(
        self, now_ms: int, dimensions: tuple[tuple[str, str], ...], metrics: dict[str, float | list[float]]
    ) -> bytes:
        names = ["Service", *(name for name, _ in dimensions)]
        directive = {
            "Namespace": self._namespace,
            "Dimensions": [names],
            "Metrics": [{"Name": name, "Unit": BY_NAME[name].unit} for name in metrics],
        }
        document: dict[str, Any] = {
            "_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]},
            "Service": self._telemetry.service,
            **dict(dimensions),
            "build": self._build,
            **metrics,
        }
        return orjson.dumps(document)


def thinned(samples: list[float]) -> list[float]:
    """Return at most `VALUES_MAX` of the samples: evenly spaced in order, the least and the greatest among them."""
    ordered = sorted(samples)
    if len(ordered) <= VALUES_MAX:
        return ordered
    step = (len(ordered) - 1) / (VALUES_MAX - 1)
    return [ordered[round(at * step)] for at in range(VALUES_MAX)]


async def emit(emf: Emf, now_ms: Callable[[], int], write: Callable[[bytes], object], every_s: float = EVERY_S) -> None:
    """Write the lines every `every_s` seconds until cancelled, and once more then."""
    try:
        while True:
            await asyncio.sleep(every_s)
            _write(emf, now_ms, write)
    finally:
        _write(emf, now_ms, write)


def _write(emf: Emf, now_ms: Callable[[], int], write: Callable[[bytes], object]) -> None:
    lines = emf.lines(now_ms())
    if lines:
        write(b"\n".join(lines) + b"\n")
