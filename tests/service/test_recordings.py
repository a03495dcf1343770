"""Recording a run, and getting the very same surfaces out of it again."""

import functools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time

import pytest

from derivasys.record.segments import Kind, blocks, read
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


def test_what_kill_9_leaves_is_read_and_replayed(tmp_path):
    arguments = ("record", str(tmp_path), "--source", "simulated", "--ccy", "ETH", "--venue", "derive")
    program = [sys.executable, "-m", "derivasys.cli", *arguments, "--rate", "400"]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob("*.dvs")) or len(blocks(tmp_path)) < 4:
            assert time.monotonic() < deadline, "nothing was recorded"
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(10) == -signal.SIGKILL
    found = list(read(tmp_path))
    assert len(blocks(tmp_path)) >= 4
    assert sum(record.kind is Kind.RECEIVED for record in found) > 100
    assert any(record.kind is Kind.LISTING for record in found), "Derive lists over its socket"
    result = command("replay", str(tmp_path), "--speed", "max", "--from", str(found[-1].recv_ns // 1_000_000 - 1500))
    assert result.returncode == 0, result.stderr
    assert int(re.search(r"(\d+) surfaces", result.stdout)[1]) > 5, "the listing from before --from is known"


def full_at(folder, where, monkeypatch):
    """Let `derivasys up` meet a full disk: in a file system of a megabyte, or by a limit on the size of its files."""
    popen = subprocess.Popen
    if where == "quota":
        limit = functools.partial(resource.setrlimit, resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        monkeypatch.setattr(subprocess, "Popen", functools.partial(popen, preexec_fn=limit))
        return
    mount = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c"]
    mounted = f'mount -t tmpfs -o size=1m tmpfs "{folder}" && exec "$@"'
    tried = subprocess.run([*mount, mounted, "sh", "true"], capture_output=True, check=False) if shutil.which(
        "unshare"
    ) else None  # fmt: skip
    if tried is None or tried.returncode != 0:
        pytest.skip("this machine does not let a process mount a file system of its own")

    def inside(program, **options):
        return popen([*mount, mounted, "sh", *program], **options)

    monkeypatch.setattr(subprocess, "Popen", inside)


@pytest.mark.parametrize("where", ["quota", "file system"])
def test_a_full_disk_ends_the_recording_with_an_alarm_and_the_service_goes_on(tmp_path, monkeypatch, where):
    full_at(tmp_path, where, monkeypatch)
    up = Up("--source", "simulated", "--ccy", "ETH", "--venue", "deribit", "--rate", "3000", "--record", str(tmp_path))
    try:
        stopped = up.until(lambda: (now := up.get("/status").json())["recorder"]["state"] == "stopped" and now, 60)
        assert stopped["recorder"]["detail"] in ("No space left on device", "File too large")
        version = up.until(lambda: up.get("/surface/latest?ccy=ETH").json()["version"])
        up.until(lambda: up.get("/surface/latest?ccy=ETH").json()["version"] > version + 20)
        later = up.until(lambda: (now := up.get("/status").json())["recorder"]["lost"] > 500 and now)
        assert [venue["state"] for venue in later["venues"]] == ["live"]
        up.until(lambda: "derivasys_recorder_recording 0.0" in up.get("/metrics").text)
        assert any("recording to" in line and "stopped" in line for line in up.output)
    finally:
        assert up.stop() == 0
    if where == "quota":  # the small file system went with its process
        assert sum(1 for _ in read(tmp_path)) == later["recorder"]["records"]


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
