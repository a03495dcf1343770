"""All venues at once: local servers in a process of their own, the service here, at a steady rate and in a tenfold burst.

`frame_to_chain` is from a frame in our hands to its cells written (decode included); `cycle` the pause that a cycle
makes; `frame_to_patch` the whole way, the wait for the cycle included.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
import time

import uvloop

from derivasys.clock import RecordedClock
from derivasys.config import Config
from derivasys.connect import VENUES
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.pipeline import Pipeline
from derivasys.service import Service
from derivasys.sources import Feed, Origin

CCYS = ("BTC", "ETH", "SOL", "XRP")
NAMES = ("deribit", "okx", "bybit", "binance")
RATES = (2_000, 20_000)
SECONDS = 12.0
SETTLE_S = 8.0
SERVERS = """
import asyncio, json, sys
from derivasys.clock import RecordedClock
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS
async def main():
    names, rate = sys.argv[1].split(","), float(sys.argv[2])
    world = World([load_shipped("BTC"), load_shipped("ETH")], 1)
    clock = RecordedClock(world.start_ns)
    addresses = {}
    for name in names:
        server = SERVERS[name](world, clock, sys.argv[3].split(","), rate / len(names))
        await server.start()
        addresses[name] = server.address
    print(json.dumps({"start_ns": world.start_ns, "addresses": addresses}), flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


def run() -> dict:
    return {"rates": [at_rate(rate) for rate in RATES]}


def at_rate(rate: int) -> dict:
    command = [sys.executable, "-c", SERVERS, ",".join(NAMES), str(rate), ",".join(CCYS)]
    servers = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        return uvloop.run(_serve(rate, json.loads(servers.stdout.readline())))
    finally:
        servers.terminate()
        servers.wait()
        servers.stdout.close()


async def _serve(rate: int, told: dict) -> dict:
    async def opener(config, stopwatch, on_frame):
        feed = Feed(RecordedClock(told["start_ns"]), Pipeline(None, CCYS, stopwatch))
        feed.ccys = CCYS
        for name, address in told["addresses"].items():
            endpoint = Endpoint(ws=f"ws://{address}", http=f"http://{address}")
            for at in range(len(VENUES[name].sessions(CCYS, 0))):
                feed.connectors.append(
                    Connector(
                        name,
                        endpoint,
                        lambda now, name=name, at=at: VENUES[name].sessions(CCYS, now)[at],
                        feed.clock,
                        lambda venue, payload, ns, feed=feed: on_frame(feed, venue, payload, ns),
                        random.Random(1),
                    )
                )
        return Origin("simulated", "benchmark", [feed])

    service = Service(Config(port=0, venues=NAMES), opener)
    running = asyncio.create_task(service.run())
    while not service.address or len(service.gateway.available) < len(CCYS):
        await asyncio.sleep(0.05)
    await asyncio.sleep(SETTLE_S)
    service.latency.clear()
    frames, cpu, wall, late = service.pushed, time.process_time(), time.perf_counter(), service.missed_cycles
    await asyncio.sleep(SECONDS)
    passed = time.perf_counter() - wall
    quantiles = service.latency.quantiles(0.5, 0.99)
    result = {
        "asked_per_s": rate,
        "frames_per_s": round((service.pushed - frames) / passed),
        "cpu_share": round((time.process_time() - cpu) / passed, 3),
        "cycles_late": service.missed_cycles - late,
        "ms": {stage: {"p50": at[0], "p99": at[1]} for stage, at in quantiles.items()},
    }
    service.stop()
    await running
    return result


def render(result: dict) -> str:
    lines = [
        "| tickers asked/s | frames/s | core share | frame → chain p50/p99, ms | cycle p50/p99, ms | frame → patch p50/p99, ms | late cycles |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in result["rates"]:
        cells = [
            f"{row['ms'][stage]['p50']:.3f} / {row['ms'][stage]['p99']:.3f}"
            for stage in ("decode", "cycle", "frame_to_patch")
        ]
        lines.append(
            f"| {row['asked_per_s']:,} | {row['frames_per_s']:,} | {row['cpu_share']:.2f} | "
            + " | ".join(cells)
            + f" | {row['cycles_late']} |"
        )
    return "\n".join(lines)
