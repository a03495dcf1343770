"""Who may do what. The listings beside this file are compared with the templates: a new right is seen in review.

`make infra-golden` writes them anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

LISTINGS = Path(__file__).parent / "roles"
WILDCARDS = {
    "ecr:GetAuthorizationToken *": "AWS ties the call to no resource",
    "topic/": "the UUID after the cluster's name is known only after it is made",
    "group/": "the UUID after the cluster's name is known only after it is made",
    "transactional-id/": "the UUID after the cluster's name is known only after it is made",
    "recordings-": "PutObject below raw/ only: a run is named by its start",
}
"""Part of a line with a wildcard → why it may have one."""


def _text(value) -> str:
    """Return a resource or principal as one readable string."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        (key, inner), *rest = value.items()
        assert not rest, value
        if key == "Ref":
            return f"<{inner}>"
        if key == "Fn::GetAtt":
            return f"<{inner[0]}.{inner[1]}>"
        if key == "Fn::Join":
            return inner[0].join(_text(part) for part in inner[1])
        if key == "Fn::ImportValue":
            return f"<{_text(inner)}>"
    raise AssertionError(value)


def _many(value) -> list:
    return value if isinstance(value, list) else [value]


def rights(assembly) -> list[str]:
    """Return `stack role action resource [condition]` for everything a role may do, in order."""
    lines = []
    for stack, _, policy in assembly.resources("AWS::IAM::Policy"):
        for role in policy["Roles"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert statement["Effect"] == "Allow"
                condition = json.dumps(statement["Condition"], sort_keys=True) if "Condition" in statement else ""
                for action in _many(statement["Action"]):
                    for resource in _many(statement["Resource"]):
                        line = f"{stack} {_text(role)} {action} {_text(resource)} {condition}"
                        lines.append(line.rstrip())
    return sorted(lines)


def test_each_roles_rights_are_those_listed(assembly):
    path = LISTINGS / f"{assembly.name}.txt"
    text = "\n".join(rights(assembly)) + "\n"
    if os.environ.get("INFRA_GOLDEN") == "write":
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert text == path.read_text(), "rights changed: look at them, then `make infra-golden`"


def test_no_wildcard_without_a_written_reason(assembly):
    for line in rights(assembly):
        _, _, action, resource = line.split(" ")[:4]
        assert "*" not in action, line
        if "*" in resource:
            assert any(part in f"{action} {resource}" for part in WILDCARDS), line


def test_every_reason_is_needed(assemblies):
    lines = [line for assembly in assemblies.values() for line in rights(assembly) if "*" in line]
    for part in WILDCARDS:
        assert any(part in line for line in lines), part


def test_no_role_has_a_managed_policy_or_a_foreign_master(assembly):
    for _, id, role in assembly.resources("AWS::IAM::Role"):
        assert not role.get("ManagedPolicyArns"), id
        for statement in role["AssumeRolePolicyDocument"]["Statement"]:
            assert set(statement["Principal"]) == {"Service"}, id
    assert not list(assembly.resources("AWS::IAM::User"))


@pytest.mark.parametrize("service", ["Calibrator", "Gateway", "Recorder", "Canary", "ConnectorOkx"])
def test_only_deribits_connector_reads_the_exchange_secret(assembly, service):
    for line in rights(assembly):
        if f"<{service}Task" in line:
            assert "ExchangeDeribit" not in line
