"""What a real run tells: metrics in CloudWatch's format, JSON logs, traces sent to a collector."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import version

import orjson
import pytest

from derivasys.telemetry.catalogue import METRICS, VALUES
from tests.emf import emitted, expected, told

from .conftest import Up


@pytest.fixture(scope="module")
def observed(tmp_path_factory):
    settings = tmp_path_factory.mktemp("settings") / "derivasys.toml"
    settings.write_text('environment = "dev"\nmetrics = "emf"\nlog = "json"\n')
    up = Up("--source", "simulated", "--ccy", "BTC", environment={"DERIVASYS_SETTINGS": str(settings)})
    yield up
    up.stop()


def test_a_run_emits_every_metric_that_the_catalogue_says_it_does(observed):
    observed.until(lambda: observed.get("/readyz").status_code == 200)
    # Each metric is there once the first status and the first lines (every 10 s) have been written.
    observed.until(lambda: expected("up") <= emitted(observed.output, "up"), 40)
    assert emitted(observed.output, "up") == expected("up")
    assert {name: told(observed.output, name) for name in ("Queue", "Reason")} == {
        name: set(VALUES[name]["up"]) for name in ("Queue", "Reason")
    }


def test_the_same_metrics_are_shown_to_prometheus(observed):
    text = observed.until(lambda: "derivasys_quote_age_seconds" in (text := observed.get("/metrics").text) and text)
    shown = set(re.findall(r"^(derivasys_\w+)\{", text, re.MULTILINE))
    assert {f"derivasys_{m.prometheus}" for m in METRICS if "up" in m.services} <= shown


def test_readiness_tells_its_build_apart_from_health(observed):
    assert observed.get("/healthz").status_code == 200
    assert version("derivasys") in observed.get("/status").text


def test_the_canary_finds_a_simulated_run_good_and_no_live_market(observed):
    command = [sys.executable, "-m", "derivasys.cli", "canary", observed.ws, "--watch", "1"]
    environment = {**os.environ, "DERIVASYS_METRICS": "emf", "DERIVASYS_ENVIRONMENT": "dev"}
    good = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60, env=environment)
    assert good.returncode == 0, good.stdout
    line, *documents = [orjson.loads(each) for each in good.stdout.splitlines()]
    assert line["fitted"] > 5
    assert line["problems"] == {}
    assert {document["Check"] for document in documents if "Check" in document} == {
        "freshness", "sequence", "certificate", "latency",
    }  # fmt: skip
    live = subprocess.run([*command, "--live"], capture_output=True, check=False, text=True, timeout=60)
    assert live.returncode == 1
    assert "simulated" in live.stdout
