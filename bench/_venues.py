"""Local servers of several venues in a process of their own, and a service connected to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence

from derivasys.clock import RecordedClock
from derivasys.config import Config
from derivasys.connect import VENUES
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.pipeline import Pipeline
from derivasys.publish.binding import Binding
from derivasys.service import Service
from derivasys.sources import Feed, Origin

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


@contextlib.contextmanager
def venue_servers(
    names: Sequence[str], ccys: Sequence[str], rate: float, cores: set[int] | None = None
) -> Iterator[dict]:
    """Run the venues' servers at `rate` tickers a second together; yields what they told of themselves.

    They stand for other machines, so they give way to what is measured where cores are few; with `cores` they have
    those to themselves.
    """
    command = [sys.executable, "-c", SERVERS, ",".join(names), str(rate), ",".join(ccys)]

    def settle() -> None:
        os.nice(10)
        if cores is not None:
            os.sched_setaffinity(0, cores)

    servers = subprocess.Popen(command, stdout=subprocess.PIPE, preexec_fn=settle)
    try:
        yield json.loads(servers.stdout.readline())
    finally:
        servers.terminate()
        servers.wait()
        servers.stdout.close()


def feed_of(told: dict, ccys: Sequence[str], stopwatch: Callable[[], int] | None, on_frame: Callable) -> Feed:
    """Return a feed with connectors to the servers; `on_frame(feed, venue, payload, recv_ns)` takes their frames."""
    feed = Feed(RecordedClock(told["start_ns"]), Pipeline(None, ccys, stopwatch))
    feed.ccys = tuple(ccys)
    for name, address in told["addresses"].items():
        endpoint = Endpoint(ws=f"ws://{address}", http=f"http://{address}")
        for at in range(len(VENUES[name].sessions(ccys, 0))):
            feed.connectors.append(
                Connector(
                    name,
                    endpoint,
                    lambda now, name=name, at=at: VENUES[name].sessions(ccys, now)[at],
                    feed.clock,
                    lambda venue, payload, ns: on_frame(feed, venue, payload, ns),
                    random.Random(1),
                )
            )
    return feed


@contextlib.asynccontextmanager
async def connected(told: dict, names: Sequence[str], ccys: Sequence[str]) -> AsyncIterator[Service]:
    """Run a service on those servers; yields it once every currency has a surface."""

    async def opener(config, stopwatch, on_frame):
        return Origin("simulated", "benchmark", [feed_of(told, ccys, stopwatch, on_frame)])

    service = Service(Config(binding=Binding(port=0), venues=tuple(names)), opener)
    running = asyncio.create_task(service.run())
    try:
        while not service.address or len(service.gateway.available) < len(ccys):
            await asyncio.sleep(0.05)
        yield service
    finally:
        service.stop()
        await running
