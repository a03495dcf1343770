"""A recording of four venues' simulated traffic replayed as fast as it goes: how many times faster than it happened.

The recording is made on a virtual clock: the whole listings of Deribit, OKX, Bybit and Binance in BTC, ETH, SOL and XRP,
at the rate that `derivasys up` simulates by default (1,000 option tickers a second in all), beside what the venues send
anyway (Binance values every option each second). Ten minutes are what a day repeats: every connection lists its venue
once in them. Cost a second of traffic does not depend on the length, which the two halves show.

Each row is one cadence of cycles: `frames` decodes and keeps everything and calibrates nothing.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from _traffic import CCYS, VENUES, record_traffic
from derivasys.fast_replay import replay_fast
from derivasys.record.segments import blocks
from derivasys.recordings import Span

RATE = 1000.0
SECONDS = 600.0
DAY_S = 86_400.0
NEVER_MS = 10**9
CADENCES_MS = {"frames": (NEVER_MS, 1.0), "5 s": (5000, 1.0), "1 s": (1000, 1.0), "50 ms": (50, 0.05)}
"""By name: ms from cycle to cycle, and which part of the span is replayed."""


def run() -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        recorder = record_traffic(folder, SECONDS, RATE)
        made_s = time.perf_counter() - started
        first_ns = blocks(folder)[0].first_ns
        spans = [of_cadence(folder, label, first_ns, processes) for label in CADENCES_MS for processes in (1, None)]
        middle_ns = first_ns + int(SECONDS / 2 * 1e9)
        halves = [
            replayed(Span(folder, *bounds), 1000, SECONDS / 2, None)
            for bounds in ((None, middle_ns), (middle_ns, None))
        ]
    return {
        "venues": VENUES, "ccys": CCYS, "rate_asked": RATE, "seconds": SECONDS,
        "frames": recorder.records, "frames_per_s": round(recorder.records / SECONDS),
        "bytes": recorder.bytes_written, "made_s": round(made_s, 1), "cadences": spans,
        "halves_x": [half["times_real"] for half in halves],
    }  # fmt: skip


def of_cadence(folder: Path, label: str, first_ns: int, processes: int | None) -> dict:
    cycle_ms, part = CADENCES_MS[label]
    seconds = SECONDS * part
    span = Span(folder, None, first_ns + int(seconds * 1e9))
    return {"cycles": label} | replayed(span, cycle_ms, seconds, processes)


def replayed(span: Span, cycle_ms: int, seconds: float, processes: int | None) -> dict:
    summary = replay_fast(span, None, cycle_ms, processes)
    return {
        "processes": summary.processes, "frames": summary.frames, "surfaces": summary.surfaces,
        "sha256": summary.sha256[:12], "wall_s": round(summary.took_s, 2),
        "times_real": round(seconds / summary.took_s, 1), "day_min": round(DAY_S / seconds * summary.took_s / 60, 1),
    }  # fmt: skip


def render(result: dict) -> str:
    lines = [
        f"{result['seconds']:g} s of {', '.join(result['venues'])}; {', '.join(result['ccys'])}: {result['frames']:,} frames"
        f" ({result['frames_per_s']:,}/s), {result['bytes'] / 1e6:.1f} MB, made in {result['made_s']} s.",
        "",
        "| cycles | processes | frames | surfaces | s | × real time | a day, min | sum |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['cycles']} | {row['processes']} | {row['frames']:,} | {row['surfaces']:,} | {row['wall_s']} |"
        f" {row['times_real']} | {row['day_min']} | {row['sha256']} |"
        for row in result["cadences"]
    ]
    first, second = result["halves_x"]
    return "\n".join([*lines, "", f"The two halves at 1 s: {first} and {second} times real time."])
