"""Site: the page, from a private bucket through CloudFront."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_route53_targets as targets
from aws_cdk import aws_s3 as s3
from constructs import Construct

from derivasys_infra.config import Config
from derivasys_infra.findings import accept

FUNCTION = Path(__file__).with_name("viewer_request.js")
PERMISSIONS = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), interest-cohort=()"


def viewer_request(config: Config) -> str:
    """Return the CloudFront function's code for this environment."""
    return FUNCTION.read_text().replace("@CANONICAL_HOST@", config.names.site)


def content_security_policy(config: Config) -> str:
    """Return the page's policy: its own files, and the live host."""
    live = config.names.live
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "worker-src 'self'",
            "style-src 'self' 'unsafe-inline'",  # charts set style attributes
            "img-src 'self' data:",
            "font-src 'self'",
            f"connect-src 'self' wss://{live} https://{live}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
            "upgrade-insecure-requests",
        )
    )


class Site(cdk.Stack):
    """Bucket, distribution and names of the page."""

    def __init__(self, scope: Construct, id: str, config: Config, logs_bucket: s3.IBucket, **kwargs: object) -> None:
        super().__init__(scope, id, **kwargs)
        names = config.names
        self.bucket = s3.Bucket(
            self,
            "Bucket",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            encryption=s3.BucketEncryption.S3_MANAGED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            removal_policy=cdk.RemovalPolicy.RETAIN,
            server_access_logs_bucket=logs_bucket,
            server_access_logs_prefix="s3-site/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    noncurrent_version_expiration=cdk.Duration.days(30),
                    abort_incomplete_multipart_upload_after=cdk.Duration.days(1),
                )
            ],
        )
        self.distribution = self._distribution(config, logs_bucket)
        zone = route53.HostedZone.from_hosted_zone_attributes(
            self, "Zone", hosted_zone_id=names.zone_id, zone_name=names.zone
        )
        target = route53.RecordTarget.from_alias(targets.CloudFrontTarget(self.distribution))
        for at, host in enumerate((names.site, *names.aliases)):
            for kind in (route53.ARecord, route53.AaaaRecord):
                kind(self, f"{kind.__name__}{at}", zone=zone, record_name=host, target=target)
        cdk.CfnOutput(self, "BucketName", value=self.bucket.bucket_name)
        cdk.CfnOutput(self, "DistributionId", value=self.distribution.distribution_id)

    def _distribution(self, config: Config, logs_bucket: s3.IBucket) -> cloudfront.Distribution:
        names = config.names
        function = cloudfront.Function(
            self,
            "ViewerRequest",
            code=cloudfront.FunctionCode.from_inline(viewer_request(config)),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
        )
        # The objects' own cache-control decides: hashed assets for a year, index.html and config.json not at all.
        caching = cloudfront.CachePolicy(
            self,
            "Caching",
            min_ttl=cdk.Duration.seconds(0),
            default_ttl=cdk.Duration.seconds(0),
            max_ttl=cdk.Duration.days(365),
            enable_accept_encoding_brotli=True,
            enable_accept_encoding_gzip=True,
        )
        distribution = cloudfront.Distribution(
            self,
            "Distribution",
            domain_names=[names.site, *names.aliases],
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", names.viewer_certificate_arn),
            default_root_object="index.html",
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            web_acl_id=names.web_acl_arn,
            enable_logging=True,
            log_bucket=logs_bucket,
            log_file_prefix="cloudfront-site/",
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(self.bucket),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                allowed_methods=cloudfront.AllowedMethods.ALLOW_GET_HEAD,
                compress=True,
                cache_policy=caching,
                response_headers_policy=self._headers(config),
                function_associations=[
                    cloudfront.FunctionAssociation(
                        function=function, event_type=cloudfront.FunctionEventType.VIEWER_REQUEST
                    )
                ],
            ),
        )
        accept(distribution, CFR1="the market is worldwide: no country is shut out")
        return distribution

    def _headers(self, config: Config) -> cloudfront.ResponseHeadersPolicy:
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            security_headers_behavior=cloudfront.ResponseSecurityHeadersBehavior(
                content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                    content_security_policy=content_security_policy(config), override=True
                ),
                content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
                frame_options=cloudfront.ResponseHeadersFrameOptions(
                    frame_option=cloudfront.HeadersFrameOption.DENY, override=True
                ),
                referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                    referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
                ),
                strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                    access_control_max_age=cdk.Duration.days(730), include_subdomains=True, override=True
                ),
            ),
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(
                custom_headers=[
                    cloudfront.ResponseCustomHeader(header=name, value=value, override=True)
                    for name, value in (
                        ("Permissions-Policy", PERMISSIONS),
                        ("Cross-Origin-Opener-Policy", "same-origin"),
                        ("Cross-Origin-Resource-Policy", "same-origin"),
                    )
                ]
            ),
        )
