"""The alarms: which metric, which limit. What each means and what to do is in docs/runbook.md, under its name."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from derivasys_infra.catalogue import catalogue
from derivasys_infra.config import Config

VENUE_RECONNECTS_MAX = 5
"""In five minutes."""
DROPS_MAX = 1000
"""In five minutes."""
UNSAVED_S_MAX = 900
"""Segments end every 300 s, and what is not in S3 is read again from Kafka, which keeps it for six hours."""


class Series(Struct, frozen=True):
    """One metric with the values of its dimensions, `Service` first."""

    metric: str
    service: str
    values: tuple[str, ...] = ()

    def dimensions(self) -> dict[str, str]:
        names = catalogue.BY_NAME[self.metric].dimensions
        assert len(names) == len(self.values), self
        for name, value in zip(names, self.values, strict=True):
            assert value in catalogue.VALUES.get(name, {}).get(self.service, (value,)), self
        return {"Service": self.service, **dict(zip(names, self.values, strict=True))}


class Alarm(Struct, frozen=True):
    """`kind` is the heading in the runbook; `of` tells one alarm of a kind from the others."""

    kind: str
    of: str
    series: tuple[Series, ...]
    """More than one: the greatest of them counts."""
    statistic: str
    threshold: float
    missing: Literal["breaching", "notBreaching"]
    periods: int = 3
    period_s: int = 60
    pages: bool = True
    """Whether it wakes somebody; otherwise it is only on the dashboard."""


def alarms(config: Config) -> Iterator[Alarm]:
    """Yield every alarm of an environment."""
    limits = config.observability
    for venue, ccys in config.venues.items():
        for ccy in ccys:
            series = Series("FeedAgeSeconds", "connector", (venue, ccy))
            yield Alarm("feed-stale", f"{venue}-{ccy}", (series,), "Maximum", limits.feed_age_s_max, "breaching")
        series = Series("Reconnects", "connector", (venue,))
        yield Alarm("venue-reconnects", venue, (series,), "Sum", VENUE_RECONNECTS_MAX, "notBreaching", 1, 300)
    for ccy in config.ccys:
        for service in ("calibrator", "gateway"):
            series = Series("SnapshotAgeSeconds", service, (ccy,))
            yield Alarm("surface-old", f"{service}-{ccy}", (series,), "Minimum", limits.snapshot_age_s_max, "breaching")
        buckets = catalogue.BUCKETS
        rmse = tuple(Series("CalibrationRmse", "calibrator", (ccy, bucket)) for bucket in buckets)
        yield Alarm("fit-poor", ccy, rmse, "Maximum", limits.rmse_vol_points_max, "notBreaching", 5)
        uncertified = tuple(Series("UncertifiedExpiries", "calibrator", (ccy, bucket)) for bucket in buckets)
        yield Alarm("fit-rejected", ccy, uncertified, "Maximum", 0, "notBreaching", 5)
    yield Alarm("fit-slow", "all", (Series("FitMilliseconds", "calibrator"),), "p99", limits.fit_ms_max, "breaching", 5)
    for service in ("connector", "calibrator"):
        (queue,) = catalogue.VALUES["Queue"][service]
        series = Series("QueueDepth", service, (queue,))
        yield Alarm("queue-deep", f"{service}-{queue}", (series,), "Maximum", limits.queue_depth_max, "breaching")
    for service, topics in catalogue.VALUES["Topic"].items():
        for topic in topics:
            series = Series("TopicLag", service, (topic,))
            yield Alarm("topic-lag", f"{service}-{topic}", (series,), "Maximum", limits.topic_lag_max, "breaching")
    series = Series("DroppedMessages", "gateway", ("slow_client",))
    yield Alarm("drops", "slow-clients", (series,), "Sum", DROPS_MAX, "notBreaching", 1, 300, pages=False)
    unsaved = Series("UnsavedSeconds", "recorder")
    yield Alarm("recording-behind", "all", (unsaved,), "Maximum", UNSAVED_S_MAX, "breaching")
    full = Series("Connections", "gateway")
    ceiling = min(9000, 2 * config.services.gateway.connections_per_task)
    yield Alarm("gateway-full", "all", (full,), "Maximum", ceiling, "breaching")
    for check in catalogue.VALUES["Check"]["canary"]:
        series = Series("CanaryFailures", "canary", (check,))
        yield Alarm("canary", check, (series,), "Maximum", 0, "breaching")
