"""Replaying a recording twice gives identical output bytes, from the raw frames to the messages of every channel."""

import hashlib
import subprocess
import sys

import orjson
import pytest
from tests.boards import CAPTURES, ROOT

from derivasys.pipeline import Pipeline
from derivasys.record import capture
from derivasys.testing.recordings import load_shipped
from derivasys.testing.session_recording import record_session
from derivasys.wire.feed import TABLES, Feed
from derivasys.wire.state import state_of
from derivasys.wire.table import merge
from derivasys.wire.variant import RATES_MS, Variant

CYCLE_NS = 50_000_000


def replay(frames: list[tuple[int, bytes]]) -> list[bytes]:
    """Push frames and drain every 50 ms of recorded time; return everything that clients of all rates would get."""
    pipeline = Pipeline()
    feeds: dict[str, Feed] = {}
    out: list[bytes] = []
    next_ns = frames[0][0]
    for recv_ns, payload in frames:
        while recv_ns >= next_ns:
            for surface in pipeline.drain(next_ns):
                feed = feeds.get(surface.ccy)
                if feed is None:
                    feed = feeds[surface.ccy] = Feed(surface.ccy, "replay")
                feed.update(state_of(surface))
                for rate_ms in RATES_MS:
                    feed.activate(Variant(rate_ms=rate_ms))
                out += [payload for payloads in feed.publish().values() for payload in payloads.values()]
            next_ns += CYCLE_NS
        pipeline.push("deribit", payload, recv_ns)
    out += [feed.snapshot(Variant(rate_ms=50), channel) for feed in feeds.values() for channel in TABLES]
    return out


@pytest.fixture(scope="module")
def session() -> list[tuple[int, bytes]]:
    return record_session(load_shipped("ETH"), seed=3, seconds=6.0, rate=600)


@pytest.fixture(scope="module")
def messages(session) -> list[bytes]:
    return replay(session)


def test_the_same_frames_give_the_same_bytes(session, messages):
    assert replay(session) == messages
    assert len(messages) > 300


def test_a_new_process_gives_the_same_bytes(messages):
    program = (
        "import hashlib, sys; sys.path.insert(0, sys.argv[1]);"
        "from tests.replay.test_replay import *;"
        "frames = record_session(load_shipped('ETH'), seed=3, seconds=6.0, rate=600);"
        "print(hashlib.sha256(b''.join(replay(frames))).hexdigest())"
    )
    printed = subprocess.run([sys.executable, "-c", program, str(ROOT)], capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == hashlib.sha256(b"".join(messages)).hexdigest()


def test_patches_lead_to_the_last_snapshot(messages):
    held: dict[str, dict] = {}
    decoded = [orjson.loads(message) for message in messages]
    for message in decoded[: -len(TABLES)]:
        kind = message["type"]
        if kind.endswith("_patch") and message["seq"] > 1:
            held[kind] = merge(held.get(kind, {}), message)
    assert held, "the stream moved"
    branch = {"svi_surface": "smiles", "smile_levels": "levels", "svi_tenor": "tenors", "svi_through": "cells"}
    for last in decoded[-len(TABLES) :]:
        name = last["type"].removesuffix("_snapshot")
        for row, fields in held[f"{name}_patch"].get(branch[name], {}).items():
            for field, value in fields.items():
                if not isinstance(value, dict):
                    assert last[branch[name]][row][field] == value


def test_a_real_capture_replays_to_the_same_bytes():
    files = [path for path in CAPTURES if "2021-04-17" in path.name]
    lines = [line for path in sorted(files) for line in capture.read(path.read_bytes().splitlines())]
    frames = [(line.recv_ns, line.payload) for line in lines if line.payload is not None and line.recv_ns is not None]
    assert len(frames) > 150
    first = replay(frames)
    assert first == replay(frames)
    assert {orjson.loads(message)["ccy"] for message in first} == {"BTC", "ETH"}
