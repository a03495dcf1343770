"""A recording of four venues' simulated traffic replayed as fast as it goes: how many times faster than it happened.

The recording is made on a virtual clock: the whole listings of Deribit, OKX, Bybit and Binance in BTC, ETH, SOL and XRP,
at the rate that `derivasys up` simulates by default (1,000 option tickers a second in all), beside what the venues send
anyway (Binance values every option each second). A day is `DAY_S / SECONDS` such spans after each other: cost a second
of traffic does not depend on the length, which the two halves of the span show.

Each row is one cadence of cycles: `frames` decodes and keeps everything and calibrates nothing.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from _traffic import CCYS, VENUES, record_traffic
from derivasys.record.segments import blocks
from derivasys.recordings import Span, replay_fast

RATE = 1000.0
SECONDS = 120.0
DAY_S = 86_400.0
NEVER_MS = 10**9
CADENCES_MS = {"frames": (NEVER_MS, 1.0), "5 s": (5000, 1.0), "1 s": (1000, 1.0), "50 ms": (50, 0.1)}
"""By name: ms from cycle to cycle, and which part of the span is replayed."""


def run() -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        recorder = record_traffic(folder, SECONDS, RATE)
        made_s = time.perf_counter() - started
        first_ns = blocks(folder)[0].first_ns
        spans = [of_cadence(folder, label, first_ns) for label in CADENCES_MS]
        halves = [
            replayed(Span(folder, None, first_ns + int(SECONDS / 2 * 1e9)), 1000, SECONDS / 2),
            replayed(Span(folder, first_ns + int(SECONDS / 2 * 1e9), None), 1000, SECONDS / 2),
        ]
    return {
        "venues": VENUES, "ccys": CCYS, "rate_asked": RATE, "seconds": SECONDS,
        "frames": recorder.records, "frames_per_s": round(recorder.records / SECONDS),
        "bytes": recorder.bytes_written, "made_s": round(made_s, 1), "cadences": spans,
        "halves_x": [half["times_real"] for half in halves],
    }  # fmt: skip


def of_cadence(folder: Path, label: str, first_ns: int) -> dict:
    cycle_ms, part = CADENCES_MS[label]
    seconds = SECONDS * part
    return {"cycles": label} | replayed(Span(folder, None, first_ns + int(seconds * 1e9)), cycle_ms, seconds)


def replayed(span: Span, cycle_ms: int, seconds: float) -> dict:
    wall, cpu = time.perf_counter(), time.process_time()
    summary = replay_fast(span, None, cycle_ms)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "frames": summary.frames, "surfaces": summary.surfaces, "wall_s": round(wall, 2),
        "cpu_s": round(cpu, 2), "times_real": round(seconds / wall, 1), "times_real_by_cpu": round(seconds / cpu, 1),
        "day_min": round(DAY_S / seconds * wall / 60, 1),
    }  # fmt: skip


def render(result: dict) -> str:
    lines = [
        f"{result['seconds']:g} s of {', '.join(result['venues'])}; {', '.join(result['ccys'])}: {result['frames']:,} frames"
        f" ({result['frames_per_s']:,}/s), {result['bytes'] / 1e6:.1f} MB, made in {result['made_s']} s.",
        "",
        "| cycles | frames | surfaces | s | × real time | × by CPU time | a day, min |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['cycles']} | {row['frames']:,} | {row['surfaces']:,} | {row['wall_s']} |"
        f" {row['times_real']} | {row['times_real_by_cpu']} | {row['day_min']} |"
        for row in result["cadences"]
    ]
    first, second = result["halves_x"]
    return "\n".join([*lines, "", f"The two halves at 1 s: {first} and {second} times real time."])
