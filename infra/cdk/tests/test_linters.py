"""cfn-lint and checkov over everything synthesised; what is ignored is listed here with its reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOV = Path(__file__).parents[2] / ".venv-checkov" / "bin" / "checkov"
IGNORED_BY_CFN_LINT = {
    "W3005": "the CDK states a dependency that a reference implies already: harmless, and not ours to change",
    "W3010": "zones come from the settings file, so that synthesis asks no account for them",
}


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_cfn_lint_finds_nothing(assemblies, name):
    assembly = assemblies[name]
    command = [
        str(Path(sys.executable).with_name("cfn-lint")),
        "--format",
        "json",
        "--ignore-checks",
        *IGNORED_BY_CFN_LINT,
        "--",
    ]
    done = subprocess.run(
        [*command, *map(str, sorted(assembly.folder.glob("*.template.json")))],
        capture_output=True,
        text=True,
        timeout=200,
    )
    found = json.loads(done.stdout or "[]")
    assert [(one["Rule"]["Id"], one["Message"], one["Filename"]) for one in found] == []
    assert done.returncode == 0, done.stderr


def test_checkov_finds_nothing_and_every_exception_is_used(assemblies):
    if not CHECKOV.is_file():
        if os.environ.get("CI") == "true":
            raise AssertionError("checkov is not installed: run `make infra-setup`")
        pytest.skip("checkov is not installed: `make infra-setup` installs it")
    used, passed = set(), 0
    for assembly in (assemblies["dev"], assemblies["prod"]):
        done = subprocess.run(
            [str(CHECKOV), "-d", str(assembly.folder), "--framework", "cloudformation", "--skip-download", "-o", "json"],
            capture_output=True, text=True, timeout=280,
        )  # fmt: skip
        report = json.loads(done.stdout)
        failed = [(one["check_id"], one["resource"]) for one in report["results"]["failed_checks"]]
        assert failed == []
        assert report["summary"]["parsing_errors"] == 0
        passed += report["summary"]["passed"]
        used |= {(one["check_id"], one["resource"].partition(".")[2]) for one in report["results"]["skipped_checks"]}
    assert passed > 500
    accepted = {
        (skip["id"], id)
        for assembly in (assemblies["dev"], assemblies["prod"])
        for template in assembly.templates.values()
        for id, resource in template["Resources"].items()
        for skip in resource.get("Metadata", {}).get("checkov", {}).get("skip", [])
    }
    assert accepted == used
