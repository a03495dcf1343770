"""One seeded run: venues, wires, pipelines and faults on one virtual clock."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msgspec import Struct

from derivasys.calibrate import Rules
from derivasys.clock import VirtualClock
from derivasys.connect import VENUES
from derivasys.connect.session import Session
from derivasys.pipeline import Pipeline
from derivasys.surface import FITTED, Surface
from derivasys.testing.market import World
from derivasys.testing.market.ladder import last_eight_ms
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS, TERMS
from derivasys.testing.shell import Reply
from derivasys.testing.simulation import checks, venue_side
from derivasys.testing.simulation.books import BOOK_SESSIONS, book_session
from derivasys.testing.simulation.checks import Broken, Truth
from derivasys.testing.simulation.faults import ROLL_LEAD_S, Fault, Kind, S, is_roll, roll, schedule
from derivasys.testing.simulation.wires import Line

STEP_NS = 200_000_000
COARSE_NS = 2_500_000_000
"""Steps while nothing but a long absence goes on."""
LONG_NS, EDGE_NS = 600 * S, 15 * S
CYCLE_NS = 1 * S
CHECK_NS = 1 * S
ACT_NS = 1 * S
WARM_UP_S = 15
RECOVERY_S = 150
"""After the last fault: silence is noticed within 40 s, a reconnect waits at most 30 s, a board fills within seconds,
and a quote lost unnoticed (tickers carry no sequence numbers) is sent anew or counts as stale after 120 s."""
LIVE_S = 5.0
CCYS = ("ETH", "BTC", "SOL")
RATE, QUIET_RATE = 40.0, 8.0
"""Option tickers a second and venue; the lower while only a long absence goes on."""


class Report(Struct, frozen=True):
    """What a run went through."""

    seed: int
    ccys: tuple[str, ...]
    faults: tuple[Fault, ...]
    counts: dict[str, int]
    """What happened: how often messages were lost, connections replaced, quotes refused, by name."""
    cycles: int
    lasted_s: float
    recovered_s: float
    """From the end of the last fault until all was back."""


class Simulation:
    """One run. `run` raises Broken, or whatever crashed.

    `faults` are those of the seed unless given, as such or made from the start instant; `is_whole` takes the venues'
    whole listings instead of small ones; `is_at_roll` starts shortly before 08:00 UTC.
    """

    def __init__(
        self,
        seed: int,
        venues: Sequence[str] = (),
        ccys: Sequence[str] = (),
        rate: float = RATE,
        faults: Sequence[Fault] | Callable[[int], Sequence[Fault]] | None = None,
        *,
        rules: Rules | None = None,
        is_whole: bool = False,
        is_at_roll: bool = False,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - a simulation
        self.ccys = tuple(ccys) or (self.rng.choice(CCYS),)
        self.rate = rate
        chains = [load_shipped("BTC"), load_shipped("ETH")]
        is_at_roll = is_at_roll or (faults is None and is_roll(self.rng))
        instant_ns = chains[0].instant_ns
        eight_ns = (last_eight_ms(instant_ns // 1_000_000) + 86_400_000) * 1_000_000
        start_ns = eight_ns - int(ROLL_LEAD_S * S) if is_at_roll else instant_ns
        world = World(chains, seed, start_ns) if is_whole else World(chains, seed, start_ns, venue_side.trim)
        listing = [name for name in SERVERS if self._ccys_of(name)]
        self.venues = tuple(venues) or tuple(listing)
        self.clock = VirtualClock(start_ns)
        self.pipeline = Pipeline(rules or Rules(), self.ccys)
        self.books = Pipeline(None, self.ccys)
        """Never drained: its chain is what the books say."""
        self.counts: Counter[str] = Counter()
        self.heard_ns: dict[str, int] = {}
        self.servers: dict[str, Any] = {
            name: SERVERS[name](world, self.clock, self._ccys_of(name), rate) for name in self.venues
        }
        if not is_whole:
            for server in self.servers.values():
                for market in venue_side.markets_of(server):
                    market.steps_max = 1
        self._coins = [world.coin(ccy) for ccy in self.ccys]
        self.truth = Truth(self.servers)
        self.lines = [line for name in self.venues for line in self._lines_of(name)]
        if callable(faults):
            faults = faults(start_ns)
        if faults is None:
            faults = schedule(self.rng, self.venues, start_ns, WARM_UP_S)
        self.faults = (roll(eight_ns), *faults) if is_at_roll else tuple(faults)
        self._edges = sorted({at for fault in self.faults for at in (fault.start_ns, fault.end_ns)})
        self._active: set[Fault] = set()
        self.on: dict[str, frozenset[Kind]] = dict.fromkeys(self.venues, frozenset())
        self.skew_ms: dict[str, int] = {}
        self.excused: set[tuple[str, int]] = set()
        """(venue, receive time) of corrupt messages that could still be read."""
        self._book_excused: set[tuple[str, int]] = set()
        self._is_coarse = False

    def _ccys_of(self, name: str) -> tuple[str, ...]:
        listed = {family.ccy for family in TERMS[name].families}
        return tuple(ccy for ccy in self.ccys if ccy in listed)

    def _lines_of(self, name: str) -> list[Line]:
        venue, ccys, server = VENUES[name], self._ccys_of(name), self.servers[name]

        def session(now_ns: int, at: int) -> Session:
            return venue.sessions(ccys, now_ns)[at]

        count = len(venue.sessions(ccys, self.clock.now_ns()))
        lines = [Line(name, partial(session, at=at), server, self, self.pipeline) for at in range(count)]
        if name in BOOK_SESSIONS:
            make = partial(book_session, name, ccys)
            lines.append(Line(name, make, server, self, self.books, is_book=True))
        return lines

    # --- for the wires ---

    def http(self, name: str, server: Any, path: str, query: dict[str, str], now_ns: int) -> Reply:
        """Answer one GET of a client."""
        return venue_side.http(server, path, query, now_ns, is_down=Kind.MAINTENANCE in self.on[name])

    def receive(self, line: Line, payload: bytes, now_ns: int, *, is_corrupt: bool) -> Sequence[str]:
        """Take one message off a wire; return the contracts whose streams have a gap.

        Raises Broken when bytes that cannot be read are not counted.
        """
        pipeline = self.books if line.is_book else self.pipeline
        if not line.is_book:
            self.heard_ns[line.venue] = now_ns
        if not is_corrupt:
            return pipeline.push(line.venue, payload, now_ns)
        before = sum(pipeline.rejects.values())
        broken = pipeline.push(line.venue, payload, now_ns)
        is_rejected = sum(pipeline.rejects.values()) > before
        self.counts["corrupt and rejected" if is_rejected else "corrupt and read"] += 1
        if not is_rejected:
            (self._book_excused if line.is_book else self.excused).add((line.venue, now_ns))
            # A wrong byte in a field that is not read may pass; a message without its end may not.
            if not payload.endswith((b"}", b"]", b"pong")):
                raise Broken(f"{line.venue}: a cut message was neither read nor counted: {payload[:80]!r}")
        return broken

    # --- the run ---

    def step(self, step_ns: int = STEP_NS) -> int:
        """Move all on by one step; return the time."""
        now_ns = self.clock.advance(step_ns)
        while self._edges and now_ns >= self._edges[0]:
            self._edges.pop(0)
            self._change(now_ns)
        for server in self.servers.values():
            server._venue.tick(now_ns)  # noqa: SLF001
        self.truth.observe()
        for line in self.lines:
            line.step(now_ns)
        return now_ns

    def run(self) -> Report:
        """Run to the recovery from the last fault."""
        started_ns = self.clock.now_ns()
        last_ns = max((fault.end_ns for fault in self.faults), default=started_ns + WARM_UP_S * S)
        next_cycle_ns, next_check_ns, next_act_ns = started_ns + CYCLE_NS, started_ns, started_ns
        cycles = 0
        while True:
            now_ns = self.step(self._step_ns(self.clock.now_ns()))
            if now_ns >= next_act_ns:
                next_act_ns = now_ns + ACT_NS
                self._act()
            if now_ns < next_cycle_ns:
                continue
            next_cycle_ns = now_ns + (2 * COARSE_NS if self._is_coarse else CYCLE_NS)
            cycles += 1
            surfaces = self.pipeline.drain(now_ns)
            for surface in surfaces:
                checks.check_surface(surface)
            if now_ns >= next_check_ns:
                next_check_ns = now_ns + (20 * S if self._is_coarse else CHECK_NS)
                self._check_quotes(surfaces)
            if now_ns > last_ns and not self._why_not_back(now_ns, last_ns):
                return self._report(cycles, started_ns, now_ns, last_ns)
            if now_ns > last_ns + RECOVERY_S * S:
                raise Broken(f"not back {RECOVERY_S} s after the last fault: {self._state(now_ns, last_ns)}")

    def _step_ns(self, now_ns: int) -> int:
        """Return how far to go: far while only long faults last and none begins or ends soon."""
        is_coarse = bool(
            self._active
            and all(fault.end_ns - fault.start_ns >= LONG_NS for fault in self._active)
            and all(now_ns - fault.start_ns > EDGE_NS for fault in self.faults if fault.start_ns <= now_ns)
            and all(now_ns - fault.end_ns > EDGE_NS for fault in self.faults if fault.end_ns <= now_ns)
            and (not self._edges or self._edges[0] - now_ns > EDGE_NS)
        )
        if is_coarse != self._is_coarse:
            self._is_coarse = is_coarse
            for server in self.servers.values():
                venue_side.set_rate(server, QUIET_RATE if is_coarse else self.rate)
        return COARSE_NS if is_coarse else STEP_NS

    # --- faults ---

    def _change(self, now_ns: int) -> None:
        """Begin and end faults."""
        active = {fault for fault in self.faults if fault.start_ns <= now_ns < fault.end_ns}
        begun, ended = active - self._active, self._active - active
        self._active = active
        self.on = {name: frozenset(fault.kind for fault in active if fault.venue in (name, "")) for name in self.venues}
        self.skew_ms = {fault.venue: int(fault.size * 1000) for fault in active if fault.kind is Kind.SKEW}
        for fault in sorted(ended, key=str):
            self._switch(fault, is_on=False)
        for fault in sorted(begun, key=str):
            self._switch(fault, is_on=True)

    def _switch(self, fault: Fault, *, is_on: bool) -> None:
        named = [fault.venue] if fault.venue else self.venues
        if fault.kind is Kind.JUMP and is_on:
            for coin in self._coins:
                coin.shock(fault.size, 1.0)
            self.counts["jumps"] += 1
        for name in named:
            server = self.servers[name]
            if fault.kind is Kind.BURST:
                venue_side.set_rate(server, self.rate, is_burst=is_on)
            elif fault.kind is Kind.MAINTENANCE:
                venue_side.maintain(server, is_on=is_on)
            elif fault.kind is Kind.STALL:
                venue_side.stall(server, self.rng) if is_on else venue_side.end_stall(server)
            elif fault.kind is Kind.JUMP and not is_on:
                # Where spot has gone, venues list strikes.
                venue_side.churn(server, self.rng, self.counts, only_list=True)

    def _act(self) -> None:
        """Do what faults do again and again."""
        for name, on in self.on.items():
            if Kind.CHURN in on:
                venue_side.churn(self.servers[name], self.rng, self.counts)
            if Kind.GAP in on:
                venue_side.lose_book_change(self.servers[name])
            if Kind.BURST in on:
                self.counts["seconds of burst"] += 1

    # --- what must hold ---

    def _check_quotes(self, surfaces: Sequence[Surface]) -> None:
        for chain in self.pipeline.chains.values():
            checks.check_quotes(chain, self.truth, "pipeline", self.excused)
        for chain in self.books.chains.values():
            checks.check_quotes(chain, self.truth, "books", self._book_excused)
        for surface in surfaces:
            checks.check_used(surface, self.pipeline.chains[surface.ccy], self.truth, self.excused)

    def _why_not_back(self, now_ns: int, last_ns: int) -> str:
        """Return what is not yet as it should be: lines, smiles, or what the chains hold; '' when all is."""
        for name in self.venues:
            if now_ns - self.heard_ns.get(name, 0) > LIVE_S * S:
                return f"{name} is silent"
        for ccy in self.ccys:
            surface = self.pipeline.surfaces.get(ccy)
            if surface is None:
                return f"no surface of {ccy}"
            fitted = {ms for ms, state in zip(surface.expiries, surface.state, strict=True) if state == FITTED}
            lacking = self.truth.fittable(ccy, now_ns) - fitted
            if lacking:
                return f"{ccy}: not fitted: {sorted(lacking)}"
            if surface.expiries and surface.expiries[0] <= surface.now_ns // 1_000_000:
                return f"{ccy}: an expired smile is shown"
            # A message sent as the fault ended may still have suffered it.
            since_ms = last_ns // 1_000_000 + 2000
            wrong = checks.disagreements(self.pipeline.chains[ccy], self.truth, now_ns, since_ms)
            books = self.books.chains.get(ccy)
            if books is not None:
                followed = {of.symbol for row, of in enumerate(books.contracts) if books.recv_ns[row]}
                wrong += checks.disagreements(books, self.truth, now_ns, 1 << 62, followed)
            if wrong:
                return f"{len(wrong)} disagree: {'; '.join(wrong[:4])}"
        return ""

    def _state(self, now_ns: int, last_ns: int) -> str:
        told = [self._why_not_back(now_ns, last_ns)]
        told += [f"{line.venue}: {line.reconnects} reconnects" for line in self.lines if line.reconnects]
        return "; ".join([*told, str(dict(self.counts)), ", ".join(map(str, self.faults))])

    def _report(self, cycles: int, started_ns: int, now_ns: int, last_ns: int) -> Report:
        counts = {**self.counts, "gaps": sum(self.books.gaps.values())}
        counts["pushes lost by venues"] = sum(venue_side.losses_of(server).lost for server in self.servers.values())
        for pipeline in (self.pipeline, self.books):
            for (_, reason), count in pipeline.rejects.items():
                counts[f"reject {reason}"] = counts.get(f"reject {reason}", 0) + count
        for chain in self.pipeline.chains.values():
            for (_, reason), count in chain.ignored.items():
                counts[f"ignored {reason}"] = counts.get(f"ignored {reason}", 0) + count
        return Report(
            self.seed, self.ccys, self.faults, counts, cycles, (now_ns - started_ns) / S, (now_ns - last_ns) / S
        )
