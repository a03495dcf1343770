"""Every manifest against the schema of its kind, unknown keys included; and mutants, which must fail."""

from __future__ import annotations

import copy
import json
import subprocess

import kubernetes_validate
import pytest

from .conftest import HELM_FOLDER, NODE, need

VERSIONS = ("1.31", "1.36")
CUSTOM = ("argoproj.io/", "keda.sh/", "monitoring.coreos.com/")
MODELS = HELM_FOLDER / "models"


def _is_custom(manifest) -> bool:
    return manifest["apiVersion"].startswith(CUSTOM)


def _faults(manifests) -> list[str]:
    need((MODELS / "node_modules").is_dir(), "the models of custom resources are not installed: `make infra-setup`")
    done = subprocess.run(
        [NODE, "check.mjs"], input=json.dumps(manifests), cwd=MODELS, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("version", VERSIONS)
def test_builtin_kinds(manifests, version):
    checked = [m for m in manifests if not _is_custom(m)]
    assert len(checked) > 8
    for manifest in checked:
        kubernetes_validate.validate(manifest, version, strict=True)


def test_custom_kinds(rendered):
    checked = [m for manifests in rendered.values() for m in manifests if _is_custom(m)]
    kinds = {m["kind"] for m in checked}
    assert kinds == {"Rollout", "AnalysisTemplate", "ScaledObject", "TriggerAuthentication", "PodMonitor"}
    assert _faults(checked) == []


def _of_kind(manifests, kind):
    return copy.deepcopy(next(m for m in manifests if m["kind"] == kind))


def test_a_misspelt_field_of_a_builtin_kind_is_found(rendered):
    mutant = _of_kind(rendered["default"], "StatefulSet")
    mutant["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(mutant, VERSIONS[-1], strict=True)


def test_misspelt_fields_and_wrong_values_of_custom_kinds_are_found(rendered):
    base = rendered["default"]
    spelling, value, deep, unknown = (
        _of_kind(base, "ScaledObject"), _of_kind(base, "ScaledObject"), _of_kind(base, "Rollout"), _of_kind(base, "Service"),
    )  # fmt: skip
    spelling["spec"]["maxReplicas"] = 3
    value["spec"]["minReplicaCount"] = "three"
    deep["spec"]["strategy"]["canary"]["steps"][0]["setWeigth"] = 5
    found = _faults([spelling, value, deep, unknown])
    assert any("maxReplicas" in fault for fault in found)
    assert any("minReplicaCount" in fault for fault in found)
    assert any("setWeigth" in fault for fault in found)
    assert any("Service: no model" in fault for fault in found)
