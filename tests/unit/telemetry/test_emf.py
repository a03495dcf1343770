from __future__ import annotations

import asyncio

import orjson

from derivasys.telemetry.catalogue import BY_NAME
from derivasys.telemetry.emf import VALUES_MAX, Emf, emit, thinned
from derivasys.telemetry.registry import Telemetry


def documents(emf: Emf) -> list[dict]:
    return [orjson.loads(line) for line in emf.lines(1_700_000_000_000)]


def test_a_document_is_as_cloudwatch_specifies():
    telemetry = Telemetry("connector")
    telemetry.set("FeedAgeSeconds", 0.25, "okx", "ETH")
    (document,) = documents(Emf(telemetry, "prod", "1.2.3"))
    assert document == {
        "_aws": {
            "Timestamp": 1_700_000_000_000,
            "CloudWatchMetrics": [{
                "Namespace": "DerivaSys/prod",
                "Dimensions": [["Service", "Venue", "Currency"]],
                "Metrics": [{"Name": "FeedAgeSeconds", "Unit": "Seconds"}],
            }],
        },
        "Service": "connector", "Venue": "okx", "Currency": "ETH", "build": "1.2.3", "FeedAgeSeconds": 0.25,
    }  # fmt: skip


def test_metrics_of_the_same_dimensions_share_a_document():
    telemetry = Telemetry("up")
    telemetry.set("Connections", 3)
    telemetry.set("EgressBytesPerSecond", 1000)
    telemetry.observe("FitMilliseconds", [1.0, 2.0])
    (document,) = documents(Emf(telemetry, "dev", "x"))
    assert document["FitMilliseconds"] == [1.0, 2.0]
    assert len(document["_aws"]["CloudWatchMetrics"][0]["Metrics"]) == 3


def test_totals_become_increases_and_a_restart_no_fall():
    telemetry = Telemetry("up")
    emf = Emf(telemetry, "dev", "x")
    told = []
    for total in (100, 107, 107, 3):
        telemetry.set("Reconnects", total, "okx")
        told.append(documents(emf)[0]["Reconnects"])
    assert told == [0.0, 7.0, 0.0, 0.0]


def test_many_samples_are_thinned_and_keep_their_ends():
    samples = [float((37 * n) % 10_007) for n in range(5000)]
    kept = thinned(samples)
    assert len(kept) == VALUES_MAX
    assert (kept[0], kept[-1]) == (min(samples), max(samples))
    assert abs(kept[50] - sorted(samples)[2525]) < 60


def test_every_metric_of_the_catalogue_can_be_emitted():
    telemetry = Telemetry("up")
    for name, metric in BY_NAME.items():
        if metric.kind == "samples":
            telemetry.observe(name, [1.0])
        else:
            telemetry.set(name, 1.0, *("x" for _ in metric.dimensions))
    told = {
        (each["Name"], tuple(directive["Dimensions"][0]))
        for document in documents(Emf(telemetry, "dev", "x"))
        for directive in document["_aws"]["CloudWatchMetrics"]
        for each in directive["Metrics"]
    }
    assert told == {(name, ("Service", *metric.dimensions)) for name, metric in BY_NAME.items()}


async def test_the_last_values_are_written_at_the_end():
    telemetry, written = Telemetry("up"), []
    telemetry.set("Connections", 3)
    task = asyncio.create_task(emit(Emf(telemetry, "dev", "x"), lambda: 0, written.append, every_s=60))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert orjson.loads(written[0])["Connections"] == 3
