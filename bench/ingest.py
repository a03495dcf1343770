"""All venues at once: local servers in a process of their own, the service here, at a steady rate and in a tenfold burst.

`frame_to_chain` is, of every single frame, from its being in our hands to its cells written; `cycle` the pause that a cycle makes; `total` the whole way to
the sockets, the wait for the cycle included.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np
import uvloop

from _venues import connected, venue_servers

CCYS = ("BTC", "ETH", "SOL", "XRP")
NAMES = ("deribit", "okx", "bybit", "binance")
RATES = (2_000, 20_000)
SECONDS = 12.0
SETTLE_S = 8.0


def run() -> dict:
    return {"rates": [at_rate(rate) for rate in RATES]}


def at_rate(rate: int) -> dict:
    with venue_servers(NAMES, CCYS, rate) as told:
        return uvloop.run(_measure(rate, told))


async def _measure(rate: int, told: dict) -> dict:
    async with connected(told, NAMES, CCYS) as service:
        await asyncio.sleep(SETTLE_S)
        service.latency.clear()
        taken_ns = _timed(service.origin.feeds[0].pipeline)
        frames, late = service.cycles.pushed, service.cycles.missed
        cpu, wall = time.process_time(), time.perf_counter()
        await asyncio.sleep(SECONDS)
        passed = time.perf_counter() - wall
        quantiles = service.latency.quantiles(0.5, 0.99)
        quantiles["frame_to_chain"] = tuple(np.quantile(np.array(taken_ns) / 1e6, (0.5, 0.99)).tolist())
        return {
            "asked_per_s": rate,
            "frames_per_s": round((service.cycles.pushed - frames) / passed),
            "cpu_share": round((time.process_time() - cpu) / passed, 3),
            "cycles_late": service.cycles.missed - late,
            "ms": {stage: {"p50": at[0], "p99": at[1]} for stage, at in quantiles.items()},
        }


def _timed(pipeline) -> list[int]:
    """Time every frame that a pipeline takes from now on; return the list that grows, ns."""
    taken_ns: list[int] = []
    push = pipeline.push

    def timed(venue, payload, recv_ns):
        started = time.perf_counter_ns()
        broken = push(venue, payload, recv_ns)
        taken_ns.append(time.perf_counter_ns() - started)
        return broken

    pipeline.push = timed
    return taken_ns


def render(result: dict) -> str:
    lines = [
        "| tickers asked/s | frames/s | core share | frame → chain p50/p99, ms | cycle p50/p99, ms | frame → patch p50/p99, ms | late cycles |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rates"]:
        cells = [
            f"{row['ms'][stage]['p50']:.3f} / {row['ms'][stage]['p99']:.3f}"
            for stage in ("frame_to_chain", "cycle", "waterfall.total")
        ]
        lines.append(
            f"| {row['asked_per_s']:,} | {row['frames_per_s']:,} | {row['cpu_share']:.2f} | "
            + " | ".join(cells)
            + f" | {row['cycles_late']} |"
        )
    return "\n".join(lines)
