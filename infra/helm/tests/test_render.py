"""The chart renders what is expected, and refuses values that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from .conftest import CHART, VALUES, helm, render

GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", list(VALUES))
def test_lint_is_strict_and_quiet(name):
    done = helm("lint", "--strict", str(CHART), *VALUES[name])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stdout
    assert "ERROR" not in done.stdout


@pytest.mark.parametrize("name", list(VALUES))
def test_the_manifests_are_the_golden_ones(rendered, name):
    text = yaml.safe_dump_all(rendered[name], sort_keys=True, width=120)
    path = GOLDEN / f"{name}.yaml"
    if os.environ.get("INFRA_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), "the chart changed: look at it, then `make infra-golden`"


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("gateway.replica=3", "replica"),
        ("environment=Prod!", "environment"),
        ("venues.mtgox[0]=BTC", "mtgox"),
        ("kafka.securityProtocol=TLS", "securityProtocol"),
        ("image.digest=sha256:12", "digest"),
        ("calibrator.saturation=1.5", "saturation"),
        ("autoscaling.kind=vpa", "kind"),
        ("canary.url=https://live.example", "url"),
        ("gateway.resources.limits.cpu=much", "cpu"),
        ("recorder.storage=lots", "storage"),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_name(setting, told):
    done = helm("template", "live", str(CHART), "--set", setting)
    assert done.returncode != 0
    assert told in done.stderr


def test_a_credential_reaches_its_connector_alone(rendered):
    holders = {
        manifest["metadata"]["name"]
        for manifest in rendered["prod"]
        if "derivasys-exchange-deribit" in yaml.safe_dump(manifest)
    }
    assert holders == {"live-connector-deribit"}


def test_every_choice_of_scaling_renders():
    kinds = {m["kind"] for m in render("--set", "autoscaling.kind=none", "--set", "rollouts.enabled=false")}
    assert not kinds & {"ScaledObject", "HorizontalPodAutoscaler", "Rollout"}
