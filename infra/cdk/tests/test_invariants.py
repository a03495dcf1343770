"""What must hold in every environment, read from the synthesised templates."""

from __future__ import annotations

import json
import re

import pytest
from derivasys_infra.config import load

CREDENTIAL = re.compile(r"password|passwd|secret(?!smanager)|token|private|apikey|api_key$|BEGIN ", re.IGNORECASE)


def test_the_manifest_misses_nothing(assembly):
    assert "missing" not in assembly.manifest
    assert not any("missing" in artifact for artifact in assembly.manifest["artifacts"].values())
    stacks = {"edge", "secrets", "data", "observability", "network", "runtime", "site"}
    assert set(assembly.templates) == stacks | ({"stream"} if assembly.name != "external" else set())


def test_no_lambda_and_no_custom_resource(assembly):
    kinds = {r["Type"] for t in assembly.templates.values() for r in t["Resources"].values()}
    assert not {kind for kind in kinds if kind.startswith(("AWS::Lambda", "Custom::", "AWS::CloudFormation::Custom"))}


def test_nothing_is_public_but_cloudfront(assembly):
    for _, _, balancer in assembly.resources("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        assert balancer["Scheme"] == "internal"
    for _, _, service in assembly.resources("AWS::ECS::Service"):
        assert service["NetworkConfiguration"]["AwsvpcConfiguration"]["AssignPublicIp"] == "DISABLED"
    for _, _, subnet in assembly.resources("AWS::EC2::Subnet"):
        assert subnet["MapPublicIpOnLaunch"] is False
    for _, _, cluster in assembly.resources("AWS::MSK::Cluster"):
        access = cluster["BrokerNodeGroupInfo"]["ConnectivityInfo"]["PublicAccess"]
        assert access["Type"] == "DISABLED"
        assert cluster["ClientAuthentication"]["Unauthenticated"]["Enabled"] is False
    buckets = list(assembly.resources("AWS::S3::Bucket"))
    assert len(buckets) == 3
    for _, _, bucket in buckets:
        assert all(bucket["PublicAccessBlockConfiguration"].values())
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert len(list(assembly.resources("AWS::CloudFront::Distribution"))) == 2
    assert not list(assembly.resources("AWS::EC2::Instance"))


def _ingress(assembly):
    for _, id, group in assembly.resources("AWS::EC2::SecurityGroup"):
        for rule in group.get("SecurityGroupIngress", []):
            yield id, rule
    for _, id, rule in assembly.resources("AWS::EC2::SecurityGroupIngress"):
        yield id, rule


def test_nobody_comes_in_from_everywhere(assembly):
    rules = list(_ingress(assembly))
    assert rules
    for id, rule in rules:
        assert rule.get("CidrIp") != "0.0.0.0/0", id
        assert "CidrIpv6" not in rule, id
        if "CidrIp" in rule:
            assert rule["CidrIp"] == "10.40.0.0/16", id
        assert rule["FromPort"] == rule["ToPort"], id


def test_only_connectors_and_the_canary_get_out(assembly):
    open_groups = set()
    for _, _id, group in assembly.resources("AWS::EC2::SecurityGroup"):
        for rule in group.get("SecurityGroupEgress", []):
            if rule.get("CidrIp") == "0.0.0.0/0":
                assert (rule["FromPort"], rule["ToPort"]) == (443, 443)
                open_groups.add(group["GroupDescription"])
    assert open_groups == {"DerivaSys connector"}
    outer = {
        service["ServiceName"]
        for _, _, service in assembly.resources("AWS::ECS::Service")
        if "venues" in json.dumps(service["NetworkConfiguration"]["AwsvpcConfiguration"]["Subnets"])
    }
    config = load("prod" if assembly.name == "prod" else "dev")
    assert outer == {f"connector-{venue}" for venue in config.venues} | {"canary"}


def test_tls_everywhere(assembly):
    for _, id, bucket in assembly.resources("AWS::S3::BucketPolicy"):
        denied = [s for s in bucket["PolicyDocument"]["Statement"] if s["Effect"] == "Deny"]
        assert any(s["Condition"].get("Bool", {}).get("aws:SecureTransport") == "false" for s in denied), id
    for _, _, listener in assembly.resources("AWS::ElasticLoadBalancingV2::Listener"):
        assert listener["Protocol"] == "HTTPS"
        assert listener["SslPolicy"].startswith("ELBSecurityPolicy-TLS13-1-2")
    for _, _, group in assembly.resources("AWS::ElasticLoadBalancingV2::TargetGroup"):
        assert (group["Protocol"], group["HealthCheckProtocol"]) == ("HTTPS", "HTTPS")
    for _, _, distribution in assembly.resources("AWS::CloudFront::Distribution"):
        config = distribution["DistributionConfig"]
        assert config["ViewerCertificate"]["MinimumProtocolVersion"] == "TLSv1.2_2021"
        assert config["HttpVersion"] == "http2and3"
        behaviours = [config["DefaultCacheBehavior"], *config.get("CacheBehaviors", [])]
        assert all(b["ViewerProtocolPolicy"] in ("https-only", "redirect-to-https") for b in behaviours)
    for _, _, origin in assembly.resources("AWS::CloudFront::VpcOrigin"):
        assert origin["VpcOriginEndpointConfig"]["OriginProtocolPolicy"] == "https-only"
    for _, _, cluster in assembly.resources("AWS::MSK::Cluster"):
        assert cluster["EncryptionInfo"]["EncryptionInTransit"] == {"ClientBroker": "TLS", "InCluster": True}


def test_everything_kept_is_encrypted(assembly):
    for _, _, bucket in assembly.resources("AWS::S3::Bucket"):
        assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    for _, _, secret in assembly.resources("AWS::SecretsManager::Secret"):
        assert "KmsKeyId" in secret
        assert "SecretString" not in secret
    for _, _, cluster in assembly.resources("AWS::MSK::Cluster"):
        assert cluster["EncryptionInfo"]["EncryptionAtRest"]
    for stack, id, group in assembly.resources("AWS::Logs::LogGroup"):
        assert group["RetentionInDays"] <= 731, id
        assert stack == "edge" or "KmsKeyId" in group, id
    for _, _, topic in assembly.resources("AWS::SNS::Topic"):
        assert "KmsMasterKeyId" in topic
    for _, _, key in assembly.resources("AWS::KMS::Key"):
        assert key["EnableKeyRotation"] is True


def test_no_secret_in_a_plain_variable(assembly):
    seen = 0
    for _, _, task in assembly.resources("AWS::ECS::TaskDefinition"):
        for container in task["ContainerDefinitions"]:
            for variable in container["Environment"]:
                seen += 1
                name, value = variable["Name"], json.dumps(variable["Value"])
                is_reference = value.startswith(('"secretsmanager:', '"ssm:'))
                assert is_reference or not CREDENTIAL.search(f"{name}={value}"), name
                assert len(value) < 200, name
            for secret in container.get("Secrets", []):
                assert secret["Name"] == "KAFKA_BOOTSTRAP_SERVERS"
    assert seen > 20


def test_exchange_credentials_reach_their_connector_alone(assembly):
    holders = {}
    for _, _, task in assembly.resources("AWS::ECS::TaskDefinition"):
        for container in task["ContainerDefinitions"]:
            for variable in container["Environment"]:
                if variable["Name"].startswith("DERIVASYS_CREDENTIALS"):
                    holders.setdefault(variable["Name"], []).append(container["Name"])
    assert holders == {"DERIVASYS_CREDENTIALS_DERIBIT": ["connector-deribit"]}


def test_containers_are_hardened(assembly):
    tasks = list(assembly.resources("AWS::ECS::TaskDefinition"))
    assert len(tasks) >= 7
    for _, id, task in tasks:
        assert task["RuntimePlatform"]["CpuArchitecture"] == "ARM64"
        (container,) = task["ContainerDefinitions"]
        assert container["ReadonlyRootFilesystem"] is True, id
        assert container["User"] == "10001:10001"
        assert container["LinuxParameters"]["Capabilities"]["Drop"] == ["ALL"]
        assert "Add" not in container["LinuxParameters"]["Capabilities"]
        assert not container.get("Privileged")
        writable = {m["ContainerPath"] for m in container["MountPoints"] if not m["ReadOnly"]}
        assert writable == ({"/tmp", "/data"} if "recorder" in container["Name"] else {"/tmp"})
        assert "@sha256:" in json.dumps(container["Image"])
    for _, _, service in assembly.resources("AWS::ECS::Service"):
        assert service["EnableExecuteCommand"] is False
        assert service["DeploymentConfiguration"]["DeploymentCircuitBreaker"] == {"Enable": True, "Rollback": True}


def test_a_task_is_gone_from_the_balancer_before_it_is_killed(assembly):
    (group,) = [g for _, _, g in assembly.resources("AWS::ElasticLoadBalancingV2::TargetGroup")]
    delay = {a["Key"]: a["Value"] for a in group["TargetGroupAttributes"]}["deregistration_delay.timeout_seconds"]
    stops = {
        container["StopTimeout"]
        for _, _, task in assembly.resources("AWS::ECS::TaskDefinition")
        for container in task["ContainerDefinitions"]
    }
    assert stops == {100}
    assert int(delay) < 90 < min(stops) <= 120


def test_gateways_scale_on_connections_and_egress_and_not_on_cpu(assembly):
    tracked = [
        policy["TargetTrackingScalingPolicyConfiguration"]
        for _, _, policy in assembly.resources("AWS::ApplicationAutoScaling::ScalingPolicy")
        if "TargetTrackingScalingPolicyConfiguration" in policy
    ]
    names = {policy["CustomizedMetricSpecification"]["MetricName"] for policy in tracked}
    assert names == {"Connections", "EgressBytesPerSecond"}


def test_data_outlives_its_stack(assembly):
    for kind in ("AWS::S3::Bucket", "AWS::ECR::Repository", "AWS::KMS::Key", "AWS::SecretsManager::Secret"):
        for template in assembly.templates.values():
            for id, resource in template["Resources"].items():
                if resource["Type"] == kind:
                    assert resource["DeletionPolicy"] == "Retain", id


@pytest.mark.parametrize("header", ["script-src 'self'", "default-src 'none'", "frame-ancestors 'none'"])
def test_the_page_has_a_policy_that_names_the_live_host(assembly, header):
    (policy,) = [p for _, _, p in assembly.resources("AWS::CloudFront::ResponseHeadersPolicy")]
    security = policy["ResponseHeadersPolicyConfig"]["SecurityHeadersConfig"]
    csp = security["ContentSecurityPolicy"]["ContentSecurityPolicy"]
    host = load("prod" if assembly.name == "prod" else "dev").names.live
    assert header in csp.split("; ")
    assert f"connect-src 'self' wss://{host} https://{host}" in csp.split("; ")
    assert security["StrictTransportSecurity"]["AccessControlMaxAgeSec"] >= 31_536_000


def test_every_accepted_finding_has_a_reason(assembly):
    (nag,) = [one for one in assembly.report["pluginReports"] if one["pluginName"] == "AwsSolutions"]
    assert nag["conclusion"] == "success"
    assert nag["violations"] == []
    for finding in nag["suppressedViolations"]:
        assert len(finding["reason"]) > 20, finding["ruleName"]
    for template in assembly.templates.values():
        for resource in template["Resources"].values():
            for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", []):
                assert len(skip["comment"]) > 20
