"""What tasks and pods run is what the program understands: its own parser and settings are asked."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PYTHON = ROOT / ".venv" / "bin" / "python"
GOLDEN = ROOT / "infra" / "helm" / "tests" / "golden"
ASK = """
import json, sys
from derivasys.cli import _parser
from derivasys.settings import NOT_OURS, Settings
told = json.load(sys.stdin)
for arguments in told["commands"]:
    _parser().parse_args(arguments)
known = {"DERIVASYS_" + name.upper() for name in Settings.__struct_fields__} | set(NOT_OURS)
strange = [name for name in told["variables"] if name not in known and not name.startswith("DERIVASYS_CREDENTIALS_")]
sys.exit(f"unknown variables: {strange}" if strange else 0)
"""


def ask(commands: list[list[str]], variables: set[str]) -> subprocess.CompletedProcess[str]:
    if not PYTHON.is_file():
        if os.environ.get("CI") == "true":
            raise AssertionError(f"{PYTHON} is not there: run `make setup`")
        pytest.skip(f"{PYTHON} is not there: run `make setup`")
    told = json.dumps({"commands": commands, "variables": sorted(variables)})
    return subprocess.run([PYTHON, "-c", ASK], input=told, capture_output=True, text=True, timeout=120, check=False)


def ours(names) -> set[str]:
    return {name for name in names if name.startswith("DERIVASYS_")}


def test_tasks_run_commands_that_exist(assemblies):
    commands, variables = [], set()
    for assembly in assemblies.values():
        for _, _, task in assembly.resources("AWS::ECS::TaskDefinition"):
            for container in task["ContainerDefinitions"]:
                commands.append(container["Command"])
                variables |= ours(each["Name"] for each in container["Environment"])
                if "HealthCheck" in container:
                    kind, program, *arguments = container["HealthCheck"]["Command"]
                    assert (kind, program) == ("CMD", "derivasys")
                    commands.append(arguments)
    assert len(commands) > 15
    done = ask(commands, variables)
    assert done.returncode == 0, done.stderr


def test_pods_run_commands_that_exist():
    commands, variables = [], set()
    for path in GOLDEN.glob("*.yaml"):
        for manifest in yaml.safe_load_all(path.read_text()):
            for container in manifest.get("spec", {}).get("template", {}).get("spec", {}).get("containers", []):
                commands.append([str(each) for each in container["args"]])
                variables |= ours(each["name"] for each in container.get("env", []))
    assert len(commands) > 10
    done = ask(commands, variables)
    assert done.returncode == 0, done.stderr


def test_a_command_that_does_not_exist_is_noticed():
    assert ask([["serve", "recorder", "--folder", "/data"]], set()).returncode == 2
    assert "DERIVASYS_LOGS" in ask([], {"DERIVASYS_LOGS"}).stderr
