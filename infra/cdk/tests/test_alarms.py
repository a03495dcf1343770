"""Alarms, scaling and the dashboard use metrics of the catalogue; the runbook tells of each alarm."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
from derivasys_infra.alarms import Series, alarms
from derivasys_infra.catalogue import catalogue
from derivasys_infra.config import load

RUNBOOK = Path(__file__).parents[3] / "docs" / "runbook.md"
COST = Path(__file__).parents[3] / "bench" / "cost.py"


def _alarm_metrics(alarm):
    """Yield (namespace, name, dimensions) of an alarm, of an expression's parts too."""
    if "MetricName" in alarm:
        yield alarm["Namespace"], alarm["MetricName"], {d["Name"]: d["Value"] for d in alarm.get("Dimensions", [])}
    for part in alarm.get("Metrics", []):
        if "MetricStat" in part:
            metric = part["MetricStat"]["Metric"]
            yield metric["Namespace"], metric["MetricName"], {d["Name"]: d["Value"] for d in metric["Dimensions"]}


def _used(assembly):
    for _, id, alarm in assembly.resources("AWS::CloudWatch::Alarm"):
        for metric in _alarm_metrics(alarm):
            yield id, *metric
    for _, id, policy in assembly.resources("AWS::ApplicationAutoScaling::ScalingPolicy"):
        tracking = policy.get("TargetTrackingScalingPolicyConfiguration")
        if tracking:
            metric = tracking["CustomizedMetricSpecification"]
            yield id, metric["Namespace"], metric["MetricName"], {d["Name"]: d["Value"] for d in metric["Dimensions"]}


def check(namespace, name, dimensions, environment) -> None:
    """Assert that a metric is one that the services emit, with exactly these dimensions."""
    assert namespace == f"{catalogue.NAMESPACE}/{environment}"
    metric = catalogue.BY_NAME[name]
    assert list(dimensions) == sorted(["Service", *metric.dimensions]) or set(dimensions) == {
        "Service",
        *metric.dimensions,
    }
    assert dimensions["Service"] in metric.services
    if "Bucket" in dimensions:
        assert dimensions["Bucket"] in catalogue.BUCKETS
    for dimension, by_service in catalogue.VALUES.items():
        if dimension in dimensions:
            assert dimensions[dimension] in by_service[dimensions["Service"]]


def test_alarms_and_scaling_use_metrics_of_the_catalogue(assembly):
    environment = "prod" if assembly.name == "prod" else "dev"
    used = list(_used(assembly))
    assert len(used) > 20
    for _, namespace, name, dimensions in used:
        check(namespace, name, dimensions, environment)


def test_a_metric_that_nobody_emits_would_be_noticed():
    with pytest.raises(KeyError):
        check("DerivaSys/dev", "FeedAgeSecs", {"Service": "connector"}, "dev")
    with pytest.raises(AssertionError):
        check("DerivaSys/dev", "FeedAgeSeconds", {"Service": "connector", "Venue": "deribit"}, "dev")
    with pytest.raises(AssertionError):
        check("DerivaSys/dev", "QueueDepth", {"Service": "connector", "Queue": "out"}, "dev")
    with pytest.raises(AssertionError):
        Series("QueueDepth", "connector", ("out",)).dimensions()


def test_ages_breach_when_they_are_missing(assembly):
    ages = [a for _, _, a in assembly.resources("AWS::CloudWatch::Alarm") if "AgeSeconds" in a.get("MetricName", "")]
    config = load("prod" if assembly.name == "prod" else "dev")
    assert len(ages) == sum(len(ccys) for ccys in config.venues.values()) + 2 * len(config.ccys)
    assert {a["TreatMissingData"] for a in ages} == {"breaching"}


def test_every_alarm_tells_somebody(assembly):
    for _, id, alarm in assembly.resources("AWS::CloudWatch::Alarm"):
        assert alarm["AlarmActions"], id


def test_the_dashboard_uses_metrics_of_the_catalogue(assembly):
    (dashboard,) = [d for _, _, d in assembly.resources("AWS::CloudWatch::Dashboard")]
    body = dashboard["DashboardBody"]
    text = "".join(part for part in body["Fn::Join"][1] if isinstance(part, str)) if isinstance(body, dict) else body
    names = set(re.findall(r'"DerivaSys/\w+","(\w+)"', text))
    assert {"FeedAgeSeconds", "SnapshotAgeSeconds", "CalibrationRmse", "FitMilliseconds", "Connections"} <= names
    assert names <= set(catalogue.BY_NAME)


def test_the_runbook_tells_of_each_alarm_and_of_no_other(assemblies):
    kinds = {
        alarm["AlarmDescription"].partition("#")[2]
        for assembly in assemblies.values()
        for _, _, alarm in assembly.resources("AWS::CloudWatch::Alarm", "observability")
    }
    sections = dict(re.findall(r"^### ([a-z-]+)\n(.*?)(?=^##|\Z)", RUNBOOK.read_text(), re.MULTILINE | re.DOTALL))
    assert set(sections) == kinds
    for kind, text in sections.items():
        for part in ("**Means.**", "**Look at.**", "**Do.**"):
            assert part in text, (kind, part)


def test_descriptions_are_plain(assembly):
    for _, _, alarm in assembly.resources("AWS::CloudWatch::Alarm", "observability"):
        assert json.dumps(alarm["AlarmDescription"]).startswith('"docs/runbook.md#')


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_page_of_costs_counts_what_is_there(environment):
    """CloudWatch bills each series, and of an alarm each series that it looks at."""
    config = load(environment)
    looked_at = sum(len(alarm.series) for alarm in alarms(config))
    sizes = {"Venue": len(config.venues), "Currency": len(config.ccys), "Bucket": len(catalogue.BUCKETS)}
    series = 0
    for metric in catalogue.METRICS:
        for service in set(metric.services) - {"up"}:
            words = {name: len(of[service]) for name, of in catalogue.VALUES.items() if service in of}
            if metric.dimensions == ("Venue", "Currency"):
                series += sum(len(ccys) for ccys in config.venues.values())
            elif metric.dimensions == ("Topic",) and service == "recorder":
                series += len(config.venues)
            else:
                series += math.prod({**sizes, **words}[name] for name in metric.dimensions)
    text = COST.read_text()
    for name, count in (("ALARMS", looked_at), ("METRICS", series)):
        (told,) = re.findall(rf"^{name} = (.*)$", text, re.MULTILINE)
        assert json.loads(told)[environment] == count, name
