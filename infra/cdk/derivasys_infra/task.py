"""One task definition and its service: hardened alike, permitted differently."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_iam as iam
from aws_cdk import aws_ssm as ssm
from constructs import Construct
from msgspec import Struct

from derivasys_infra.config import Config, Tasks
from derivasys_infra.data import Data
from derivasys_infra.findings import accept, accept_wildcard
from derivasys_infra.network import Network
from derivasys_infra.observability import Observability
from derivasys_infra.secrets import Secrets
from derivasys_infra.stream import Stream

USER = "10001:10001"
STOP_S = 100
"""From SIGTERM to SIGKILL; Fargate allows 120. The process drains for at most 90."""
METRICS_PORT = 9090


class Parts(Struct, frozen=True):
    """What all tasks share."""

    config: Config
    cluster: ecs.Cluster
    network: Network
    secrets: Secrets
    data: Data
    observability: Observability
    stream: Stream | None


def task(
    scope: Construct, parts: Parts, kind: str, arguments: list[str], *, tasks: Tasks, name: str = "",
    reads: tuple[str, ...] = (), writes: tuple[str, ...] = (), group: str = "", transactions: str = "", venue: str = "",
    port: int = METRICS_PORT, data: bool = False, is_server: bool = True,
) -> ecs.FargateTaskDefinition:  # fmt: skip
    """Return a task definition that runs `derivasys ARGUMENTS` with exactly these rights."""
    name = name or kind
    id = "".join(part.title() for part in name.split("-"))
    config = parts.config
    definition = ecs.FargateTaskDefinition(
        scope,
        f"{id}Task",
        family=f"{config.prefix}-{name}",
        cpu=tasks.cpu,
        memory_limit_mib=tasks.memory,
        runtime_platform=ecs.RuntimePlatform(
            cpu_architecture=ecs.CpuArchitecture.ARM64, operating_system_family=ecs.OperatingSystemFamily.LINUX
        ),
        volumes=[ecs.Volume(name=volume) for volume in (("tmp", "data") if data else ("tmp",))],
    )
    environment = {
        "DERIVASYS_ENVIRONMENT": config.environment,
        "DERIVASYS_SERVICE": kind,
        "DERIVASYS_LOG": "json",
        "DERIVASYS_METRICS": "emf",
        **_kafka(config, needed=bool(reads or writes or kind == "topics")),
        **_secret_names(parts, definition, kind, venue),
    }
    container = definition.add_container(
        "main",
        container_name=name,
        image=ecs.ContainerImage.from_ecr_repository(parts.data.repository, config.image_digest),
        command=arguments,
        user=USER,
        readonly_root_filesystem=True,
        linux_parameters=_no_capabilities(scope, f"{id}Linux"),
        stop_timeout=cdk.Duration.seconds(STOP_S),
        logging=ecs.LogDriver.aws_logs(
            stream_prefix=name,
            log_group=parts.observability.groups[kind],
            # A full log buffer must drop lines rather than stop the process.
            mode=ecs.AwsLogDriverMode.NON_BLOCKING,
            max_buffer_size=cdk.Size.mebibytes(4),
        ),
        environment=environment,
        secrets=_bootstrap(scope, config, f"{id}Bootstrap") if reads or writes or kind == "topics" else {},
        port_mappings=[ecs.PortMapping(container_port=port)] if is_server and kind != "topics" else [],
        health_check=_health(port) if is_server and kind != "topics" else None,
    )
    accept(
        definition, ECS2="settings and names of secrets, never values: tests/test_invariants.py reads every variable"
    )
    accept_wildcard(
        definition.obtain_execution_role(),
        "*",
        "ecr:GetAuthorizationToken, which AWS ties to no resource; tests/test_roles.py",
    )
    container.add_mount_points(ecs.MountPoint(container_path="/tmp", source_volume="tmp", read_only=False))
    if data:
        container.add_mount_points(ecs.MountPoint(container_path="/data", source_volume="data", read_only=False))
    if parts.stream is not None and (reads or writes):
        parts.stream.permit(definition.task_role, reads=reads, writes=writes, group=group, transactions=transactions)
    if parts.stream is not None and kind == "topics":
        parts.stream.permit_administration(definition.task_role)
    return definition


def service(
    scope: Construct, parts: Parts, definition: ecs.FargateTaskDefinition, name: str, group: str, tasks: Tasks, *,
    is_outer: bool = False,
) -> ecs.FargateService:  # fmt: skip
    """Return the service that keeps the definition's tasks running, replacing them one by one."""
    network = parts.network
    # Two connectors of a venue may overlap for a moment (quotes are keyed and stamped); two recorders may not.
    is_single = name == "recorder"
    return ecs.FargateService(
        scope,
        "".join(part.title() for part in name.split("-")),
        service_name=name,
        cluster=parts.cluster,
        task_definition=definition,
        desired_count=tasks.tasks_min,
        min_healthy_percent=0 if is_single else 100,
        max_healthy_percent=100 if is_single else 200,
        circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
        security_groups=[network.groups[group]],
        vpc_subnets=network.outer if is_outer else network.inner,
        assign_public_ip=False,
        enable_execute_command=False,
        enable_ecs_managed_tags=True,
        propagate_tags=ecs.PropagatedTagSource.SERVICE,
        platform_version=ecs.FargatePlatformVersion.VERSION1_4,
        availability_zone_rebalancing=(
            ecs.AvailabilityZoneRebalancing.DISABLED if is_single else ecs.AvailabilityZoneRebalancing.ENABLED
        ),
    )


