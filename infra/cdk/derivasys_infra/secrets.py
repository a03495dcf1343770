"""Secrets: the key that everything is encrypted with, the secrets (empty until filled by hand), the parameters."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from derivasys_infra.config import Config
from derivasys_infra.findings import accept

_BY_HAND = "given by the venue or an operator: replaced by hand, read again by the services within minutes"


class Secrets(cdk.Stack):
    """`credentials` by venue; `api_keys` holds the hashes of the gateway's keys."""

    def __init__(self, scope: Construct, id: str, config: Config, **kwargs: object) -> None:
        super().__init__(scope, id, **kwargs)
        self.key = kms.Key(
            self,
            "Key",
            alias=f"alias/{config.prefix}",
            enable_key_rotation=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            description=f"Secrets, logs, recordings, images and alarms of {config.prefix}",
        )
        self._let_services_encrypt(config)
        self.names: dict[str, str] = {}
        """By construct id: what the services ask for."""
        self.credentials = {
            venue: self._secret(f"{config.prefix}/exchange/{venue}", f"Exchange{venue.title()}")
            for venue in config.credentials.venues
        }
        self.api_keys = self._secret(f"{config.prefix}/gateway/api-keys", "ApiKeys")
        # Between load balancer and gateway; the balancer does not check the name, so a certificate of one's own will do.
        self.tls = self._secret(f"{config.prefix}/gateway/tls", "Tls")
        self.parameters = {
            name: ssm.StringParameter(
                self,
                f"Parameter{name.title().replace('-', '')}",
                parameter_name=f"/{config.prefix}/{name}",
                string_value=value,
            )
            for name, value in (("allowed-origins", f"https://{config.names.site}"), ("log-level", "INFO"))
        }

    def _secret(self, name: str, id: str) -> secretsmanager.Secret:
        self.names[id] = name
        secret = secretsmanager.Secret(
            self,
            id,
            secret_name=name,
            encryption_key=self.key,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            # Random until an operator replaces it: nothing that works is ever in a template.
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template='{"unset": true}', generate_string_key="placeholder", exclude_punctuation=True
            ),
        )
        accept(secret, SMG4=_BY_HAND)
        return secret

    def permit_reading(self, role: iam.IRole, *secrets: secretsmanager.Secret) -> None:
        """Let a role read these secrets, in the role's own policy: the key's policy would tie the stacks in a ring."""
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["secretsmanager:GetSecretValue"], resources=[secret.secret_arn for secret in secrets]
            )
        )
        role.add_to_principal_policy(
            iam.PolicyStatement(
                actions=["kms:Decrypt"],
                resources=[self.key.key_arn],
                conditions={"StringEquals": {"kms:ViaService": f"secretsmanager.{self.region}.amazonaws.com"}},
            )
        )

    def _let_services_encrypt(self, config: Config) -> None:
        logs = iam.ServicePrincipal(f"logs.{config.region}.amazonaws.com")
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[logs],
                actions=["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"],
                resources=["*"],
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{config.region}:{config.account}:log-group:*"
                    }
                },
            )
        )
        self.key.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("cloudwatch.amazonaws.com")],
                actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                resources=["*"],
                conditions={"StringEquals": {"aws:SourceAccount": config.account}},
            )
        )
