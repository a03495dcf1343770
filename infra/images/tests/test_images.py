"""What builds and starts the services' image, checked without building it (`make images` does)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

IMAGES = Path(__file__).parents[1]
ROOT = IMAGES.parents[1]
TOOLS = Path(sys.executable).parent


def hidden(dockerfile: str, ignore: str) -> list[str]:
    """Return what a Dockerfile copies from the tree that .dockerignore (all, but for what follows) keeps out."""
    first, *rest = [line for line in ignore.splitlines() if line]
    assert first == "*"
    shown = [line[1:] for line in rest if line.startswith("!")]
    copied = [
        source
        for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile, re.MULTILINE)
        for source in [word for word in line.split() if not word.startswith("--")][:-1]
    ]
    return [path for path in copied if not any(path == one or path.startswith(f"{one}/") for one in shown)]


def test_the_build_sees_what_it_copies():
    dockerfile, ignore = (IMAGES / "Dockerfile").read_text(), (ROOT / ".dockerignore").read_text()
    assert hidden(dockerfile, ignore) == []
    assert hidden(dockerfile, ignore.replace("!requirements/cloud.txt\n", "")) == ["requirements/cloud.txt"]


@pytest.mark.parametrize(("mutation", "code"), [(("", ""), 0), (("rm -rf", "sudo rm -rf"), 1)])
def test_hadolint_finds_nothing(mutation, code):
    text = (IMAGES / "Dockerfile").read_text().replace(*mutation)
    done = subprocess.run([TOOLS / "hadolint", "-"], input=text, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout


@pytest.mark.parametrize(("mutation", "code"), [(("", ""), 0), (("read_only:", "readonly:"), 1)])
def test_the_compose_file_is_one(tmp_path, mutation, code):
    (tmp_path / "compose.yaml").write_text((IMAGES / "compose.yaml").read_text().replace(*mutation))
    command = [TOOLS / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", tmp_path / "compose.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout


def test_composed_services_are_hardened():
    services = yaml.safe_load((IMAGES / "compose.yaml").read_text())["services"]
    ours = {name: service for name, service in services.items() if name != "kafka"}
    assert len(ours) > 5
    for name, service in ours.items():
        assert service["user"] == "10001:10001", name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
