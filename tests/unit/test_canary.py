from __future__ import annotations

import orjson
import pytest
from websockets.asyncio.server import serve

from derivasys.canary import CHECKS, Limits, Visitor, report, visit
from derivasys.telemetry.registry import Telemetry

NOW = 1_700_000_000_000
SMILE = {
    "label": "13MAY26",
    "fit": {"state": "fitted"},
    "certificate": {"butterfly": "certified", "calendar": "certified", "lee": "certified"},
}


def surface(
    form: str, seq: int, smiles: dict, *, ts: int = NOW, epoch: str = "e", channel: str = "svi_surface"
) -> bytes:
    head = {"type": f"{channel}_{form}", "ts": ts, "ccy": "BTC", "epoch": epoch, "seq": seq, "version": seq}
    return orjson.dumps({**head, "smiles": smiles})


def status(kind: str = "live") -> bytes:
    return orjson.dumps({"type": "status", "ts": NOW, "source": {"kind": kind, "label": "x"}})


def judged(*messages: bytes, now_ms: int = NOW + 100, **limits) -> dict[str, list[str]]:
    visitor = Visitor("ws://x", Limits(**limits))
    for message in messages:
        visitor.take(message, now_ms)
    return visitor.end(now_ms).problems


def only(problems: dict[str, list[str]], check: str) -> str:
    """Return the one problem there is, which is of this check."""
    (told,) = problems[check]
    assert not any(problems[other] for other in CHECKS if other != check), problems
    return told


def test_a_good_stream_is_good():
    patch = surface("patch", 2, {"1": {"atm_vol": 44.0}})
    problems = judged(status(), surface("snapshot", 1, {"1": SMILE}), patch)
    assert not any(problems.values())


def test_an_old_surface_is_not_fresh():
    told = judged(surface("snapshot", 1, {"1": SMILE}), now_ms=NOW + 11_000, latency_ms_max=60_000)
    assert only(told, "freshness") == "the newest surface is 11.0 s old"


def test_late_messages_are_told():
    assert "3000 ms" in only(judged(surface("snapshot", 1, {"1": SMILE}), now_ms=NOW + 3000), "latency")


def test_a_gap_and_a_change_of_epoch_without_a_snapshot_are_told():
    first = surface("snapshot", 1, {"1": SMILE})
    assert "3 follows 1" in only(judged(first, surface("patch", 3, {})), "sequence")
    assert only(judged(first, surface("patch", 2, {}, epoch="f")), "sequence")
    assert only(judged(surface("patch", 5, {}, channel="svi_tenor"), first), "sequence").endswith("before any snapshot")
    assert not any(judged(first, surface("snapshot", 9, {"1": SMILE}, epoch="f")).values())


@pytest.mark.parametrize("proof", ["butterfly", "calendar", "lee"])
def test_a_smile_that_a_patch_makes_uncertified_is_told(proof):
    patch = surface("patch", 2, {"1": {"certificate": {proof: "violated"}}})
    assert only(judged(surface("snapshot", 1, {"1": SMILE}), patch), "certificate") == f"13MAY26: {proof} is violated"


def test_rejected_expiries_are_not_judged_but_one_must_be_fitted():
    rejected = {"label": "x", "fit": {"state": "rejected"}}
    assert not any(judged(surface("snapshot", 1, {"1": SMILE, "2": rejected})).values())
    assert only(judged(surface("snapshot", 1, {"2": rejected})), "certificate") == "no expiry is fitted"
    removed = surface("patch", 2, {"1": None, "2": rejected})
    assert only(judged(surface("snapshot", 1, {"1": SMILE}), removed), "certificate")


def test_a_simulation_is_judged_on_its_own_clock_and_refused_where_the_market_is_wanted():
    old = surface("snapshot", 1, {"1": SMILE}, ts=NOW - 10**9)
    assert not any(judged(status("simulated"), old).values())
    assert "simulated" in only(judged(status("simulated"), old, is_live=True), "freshness")


def test_the_report_is_one_line_and_the_metrics_say_which_check_failed():
    visitor = Visitor("wss://live.example/ws?key=secret", Limits())
    visitor.take(surface("snapshot", 1, {"1": SMILE}), NOW + 5000)
    telemetry = Telemetry("canary")
    line = report(visitor.end(NOW + 5000), telemetry)
    assert b"secret" not in line
    assert orjson.loads(line)["is_good"] is False
    failed = {of[0]: value for (name, of), value in telemetry.values.items() if name == "CanaryFailures"}
    assert failed == {"freshness": 0.0, "sequence": 0.0, "certificate": 0.0, "latency": 1.0}


async def test_over_a_real_socket():
    async def good(socket):
        await socket.send(status().decode())
        await socket.send(surface("snapshot", 1, {"1": SMILE}).decode())
        await socket.wait_closed()

    async def garbage(socket):
        await socket.send("no json")
        await socket.wait_closed()

    for handler, check in ((good, ""), (garbage, "sequence")):
        async with serve(handler, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            seen = await visit(f"ws://127.0.0.1:{port}/ws", Limits(watch_s=0.1), lambda: NOW)
        assert seen.is_good is (check == "")
        assert not check or seen.problems[check]


async def test_what_cannot_be_reached_is_not_fresh():
    seen = await visit("ws://127.0.0.1:1/ws", Limits(), lambda: NOW)
    assert "cannot be reached" in seen.problems["freshness"][0]
