"""What must hold for every rendered pod, and between the manifests."""

from __future__ import annotations

import re

import pytest
from derivasys_infra.catalogue import catalogue

WORKLOADS = ("Deployment", "Rollout", "StatefulSet", "Job")


def _pods(manifests):
    for manifest in manifests:
        if manifest["kind"] in WORKLOADS:
            yield manifest["metadata"]["name"], manifest, manifest["spec"]["template"]


def test_pods_are_hardened(manifests):
    pods = list(_pods(manifests))
    assert len(pods) >= 4
    for name, _, template in pods:
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for key in ("hostNetwork", "hostPID", "hostIPC"):
            assert key not in spec
        assert not any("hostPath" in volume for volume in spec["volumes"])
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert set(container["resources"]) == {"requests", "limits"}


def test_servers_have_probes_and_time_to_drain(manifests):
    for name, manifest, template in _pods(manifests):
        if manifest["kind"] == "Job" or name.endswith("-canary"):
            continue
        assert template["spec"]["terminationGracePeriodSeconds"] == 100
        (container,) = template["spec"]["containers"]
        assert container["livenessProbe"]["httpGet"]["path"] == "/healthz", name
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert container["startupProbe"]["httpGet"]["path"] == "/healthz"
        ports = [port["containerPort"] for port in container["ports"]]
        assert [f"--port={port}" for port in ports] == [a for a in container["args"] if a.startswith("--port")]


def test_replicas_are_spread_and_kept(manifests):
    budgets = {
        m["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"]
        for m in manifests
        if m["kind"] == "PodDisruptionBudget"
    }
    assert budgets == {"calibrator", "gateway"}
    for name, manifest, template in _pods(manifests):
        if manifest["kind"] == "Job":
            continue
        keys = {c["topologyKey"] for c in template["spec"]["topologySpreadConstraints"]}
        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}, name


def test_no_secret_in_a_plain_variable(manifests):
    for _, _, template in _pods(manifests):
        for container in template["spec"]["containers"]:
            for variable in container.get("env", []):
                if re.search(r"PASSWORD|SECRET|TOKEN|KEY$", variable["name"]) and not variable["name"].endswith(
                    "_FILE"
                ):
                    raise AssertionError(variable["name"])


def test_selectors_choose_pods_that_exist(manifests):
    pods = [template["metadata"]["labels"] for _, _, template in _pods(manifests)]

    def chosen(selector):
        return [labels for labels in pods if selector.items() <= labels.items()]

    for manifest in manifests:
        spec = manifest.get("spec", {})
        if manifest["kind"] == "Service":
            assert chosen(spec["selector"]), manifest["metadata"]["name"]
        if manifest["kind"] in (*WORKLOADS, "PodDisruptionBudget") and "selector" in spec:
            assert chosen(spec["selector"]["matchLabels"]), manifest["metadata"]["name"]
        if manifest["kind"] == "NetworkPolicy":
            assert chosen(spec["podSelector"]["matchLabels"]), manifest["metadata"]["name"]


def test_the_network_is_shut_but_for_what_is_needed(manifests):
    policies = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "NetworkPolicy"}
    assert set(policies["live-all"]["policyTypes"]) == {"Ingress", "Egress"}
    for name, spec in policies.items():
        for rule in spec.get("egress", []):
            assert rule["to"], name
            assert rule["ports"], name
            for peer in rule["to"]:
                if "ipBlock" in peer:
                    assert name.startswith(("live-connector-", "live-canary"))
                    assert "169.254.0.0/16" in peer["ipBlock"]["except"]
        for rule in spec.get("ingress", []):
            assert rule["from"], name
    connectors = {m["metadata"]["name"] for m in manifests if m["metadata"]["name"].startswith("live-connector-")}
    assert connectors <= set(policies)


def _queries(manifests):
    for manifest in manifests:
        if manifest["kind"] == "ScaledObject":
            yield from (t["metadata"]["query"] for t in manifest["spec"]["triggers"] if "query" in t["metadata"])
        if manifest["kind"] == "AnalysisTemplate":
            yield from (m["provider"]["prometheus"]["query"] for m in manifest["spec"]["metrics"])
        if manifest["kind"] == "HorizontalPodAutoscaler":
            yield from (m["pods"]["metric"]["name"] for m in manifest["spec"]["metrics"])


def test_queries_name_metrics_of_the_catalogue(manifests):
    known = {f"derivasys_{metric.prometheus}" for metric in catalogue.METRICS}
    names = {name for query in _queries(manifests) for name in re.findall(r"derivasys_\w+", query)}
    assert {"derivasys_cycle_saturation", "derivasys_connections", "derivasys_egress_bytes_per_second"} <= names
    assert names <= known


def test_scaling_aims_at_what_exists(manifests):
    there = {(m["kind"], m["metadata"]["name"]) for m in manifests}
    targets = [
        m["spec"]["scaleTargetRef"] for m in manifests if m["kind"] in ("ScaledObject", "HorizontalPodAutoscaler")
    ]
    assert {t["name"] for t in targets} == {"live-calibrator", "live-gateway"}
    for target in targets:
        assert (target["kind"], target["name"]) in there


@pytest.mark.parametrize("name", ["default", "prod"])
def test_calibrators_scale_on_lag_and_saturation(rendered, name):
    (scaled,) = [
        m for m in rendered[name] if m["kind"] == "ScaledObject" and m["metadata"]["name"] == "live-calibrator"
    ]
    lag, saturation = scaled["spec"]["triggers"]
    assert (lag["type"], lag["metadata"]["consumerGroup"], lag["metadata"]["topic"]) == (
        "kafka",
        "calibrators",
        "quotes",
    )
    assert lag["metadata"]["sasl"] == "scram_sha512"
    assert lag["metadata"]["tls"] == "enable"
    assert "derivasys_cycle_saturation" in saturation["metadata"]["query"]
    partitions = 12
    assert scaled["spec"]["maxReplicaCount"] <= partitions


def test_a_canary_is_judged_on_calibration_quality(rendered):
    (template,) = [m for m in rendered["prod"] if m["kind"] == "AnalysisTemplate"]
    assert {m["name"] for m in template["spec"]["metrics"]} == {"rmse", "inside", "uncertified", "surface-age"}
    for metric in template["spec"]["metrics"]:
        assert 'rollouts_pod_template_hash="{{args.hash}}"' in metric["provider"]["prometheus"]["query"]
        assert metric["failureCondition"]
    for rollout in (m for m in rendered["prod"] if m["kind"] == "Rollout"):
        analysis = rollout["spec"]["strategy"]["canary"]["analysis"]
        assert analysis["templates"] == [{"templateName": template["metadata"]["name"]}]
        assert rollout["spec"]["strategy"]["canary"]["steps"][0] == {"setWeight": 20}
    services = {m["metadata"]["name"] for m in rendered["prod"] if m["kind"] == "Service"}
    assert {"live-gateway", "live-gateway-canary"} <= services
