"""What a process wrote in CloudWatch's embedded metric format."""

from collections.abc import Iterable

import orjson

from derivasys.telemetry.catalogue import BY_NAME, METRICS, VALUES, Service

Emitted = set[tuple[str, tuple[str, ...]]]


def emitted(lines: Iterable[str], service: Service) -> Emitted:
    """Return (metric, names of its dimensions) of every document; fails for one that the catalogue does not tell of."""
    found = set()
    for line in lines:
        if not line.startswith('{"_aws"'):
            continue
        document = orjson.loads(line)
        for directive in document["_aws"]["CloudWatchMetrics"]:
            assert directive["Namespace"] == "DerivaSys/dev"
            (dimensions,) = directive["Dimensions"]
            assert document["Service"] == service
            for name in dimensions:
                assert document[name] in VALUES.get(name, {}).get(service, (document[name],)), (name, document)
            for each in directive["Metrics"]:
                assert each["Unit"] == BY_NAME[each["Name"]].unit
                assert each["Name"] in document
                found.add((each["Name"], tuple(dimensions)))
    return found


def told(lines: Iterable[str], dimension: str) -> set[str]:
    """Return the values of a dimension."""
    documents = [orjson.loads(line) for line in lines if line.startswith('{"_aws"')]
    return {document[dimension] for document in documents if dimension in document}


def expected(service: Service) -> Emitted:
    """Return what the catalogue says that a service emits."""
    return {(metric.name, ("Service", *metric.dimensions)) for metric in METRICS if service in metric.services}
