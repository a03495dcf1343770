"""Recording a run, and getting the very same surfaces out of it again."""

import json
import re
import subprocess
import sys
import time

import pytest

from tests.service.conftest import Up


def command(*arguments: str) -> subprocess.CompletedProcess:
    program = [sys.executable, "-m", "derivasys.cli", *arguments]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A recorded run of some seconds, and surfaces as they were published in it."""
    folder = tmp_path_factory.mktemp("recording")
    up = Up("--source", "simulated", "--ccy", "ETH", "--venue", "deribit", "--rate", "300", "--record", str(folder))
    published = []
    try:
        up.until(lambda: up.get("/surface/latest?ccy=ETH").status_code == 200)
        for _ in range(3):
            time.sleep(1.0)
            published.append(up.get("/surface/latest?ccy=ETH").json())
        status = up.get("/status").json()
        assert status["recorder"]["state"] == "recording"
        assert status["recorder"]["records"] > 500
    finally:
        up.stop()
    return folder, published


def test_any_published_surface_can_be_made_again(recorded):
    folder, published = recorded
    for live in published:
        result = command("fit", str(folder), "--at", str(live["ts"]), "--json")
        assert result.returncode == 0, result.stderr
        again = json.loads(result.stdout)
        assert (again["version"], again["ts"]) == (live["version"], live["ts"])
        for one in again["smiles"]:
            del one["quotes"]
        assert again["smiles"] == live["smiles"]


def test_replaying_twice_gives_the_same_bytes(recorded, tmp_path):
    folder, _ = recorded
    sums = []
    for name in ("a", "b"):
        result = command("replay", str(folder), "--speed", "max", "--out", str(tmp_path / name))
        assert result.returncode == 0, result.stderr
        sums.append(re.search(r"sha256 (\w+)", result.stdout)[1])
    assert sums[0] == sums[1]
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert b"svi_surface_patch" in (tmp_path / "a").read_bytes()


def test_a_recording_is_served_like_a_market(recorded):
    folder, published = recorded
    up = Up.of("replay", str(folder), "--speed", "4")
    try:
        body = up.until(lambda: (reply := up.get("/surface/latest?ccy=ETH")).status_code == 200 and reply.json())
        assert body["source"] == "replay"
        assert len(body["smiles"]) == len(published[0]["smiles"])
        status = up.until(lambda: up.get("/status").json())
        assert status["source"]["kind"] == "replay"
    finally:
        up.stop()


def test_record_alone_keeps_frames_that_replay(tmp_path):
    result = command(
        "record", str(tmp_path), "--source", "simulated", "--ccy", "ETH", "--venue", "deribit", "--seconds", "4"
    )
    assert result.returncode == 0, result.stderr
    assert " 0 lost" in result.stdout
    result = command("replay", str(tmp_path), "--speed", "max")
    assert result.returncode == 0, result.stderr
    assert int(re.search(r"(\d+) surfaces", result.stdout)[1]) > 20


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("replay", "/nonexistent"), "no recording there"),
        (("replay", "/nonexistent", "--speed", "fast"), "--speed fast: a number or max"),
        (("fit", "/nonexistent", "--at", "2026-03-13"), "no recording there"),
        (("replay", "/nonexistent", "--from", "soon"), "--from: 'soon' is not ISO 8601"),
    ],
)
def test_what_is_no_recording_is_one_clear_line(arguments, says):
    result = command(*arguments)
    assert result.returncode == 2
    assert says in result.stderr
    assert "Traceback" not in result.stderr
