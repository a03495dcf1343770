"""Edge (us-east-1, where CloudFront looks): the viewers' certificate and the web ACL, both by ARN in the settings."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_logs as logs
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from derivasys_infra.config import Config
from derivasys_infra.findings import accept_checkov

REQUESTS_PER_5_MIN_MAX = 2000
"""By address; a browser makes a few dozen requests and one socket."""


class Edge(cdk.Stack):
    """Deployed before the rest; its outputs go into the settings file."""

    def __init__(self, scope: Construct, id: str, config: Config, **kwargs: object) -> None:
        super().__init__(scope, id, **kwargs)
        names = config.names
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=names.zone_id, zone_name=names.zone
        )
        certificate = acm.Certificate(
            self,
            "Certificate",
            domain_name=names.site,
            subject_alternative_names=[*names.aliases, names.live],
            validation=acm.CertificateValidation.from_dns(zone),
            key_algorithm=acm.KeyAlgorithm.EC_PRIME256_V1,
        )
        # Only Amazon may issue certificates for the zone's names.
        if config.environment == "prod":
            route53.CaaAmazonRecord(self, "Caa", zone=zone)
        web_acl = self._web_acl(config)
        cdk.CfnOutput(self, "ViewerCertificateArn", value=certificate.certificate_arn)
        cdk.CfnOutput(self, "WebAclArn", value=web_acl.attr_arn)

    def _web_acl(self, config: Config) -> waf.CfnWebACL:
        def visible(name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
            return waf.CfnWebACL.VisibilityConfigProperty(
                cloud_watch_metrics_enabled=True, metric_name=f"{config.prefix}-{name}", sampled_requests_enabled=True
            )

        def managed(priority: int, name: str) -> waf.CfnWebACL.RuleProperty:
            group = waf.CfnWebACL.ManagedRuleGroupStatementProperty(vendor_name="AWS", name=name)
            return waf.CfnWebACL.RuleProperty(
                name=name,
                priority=priority,
                statement=waf.CfnWebACL.StatementProperty(managed_rule_group_statement=group),
                override_action=waf.CfnWebACL.OverrideActionProperty(none={}),
                visibility_config=visible(name),
            )

        rate = waf.CfnWebACL.RateBasedStatementProperty(limit=REQUESTS_PER_5_MIN_MAX, aggregate_key_type="IP")
        acl = waf.CfnWebACL(
            self,
            "WebAcl",
            name=config.prefix,
            scope="CLOUDFRONT",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=visible("all"),
            rules=[
                waf.CfnWebACL.RuleProperty(
                    name="rate",
                    priority=0,
                    statement=waf.CfnWebACL.StatementProperty(rate_based_statement=rate),
                    action=waf.CfnWebACL.RuleActionProperty(block={}),
                    visibility_config=visible("rate"),
                ),
                managed(1, "AWSManagedRulesAmazonIpReputationList"),
                managed(2, "AWSManagedRulesCommonRuleSet"),
                managed(3, "AWSManagedRulesKnownBadInputsRuleSet"),
            ],
        )
        # WAF accepts only groups whose name begins so.
        group = logs.LogGroup(
            self, "WafLogs", log_group_name=f"aws-waf-logs-{config.prefix}", retention=_retention(config)
        )
        accept_checkov(
            group,
            CKV_AWS_158="the key lives in another region; WAF logs hold no secrets and are encrypted by the service",
        )
        waf.CfnLoggingConfiguration(
            self,
            "WafLogging",
            resource_arn=acl.attr_arn,
            log_destination_configs=[
                cdk.Stack.of(self).format_arn(
                    service="logs",
                    resource="log-group",
                    resource_name=group.log_group_name,
                    arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
                )
            ],
            redacted_fields=[
                waf.CfnLoggingConfiguration.FieldToMatchProperty(single_header={"Name": name})
                for name in ("authorization", "x-api-key", "sec-websocket-protocol", "cookie")
            ],
        )
        return acl


def _retention(config: Config) -> logs.RetentionDays:
    days = config.observability.retention_days
    return logs.RetentionDays.TWO_WEEKS if days <= 14 else logs.RetentionDays.THREE_MONTHS
