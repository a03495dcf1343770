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
from functools import partial
from pathlib import Path
from typing import Protocol

import httpx
import msgspec

from derivasys.clock import Clock, RecordedClock, SystemClock
from derivasys.config import Config, ConfigError
from derivasys.connect import VENUES
from derivasys.connect.directory import Directory
from derivasys.connect.login import Login
from derivasys.connect.runner import Connector, Tap
from derivasys.connect.session import ConnectionState, Endpoint, Session, Venue
from derivasys.pipeline import Pipeline
from derivasys.testing.market import World
from derivasys.testing.market.coins import ALTCOINS
from derivasys.testing.market.world import CCYS
from derivasys.testing.recordings import CHAINS, VENUE, RecordedChain, load_chain, load_shipped
from derivasys.testing.servers import REPLAYS, SERVERS, TERMS, LocalVenue
from derivasys.wire.messages import Source

log = logging.getLogger("derivasys.sources")

PROBE_TIMEOUT_S = 3.0
OnFrame = Callable[["Feed", str, bytes, int], Sequence[str]]
"""(feed, venue, payload, recv_ns) → contracts whose sequenced streams turn out to have a gap."""


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
    @property
    def round_trip_ns(self) -> int | None: ...
    async def run(self) -> None: ...


class Feed:
    """One clock, its pipeline, and the connectors that feed it."""

    def __init__(self, clock: Clock, pipeline: Pipeline) -> None:
        self.clock = clock
        self.pipeline = pipeline
        self.connectors: list[Line] = []
        """Grows as coins are found; see `start`."""
        self.servers: list[LocalVenue] = []
        self.recorded: dict[str, int] = {}
        """By currency, the recorded instant in ms that this feed started from."""
        self.ccys: tuple[str, ...] = ()
        self.has_books = False
        """Whether order books are subscribed to."""
        self.ccys_of: dict[str, tuple[str, ...]] = {}
        """By venue: the coins that are followed."""
        self._start: Callable[[Line], None] | None = None

    def start(self, start: Callable[[Line], None]) -> None:
        """Let `start` run every line: those there are, and each that is added."""
        self._start = start
        for line in self.connectors:
            start(line)

    def add(self, line: Line) -> None:
        """Take one more line."""
        self.connectors.append(line)
        if self._start is not None:
            self._start(line)


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
    feed = Feed(SystemClock(), Pipeline(config.rules, config.ccys, stopwatch))
    feed.ccys = config.ccys
    feed.has_books = config.has_books
    for venue in venues:
        rng = random.Random()  # noqa: S311 - jitter
        # Only the venue itself is ever shown credentials, never a local server.
        _connect(feed, venue, venue.production, on_frame, rng, config.logins.get(venue.name))
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
        await _serve(feed, VENUE, server, on_frame, config.seed)
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
    listed = {family.ccy for name in names for family in TERMS[name].families}
    ccys = config.ccys or tuple(ccy for ccy in CCYS if ccy in listed)
    for ccy in ccys:
        if not world.knows(ccy):
            raise ConfigError(f"--ccy {ccy}: not simulated; there are: {', '.join([*CHAINS, *ALTCOINS])}")
    clock = RecordedClock(world.start_ns, config.speed)
    feed = Feed(clock, Pipeline(config.rules, ccys, stopwatch))
    feed.ccys = ccys
    feed.has_books = config.has_books
    feed.recorded = {chain.ccy: chain.instant_ns // 1_000_000 for chain in world.chains if chain.ccy in ccys}
    for name in names:
        server = SERVERS[name](world, clock, ccys, config.rate / len(names))
        await _serve(feed, name, server, on_frame, config.seed)
    scaled = world.scaled(ccys)
    label = f"Simulated market started from {world.label}" + (f"; {scaled}" if scaled else "")
    return Origin("simulated", label, [feed])


async def _serve(feed: Feed, name: str, server: LocalVenue, on_frame: OnFrame, seed: int) -> None:
    """Start a local server and connect the feed to it."""
    await server.start()
    feed.servers.append(server)
    address = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
    _connect(feed, VENUES[name], address, on_frame, random.Random(seed))  # noqa: S311 - jitter


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
    feed: Feed, venue: Venue, endpoint: Endpoint, on_frame: OnFrame, rng: random.Random, login: Login | None = None
) -> None:
    """Let the feed follow what the venue lists: a connector for each of its conversations, as coins are found."""

    def received(name: str, payload: bytes, recv_ns: int) -> Sequence[str]:
        return on_frame(feed, name, payload, recv_ns)

    def found(coins: Sequence[str]) -> None:
        ccys = [coin for coin in coins if not feed.ccys or coin in feed.ccys]
        feed.ccys_of[venue.name] += tuple(ccys)
        for at in range(len(venue.sessions(ccys, 0, has_books=feed.has_books)) if ccys else 0):
            session = partial(_session, venue, ccys, at, feed.has_books, login)
            feed.add(Connector(venue.name, endpoint, session, feed.clock, received, rng))

    feed.ccys_of[venue.name] = ()
    feed.add(Directory(venue, endpoint, found, rng))


def _session(
    venue: Venue, ccys: Sequence[str], at: int, has_books: bool, login: Login | None, now_ns: int
) -> Session:  # fmt: skip
    made = venue.sessions(ccys, now_ns, has_books=has_books)[at]
    if login is not None and venue.use_login is not None:
        venue.use_login(made, login)
    return made
