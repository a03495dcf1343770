"""Runtime: the services on Fargate, the inner load balancer, and CloudFront's way to it."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_applicationautoscaling as appscaling
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_route53 as route53
from constructs import Construct

from derivasys_infra.catalogue import catalogue
from derivasys_infra.config import Config
from derivasys_infra.data import Data
from derivasys_infra.live import add_live
from derivasys_infra.network import GATEWAY_PORT, Network
from derivasys_infra.observability import Observability
from derivasys_infra.secrets import Secrets
from derivasys_infra.stream import Stream
from derivasys_infra.task import Parts, service, task

DEREGISTRATION_S = 60
"""The load balancer stops sending; below the drain of the process (90 s) and ECS's kill (`task.STOP_S`)."""
IDLE_S = 120
"""Above the server's ping (20 s) with room to spare."""
COOL_IN_S, COOL_OUT_S = 300, 60


class Runtime(cdk.Stack):
    """Cluster, services, load balancer, live distribution."""

    def __init__(
        self, scope: Construct, id: str, config: Config, *, network: Network, secrets: Secrets, data: Data,
        observability: Observability, stream: Stream | None, **kwargs: object,
    ) -> None:  # fmt: skip
        super().__init__(scope, id, **kwargs)
        self.config = config
        self.network = network
        cluster = ecs.Cluster(
            self,
            "Cluster",
            cluster_name=config.prefix,
            vpc=network.vpc,
            container_insights_v2=ecs.ContainerInsights.ENABLED,
            enable_fargate_capacity_providers=True,
        )
        self.parts = Parts(config, cluster, network, secrets, data, observability, stream)
        self._connectors()
        self._calibrator()
        self._recorder()
        self._canary()
        task(self, self.parts, "topics", ["topics", "apply"], tasks=config.services.recorder)
        gateway = self._gateway()
        balancer = self._balancer(gateway, data)
        add_live(self, config, balancer, data.logs_bucket)

    def _connectors(self) -> None:
        config, parts = self.config, self.parts
        for venue, ccys in config.venues.items():
            arguments = ["serve", "connector", "--venue", venue]
            for ccy in ccys:
                arguments += ["--ccy", ccy]
            definition = task(
                self, parts, "connector", arguments, name=f"connector-{venue}", tasks=config.services.connector,
                writes=(f"raw.{venue}", "quotes", "status", "dead-letter"), venue=venue,
            )  # fmt: skip
            service(
                self, parts, definition, f"connector-{venue}", "connector", config.services.connector, is_outer=True
            )

    def _calibrator(self) -> None:
        sizes = self.config.services.calibrator
        definition = task(
            self, self.parts, "calibrator", ["serve", "calibrator"], tasks=sizes, reads=("quotes",), group="calibrators",
            writes=("surfaces", "patches", "status", "dead-letter"), transactions="calibrator-*",
        )  # fmt: skip
        made = service(self, self.parts, definition, "calibrator", "calibrator", sizes)
        scaling = made.auto_scale_task_count(min_capacity=sizes.tasks_min, max_capacity=sizes.tasks_max)
        scaling.scale_on_metric(
            "OnLag",
            metric=self._metric("TopicLag", "calibrator", Topic="quotes"),
            scaling_steps=[
                appscaling.ScalingInterval(upper=100, change=-1),
                appscaling.ScalingInterval(lower=self.config.observability.topic_lag_max / 2, change=1),
            ],
            adjustment_type=appscaling.AdjustmentType.CHANGE_IN_CAPACITY,
            evaluation_periods=3,
            cooldown=cdk.Duration.seconds(COOL_IN_S),
        )

    def _recorder(self) -> None:
        config, sizes = self.config, self.config.services.recorder
        raw = tuple(f"raw.{venue}" for venue in config.venues)
        definition = task(
            self, self.parts, "recorder", ["serve", "recorder", "--data", "/data"], tasks=sizes,
            reads=raw, group="recorder", data=True,
        )  # fmt: skip
        address = self.parts.data.permit_recording(definition.task_role)
        definition.default_container.add_environment("DERIVASYS_RECORDINGS", address)
        service(self, self.parts, definition, "recorder", "recorder", sizes)

    def _canary(self) -> None:
        config = self.config
        sizes = config.services.recorder
        definition = task(
            self, self.parts, "canary", ["canary", f"wss://{config.names.live}/ws", "--every", "60", "--live"],
            tasks=sizes, is_server=False,
        )  # fmt: skip
        service(self, self.parts, definition, "canary", "connector", sizes, is_outer=True)

    def _gateway(self) -> ecs.FargateService:
        _config, sizes = self.config, self.config.services.gateway
        arguments = ["serve", "gateway", "--host", "0.0.0.0", "--port", str(GATEWAY_PORT)]
        definition = task(
            self, self.parts, "gateway", arguments, tasks=sizes, port=GATEWAY_PORT,
            reads=("surfaces", "patches", "status"), group="gateway-*",
        )  # fmt: skip
        made = service(self, self.parts, definition, "gateway", "gateway", sizes)
        scaling = made.auto_scale_task_count(min_capacity=sizes.tasks_min, max_capacity=sizes.tasks_max)
        for id, metric, target in (
            ("OnConnections", "Connections", sizes.connections_per_task),
            ("OnEgress", "EgressBytesPerSecond", sizes.egress_bytes_per_s_per_task),
        ):
            scaling.scale_to_track_custom_metric(
                id,
                metric=self._metric(metric, "gateway"),
                target_value=target,
                scale_in_cooldown=cdk.Duration.seconds(COOL_IN_S),
                scale_out_cooldown=cdk.Duration.seconds(COOL_OUT_S),
            )
        return made

    def _metric(self, name: str, service: str, **dimensions: str) -> cloudwatch.Metric:
        """Return the average over the service's tasks."""
        assert set(dimensions) == set(catalogue.BY_NAME[name].dimensions), name
        return cloudwatch.Metric(
            namespace=f"{catalogue.NAMESPACE}/{self.config.environment}",
            metric_name=name,
            dimensions_map={"Service": service, **dimensions},
            statistic="Average",
            period=cdk.Duration.seconds(60),
        )

    def _balancer(self, gateway: ecs.FargateService, data: Data) -> elb.ApplicationLoadBalancer:
        config = self.config
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=config.names.zone_id, zone_name=config.names.zone
        )
        certificate = acm.Certificate(
            self, "LiveCertificate", domain_name=config.names.live, validation=acm.CertificateValidation.from_dns(zone)
        )
        balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            vpc=self.network.vpc,
            vpc_subnets=self.network.inner,
            internet_facing=False,
            security_group=self.network.groups["alb"],
            idle_timeout=cdk.Duration.seconds(IDLE_S),
            drop_invalid_header_fields=True,
            deletion_protection=config.deletion_protection,
            desync_mitigation_mode=elb.DesyncMitigationMode.STRICTEST,
        )
        balancer.log_access_logs(data.logs_bucket, "alb")
        listener = balancer.add_listener(
            "Https",
            port=443,
            protocol=elb.ApplicationProtocol.HTTPS,
            certificates=[certificate],
            ssl_policy=elb.SslPolicy.TLS13_RES,
            open=False,
        )
        listener.add_targets(
            "Gateways",
            port=GATEWAY_PORT,
            protocol=elb.ApplicationProtocol.HTTPS,
            targets=[gateway],
            deregistration_delay=cdk.Duration.seconds(DEREGISTRATION_S),
            load_balancing_algorithm_type=elb.TargetGroupLoadBalancingAlgorithmType.LEAST_OUTSTANDING_REQUESTS,
            # Liveness only: were stale venues to count, ECS would kill every gateway for what they cannot mend.
            health_check=elb.HealthCheck(
                path="/healthz",
                protocol=elb.Protocol.HTTPS,
                interval=cdk.Duration.seconds(10),
                timeout=cdk.Duration.seconds(5),
                healthy_threshold_count=2,
                unhealthy_threshold_count=3,
            ),
        )
        return balancer
