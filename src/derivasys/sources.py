"""Where the market comes from: live venues, a replayed recording, or a simulated market.

Replay and simulation run local venue servers on loopback and connect to them as to the venues themselves; only the
address and the clock differ. Live and simulation have one `Feed` (clock, pipeline, connectors): a simulated market lays
its expiries out from one instant, whatever its chains were recorded at. A replay has one for each recorded instant.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import httpx
import msgspec

from derivasys.clock import Clock, RecordedClock, SystemClock
from derivasys.config import Config, ConfigError
from derivasys.connect import VENUES
from derivasys.connect.runner import Connector, Tap
from derivasys.connect.session import ConnectionState, Endpoint, Session, Venue
from derivasys.pipeline import Pipeline
from derivasys.testing.market import World
from derivasys.testing.market.coins import ALTCOINS
from derivasys.testing.market.world import CCYS
from derivasys.testing.recordings import CHAINS, VENUE, RecordedChain, load_chain, load_shipped
from derivasys.testing.servers import REPLAYS, SERVERS, LocalVenue
from derivasys.wire.messages import Source

log = logging.getLogger("derivasys.sources")

PROBE_TIMEOUT_S = 3.0
OnFrame = Callable[["Feed", str, bytes, int], None]


class Line(Protocol):
    """What brings a feed its frames: a connector, or a recording's player."""

    venue: str
    detail: str
    messages: int
    reconnects: int
    last_frame_ns: int | None
    tap: Tap | None

    @property
    def state(self) -> ConnectionState: ...
    async def run(self) -> None: ...


class Feed:
    """One clock, its pipeline, and the connectors that feed it."""

    def __init__(self, clock: Clock, pipeline: Pipeline) -> None:
        self.clock = clock
        self.pipeline = pipeline
        self.connectors: list[Line] = []
        self.servers: list[LocalVenue] = []
        self.recorded: dict[str, int] = {}
        """By currency, the recorded instant in ms that this feed started from."""
        self.ccys: tuple[str, ...] = ()
        self.ccys_of: dict[str, tuple[str, ...]] = {}
        """By venue."""


class Origin:
    """The feeds of a run, and how to name them."""

    def __init__(self, kind: Source, label: str, feeds: list[Feed]) -> None:
        self.kind = kind
        self.label = label
        self.feeds = feeds

    @property
    def venues(self) -> tuple[str, ...]:
        """The venues that the feeds have lines to."""
        return tuple(dict.fromkeys(line.venue for feed in self.feeds for line in feed.connectors))


