"""Data: recordings, access logs and the image repository."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from constructs import Construct

from derivasys_infra.config import Config
from derivasys_infra.findings import accept, accept_checkov, accept_wildcard


class Data(cdk.Stack):
    """What is kept: never deleted with the stack."""

    def __init__(self, scope: Construct, id: str, config: Config, key: kms.IKey, **kwargs: object) -> None:
        super().__init__(scope, id, **kwargs)
        self.config, self.key = config, key
        self.logs_bucket = self._logs_bucket()
        self.recordings = s3.Bucket(
            self,
            "Recordings",
            bucket_name=f"{config.prefix}-recordings-{config.account}",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=key,
            bucket_key_enabled=True,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            server_access_logs_bucket=self.logs_bucket,
            server_access_logs_prefix="s3-recordings/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    transitions=[
                        s3.Transition(
                            storage_class=s3.StorageClass.INFREQUENT_ACCESS,
                            transition_after=cdk.Duration.days(config.data.recordings_cold_days),
                        )
                    ],
                    expiration=cdk.Duration.days(config.data.recordings_days),
                    noncurrent_version_expiration=cdk.Duration.days(30),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
        )
        self.repository = ecr.Repository(
            self,
            "Images",
            repository_name=config.prefix,
            image_scan_on_push=True,
            image_tag_mutability=ecr.TagMutability.IMMUTABLE,
            encryption=ecr.RepositoryEncryption.KMS,
            encryption_key=key,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[ecr.LifecycleRule(max_image_count=50, description="the last fifty builds")],
        )
        cdk.CfnOutput(self, "RecordingsBucket", value=self.recordings.bucket_name)
        cdk.CfnOutput(self, "RepositoryUri", value=self.repository.repository_uri)

    def permit_recording(self, role: iam.IRole) -> str:
        """Let a role add objects below raw/, and nothing else; return the address to write to."""
        arn = f"arn:aws:s3:::{self.config.prefix}-recordings-{self.config.account}/raw/*"
        role.add_to_principal_policy(iam.PolicyStatement(actions=["s3:PutObject"], resources=[arn]))
        accept_wildcard(role, arn, "a run is named by its start")
        role.add_to_principal_policy(
            iam.PolicyStatement(
                # Segments are sent whole (PutObject): parts would need kms:Decrypt too.
                actions=["kms:GenerateDataKey"],
                resources=[self.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"s3.{self.region}.amazonaws.com"}},
            )
        )
        return f"s3://{self.config.prefix}-recordings-{self.config.account}/raw"

    def _logs_bucket(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "AccessLogs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            # CloudFront's standard logs are delivered with an ACL.
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_PREFERRED,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            lifecycle_rules=[
                s3.LifecycleRule(
                    expiration=cdk.Duration.days(90),
                    noncurrent_version_expiration=cdk.Duration.days(7),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
        )
        accept(bucket, S1="it takes the access logs: logging itself would never end")
        accept_checkov(bucket, CKV_AWS_18="it takes the access logs: logging itself would never end")
        return bucket
