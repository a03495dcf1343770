"""Stream: Kafka as MSK, with TLS between all parties and IAM for who may do what."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_msk as msk
from constructs import Construct

from derivasys_infra.config import Config
from derivasys_infra.findings import accept_wildcard
from derivasys_infra.network import Network

KAFKA_VERSION = "3.9.x"
SERVER_PROPERTIES = {
    "auto.create.topics.enable": "false",
    "delete.topic.enable": "false",
    "min.insync.replicas": "2",
    "unclean.leader.election.enable": "false",
    "log.retention.hours": "24",
    # A calibrator that died is noticed within two seconds.
    "group.min.session.timeout.ms": "1500",
}
UUID_REASON = "the UUID that AWS appends to the cluster's name is known only after it is made"
WILDCARD_REASONS = {
    "*": "the one-off task makes every topic; it can read and write none",
    "calibrator-*": "one transactional id a partition",
    "gateway-*": "each gateway reads everything, so each has a group of its own",
}


class Stream(cdk.Stack):
    """The cluster, and the ARNs of its topics and groups."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        config: Config,
        *,
        network: Network,
        key: kms.IKey,
        log_group: logs.ILogGroup,
        **kwargs: object,
    ) -> None:
        super().__init__(scope, id, **kwargs)
        stream = config.stream
        properties = dict(SERVER_PROPERTIES)
        replicas = min(3, stream.brokers)
        properties["default.replication.factor"] = str(replicas)
        if replicas < 3:
            properties["min.insync.replicas"] = "1"
        server = msk.CfnConfiguration(
            self,
            "Configuration",
            name=config.prefix,
            server_properties="\n".join(f"{key}={value}" for key, value in properties.items()),
        )
        subnets = network.vpc.select_subnets(subnet_group_name="inner").subnet_ids
        self.cluster_name = config.prefix
        self.cluster = msk.CfnCluster(
            self,
            "Cluster",
            cluster_name=self.cluster_name,
            kafka_version=KAFKA_VERSION,
            number_of_broker_nodes=stream.brokers,
            configuration_info=msk.CfnCluster.ConfigurationInfoProperty(
                arn=server.attr_arn, revision=server.attr_latest_revision_revision
            ),
            broker_node_group_info=msk.CfnCluster.BrokerNodeGroupInfoProperty(
                client_subnets=subnets,
                instance_type=stream.broker_type,
                security_groups=[network.groups["kafka"].security_group_id],
                connectivity_info=msk.CfnCluster.ConnectivityInfoProperty(
                    public_access=msk.CfnCluster.PublicAccessProperty(type="DISABLED")
                ),
                storage_info=msk.CfnCluster.StorageInfoProperty(
                    ebs_storage_info=msk.CfnCluster.EBSStorageInfoProperty(volume_size=stream.volume_gib)
                ),
            ),
            client_authentication=msk.CfnCluster.ClientAuthenticationProperty(
                sasl=msk.CfnCluster.SaslProperty(iam=msk.CfnCluster.IamProperty(enabled=True)),
                unauthenticated=msk.CfnCluster.UnauthenticatedProperty(enabled=False),
            ),
            encryption_info=msk.CfnCluster.EncryptionInfoProperty(
                encryption_at_rest=msk.CfnCluster.EncryptionAtRestProperty(data_volume_kms_key_id=key.key_arn),
                encryption_in_transit=msk.CfnCluster.EncryptionInTransitProperty(client_broker="TLS", in_cluster=True),
            ),
            enhanced_monitoring="PER_TOPIC_PER_BROKER",
            logging_info=msk.CfnCluster.LoggingInfoProperty(
                broker_logs=msk.CfnCluster.BrokerLogsProperty(
                    cloud_watch_logs=msk.CfnCluster.CloudWatchLogsProperty(
                        enabled=True, log_group=log_group.log_group_name
                    )
                )
            ),
        )
        cdk.CfnOutput(self, "ClusterArn", value=self.cluster.attr_arn)

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:aws:kafka:{self.region}:{self.account}:{kind}/{self.cluster_name}/*/{name}"

    def permit(
        self, role: iam.IRole, *, reads: tuple[str, ...] = (), writes: tuple[str, ...] = (), group: str = "",
        transactions: str = "",
    ) -> None:  # fmt: skip
        """Let a role connect, read and write these topics, join this consumer group and use these transactional ids."""
        cluster = [self.cluster.attr_arn]
        self._allow(role, ["Connect", "DescribeCluster"], cluster)
        self._allow(role, ["DescribeTopic"], [self._arn("topic", topic) for topic in sorted({*reads, *writes})])
        if reads:
            self._allow(role, ["ReadData"], [self._arn("topic", topic) for topic in reads])
            self._allow(role, ["AlterGroup", "DescribeGroup"], [self._arn("group", group)])
        if writes:
            self._allow(role, ["WriteData"], [self._arn("topic", topic) for topic in writes])
            self._allow(role, ["WriteDataIdempotently"], cluster)
        if transactions:
            ids = [self._arn("transactional-id", transactions)]
            self._allow(role, ["AlterTransactionalId", "DescribeTransactionalId"], ids)

    def permit_administration(self, role: iam.IRole) -> None:
        """Let a role make and change topics (the one-off task `derivasys topics apply`), but read and write none."""
        self._allow(role, ["Connect", "DescribeCluster"], [self.cluster.attr_arn])
        actions = ["CreateTopic", "DescribeTopic", "DescribeTopicDynamicConfiguration", "AlterTopic",
                   "AlterTopicDynamicConfiguration"]  # fmt: skip
        self._allow(role, actions, [self._arn("topic", "*")])

    def _allow(self, role: iam.IRole, actions: list[str], resources: list[str]) -> None:
        actions = [f"kafka-cluster:{action}" for action in actions]
        role.add_to_principal_policy(iam.PolicyStatement(actions=actions, resources=resources))
        for resource in resources:
            if "*" in resource:
                accept_wildcard(role, resource, WILDCARD_REASONS.get(resource.rpartition("/")[2], UUID_REASON))
