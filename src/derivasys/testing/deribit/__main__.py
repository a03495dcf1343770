"""python -m derivasys.testing.deribit: a local Deribit until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from derivasys.clock import RecordedClock
from derivasys.testing.deribit.server import DeribitServer, describe
from derivasys.testing.market import Market, ReplayMarket, SimulatedMarket
from derivasys.testing.recordings import CHAINS, load_shipped


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m derivasys.testing.deribit", description=__doc__)
    parser.add_argument("--port", type=int, default=18080, help="0 for a free one")
    parser.add_argument("--mode", choices=("simulated", "replay"), default="simulated")
    parser.add_argument("--ccy", choices=tuple(CHAINS), default="BTC")
    parser.add_argument("--rate", type=float, default=1000.0, help="option tickers a second")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--speed", type=float, default=1.0, help="of the venue's clock")
    parser.add_argument("--ticker-interval-ms", type=int, default=100, help="less than 100 only to load a client")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(args: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    chain = load_shipped(args.ccy)
    is_replay = args.mode == "replay"
    market: Market = ReplayMarket(chain, args.rate) if is_replay else SimulatedMarket(chain, args.seed, args.rate)
    clock = RecordedClock(chain.instant_ns, args.speed)
    server = DeribitServer(market, clock, seed=args.seed, ticker_interval_ms=args.ticker_interval_ms)
    await server.start(args.port)
    sys.stdout.write(describe(server).decode() + "\n")
    sys.stdout.flush()
    await stop.wait()
    await server.stop()


if __name__ == "__main__":
    main()
