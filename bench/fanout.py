"""Fan-out: processor time of a delivered message, as a multiple of a raw send() loop in C, for our gateway and its peers.

2,000 clients, ten messages of 2 kB a second each. Server and load client have a core each; all servers run in one go, three
rounds of all of them, and the median counts, because this machine's speed wavers. On loopback a send() also runs the
receiving half of the network stack and wakes a client that sleeps, and the server is charged for both, which it is not
for a client on another machine. So each server is measured twice: with a client that is awake and does its own
receiving (`_load.receiving_apart`), and on plain loopback.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import _load
from _load import free_port, load, receiving_apart, serving

CLIENTS = 2000
RATE = 10
BYTES = 2000
SECONDS = 4.0
ROUNDS = 3
IDLE_CLIENTS = 2000
STUCK_SHARE = 0.1
STUCK_SECONDS = 12.0
GATEWAYS = 2
ROOT = Path(__file__).parents[1]
PEERS = ROOT / ".cache" / "peers" / "bin" / "python"
NODE_WS = ROOT / "dashboard" / "node_modules" / "ws" / "wrapper.mjs"
PYTHON_PEERS = ("websockets", "uvicorn", "aiohttp", "picows")


def run() -> dict:
    servers: dict[str, Callable[..., dict]] = {
        "raw C loop": raw,
        "ours": ours,
        "ours, compressed": partial(ours, deflate=True),
    }
    servers |= {name: partial(peer, name) for name in PYTHON_PEERS} | {"Node ws": node}
    found: dict[str, dict[str, list[dict]]] = {name: {"apart": [], "plain": []} for name in servers}
    for _ in range(ROUNDS):
        with receiving_apart() as is_apart:
            for name, serve in servers.items():
                found[name]["apart"].append(serve(awake=True))
        for name, serve in servers.items():
            found[name]["plain"].append(serve(awake=False))
    return {"servers": found, "is_apart": is_apart, "stuck": stuck(), "idle": idle(), "gateways": gateways()}


def _command(port: int, rate: float = RATE, *more: str) -> list[str]:
    return [sys.executable, str(_load.HERE / "ours.py"), str(port), str(rate), str(BYTES), *more]


def raw(*, awake: bool) -> dict:
    port = free_port()
    with serving([str(_load.compiled("raw")), str(port), str(CLIENTS), str(RATE), str(BYTES)]) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS, awake=awake)


def ours(*, awake: bool, deflate: bool = False) -> dict:
    port = free_port()
    with serving(_command(port)) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS, deflate=deflate, awake=awake)


def peer(name: str, *, awake: bool) -> dict:
    if not PEERS.exists():
        return {"missing": "no peers' environment: sh scripts/peers.sh"}
    port = free_port()
    command = [str(PEERS), str(_load.HERE / "peers.py"), name, str(port), str(RATE), str(BYTES)]
    with serving(command) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS, awake=awake)


def node(*, awake: bool) -> dict:
    if not NODE_WS.exists():
        return {"missing": "no Node packages: make setup"}
    port = free_port()
    command = ["node", str(_load.HERE / "ws.mjs"), str(port), str(RATE), str(BYTES)]
    with serving(command, env={"PACKAGE": str(NODE_WS)}) as pid:
        return load(port, [pid], clients=CLIENTS, seconds=SECONDS, awake=awake)


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


def _median(runs: list[dict]) -> dict:
    """Return the run whose processor time is the median one."""
    return sorted(runs, key=lambda run: run["us_per_delivery"])[len(runs) // 2]


def _latency(run: dict) -> str:
    return f"{run['p50_ms']:.1f} / {run['p99_ms']:.1f}" if run["measured"] else "–"


def render(result: dict) -> str:
    apart, plain, missing = {}, {}, {}
    for name, runs in result["servers"].items():
        if "missing" in runs["plain"][0]:
            missing[name] = runs["plain"][0]["missing"]
        else:
            apart[name], plain[name] = _median(runs["apart"]), _median(runs["plain"])
    us, plain_us = ({name: one["us_per_delivery"] for name, one in each.items()} for each in (apart, plain))
    lines = [
        f"{CLIENTS:,} clients × {RATE} messages/s × {BYTES:,} bytes; medians of {ROUNDS} rounds ({os.cpu_count()} cores)",
        ""
        if result["is_apart"]
        else "Receiving could not be set apart (Linux, two cores, root): the client was only awake.",
        "| server | CPU a delivery, µs | × raw C | latency p50 / p99, ms | on plain loopback: CPU, µs | × raw C |"
        " latency p50 / p99, ms | kB a connection | messages/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in apart.items():
        lines.append(
            f"| {name} | {us[name]:.2f} | {us[name] / us['raw C loop']:.2f} | {_latency(one)} |"
            f" {plain_us[name]:.2f} | {plain_us[name] / plain_us['raw C loop']:.2f} | {_latency(plain[name])} |"
            f" {one['kb_per_client']:.1f} | {one['messages_per_s']:,.0f} |"
        )
    lines += [f"| {name} | – | – | – | – | – | – | – | {why} |" for name, why in missing.items()]
    shares = [
        f"{us['ours'] / us[name]:.2f} of {name} ({plain_us['ours'] / plain_us[name]:.2f} on plain loopback)"
        for name in us
        if name not in {"raw C loop", "ours", "ours, compressed"}
    ]
    lines += ["", f"ours is {', '.join(shares)}"] if shares else []
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