async def open_origin(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
    """Return the feeds that the configuration asks for, local servers started.

    With source `auto`: live on the venues that answer; simulated from the shipped recordings when none does.
    """
    for venue in config.venues:
        if venue not in VENUES:
            raise ConfigError(f"--venue {venue}: not known; there are: {', '.join(VENUES)}")
    if config.source == "live":
        return _live(config, stopwatch, on_frame)
    if config.source == "replay":
        return await _replayed(config, stopwatch, on_frame)
    if config.source == "auto" and config.data is None:
        answers = await venues_answer(config.venues or tuple(VENUES))
        answering = tuple(name for name, does in answers.items() if does)
        if answering:
            for name in answers.keys() - set(answering):
                log.warning("%s does not answer and is left out; --source live insists on it", name)
            return _live(msgspec.structs.replace(config, venues=answering), stopwatch, on_frame)
    return await _simulated(config, stopwatch, on_frame)


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
    venues = [VENUES[name] for name in config.venues or VENUES]
    ccys = config.ccys or tuple(dict.fromkeys(ccy for venue in venues for ccy in venue.ccys))
    feed = Feed(SystemClock(), Pipeline(config.rules, ccys, stopwatch))
    feed.ccys = ccys
    for venue in venues:
        of_venue = config.ccys or venue.ccys
        _connect(feed, venue, of_venue, venue.production, on_frame, random.Random())  # noqa: S311 - jitter
    return Origin("live", ", ".join(venue.name.capitalize() for venue in venues) + ", live", [feed])


async def _replayed(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
    """Return a feed for each recorded instant, with the recorded venue's server on a clock that starts there."""
    for venue in config.venues:
        if venue != VENUE:
            raise ConfigError(f"--venue {venue}: no recorded chains of it; --source replay has {VENUE}")
    chains = load_chains(config)
    by_instant: dict[int, list[RecordedChain]] = {}
    for chain in chains:
        by_instant.setdefault(chain.instant_ns, []).append(chain)
    feeds = []
    for instant_ns, recorded in by_instant.items():
        clock = RecordedClock(instant_ns, config.speed)
        ccys = tuple(chain.ccy for chain in recorded)
        feed = Feed(clock, Pipeline(config.rules, ccys, stopwatch))
        feed.ccys = ccys
        feed.recorded = dict.fromkeys(ccys, instant_ns // 1_000_000)
        server = REPLAYS[VENUE](recorded, clock, config.seed)
        await _serve(feed, VENUE, ccys, server, on_frame, config.seed)
        feeds.append(feed)
    return Origin("replay", "Recording of " + "; ".join(chain.label for chain in chains), feeds)


async def _simulated(config: Config, stopwatch: Callable[[], int], on_frame: OnFrame) -> Origin:
    """Return one feed: one simulated market, shown by a local server of every venue."""
    served = [name for name in VENUES if name in SERVERS]
    for name in config.venues:
        if name not in SERVERS:
            raise ConfigError(f"--venue {name}: no local server; --source simulated has {', '.join(served)}")
    names = config.venues or tuple(served)
    world = World(simulated_from(config), config.seed)
    ccys = config.ccys or tuple(ccy for ccy in CCYS if any(ccy in VENUES[name].ccys for name in names))
    for ccy in ccys:
        if not world.knows(ccy):
            raise ConfigError(f"--ccy {ccy}: not simulated; there are: {', '.join([*CHAINS, *ALTCOINS])}")
    clock = RecordedClock(world.start_ns, config.speed)
    feed = Feed(clock, Pipeline(config.rules, ccys, stopwatch))
    feed.ccys = ccys
    feed.recorded = {chain.ccy: chain.instant_ns // 1_000_000 for chain in world.chains if chain.ccy in ccys}
    for name in names:
        of_venue = config.ccys or tuple(ccy for ccy in ccys if ccy in VENUES[name].ccys)
        server = SERVERS[name](world, clock, of_venue, config.rate / len(names))
        await _serve(feed, name, of_venue, server, on_frame, config.seed)
    scaled = world.scaled(ccys)
    label = f"Simulated market started from {world.label}" + (f"; {scaled}" if scaled else "")
    return Origin("simulated", label, [feed])


async def _serve(
    feed: Feed, name: str, ccys: Sequence[str], server: LocalVenue, on_frame: OnFrame, seed: int
) -> None:  # fmt: skip
    """Start a local server and connect the feed to it."""
    await server.start()
    feed.servers.append(server)
    address = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
    _connect(feed, VENUES[name], ccys, address, on_frame, random.Random(seed))  # noqa: S311 - jitter


def load_chains(config: Config) -> list[RecordedChain]:
    """Return the recorded chains of the currencies asked for: those in `--data`, or the shipped ones."""
    if config.data is not None:
        chains = [chain for chain in _chains_in(config.data) if not config.ccys or chain.ccy in config.ccys]
        if not chains:
            raise ConfigError(f"--data {config.data}: no recorded chain (*.json, *.csv) for --ccy")
        return chains
    for ccy in config.ccys:
        if ccy not in CHAINS:
            listed = ", ".join(CHAINS)
            raise ConfigError(f"--ccy {ccy}: no recording is shipped for it; there are: {listed}")
    return [load_shipped(ccy) for ccy in config.ccys or CHAINS]


def simulated_from(config: Config) -> list[RecordedChain]:
    """Return the recorded chains that a simulated market starts from, one a currency, whatever currencies it shows."""
    if config.data is None:
        return [load_shipped(ccy) for ccy in CHAINS]
    return list({chain.ccy: chain for chain in _chains_in(config.data)}.values())


def _chains_in(folder: Path) -> list[RecordedChain]:
    chains = [load_chain(file) for file in _chain_files(folder)]
    if not chains:
        raise ConfigError(f"--data {folder}: no recorded chain (*.json, *.csv)")
    return chains


def _chain_files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"--data {folder}: no such folder")
    return sorted(path for path in folder.iterdir() if path.suffix in (".json", ".csv"))


def _connect(
    feed: Feed, venue: Venue, ccys: Sequence[str], endpoint: Endpoint, on_frame: OnFrame, rng: random.Random
) -> None:  # fmt: skip
    """Give the feed a connector for each of the venue's conversations."""

    def received(name: str, payload: bytes, recv_ns: int) -> None:
        on_frame(feed, name, payload, recv_ns)

    feed.ccys_of[venue.name] = tuple(ccys)
    for at in range(len(venue.sessions(ccys, 0))):

        def session(now_ns: int, at: int = at) -> Session:
            return venue.sessions(ccys, now_ns)[at]

        feed.connectors.append(Connector(venue.name, endpoint, session, feed.clock, received, rng))
