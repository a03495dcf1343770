from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from derivasys.telemetry import catalogue
from derivasys.telemetry.catalogue import BUCKETS, METRICS, bucket
from derivasys.telemetry.quality import report_fits
from derivasys.telemetry.registry import LABELS, SERIES_MAX, Telemetry


def test_names_are_unique_and_every_dimension_has_a_label():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert len({metric.prometheus for metric in METRICS}) == len(METRICS)
    assert {name for metric in METRICS for name in metric.dimensions} == set(LABELS)


def test_no_dimension_is_a_date():
    assert not {"Expiry", "Date"} & {name for metric in METRICS for name in metric.dimensions}


@pytest.mark.parametrize(
    ("days", "name"),
    [(0.0, "front"), (2.0, "front"), (2.01, "1w"), (30.0, "1m"), (90.0, "3m"), (365.0, "1y"), (900.0, "long")],
)
def test_buckets_by_time_left(days, name):
    assert bucket(days) == name


def test_no_number_has_no_bucket():
    with pytest.raises(ValueError, match="nan"):
        bucket(math.nan)
    assert len(catalogue.BUCKET_DAYS_MAX) == len(BUCKETS)


def test_prometheus_text_is_what_its_library_would_write():
    telemetry = Telemetry("connector")
    telemetry.set("FeedAgeSeconds", 1.5, "deribit", "BTC")
    telemetry.set("Reconnects", 3, 'ok"x\\\n')
    registry = CollectorRegistry()
    registry.register(telemetry)
    assert telemetry.text() == generate_latest(registry)
    assert b'derivasys_quote_age_seconds{ccy="BTC",service="connector",venue="deribit"} 1.5' in telemetry.text()


def test_samples_are_shown_as_quantiles_before_and_after_they_are_taken():
    telemetry = Telemetry("up")
    telemetry.observe("FitMilliseconds", [float(n) for n in range(100)])
    assert b'derivasys_fit_milliseconds{quantile="0.5",service="up"} 50.0' in telemetry.text()
    telemetry.take_samples()
    assert b'quantile="0.99",service="up"} 99.0' in telemetry.text()


def test_unknown_names_and_wrong_dimensions_are_programmers_errors():
    telemetry = Telemetry("up")
    with pytest.raises(KeyError):
        telemetry.set("FeedAge", 1.0)
    with pytest.raises(AssertionError):
        telemetry.set("FeedAgeSeconds", 1.0, "deribit")
    with pytest.raises(AssertionError):
        telemetry.set("FitMilliseconds", 1.0)


def test_a_value_that_is_no_number_takes_the_series_away():
    telemetry = Telemetry("up")
    telemetry.set("Connections", 3)
    telemetry.set("Connections", math.nan)
    assert telemetry.values == {}


def test_series_are_bounded_and_the_rest_is_counted():
    telemetry = Telemetry("up")
    for n in range(SERIES_MAX + 5):
        telemetry.set("QueueDepth", n, f"q{n}")
    assert (len(telemetry.values), telemetry.refused) == (SERIES_MAX, 5)
    telemetry.clear("QueueDepth")
    assert not telemetry.values


def test_quality_is_the_worst_of_a_bucket():
    telemetry, day = Telemetry("up"), 86_400_000
    fits = [(day, 0.4, 0.9, False), (2 * day, 0.6, 0.8, False), (30 * day, math.nan, math.nan, True)]
    report_fits(telemetry, "BTC", 0, fits)
    assert telemetry.values["CalibrationRmse", ("BTC", "front")] == 0.6
    assert telemetry.values["InsideShare", ("BTC", "front")] == 80.0
    assert telemetry.values["UncertifiedExpiries", ("BTC", "1m")] == 1
    assert telemetry.values["UncertifiedExpiries", ("BTC", "front")] == 0
    assert ("CalibrationRmse", ("BTC", "1m")) not in telemetry.values
