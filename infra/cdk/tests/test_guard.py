"""The rules of guard/limits.guard hold, and each of them fails on a template that breaks it."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
from cfn_guard_rs import run_checks

RULES = (Path(__file__).parents[1] / "guard" / "limits.guard").read_text()
NAMES = re.findall(r"^rule (\w+)", RULES, re.MULTILINE)

TASK, SERVICE = "AWS::ECS::TaskDefinition", "AWS::ECS::Service"
TARGETS, BALANCER = "AWS::ElasticLoadBalancingV2::TargetGroup", "AWS::ElasticLoadBalancingV2::LoadBalancer"
BUCKET, ALARM, MSK = "AWS::S3::Bucket", "AWS::CloudWatch::Alarm", "AWS::MSK::Cluster"
HEALTH = ("ContainerDefinitions", 0, "HealthCheck")
ORIGIN = ("DistributionConfig", "Origins", 0, "VpcOriginConfig")
BROKERS = ("BrokerNodeGroupInfo",)
TRACKING = ("TargetTrackingScalingPolicyConfiguration",)
LIFECYCLE = ("LifecycleConfiguration", "Rules", 0)

MUTANTS = [
    ("stop_timeout", TASK, ("ContainerDefinitions", 0, "StopTimeout"), 600),
    ("stop_timeout", TASK, ("ContainerDefinitions", 0, "StopTimeout"), 30),
    ("container_health", TASK, (*HEALTH, "Interval"), 301),
    ("container_health", TASK, (*HEALTH, "Retries"), 11),
    ("deployment_percent", SERVICE, ("DeploymentConfiguration", "MaximumPercent"), 250),
    ("deregistration_delay", TARGETS, "deregistration_delay.timeout_seconds", "300"),
    ("deregistration_delay", TARGETS, "deregistration_delay.timeout_seconds", None),
    ("balancer_idle", BALANCER, "idle_timeout.timeout_seconds", "9000"),
    ("balancer_idle", BALANCER, "idle_timeout.timeout_seconds", "15"),
    ("target_health", TARGETS, ("HealthCheckTimeoutSeconds",), 121),
    ("target_health", TARGETS, ("UnhealthyThresholdCount",), 1),
    ("origin_timeouts", "AWS::CloudFront::Distribution", (*ORIGIN, "OriginReadTimeout"), 600),
    ("log_retention", "AWS::Logs::LogGroup", ("RetentionInDays",), 3653),
    ("log_retention", "AWS::Logs::LogGroup", ("RetentionInDays",), None),
    ("cold_storage", BUCKET, (*LIFECYCLE, "Transitions", 0, "TransitionInDays"), 7),
    ("bucket_expiry", BUCKET, (*LIFECYCLE, "NoncurrentVersionExpiration", "NoncurrentDays"), 400),
    ("alarm_window", ALARM, ("EvaluationPeriods",), 2000),
    ("alarm_window", ALARM, ("Period",), 45),
    ("task_counts", "AWS::ApplicationAutoScaling::ScalableTarget", ("MaxCapacity",), 500),
    ("task_counts", "AWS::ApplicationAutoScaling::ScalableTarget", ("MinCapacity",), 0),
    ("scaling_cooldown", "AWS::ApplicationAutoScaling::ScalingPolicy", (*TRACKING, "ScaleInCooldown"), 5),
    ("broker_subnets", MSK, (*BROKERS, "ClientSubnets"), []),
    ("broker_subnets", MSK, ("NumberOfBrokerNodes",), 1),
    ("broker_volume", MSK, (*BROKERS, "StorageInfo", "EBSStorageInfo", "VolumeSize"), 20_000),
    ("request_rate", "AWS::WAFv2::WebACL", ("Rules", 0, "Statement", "RateBasedStatement", "Limit"), 5_000_000),
]


def _failed(template) -> set[str]:
    return {report.Rule.name for report in run_checks(template, RULES).not_compliant}


def test_every_template_keeps_every_rule(assembly):
    for stack, template in assembly.templates.items():
        assert not _failed(template), stack


def test_every_rule_applies_somewhere_and_has_a_mutant(assemblies):
    applied = {name for t in assemblies["prod"].templates.values() for name in run_checks(t, RULES).compliant}
    assert applied == set(NAMES)
    assert {name for name, *_ in MUTANTS} == set(NAMES)


def _set(properties, path, value) -> bool:
    """Put `value` at a path; a string path is the key of an attribute list. False where the path is not there."""
    if isinstance(path, str):
        (attributes,) = [v for k, v in properties.items() if k.endswith("Attributes")]
        found = [a for a in attributes if a["Key"] == path]
        for attribute in found:
            attributes.remove(attribute) if value is None else attribute.update(Value=value)
        return bool(found)
    at = properties
    for step in path[:-1]:
        try:
            at = at[step]
        except (KeyError, IndexError):
            return False
    if path[-1] not in at:
        return False
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return True


@pytest.mark.parametrize(("rule", "kind", "path", "value"), MUTANTS)
def test_a_mutant_fails_its_rule_and_no_other(assemblies, rule, kind, path, value):
    for template in assemblies["prod"].templates.values():
        for id, resource in template["Resources"].items():
            if resource["Type"] != kind:
                continue
            mutant = copy.deepcopy(template)
            if _set(mutant["Resources"][id]["Properties"], path, value):
                assert _failed(mutant) == {rule}
                return
    raise AssertionError(f"no {kind} with {path}")
