"""Where the market comes from: live venues, a replayed recording, or a simulated market.

Replay and simulation run a local venue server on loopback for each recorded instant and connect to it as to the venue
itself; only the address and the clock differ. What was recorded on different days runs on different clocks, so there is
one `Feed` (clock, pipeline, connectors) for each instant; live has a single one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import httpx

from derivasys.clock import Clock, RecordedClock, SystemClock
from derivasys.config import Config, ConfigError
from derivasys.connect import deribit
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint, Session
from derivasys.pipeline import Pipeline
from derivasys.testing.deribit import DeribitServer
from derivasys.testing.market import ReplayMarket, SimulatedMarket
from derivasys.testing.recordings import CHAINS, RecordedChain, load_chain, load_shipped
from derivasys.wire.messages import Source

LIVE_CCYS = ("BTC", "ETH")
PROBE_TIMEOUT_S = 3.0
OnFrame = Callable[["Feed", str, bytes, int], None]


class LocalVenue(Protocol):
    """A venue server of our own."""

    address: str

    async def start(self, port: int = 0) -> None: ...
    async def stop(self) -> None: ...


class Feed:
    """One clock, its pipeline, and the connectors that feed it."""

    def __init__(self, clock: Clock, pipeline: Pipeline) -> None:
        self.clock = clock
        self.pipeline = pipeline
        self.connectors: list[Connector] = []
        self.servers: list[LocalVenue] = []
        self.recorded: dict[str, int] = {}
        """By currency, the recorded instant in ms that this feed started from."""
        self.ccys: tuple[str, ...] = ()


class Origin:
    """The feeds of a run, and how to name them."""

    def __init__(self, kind: Source, label: str, feeds: list[Feed]) -> None:
        self.kind = kind
        self.label = label
        self.feeds = feeds


async def open_origin(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
    """Return the feeds that the configuration asks for, local servers started.

    With source `auto`: live when every venue answers, otherwise simulated from the shipped recordings.
    """
    for venue in config.venues:
        if venue != deribit.VENUE:
            raise ConfigError(f"--venue {venue}: not known; there is: {deribit.VENUE}")
    if config.source == "live":
        return _live(config, stopwatch, on_frame)
    if config.source == "auto" and config.data is None and await venues_answer():
        return _live(config, stopwatch, on_frame)
    return await _local(config, stopwatch, on_frame)


async def venues_answer() -> bool:
    """Return whether the live venues can be reached from here."""
    try:
        async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S) as http:
            reply = await http.get(deribit.PRODUCTION.http + "/public/test")
    except httpx.HTTPError:
        return False
    return reply.is_success


def _live(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
    ccys = config.ccys or LIVE_CCYS
    feed = Feed(SystemClock(), Pipeline(config.rules, ccys, stopwatch))
    feed.ccys = ccys
    _connect(feed, deribit.PRODUCTION, on_frame, random.Random())  # noqa: S311 - jitter
    return Origin("live", "Deribit, live", [feed])


async def _local(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
    chains = load_chains(config)
    by_instant: dict[int, list[RecordedChain]] = {}
    for chain in chains:
        by_instant.setdefault(chain.instant_ns, []).append(chain)
    is_replay = config.source == "replay"
    feeds = []
    for instant_ns, recorded in by_instant.items():
        clock = RecordedClock(instant_ns, config.speed)
        rate = config.rate / len(chains)
        markets = [
            ReplayMarket(chain) if is_replay else SimulatedMarket(chain, seed=config.seed, rate=rate)
            for chain in recorded
        ]
        server = DeribitServer(markets, clock, seed=config.seed)
        await server.start()
        ccys = tuple(chain.ccy for chain in recorded)
        feed = Feed(clock, Pipeline(config.rules, ccys, stopwatch))
        feed.ccys = ccys
        feed.servers.append(server)
        feed.recorded = dict.fromkeys(ccys, instant_ns // 1_000_000)
        address = Endpoint(ws=f"ws://{server.address}/ws/api/v2", http=f"http://{server.address}/api/v2")
        _connect(feed, address, on_frame, random.Random(config.seed))  # noqa: S311 - jitter
        feeds.append(feed)
    labels = "; ".join(chain.label for chain in chains)
    if is_replay:
        return Origin("replay", f"Recording of {labels}", feeds)
    return Origin("simulated", f"Simulated market started from {labels}", feeds)


def load_chains(config: Config) -> list[RecordedChain]:
    """Return the recorded chains to start from: those in `--data`, or the shipped ones, of the currencies asked for."""
    if config.data is not None:
        files = _chain_files(config.data)
        chains = [load_chain(file) for file in files]
        if config.ccys:
            chains = [chain for chain in chains if chain.ccy in config.ccys]
        if not chains:
            raise ConfigError(f"--data {config.data}: no recorded chain (*.json, *.csv) for --ccy")
        return chains
    for ccy in config.ccys:
        if ccy not in CHAINS:
            listed = ", ".join(CHAINS)
            raise ConfigError(f"--ccy {ccy}: no recording is shipped for it; there are: {listed}")
    return [load_shipped(ccy) for ccy in config.ccys or CHAINS]


def _chain_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"--data {folder}: no such folder")
    return sorted(path for path in folder.iterdir() if path.suffix in (".json", ".csv"))


def _connect(feed: Feed, endpoint: Endpoint, on_frame: OnFrame, rng: random.Random) -> None:
    def session(now_ns: int) -> Session:
        return deribit.DeribitSession(feed.ccys, now_ns)

    def received(venue: str, payload: bytes, recv_ns: int) -> None:
        on_frame(feed, venue, payload, recv_ns)

    feed.connectors.append(Connector(deribit.VENUE, endpoint, session, feed.clock, received, rng))
