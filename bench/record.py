"""The recorder at 20,000 messages a second: local servers in a process of their own, connectors and recorder here.

That nothing was dropped is counted three times: frames that the connectors took, those given to the recorder (a few listing
replies more), and those read back from the disk. `pause` is how long one record held the event loop up, a block's compression included.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import uvloop

from _venues import feed_of, venue_servers
from derivasys.record.recorder import Recorder
from derivasys.record.segments import Kind, blocks, read

CCYS = ("BTC", "ETH", "SOL", "XRP")
VENUES = ("deribit", "okx", "bybit", "binance")
RATE = 20_000
SECONDS = 12.0
SETTLE_S = 8.0
TICK_S = 0.2
FLOOD = 200_000
"""Records of the second measure: as fast as they can be added, without sockets."""


def run() -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with venue_servers(VENUES, CCYS, RATE) as told:
            result = uvloop.run(_record(told, folder / "live"))
        live = folder / "live"
        kinds = Counter(record.kind for record in read(live))
        result |= {
            "read_back": kinds[Kind.RECEIVED] + kinds[Kind.LISTING],
            "blocks": len(blocks(live)),
            "raw_bytes_a_frame": round(sum(len(r.payload) for r in read(live)) / max(1, sum(kinds.values()))),
        }
        result["flood_per_s"] = _flood(live, folder / "flood")
    return result


async def _record(told: dict, folder: Path) -> dict:
    feed = feed_of(told, CCYS, None, lambda *_: ())
    recorder = Recorder(folder)
    pauses_ns: list[int] = []
    add = recorder.add
    kept: Counter[int] = Counter()

    def timed(recv_ns, connection, kind, payload=b""):
        kept[kind] += 1
        started = time.perf_counter_ns()
        add(recv_ns, connection, kind, payload)
        pauses_ns.append(time.perf_counter_ns() - started)

    recorder.add = timed
    for connector in feed.connectors:
        connector.tap = recorder.tap(connector.venue, 0, CCYS)
    tasks = [asyncio.create_task(connector.run()) for connector in feed.connectors]
    loop = asyncio.get_running_loop()

    async def keep(seconds: float) -> None:
        until_s = loop.time() + seconds
        while loop.time() < until_s:
            recorder.tick(loop.time())
            await asyncio.sleep(TICK_S)

    await keep(SETTLE_S)
    pauses_ns.clear()
    before, cpu, wall = recorder.records, time.process_time(), time.perf_counter()
    await keep(SECONDS)
    passed = time.perf_counter() - wall
    result = {
        "asked_per_s": RATE,
        "records_per_s": round((recorder.records - before) / passed),
        "cpu_share": round((time.process_time() - cpu) / passed, 3),
        "pause_us": {
            name: round(float(np.quantile(pauses_ns, at)) / 1e3, 1)
            for name, at in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0))
        },
    }
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    recorder.close()
    return result | {
        "frames_taken": sum(connector.messages for connector in feed.connectors),
        "reconnects": sum(connector.reconnects for connector in feed.connectors),
        "kept": kept[Kind.RECEIVED] + kept[Kind.LISTING],
        "lost": recorder.lost,
        "state": recorder.detail or "closed well",
        "bytes_a_record": round(recorder.bytes_written / recorder.records),
        "mb_per_s": round(recorder.bytes_written / recorder.records * result["records_per_s"] / 1e6, 2),
    }


def _flood(live: Path, folder: Path) -> int:
    """Return how many real frames a second the recorder alone keeps, compressed and written, on this machine."""
    frames = [record.payload for record in read(live) if record.kind is Kind.RECEIVED][:FLOOD]
    recorder = Recorder(folder)
    tap = recorder.tap("deribit", 0, CCYS)
    tap.opened(0)
    started = time.perf_counter()
    for number, payload in enumerate(frames):
        tap.received(payload, number)
    recorder.close()
    return round(len(frames) / (time.perf_counter() - started))


def render(result: dict) -> str:
    pause = " / ".join(f"{us:g}" for us in result["pause_us"].values())
    return "\n".join(
        [
            "| asked/s | recorded/s | core share | pause p50 / p99 / p99.9 / max, us | frames taken | kept, with replies | read back | lost | bytes a record | MB/s |",
            "|---|---|---|---|---|---|---|---|---|---|",
            f"| {result['asked_per_s']:,} | {result['records_per_s']:,} | {result['cpu_share']:.2f} | {pause} |"
            f" {result['frames_taken']:,} | {result['kept']:,} | {result['read_back']:,} | {result['lost']} | {result['bytes_a_record']} | {result['mb_per_s']} |",
            "",
            f"Without sockets the recorder keeps {result['flood_per_s']:,} frames a second; reconnects {result['reconnects']}.",
        ]
    )
