"""The main job in one process: venue sockets → surfaces → a client's socket.

Two parts. `ceiling`: recorded frames pushed as fast as they go, with a cycle every 50 ms of recorded time; no sockets.
`rates`: local Deribit servers in processes of their own send at a set rate, the service runs here with one subscribed
client (another process); latency from the frame in our hands to the patch written to the client's socket.
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
from derivasys.connect import deribit
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.pipeline import Pipeline
from derivasys.publish.binding import Binding
from derivasys.service import Service
from derivasys.sources import Feed, Origin
from derivasys.testing.recordings import load_shipped
from derivasys.testing.session_recording import record_session
from derivasys.warm_up import warm_up
from derivasys.wire.feed import Feed as Stream
from derivasys.wire.state import state_of
from derivasys.wire.variant import Variant

RATES = (1_000, 5_000, 10_000, 20_000)
SECONDS = 10.0
SETTLE_S = 4.0
CYCLE_NS = 50_000_000
CLIENT = """
import asyncio, sys
from websockets.asyncio.client import connect
async def main():
    async with connect(sys.argv[1], max_size=None, compression=None) as client:
        await client.send('{"type":"subscribe","ccys":["BTC","ETH"],"rate_ms":50}')
        async for _ in client:
            pass
asyncio.run(main())
"""


def run() -> dict:
    warm_up()
    return {"ceiling": ceiling(), "rates": [at_rate(rate) for rate in RATES]}


def ceiling() -> dict:
    """Messages a second through decode, chain, cycles and encoding, without sockets, on one core."""
    frames = record_session(load_shipped("BTC"), seed=1, seconds=20.0, rate=2_000)
    pipeline, stream = Pipeline(), Stream("BTC", "bench")
    next_ns = frames[0][0]
    pushing = draining = 0
    cycles = 0
    for recv_ns, payload in frames:
        while recv_ns >= next_ns:
            started = time.perf_counter_ns()
            for surface in pipeline.drain(next_ns):
                stream.update(state_of(surface))
                stream.activate(Variant(rate_ms=50))
                stream.publish()
                cycles += 1
            draining += time.perf_counter_ns() - started
            next_ns += CYCLE_NS
        started = time.perf_counter_ns()
        pipeline.push("deribit", payload, recv_ns)
        pushing += time.perf_counter_ns() - started
    push_us = pushing / len(frames) / 1e3
    cycle_ms = draining / cycles / 1e6
    return {
        "messages": len(frames),
        "push_us": round(push_us, 2),
        "cycle_ms": round(cycle_ms, 2),
        "push_only_per_s": round(1e6 / push_us),
        # What one core carries beside twenty cycles a second.
        "sustained_per_s": round((1.0 - 20 * cycle_ms / 1e3) * 1e6 / push_us),
    }


def at_rate(rate: int) -> dict:
    servers = [_server(ccy, rate / 2) for ccy in ("BTC", "ETH")]
    try:
        return uvloop.run(_serve(rate, [json.loads(server.stdout.readline()) for server in servers]))
    finally:
        for server in servers:
            server.terminate()
            server.wait()
            server.stdout.close()


def _server(ccy: str, rate: float) -> subprocess.Popen:
    command = [sys.executable, "-m", "derivasys.testing.deribit", "--port", "0", "--ccy", ccy, "--rate", str(rate)]
    return subprocess.Popen([*command, "--ticker-interval-ms", "10"], stdout=subprocess.PIPE)


async def _serve(rate: int, addresses: list[dict]) -> dict:
    async def opener(config, stopwatch, on_frame):
        feeds = []
        for ccy, told in zip(("BTC", "ETH"), addresses, strict=True):
            clock = RecordedClock(load_shipped(ccy).instant_ns)
            feed = Feed(clock, Pipeline(None, (ccy,), stopwatch))
            feed.ccys = (ccy,)
            address = told["address"]
            endpoint = Endpoint(ws=f"ws://{address}", http=f"http://{address}")
            feed.connectors.append(
                Connector(
                    "deribit",
                    endpoint,
                    lambda now, ccy=ccy: deribit.DeribitSession((ccy,), now),
                    clock,
                    lambda venue, payload, at, feed=feed: on_frame(feed, venue, payload, at),
                    random.Random(1),
                )
            )
            feeds.append(feed)
        return Origin("simulated", "benchmark", feeds)

    service = Service(Config(binding=Binding(port=0)), opener)
    running = asyncio.create_task(service.run())
    while not service.address:
        await asyncio.sleep(0.01)
    while len(service.gateway.available) < 2:
        await asyncio.sleep(0.05)
    client = subprocess.Popen([sys.executable, "-c", CLIENT, service.address.replace("http", "ws") + "ws"])
    try:
        await asyncio.sleep(SETTLE_S)
        return await _measure(rate, service)
    finally:
        client.terminate()
        client.wait()
        service.stop()
        await running


async def _measure(rate: int, service: Service) -> dict:
    service.latency.clear()
    events = service.cycles.pushed
    cpu, wall = time.process_time(), time.perf_counter()
    missed = service.cycles.missed
    await asyncio.sleep(SECONDS)
    passed = time.perf_counter() - wall
    quantiles = service.latency.quantiles(0.5, 0.99)
    return {
        "asked_per_s": rate,
        "messages_per_s": round((service.cycles.pushed - events) / passed),
        "cpu_share": round((time.process_time() - cpu) / passed, 3),
        "cycles_late": service.cycles.missed - missed,
        "stages_ms": {stage: {"p50": at[0], "p99": at[1]} for stage, at in quantiles.items()},
    }


def render(result: dict) -> str:
    top = result["ceiling"]
    lines = [
        f"without sockets: {top['push_us']} us a message, {top['cycle_ms']} ms a BTC cycle (calibrate, diff, encode):"
        f" one core sustains {top['sustained_per_s']:,} messages a second beside 20 cycles a second",
        "",
        "| asked/s | received/s | core share | frame to patch p50/p99, ms | of it cycle p50/p99 | late cycles |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["rates"]:
        wait, cycle = row["stages_ms"]["waterfall.total"], row["stages_ms"]["cycle"]
        lines.append(
            f"| {row['asked_per_s']:,} | {row['messages_per_s']:,} | {row['cpu_share']:.2f} |"
            f" {wait['p50']:.1f} / {wait['p99']:.1f} | {cycle['p50']:.1f} / {cycle['p99']:.1f} | {row['cycles_late']} |"
        )
    stages = ("forward", "implied_vol", "fit", "nodes", "calibrate", "publish")
    lines += [
        "",
        "| stage, ms a currency and cycle | "
        + " | ".join(f"{r['asked_per_s']:,}/s p50 / p99" for r in result["rates"])
        + " |",
    ]
    lines.append("|---" * (len(result["rates"]) + 1) + "|")
    for stage in stages:
        cells = [f"{r['stages_ms'][stage]['p50']:.2f} / {r['stages_ms'][stage]['p99']:.2f}" for r in result["rates"]]
        lines.append(f"| {stage} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
