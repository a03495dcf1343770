"""Every metric there is, in one table. Alarms, dashboards and the runbook name nothing that is not here.

Standard library only: the deployment code (`infra/cdk`) reads this file too.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Service = Literal["up", "connector", "calibrator", "gateway", "recorder", "canary"]
Unit = Literal["Seconds", "Milliseconds", "Count", "Percent", "Bytes/Second", "None"]
Kind = Literal["gauge", "total", "samples"]
"""gauge: the value now. total: counts since start; CloudWatch gets the increase. samples: recent durations."""

NAMESPACE = "DerivaSys"
"""CloudWatch namespace of an environment: `DerivaSys/<environment>`."""

BUCKETS = ("front", "1w", "1m", "3m", "6m", "1y", "long")
"""Expiries by time left. A date as a dimension would create a billed metric a day."""
BUCKET_DAYS_MAX = (2.0, 10.0, 45.0, 120.0, 240.0, 400.0, float("inf"))
"""Upper ends of `BUCKETS`, days, inclusive."""


VALUES: dict[str, dict[Service, tuple[str, ...]]] = {
    "Queue": {"up": ("frames",), "connector": ("kafka_out",), "calibrator": ("kafka_out",)},
    "Topic": {"calibrator": ("quotes",), "gateway": ("surfaces", "patches")},
    "Reason": {
        "up": ("undecodable", "slow_client"), "connector": ("undecodable", "no_room"), "calibrator": ("undecodable",),
        "gateway": ("undecodable", "slow_client"), "recorder": ("undecodable", "no_room"),
    },
    "Check": {"canary": ("freshness", "sequence", "certificate", "latency")},
}  # fmt: skip
"""What those dimensions say that are words of the code's own; a recorder's topics are its venues'."""


class Metric(NamedTuple):
    """One metric: its CloudWatch name and dimensions (`Service` comes first with all), and its Prometheus name."""

    name: str
    prometheus: str
    unit: Unit
    kind: Kind
    dimensions: tuple[str, ...]
    text: str
    services: tuple[Service, ...]


_ALL: tuple[Service, ...] = ("up", "connector", "calibrator", "gateway", "recorder")
_FIT: tuple[Service, ...] = ("up", "calibrator")
_FEED: tuple[Service, ...] = ("up", "connector")
_FAN: tuple[Service, ...] = ("up", "gateway")
_SURFACE: tuple[Service, ...] = ("up", "calibrator", "gateway")

METRICS = (
    Metric("FeedAgeSeconds", "quote_age_seconds", "Seconds", "gauge", ("Venue", "Currency"),
           "Since the newest quote of a venue in a currency", _FEED),
    Metric("QueueDepth", "queue_depth", "Count", "gauge", ("Queue",),
           "Items that wait in a queue of the process", ("up", "connector", "calibrator")),
    Metric("FitMilliseconds", "fit_milliseconds", "Milliseconds", "samples", (),
           "Fit and certificate of one cycle", _FIT),
    Metric("CycleMilliseconds", "cycle_milliseconds", "Milliseconds", "samples", (),
           "One whole cycle that published", _FIT),
    Metric("CycleSaturation", "cycle_saturation", "None", "gauge", (),
           "Share of the cycle's time spent working, 0 to 1", _FIT),
    Metric("CalibrationRmse", "calibration_rmse_vol_points", "None", "gauge", ("Currency", "Bucket"),
           "Worst rmse of the bucket's expiries, vol points", _FIT),
    Metric("InsideShare", "calibration_inside_percent", "Percent", "gauge", ("Currency", "Bucket"),
           "Used quotes whose band holds the fit", _FIT),
    Metric("UncertifiedExpiries", "uncertified_expiries", "Count", "gauge", ("Currency", "Bucket"),
           "Expiries whose newest fit was rejected", _FIT),
    Metric("Connections", "connections", "Count", "gauge", (),
           "WebSocket clients", _FAN),
    Metric("EgressBytesPerSecond", "egress_bytes_per_second", "Bytes/Second", "gauge", (),
           "Bytes written to clients", _FAN),
    Metric("DroppedMessages", "dropped_messages", "Count", "total", ("Reason",),
           "Messages not processed or not delivered", _ALL),
    Metric("Reconnects", "reconnects", "Count", "total", ("Venue",),
           "Connections to a venue that were replaced", _FEED),
    Metric("TopicLag", "topic_lag", "Count", "gauge", ("Topic",),
           "Messages of a topic not yet consumed", ("calibrator", "gateway", "recorder")),
    Metric("UnsavedSeconds", "unsaved_seconds", "Seconds", "gauge", (),
           "Age of the oldest record that is not yet where recordings are kept", ("recorder",)),
    Metric("SnapshotAgeSeconds", "snapshot_age_seconds", "Seconds", "gauge", ("Currency",),
           "Since the newest surface of a currency", _SURFACE),
    Metric("CanaryFailures", "canary_failures", "Count", "gauge", ("Check",),
           "1 where a check of the canary failed, else 0", ("canary",)),
    Metric("CanaryLatencyMilliseconds", "canary_latency_milliseconds", "Milliseconds", "samples", (),
           "From a message's own time to its arrival at the canary", ("canary",)),
)  # fmt: skip

BY_NAME = {metric.name: metric for metric in METRICS}


def bucket(days: float) -> str:
    """Return the bucket of an expiry that is `days` away. Raises ValueError for NaN."""
    for name, end in zip(BUCKETS, BUCKET_DAYS_MAX, strict=True):
        if days <= end:
            return name
    raise ValueError(f"days {days} is not a number")
