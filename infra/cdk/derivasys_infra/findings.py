"""Findings of cdk-nag and checkov that are accepted, each with its reason."""

from __future__ import annotations

import aws_cdk as cdk
from constructs import IConstruct


def accept(construct: IConstruct, **reasons: str) -> None:
    """Accept cdk-nag rules on a construct: `CFR1="why"` stands for AwsSolutions-CFR1."""
    for rule, reason in reasons.items():
        _acknowledge(construct, rule, reason)


def accept_wildcard(construct: IConstruct, resource: str, reason: str) -> None:
    """Accept one resource with a wildcard in a role's policies (`AwsSolutions-IAM5`), by its exact text."""
    _acknowledge(construct, f"IAM5[Resource::{resource}]", reason)


def _acknowledge(construct: IConstruct, rule: str, reason: str) -> None:
    id = f"AwsSolutions::AwsSolutions-{rule}"
    cdk.Validations.of(construct).acknowledge(cdk.Acknowledgment(id=id, reason=reason))


def accept_checkov(construct: IConstruct, **reasons: str) -> None:
    """Accept checkov's checks on a resource: `CKV_AWS_18="why"`."""
    resource = construct if isinstance(construct, cdk.CfnResource) else construct.node.default_child
    assert isinstance(resource, cdk.CfnResource)
    metadata = resource.get_metadata("checkov") or {"skip": []}
    skips = metadata["skip"] + [{"id": check, "comment": why} for check, why in reasons.items()]
    resource.add_metadata("checkov", {"skip": skips})
