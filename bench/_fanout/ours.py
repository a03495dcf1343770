"""Our own gateway under the same load: `python ours.py PORT RATE BYTES`; with RATE 0 it only holds connections.

A state whose patch has the asked size is offered to the gateway at the rate, through diff, encoding, compression and
groups as in the service; port 0 and a second process on it are possible (`--reuse-port`).
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from pathlib import Path

import numpy as np
import uvloop
from prometheus_client import CollectorRegistry

from derivasys.publish.access import AccessRules
from derivasys.publish.binding import Binding
from derivasys.publish.gateway import Gateway
from derivasys.publish.rest import Rest
from derivasys.publish.server import GatewayServer, listen, open_access
from derivasys.wire.feed import TABLES, State
from derivasys.wire.table import Field, Layout, Table

PORT, RATE, BYTES = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
CCY = "BTC"
ENVELOPE_BYTES = 129
ROW_BYTES = 30
"""What `"strike 123":{"vol":12.345},` takes."""
ROWS = max(1, (BYTES - ENVELOPE_BYTES) // ROW_BYTES)
LAYOUT = Layout([Field(("t",), 0), Field(("vol",), 3)])
EMPTY = Table(LAYOUT, (), np.zeros((0, 2)))
KEYS = (("a",), *((f"strike {row:05d}",) for row in range(ROWS)))


def state(version: int, rng: np.random.Generator) -> State:
    """Return a state all of whose rows differ from the last one's; the first row tells the time."""
    values = np.full((len(KEYS), 2), np.nan)
    values[0, 0] = time.monotonic_ns()
    values[1:, 1] = rng.uniform(10.0, 99.0, ROWS)
    table = Table(LAYOUT, KEYS, LAYOUT.rounded(values))
    tables = {channel: table if channel == "surface" else EMPTY for channel in TABLES}
    # Each version falls into a new second, so that every rate class is due.
    return State(CCY, version, version * 1000, {}, tables, {})


async def main() -> None:
    binding = Binding(port=PORT, reuse_port="--reuse-port" in sys.argv)
    gateway = Gateway(time.monotonic, lambda: 0)
    gateway.add_feed(CCY, "bench")
    rng = np.random.default_rng(1)
    gateway.publish(state(1, rng))
    rest = Rest(
        gateway, source="simulated", build="bench", health=list, metrics=CollectorRegistry(), site=Path("nowhere")
    )
    server = GatewayServer(rest.app(), gateway, binding, open_access(AccessRules(), binding))
    serving = asyncio.create_task(server.serve([listen(binding)]))
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    version, due = 1, time.monotonic()
    while RATE and not serving.done():
        due += 1 / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        version += 1
        gateway.publish(state(version, rng))
        if version % 20 == 0:
            gc.collect(1)
    await serving


uvloop.run(main())
