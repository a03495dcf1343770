"""Fan-out: processor time of a delivered message, as a multiple of a raw send() loop in C, for our gateway and its peers.

2,000 clients, ten messages of 2 kB a second each. Server and load client have a core each; all servers run in one go, the
raw loop before, between and after them, because this machine's speed wavers.
"""

from __future__ import annotations

import os
import statistics
import sys
from pathlib import Path

import _load
from _load import free_port, load, serving

CLIENTS = 2000
RATE = 10
BYTES = 2000
SECONDS = 4.0
IDLE_CLIENTS = 2000
STUCK_SHARE = 0.1
STUCK_SECONDS = 12.0
GATEWAYS = 2
ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
NODE_WS = ROOT / "dashboard" / "node_modules" / "ws" / "wrapper.mjs"
PYTHON_PEERS = ("websockets", "uvicorn", "aiohttp", "picows")


def run() -> dict:
    raws = [raw()]
    ours_plain = ours()
    ours_deflated = ours(deflate=True)
    raws.append(raw())
    peers = {name: peer(name) for name in PYTHON_PEERS}
    peers["Node ws"] = node()
    raws.append(raw())
    return {
        "raw": raws,
        "ours": ours_plain,
        "ours_deflated": ours_deflated,
        "peers": peers,
        "stuck": stuck(),
        "idle": idle(),
        "gateways": gateways(),
    }


def _command(port: int, rate: float = RATE, *more: str) -> list[str]:
    return [sys.executable, str(_load.HERE / "ours.py"), str(port), str(rate), str(BYTES), *more]


def raw() -> dict:
    port = free_port()
    with serving([str(_load.compiled("raw")), str(port), str(CLIENTS), str(RATE), str(BYTES)]) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS)


def ours(*, deflate: bool = False) -> dict:
    port = free_port()
    with serving(_command(port)) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS, deflate=deflate)


def peer(name: str) -> dict:
    if not PEERS.exists():
        return {"missing": "no peers' environment: sh scripts/peers.sh"}
    port = free_port()
    command = [str(PEERS), str(_load.HERE / "peers.py"), name, str(port), str(RATE), str(BYTES)]
    with serving(command) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS)


def node() -> dict:
    if not NODE_WS.exists():
        return {"missing": "no Node packages: make setup"}
    port = free_port()
    command = ["node", str(_load.HERE / "ws.mjs"), str(port), str(RATE), str(BYTES)]
    with serving(command, env={"PACKAGE": str(NODE_WS)}) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS)


def stuck() -> dict:
    """A tenth of the clients never read: the others' latency with and without them, and the server's growth."""
    port = free_port()
    with serving(_command(port)) as pid:
        without = load(port, [pid], clients=CLIENTS, seconds=STUCK_SECONDS / 2)
        among = load(port, [pid], clients=CLIENTS, seconds=STUCK_SECONDS, never=int(CLIENTS * STUCK_SHARE))
    return {"without": without, "among": among}


def idle() -> dict:
    """Memory of connections that nothing is sent to after their snapshot."""
    port = free_port()
    found = {}
    for name, deflate in (("plain", False), ("deflated", True)):
        with serving(_command(port, 0)) as pid:
            found[name] = load(port, [pid], clients=IDLE_CLIENTS, seconds=1.0, deflate=deflate)["kb_per_client"]
    return found


def gateways() -> dict:
    """Several processes listening on one port, over all cores with the load."""
    port = free_port()
    commands = [_command(port, RATE, "--reuse-port") for _ in range(GATEWAYS)]
    with serving(commands[0], pinned=False) as first, serving(commands[1], pinned=False) as second:
        return load(port, [first, second], clients=CLIENTS, seconds=SECONDS)


def render(result: dict) -> str:
    raw_us = statistics.mean(one["us_per_delivery"] for one in result["raw"])
    lines = [
        f"{CLIENTS:,} clients × {RATE} messages/s × {BYTES:,} bytes; raw C loop: "
        + ", ".join(f"{one['us_per_delivery']:.2f}" for one in result["raw"])
        + f" µs a delivery in the same run ({os.cpu_count()} cores)",
        "",
        "| server | CPU a delivery, µs | × raw C | latency p50 / p99, ms | kB a connection | messages/s |",
        "|---|---|---|---|---|---|",
    ]
    rows = {"raw C loop": result["raw"][1], "ours": result["ours"], "ours, compressed": result["ours_deflated"]}
    for name, one in {**rows, **result["peers"]}.items():
        if "missing" in one:
            lines.append(f"| {name} | – | – | – | – | {one['missing']} |")
            continue
        latency = f"{one['p50_ms']:.1f} / {one['p99_ms']:.1f}" if one["measured"] else "–"
        lines.append(
            f"| {name} | {one['us_per_delivery']:.2f} | {one['us_per_delivery'] / raw_us:.2f} | {latency} |"
            f" {one['kb_per_client']:.1f} | {one['messages_per_s']:,.0f} |"
        )
    without, among = result["stuck"]["without"], result["stuck"]["among"]
    both = result["gateways"]
    lines += [
        "",
        f"{STUCK_SHARE:.0%} never reading: the others' p99 {among['p99_ms']:.1f} ms, {without['p99_ms']:.1f} without them; "
        f"growth in {STUCK_SECONDS:.0f} s {among['growth_mb']:.1f} MB",
        f"idle connection: {result['idle']['plain']:.1f} kB, with compression {result['idle']['deflated']:.1f} kB",
        f"{GATEWAYS} gateways on one port: {both['messages_per_s']:,.0f} messages/s, "
        f"{both['us_per_delivery']:.2f} µs a delivery, by process "
        + " + ".join(f"{us:.2f}" for us in both["us_by_server"])
        + f"; p99 {both['p99_ms']:.1f} ms",
    ]
    return "\n".join(lines)