def _no_capabilities(scope: Construct, id: str) -> ecs.LinuxParameters:
    parameters = ecs.LinuxParameters(scope, id, init_process_enabled=True)
    parameters.drop_capabilities(ecs.Capability.ALL)
    return parameters


def _health(port: int) -> ecs.HealthCheck:
    """Return the container's own check; a calibrator that stalls fails it, and ECS puts another in its place."""
    scheme = "https" if port != METRICS_PORT else "http"
    return ecs.HealthCheck(
        command=["CMD", "derivasys", "probe", f"{scheme}://127.0.0.1:{port}/healthz"],
        interval=cdk.Duration.seconds(15),
        timeout=cdk.Duration.seconds(5),
        retries=3,
        start_period=cdk.Duration.seconds(60),
    )


def _kafka(config: Config, *, needed: bool) -> dict[str, str]:
    if not needed:
        return {}
    if config.stream.kind == "external":
        return {"KAFKA_BOOTSTRAP_SERVERS": config.stream.bootstrap_servers, "KAFKA_SECURITY_PROTOCOL": "SSL"}
    return {
        "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "KAFKA_SASL_MECHANISM": "OAUTHBEARER",
        "KAFKA_OAUTH_PROVIDER": "aws-msk-iam",
        "DERIVASYS_REPLICATION": str(min(3, config.stream.brokers)),
    }


def _bootstrap(scope: Construct, config: Config, id: str) -> dict[str, ecs.Secret]:
    """MSK's addresses are no attribute of the cluster: an operator stores them once (infra/FIRST-DEPLOY.md)."""
    if config.stream.kind == "external":
        return {}
    parameter = ssm.StringParameter.from_string_parameter_attributes(
        scope, id, parameter_name=f"/{config.prefix}/kafka-bootstrap", simple_name=False
    )
    return {"KAFKA_BOOTSTRAP_SERVERS": ecs.Secret.from_ssm_parameter(parameter)}


def _secret_names(parts: Parts, definition: ecs.FargateTaskDefinition, kind: str, venue: str) -> dict[str, str]:
    """Permit the task its own secrets and return the variables that name (not hold) them."""
    secrets, role = parts.secrets, definition.task_role
    if kind == "connector" and venue in secrets.credentials:
        secrets.permit_reading(role, secrets.credentials[venue])
        return {f"DERIVASYS_CREDENTIALS_{venue.upper()}": f"secretsmanager:{secrets.names['Exchange' + venue.title()]}"}
    if kind == "gateway":
        secrets.permit_reading(role, secrets.api_keys, secrets.tls)
        origins = secrets.parameters["allowed-origins"]
        role.add_to_principal_policy(
            iam.PolicyStatement(actions=["ssm:GetParameter"], resources=[origins.parameter_arn])
        )
        return {
            "DERIVASYS_API_KEYS": f"secretsmanager:{secrets.names['ApiKeys']}",
            "DERIVASYS_TLS": f"secretsmanager:{secrets.names['Tls']}",
            "DERIVASYS_ORIGINS": f"ssm:/{parts.config.prefix}/allowed-origins",
        }
    return {}
