"""python -m derivasys.testing.venues: local servers of several venues, one simulated market, on the machine's clock.

For connectors that run as processes of their own: the expiries are laid out from the present, so that everybody who
reads them can go by the machine's clock. Prints one line of JSON: the address of each venue, and what the market is.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

import orjson

from derivasys.clock import SystemClock
from derivasys.testing.market import World
from derivasys.testing.market.world import CCYS
from derivasys.testing.recordings import CHAINS, load_shipped
from derivasys.testing.servers import SERVERS


def main() -> None:
    """Parse the command line and serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m derivasys.testing.venues", description=__doc__)
    parser.add_argument("--venue", action="append", choices=tuple(SERVERS), help="default: all")
    parser.add_argument("--ccy", action="append", help=f"default: {', '.join(CCYS)}")
    parser.add_argument("--rate", type=float, default=1000.0, help="option tickers a second over all venues")
    parser.add_argument("--seed", type=int, default=1)
    asyncio.run(serve(parser.parse_args()))


async def serve(args: argparse.Namespace) -> None:
    """Start the servers, say where they are, and wait for a signal."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    clock = SystemClock()
    world = World([load_shipped(ccy) for ccy in CHAINS], args.seed, start_ns=clock.now_ns())
    names = tuple(args.venue or SERVERS)
    wanted = tuple(args.ccy or CCYS)
    running = {}
    for name in names:
        running[name] = SERVERS[name](world, clock, wanted, args.rate / len(names))
        await running[name].start()
    addresses = {name: server.address for name, server in running.items()}
    label = f"Simulated market started from {world.label}"
    sys.stdout.write(orjson.dumps({"venues": addresses, "label": label}).decode() + "\n")
    sys.stdout.flush()
    await stop.wait()
    for server in running.values():
        await server.stop()


if __name__ == "__main__":
    main()
