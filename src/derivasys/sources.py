"""Where the market comes from: live venues, a replayed recording, or a simulated market.

Replay and simulation run a local venue server on loopback for each recorded instant and connect to it as to the venue
itself; only the address and the clock differ. What was recorded on different days runs on different clocks, so there is
one `Feed` (clock, pipeline, connectors) for each instant; live has a single one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import httpx

from derivasys.clock import Clock, RecordedClock, SystemClock
from derivasys.config import Config, ConfigError
from derivasys.connect import VENUES
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint, Session, Venue
from derivasys.pipeline import Pipeline
from derivasys.testing.deribit import DeribitServer
from derivasys.testing.market import ReplayMarket, SimulatedMarket
from derivasys.testing.recordings import CHAINS, RecordedChain, load_chain, load_shipped
from derivasys.wire.messages import Source

PROBE_TIMEOUT_S = 3.0
TICKER_INTERVAL_MS, LOAD_INTERVAL_MS = 100, 10
FAITHFUL_RATE_MAX = 8_000.0
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
        if venue not in VENUES:
            raise ConfigError(f"--venue {venue}: not known; there are: {', '.join(VENUES)}")
    if config.source == "live":
        return _live(config, stopwatch, on_frame)
    if config.source == "auto" and config.data is None and all((await venues_answer(config.venues)).values()):
        return _live(config, stopwatch, on_frame)
    return await _local(config, stopwatch, on_frame)


async def venues_answer(names: Sequence[str]) -> dict[str, bool]:
    """Return, by venue, whether it can be reached from here."""

    async def answers(http: httpx.AsyncClient, venue: Venue) -> bool:
        try:
            return (await http.get(venue.production.http + venue.probe)).is_success
        except httpx.HTTPError:
            return False

    async with httpx.AsyncClient(timeout=PROBE_TIMEOUT_S) as http:
        found = await asyncio.gather(*(answers(http, VENUES[name]) for name in names))
    return dict(zip(names, found, strict=True))


def _live(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
    venues = [VENUES[name] for name in config.venues]
    ccys = config.ccys or tuple(dict.fromkeys(ccy for venue in venues for ccy in venue.ccys))
    feed = Feed(SystemClock(), Pipeline(config.rules, ccys, stopwatch))
    feed.ccys = ccys
    for venue in venues:
        _connect(feed, venue, venue.production, on_frame, random.Random())  # noqa: S311 - jitter
    return Origin("live", ", ".join(venue.name.capitalize() for venue in venues) + ", live", [feed])


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
        # Deribit sends an instrument's ticker at most every 100 ms, which caps what a chain can send; beyond that
        # a load test has to be less faithful.
        interval_ms = TICKER_INTERVAL_MS if config.rate <= FAITHFUL_RATE_MAX else LOAD_INTERVAL_MS
        server = DeribitServer(markets, clock, seed=config.seed, ticker_interval_ms=interval_ms)
        await server.start()
        ccys = tuple(chain.ccy for chain in recorded)
        feed = Feed(clock, Pipeline(config.rules, ccys, stopwatch))
        feed.ccys = ccys
        feed.servers.append(server)
        feed.recorded = dict.fromkeys(ccys, instant_ns // 1_000_000)
        address = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        _connect(feed, VENUES["deribit"], address, on_frame, random.Random(config.seed))  # noqa: S311 - jitter
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


def _connect(feed: Feed, venue: Venue, endpoint: Endpoint, on_frame: OnFrame, rng: random.Random) -> None:
    """Give the feed a connector for each of the venue's conversations."""

    def received(name: str, payload: bytes, recv_ns: int) -> None:
        on_frame(feed, name, payload, recv_ns)

    for at in range(len(venue.sessions(feed.ccys, 0))):

        def session(now_ns: int, at: int = at) -> Session:
            return venue.sessions(feed.ccys, now_ns)[at]

        feed.connectors.append(Connector(venue.name, endpoint, session, feed.clock, received, rng))
