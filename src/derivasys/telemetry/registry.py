"""The one place where a process's metrics are set. Two back ends read it: Prometheus (here) and EMF (`telemetry.emf`).

Setting is a dictionary store: no lock, no registry, no system call. Every metric is in `telemetry.catalogue`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from derivasys.telemetry.catalogue import BY_NAME, Service

SERIES_MAX = 1000
"""Of one process; further ones are counted in `refused`, not kept: each is billed."""
SAMPLES_MAX = 4096
"""Kept between two readings; the oldest go."""

LABELS = {"Venue": "venue", "Currency": "ccy", "Bucket": "bucket", "Queue": "queue", "Topic": "topic",
          "Reason": "reason", "Check": "check"}  # fmt: skip
"""Prometheus label by CloudWatch dimension."""

Key = tuple[str, tuple[str, ...]]
"""Metric name and the values of its dimensions."""


class Telemetry:
    """Metrics of one process, which is one `service`."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.refused = 0
        self.values: dict[Key, float] = {}
        """Gauges and totals."""
        self.samples: dict[str, list[float]] = {}
        """Since the last `take_samples`, for EMF."""
        self._recent: dict[str, list[float]] = {}

    def set(self, name: str, value: float, *of: str) -> None:
        """Set a gauge, or a total that is counted elsewhere and only grows. A value that is no number is left out."""
        metric = BY_NAME[name]
        assert metric.kind != "samples", name
        assert len(of) == len(metric.dimensions), (name, of)
        if not math.isfinite(value):
            self.values.pop((name, of), None)
            return
        if (name, of) not in self.values and len(self.values) >= SERIES_MAX:
            self.refused += 1
            return
        self.values[name, of] = float(value)

    def clear(self, name: str) -> None:
        """Forget a gauge's series: those whose labels come and go are set anew each time."""
        for key in [key for key in self.values if key[0] == name]:
            del self.values[key]

    def observe(self, name: str, values: Iterable[float]) -> None:
        """Note durations."""
        assert BY_NAME[name].kind == "samples", name
        kept = self.samples.setdefault(name, [])
        kept += [float(value) for value in values if math.isfinite(value)]
        if len(kept) > SAMPLES_MAX:
            del kept[: len(kept) - SAMPLES_MAX]

    def take_samples(self) -> dict[str, list[float]]:
        """Return the samples since the last call, and forget them; Prometheus goes on showing their quantiles."""
        taken, self.samples = self.samples, {}
        self._recent = taken
        return taken

    def collect(self) -> Iterator[Metric]:
        """Yield the families as prometheus_client's registries want them."""
        families: dict[str, GaugeMetricFamily] = {}
        for (name, of), value in self.values.items():
            metric = BY_NAME[name]
            if name not in families:
                labels = ["service", *(LABELS[each] for each in metric.dimensions)]
                families[name] = GaugeMetricFamily(f"derivasys_{metric.prometheus}", metric.text, labels=labels)
            families[name].add_metric([self.service, *of], value)
        for name in {*self.samples, *self._recent}:
            ordered = sorted(self.samples.get(name) or self._recent.get(name) or [])
            if not ordered:
                continue
            metric = BY_NAME[name]
            family = GaugeMetricFamily(
                f"derivasys_{metric.prometheus}", metric.text, labels=["service", "quantile"]
            )  # fmt: skip
            for share in (0.5, 0.99):
                at = min(len(ordered) - 1, int(share * len(ordered)))
                family.add_metric([self.service, f"{share:g}"], ordered[at])
            families[name] = family
        yield from families.values()

    def text(self) -> bytes:
        """Return all series in the Prometheus text format."""
        lines = []
        for family in self.collect():
            lines += [f"# HELP {family.name} {family.documentation}", f"# TYPE {family.name} gauge"]
            for sample in family.samples:
                told = ",".join(f'{label}="{_escaped(value)}"' for label, value in sorted(sample.labels.items()))
                lines.append(f"{sample.name}{{{told}}} {sample.value}")
        return ("\n".join(lines) + "\n").encode() if lines else b""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
