"""From a venue's frame in our hands to the patch in a client's: the real service, local venues, 500 clients.

The wait for the currency's cycle is left out: it is chosen (50 ms), not suffered. The service notes when the cycle of each
version began, the load client when each client had each message; both on CLOCK_MONOTONIC. Decoding is added from the
service's own clock. The service has a core to itself; venues and clients, who stand for other machines, share the rest.
Two kinds of clients: programs that follow the surface and its fit at 50 ms, and dashboards that follow every channel at
the default 200 ms.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import tempfile
import zlib
from pathlib import Path

import numpy as np
import uvloop

import _load
from _venues import connected, venue_servers
from derivasys.service import Service
from derivasys.waterfall import STAGES

CLIENTS = 500
SECONDS = 10.0
SETTLE_S = 6.0
FOUR = ("deribit", "okx", "bybit", "binance")
SCENES = {
    "Deribit, BTC and ETH, 2,000 messages/s": (("deribit",), ("BTC", "ETH"), 2_000),
    "four venues, BTC and ETH, 10,000 messages/s": (FOUR, ("BTC", "ETH"), 10_000),
    "four venues, four currencies, 10,000 messages/s": (FOUR, ("BTC", "ETH", "SOL", "XRP"), 10_000),
}
NOTE = np.dtype([("arrival", "u8"), ("client", "u8"), ("compressed", "u8"), ("head", "S256")])
"""What the load client notes of a message."""
KINDS = {
    "programs, surface at 50 ms": (
        '{"type":"subscribe","rate_ms":50}',
        '{"type":"unsubscribe","channels":["levels","tenors","through","status"]}',
    ),
    "dashboards, everything at 200 ms, compressed": (),
}


def run() -> dict:
    program = _load.compiled("load")
    found = {}
    ours, others = _load.cores_apart()
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ours)
    try:
        for name, (venues, ccys, rate) in SCENES.items():
            with venue_servers(venues, ccys, rate, others) as told:
                found[name] = uvloop.run(_scene(program, told, venues, ccys, others))
    finally:
        os.sched_setaffinity(0, before)
    return {"clients": CLIENTS, "scenes": found}


async def _scene(program: Path, told: dict, venues: tuple[str, ...], ccys: tuple[str, ...], cores: set[int]) -> dict:
    async with connected(told, venues, ccys) as service:
        await asyncio.sleep(SETTLE_S)
        return {kind: await _measure(program, service, ccys, wishes, cores) for kind, wishes in KINDS.items()}


async def _measure(
    program: Path, service: Service, ccys: tuple[str, ...], wishes: tuple[str, ...], cores: set[int]
) -> dict:
    starts: dict[tuple[str, int], int] = {}
    service.cycles.published = lambda ccy, version, cycle: starts.setdefault((ccy, version), cycle.started_ns)
    with tempfile.TemporaryDirectory() as folder:
        loads = [
            _Load(program, service.address, ccy, CLIENTS // len(ccys), wishes, Path(folder) / ccy, cores)
            for ccy in ccys
        ]
        await asyncio.to_thread(lambda: [one.begun() for one in loads])
        service.latency.clear()
        frames, sent = service.cycles.pushed, service.gateway.sent_bytes
        await asyncio.to_thread(lambda: [one.ended() for one in loads])
        rate, sent = (service.cycles.pushed - frames) / SECONDS, service.gateway.sent_bytes - sent
        arrivals = np.concatenate([one.after(starts) for one in loads])
    quantiles = service.latency.quantiles(0.5, 0.99)
    decode = quantiles["waterfall.decode"]
    p50, p99, worst = np.quantile(arrivals, (0.5, 0.99, 1.0))
    return {
        "frames_per_s": round(rate),
        "messages": len(arrivals),
        "mb_per_s": round(sent / SECONDS / 1e6, 1),
        "decode_ms": decode,
        # A bound: the slowest decodings need not meet the slowest deliveries.
        "p50_ms": round(float(p50) + decode[0], 2),
        "p99_ms": round(float(p99) + decode[1], 2),
        "worst_ms": round(float(worst), 2),
        "stages": {
            stage: quantiles.get(f"waterfall.{stage}", [0.0, 0.0]) for stage in (*STAGES, "net", "total")
        },
    }  # fmt: skip


class _Load:
    """Clients of one currency in a process of their own."""

    def __init__(
        self, program: Path, address: str, ccy: str, count: int, wishes: tuple[str, ...], notes: Path, cores: set[int]
    ) -> None:
        self.ccy = ccy
        self.notes = notes
        port = address.rstrip("/").rpartition(":")[2]
        command = [str(program), "-c", str(count), "-d", str(SECONDS), "-w", "4", "-u", f"/ws?ccy={ccy}"]
        if not wishes:
            command += ["-x", "permessage-deflate; client_max_window_bits"]  # as every browser does
        command += [word for wish in wishes for word in ("-m", wish)]
        self.process = subprocess.Popen(
            [*command, "-o", str(notes), port], stdout=subprocess.PIPE, preexec_fn=lambda: _load.settle(cores)
        )

    def begun(self) -> None:
        while self.process.stdout.readline().strip() != b"begin":
            pass

    def ended(self) -> None:
        self.process.stdout.read()
        self.process.stdout.close()
        if self.process.wait():
            raise RuntimeError("the load client failed")

    def after(self, starts: dict[tuple[str, int], int]) -> np.ndarray:
        """Return the ms from its cycle's start of every message that arrived."""
        rows = np.fromfile(self.notes, NOTE)
        versions = {
            head: _version(head, compressed)
            for head, compressed in set(zip(rows["head"].tolist(), rows["compressed"].tolist(), strict=True))
        }
        began = np.array([starts.get((self.ccy, versions[head]), 0) for head in rows["head"].tolist()], np.int64)
        is_known = began > 0
        return (rows["arrival"].astype(np.int64)[is_known] - began[is_known]) / 1e6


def _version(head: bytes, compressed: int) -> int:
    """Return the version that a message's first bytes name; 0 for a message without."""
    text = zlib.decompressobj(-zlib.MAX_WBITS).decompress(head, 400) if compressed else head
    found = re.search(rb'"version":(\d+)', text)
    return int(found[1]) if found else 0


def render(result: dict) -> str:
    lines = [
        f"{result['clients']} clients; frame received to patch received, without the wait for the cycle",
        "",
        "| scene | clients | frames/s | MB/s out | p50 / p99, ms | worst |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {scene} | {kind} | {one['frames_per_s']:,} | {one['mb_per_s']} | {one['p50_ms']} / {one['p99_ms']} |"
        f" {one['worst_ms']} |"
        for scene, kinds in result["scenes"].items()
        for kind, one in kinds.items()
    ]
    stages = next(iter(next(iter(result["scenes"].values())).values()))["stages"]
    lines += ["", "| waterfall, ms p50 / p99 | " + " | ".join(stages) + " |", "|---" * (len(stages) + 1) + "|"]
    lines += [
        f"| {scene}; {kind} | " + " | ".join(f"{at[0]:.2f} / {at[1]:.2f}" for at in one["stages"].values()) + " |"
        for scene, kinds in result["scenes"].items()
        for kind, one in kinds.items()
    ]
    return "\n".join(lines)
