"""Network: three kinds of subnet, private endpoints, and who may speak to whom."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from derivasys_infra.config import Config

CIDR = "10.40.0.0/16"
GATEWAY_PORT = 8443
KAFKA_IAM_PORT = 9098
SERVICES = ("connector", "calibrator", "gateway", "recorder")
ENDPOINTS = {
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Ssm": ec2.InterfaceVpcEndpointAwsService.SSM,
}


class Network(cdk.Stack):
    """Connectors reach the internet through NAT; everything else has no way out of the VPC."""

    def __init__(
        self, scope: Construct, id: str, config: Config, key: kms.IKey, retention: logs.RetentionDays, **kwargs: object
    ) -> None:
        super().__init__(scope, id, **kwargs)
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(CIDR),
            availability_zones=config.availability_zones,
            nat_gateways=1 if config.environment == "dev" else len(config.availability_zones),
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="nat", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26, map_public_ip_on_launch=False
                ),
                ec2.SubnetConfiguration(name="venues", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=22),
                ec2.SubnetConfiguration(name="inner", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=20),
            ],
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
            flow_logs={
                "All": ec2.FlowLogOptions(
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                        logs.LogGroup(
                            self,
                            "FlowLogs",
                            retention=retention,
                            encryption_key=key,
                            removal_policy=cdk.RemovalPolicy.DESTROY,
                        )
                    )
                )
            },
        )
        self.inner = ec2.SubnetSelection(subnet_group_name="inner")
        self.outer = ec2.SubnetSelection(subnet_group_name="venues")
        self.groups = {name: self._group(name) for name in (*SERVICES, "alb", "endpoints", "kafka")}
        self._endpoints()
        self._rules(config)

    def _group(self, name: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, f"{name.title()}Group", vpc=self.vpc, description=f"DerivaSys {name}", allow_all_outbound=False
        )

    def _endpoints(self) -> None:
        for id, service in ENDPOINTS.items():
            self.vpc.add_interface_endpoint(
                id, service=service, subnets=self.inner, security_groups=[self.groups["endpoints"]], open=False
            )

    def _rules(self, config: Config) -> None:
        groups = self.groups
        https = ec2.Port.tcp(443)
        s3 = ec2.Peer.prefix_list(_s3_prefix_list(self, config))
        for name in SERVICES:
            groups["endpoints"].add_ingress_rule(groups[name], https, f"{name} to AWS")
            groups[name].add_egress_rule(groups["endpoints"], https, "AWS by private endpoints")
            groups[name].add_egress_rule(s3, https, "image layers and recordings, by the S3 endpoint")
            if config.stream.kind == "msk":
                groups["kafka"].add_ingress_rule(groups[name], ec2.Port.tcp(KAFKA_IAM_PORT), f"{name} to Kafka")
                groups[name].add_egress_rule(groups["kafka"], ec2.Port.tcp(KAFKA_IAM_PORT), "Kafka")
            else:
                port = int(config.stream.bootstrap_servers.rpartition(":")[2])
                groups[name].add_egress_rule(ec2.Peer.ipv4(config.stream.cidr), ec2.Port.tcp(port), "Kafka")
        groups["connector"].add_egress_rule(
            ec2.Peer.any_ipv4(), https, "venues: their addresses change, only the port is fixed"
        )
        groups["alb"].add_egress_rule(groups["gateway"], ec2.Port.tcp(GATEWAY_PORT), "gateways")
        groups["gateway"].add_ingress_rule(groups["alb"], ec2.Port.tcp(GATEWAY_PORT), "load balancer")
        # CloudFront's VPC origin has its interfaces inside the VPC, in a group that AWS makes at deployment; its
        # addresses are those of this network, never the internet's.
        groups["alb"].add_ingress_rule(ec2.Peer.ipv4(CIDR), https, "CloudFront's VPC origin")


def _s3_prefix_list(stack: cdk.Stack, config: Config) -> str:
    """Return the region's prefix list of S3, from the mapping AWS publishes (`describe-managed-prefix-lists`)."""
    table = {"eu-west-2": "pl-7ca54015", "eu-west-1": "pl-6da54004", "us-east-1": "pl-63a5400a"}
    assert config.region in table, f"add the S3 prefix list of {config.region}"
    return table[config.region]
