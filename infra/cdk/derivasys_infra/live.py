"""The live host: CloudFront → VPC origin → inner load balancer. Nothing is cached; sockets pass through."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from derivasys_infra.config import Config
from derivasys_infra.findings import accept


def add_live(
    scope: Construct, config: Config, balancer: elb.ApplicationLoadBalancer, logs_bucket: s3.IBucket
) -> cloudfront.Distribution:
    """Add the distribution of the live host and its names."""
    names = config.names
    # The viewer's Host is passed on, so that the load balancer's certificate is checked against the live host.
    origin = origins.VpcOrigin.with_application_load_balancer(
        balancer,
        protocol_policy=cloudfront.OriginProtocolPolicy.HTTPS_ONLY,
        origin_ssl_protocols=[cloudfront.OriginSslPolicy.TLS_V1_2],
        keepalive_timeout=cdk.Duration.seconds(60),
        read_timeout=cdk.Duration.seconds(60),
    )
    distribution = cloudfront.Distribution(
        scope,
        "Live",
        domain_names=[names.live],
        certificate=acm.Certificate.from_certificate_arn(scope, "ViewerCertificate", names.viewer_certificate_arn),
        http_version=cloudfront.HttpVersion.HTTP2_AND_3,
        minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
        web_acl_id=names.web_acl_arn,
        enable_logging=True,
        log_bucket=logs_bucket,
        log_file_prefix="cloudfront-live/",
        default_behavior=cloudfront.BehaviorOptions(
            origin=origin,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER,
            response_headers_policy=cloudfront.ResponseHeadersPolicy.SECURITY_HEADERS,
            compress=False,
        ),
    )
    accept(distribution, CFR1="the market is worldwide: no country is shut out")
    zone = route53.HostedZone.from_hosted_zone_attributes(
        scope, "LiveZone", hosted_zone_id=names.zone_id, zone_name=names.zone
    )
    target = route53.RecordTarget.from_alias(targets.CloudFrontTarget(distribution))
    route53.ARecord(scope, "LiveA", zone=zone, record_name=names.live, target=target)
    route53.AaaaRecord(scope, "LiveAaaa", zone=zone, record_name=names.live, target=target)
    return distribution
