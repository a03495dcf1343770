"""Connectors and pipeline against local venues over wires that fail, on a virtual clock: no sockets, no sleeps.

    report = Simulation(seed=7).run()

A seed chooses which faults come when. While they last, nothing may crash, no stale quote may be fitted to, and every
published smile is certified, held or rejected; when they are over, every connection and every smile must be back within
`RECOVERY_S`, and the chain must say what the venue says. What was lost on the way is counted.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
import numpy as np
from msgspec import Struct

from derivasys.calibrate import Rules
from derivasys.clock import VirtualClock
from derivasys.connect import VENUES
from derivasys.connect.session import Backoff, Reconnect, Session
from derivasys.connect.session import Venue as Connected
from derivasys.pipeline import Pipeline
from derivasys.surface import CERTIFIED, FITTED, REJECTED, Surface
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS
from derivasys.testing.shell import ABNORMAL, LocalServer

S = 1_000_000_000
STEP_NS = 50_000_000
CYCLE_NS = 500_000_000
LATENCY_NS = 20_000_000
WARM_UP_S = 20
RECOVERY_S = 150
"""After the last fault: silence is noticed within 40 s, a reconnect waits at most 30 s, a board fills within seconds,
and a quote lost unnoticed (tickers carry no sequence numbers) is sent anew or counts as stale after 120 s."""
FAULTS_MAX = 4


class Kind(StrEnum):
    """What may go wrong."""

    CUT = "cut"  # the connection ends
    HALF_OPEN = "half_open"  # nothing passes, and nobody is told
    GONE = "gone"  # connecting fails too
    DROP = "drop"  # messages are lost
    DUPLICATE = "duplicate"
    REORDER = "reorder"
    CORRUPT = "corrupt"  # a byte is changed, or the message cut short
    DEAF = "deaf"  # what the client says is lost: heartbeats go unanswered
    DELAY = "delay"  # messages come seconds late


class Fault(Struct, frozen=True):
    """One fault of one venue's wires, from `start_ns` to `end_ns`."""

    kind: Kind
    venue: str
    start_ns: int
    end_ns: int


class Broken(AssertionError):  # noqa: N818 - what it says of an invariant
    """An invariant that does not hold."""


class Wire:
    """One connection, client's session to venue's session. Messages wait here for their time."""

    def __init__(self, session: Session, far: Any, now_ns: int) -> None:
        self.session = session
        self.far = far
        self.inbound: list[tuple[int, bytes]] = []
        self.outbound: list[tuple[int, bytes]] = []
        self.opened_ns = now_ns


class Line:
    """One of a venue's conversations, through all its connections."""

    def __init__(self, venue: Connected, at: int, server: LocalServer, sim: Simulation) -> None:
        self.venue = venue
        self._at = at
        self._server = server
        self._sim = sim
        self._backoff = Backoff(sim.rng)
        self.wire: Wire | None = None
        self._retry_ns = sim.clock.now_ns()
        self.reconnects = 0

    @property
    def is_live(self) -> bool:
        """Whether market data has come within the last seconds."""
        return self.wire is not None and self._sim.clock.now_ns() - self._sim.heard_ns.get(self.venue.name, 0) < 5 * S

    def step(self, now_ns: int) -> None:
        """Carry messages, run timers, connect and reconnect."""
        if self.wire is None:
            if now_ns >= self._retry_ns:
                self._connect(now_ns)
            return
        wire = self.wire
        try:
            self._carry(wire, now_ns)
            self._say(wire, wire.session.tick(now_ns), now_ns)
            if wire.session.relisting:
                self._list(wire.session, now_ns)
        except Reconnect as why:
            self._end(f"reconnect: {why}", now_ns)
        except (msgspec.DecodeError, UnicodeDecodeError) as why:
            self._end(f"undecodable listing: {type(why).__name__}", now_ns)

    def _connect(self, now_ns: int) -> None:
        if self._sim.is_on(Kind.GONE, self.venue.name) or self._sim.is_on(Kind.HALF_OPEN, self.venue.name):
            self._sim.counts["refused"] += 1
            self._retry_ns = now_ns + int(self._backoff.next_s() * S)
            return
        session = self.venue.sessions(self._sim.ccys, now_ns)[self._at]
        try:
            self._list(session, now_ns)
        except (Reconnect, msgspec.DecodeError, UnicodeDecodeError):
            self._retry_ns = now_ns + int(self._backoff.next_s() * S)
            return
        url = urlsplit(session.ws_path)
        if not self._server.has_socket(url.path):
            raise Broken(f"{self.venue.name}: no socket at {session.ws_path}")
        far = self._server.open_session(url.path, dict(parse_qsl(url.query)), now_ns)
        self.wire = Wire(session, far, now_ns)
        self._say(self.wire, session.opened(now_ns), now_ns)

    def _list(self, session: Session, now_ns: int) -> None:
        while session.relisting:
            path = session.relisting.pop(0)
            url = urlsplit(path)
            status, body, _ = self._server.http("GET", url.path, dict(parse_qsl(url.query)), b"", now_ns)
            if status != 200:
                self._sim.counts["listing_refused"] += 1
                raise Reconnect(f"listing answered {status}")
            self._sim.pipeline.push(self.venue.name, body, now_ns)
            session.listed(path, body, now_ns)

    def _say(self, wire: Wire, messages: list[bytes], now_ns: int) -> None:
        if self._sim.is_on(Kind.DEAF, self.venue.name) or self._sim.is_on(Kind.HALF_OPEN, self.venue.name):
            self._sim.counts["unheard"] += len(messages)
            return
        wire.outbound += [(now_ns + LATENCY_NS, message) for message in messages]

    def _carry(self, wire: Wire, now_ns: int) -> None:
        """Move what is due in both directions, through whatever fault is on."""
        while wire.outbound and wire.outbound[0][0] <= now_ns:
            self._server._venue.receive(wire.far, wire.outbound.pop(0)[1], now_ns)  # noqa: SLF001 - the shell's venue
        for payload in wire.far.take():
            self._sim.disturb(self.venue.name, payload, wire, now_ns)
        if self._sim.is_on(Kind.CUT, self.venue.name):
            self._end("cut", now_ns)
            return
        if wire.far.closing is not None and not self._sim.is_on(Kind.HALF_OPEN, self.venue.name):
            code = wire.far.closing[0]
            self._end("cut by the venue" if code == ABNORMAL else f"closed by the venue: {code}", now_ns)
            return
        due = [entry for entry in wire.inbound if entry[0] <= now_ns]
        wire.inbound = [entry for entry in wire.inbound if entry[0] > now_ns]
        for _, payload in due:
            self._sim.heard_ns[self.venue.name] = now_ns
            self._sim.pipeline.push(self.venue.name, payload, now_ns)
            self._say(wire, wire.session.received(payload, now_ns), now_ns)

    def _end(self, why: str, now_ns: int) -> None:
        wire = self.wire
        assert wire is not None
        self._server._venue.disconnect(wire.far)  # noqa: SLF001
        if now_ns - wire.opened_ns > 5 * S:
            self._backoff.reset()
        self.wire = None
        self.reconnects += 1
        self._sim.counts[why] += 1
        self._retry_ns = now_ns + int(self._backoff.next_s() * S)


class Report(Struct, frozen=True):
    """What a run went through."""

    seed: int
    faults: tuple[Fault, ...]
    counts: dict[str, int]
    cycles: int
    recovered_s: float
    """From the end of the last fault until all was back."""


class Simulation:
    """One seeded run. `run` raises Broken, or whatever crashed."""

    def __init__(
        self, seed: int, venues: Sequence[str] = (), ccys: Sequence[str] = ("ETH",), rate: float = 100.0
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)  # noqa: S311 - a simulation
        self.ccys = tuple(ccys)
        self.venues = tuple(venues) or tuple(SERVERS)
        chains = [load_shipped("BTC"), load_shipped("ETH")]
        world = World(chains, seed)
        self.clock = VirtualClock(world.start_ns)
        self.rules = Rules()
        self.pipeline = Pipeline(self.rules, self.ccys)
        self.counts: Counter[str] = Counter()
        self.heard_ns: dict[str, int] = {}
        self.servers: dict[str, Any] = {name: SERVERS[name](world, self.clock, self.ccys, rate) for name in self.venues}
        self.lines = [
            Line(VENUES[name], at, self.servers[name], self)
            for name in self.venues
            for at in range(len(VENUES[name].sessions(self.ccys, self.clock.now_ns())))
        ]
        self.faults = self._schedule(world.start_ns)
        self._on: set[tuple[Kind, str]] = set()

    def _schedule(self, start_ns: int) -> tuple[Fault, ...]:
        faults = []
        at_ns = start_ns + WARM_UP_S * S
        for _ in range(self.rng.randint(1, FAULTS_MAX)):
            at_ns += int(self.rng.uniform(0, 10) * S)
            kind = self.rng.choice(list(Kind))
            venue = self.rng.choice(self.venues)
            lasts_s = 0.1 if kind is Kind.CUT else self.rng.choice([0.5, 3.0, 20.0, 60.0])
            faults.append(Fault(kind, venue, at_ns, at_ns + int(lasts_s * S)))
        return tuple(faults)

    def is_on(self, kind: Kind, venue: str) -> bool:
        """Whether a fault is at work now."""
        return (kind, venue) in self._on

    def disturb(self, venue: str, payload: bytes, wire: Wire, now_ns: int) -> None:
        """Put one message of the venue on its way, or not."""
        rng = self.rng
        due_ns = now_ns + LATENCY_NS
        if self.is_on(Kind.HALF_OPEN, venue):
            self.counts["swallowed"] += 1
            return
        if self.is_on(Kind.DROP, venue) and rng.random() < 0.3:
            self.counts["dropped"] += 1
            return
        if self.is_on(Kind.CORRUPT, venue) and rng.random() < 0.2:
            self.counts["corrupted"] += 1
            at = rng.randrange(len(payload)) if payload else 0
            is_cut = rng.random() < 0.5
            payload = payload[:at] if is_cut else payload[:at] + bytes([rng.randrange(256)]) + payload[at + 1 :]
        if self.is_on(Kind.DUPLICATE, venue) and rng.random() < 0.5:
            self.counts["duplicated"] += 1
            wire.inbound.append((due_ns, payload))
        if self.is_on(Kind.REORDER, venue) and rng.random() < 0.5:
            self.counts["reordered"] += 1
            due_ns += rng.randrange(1, S)
        if self.is_on(Kind.DELAY, venue):
            due_ns += 3 * S
        wire.inbound.append((due_ns, payload))

    def run(self) -> Report:
        """Run to the recovery from the last fault."""
        last_ns = max(fault.end_ns for fault in self.faults)
        next_cycle_ns = self.clock.now_ns() + CYCLE_NS
        cycles = 0
        while True:
            now_ns = self.clock.advance(STEP_NS)
            self._on = {(fault.kind, fault.venue) for fault in self.faults if fault.start_ns <= now_ns < fault.end_ns}
            for server in self.servers.values():
                server._venue.tick(now_ns)  # noqa: SLF001
            for line in self.lines:
                line.step(now_ns)
            if now_ns >= next_cycle_ns:
                next_cycle_ns += CYCLE_NS
                cycles += 1
                for surface in self.pipeline.drain(now_ns):
                    self.check(surface)
                if now_ns > last_ns and self._is_back(now_ns):
                    counts = {
                        **self.counts,
                        **{f"reject {reason}": n for (_, reason), n in self.pipeline.rejects.items()},
                    }
                    return Report(self.seed, self.faults, counts, cycles, (now_ns - last_ns) / S)
                if now_ns > last_ns + RECOVERY_S * S:
                    raise Broken(f"not back {RECOVERY_S} s after the last fault: {self._state(now_ns)}")

    # --- invariants ---

    def check(self, surface: Surface) -> None:
        """Check what must hold of every published surface."""
        shown = surface.state != REJECTED
        for name in ("butterfly", "calendar", "lee"):
            bad = shown & (getattr(surface, name) != CERTIFIED)
            if bad.any():
                raise Broken(f"{surface.ccy}: {name} not certified at {np.flatnonzero(bad)}")
        board = surface.board
        used = board.selection.used
        age_s = (surface.read_ns[board.slot[used]] - board.recv_ns[used]) / S
        if len(age_s) and age_s.max() > self.rules.quotes.staleness_s_max:
            raise Broken(f"{surface.ccy}: a quote {age_s.max():.0f} s old was fitted to")
        if (surface.params[~shown] == surface.params[~shown]).any():
            raise Broken(f"{surface.ccy}: a rejected smile has parameters")
        silent = [not reasons for reasons, state in zip(surface.reasons, surface.state, strict=True) if state != FITTED]
        if any(silent):
            raise Broken(f"{surface.ccy}: held or rejected without a reason")

    def _is_back(self, now_ns: int) -> bool:
        """Whether all lines are live, all smiles fitted, and the chain says what the venues say."""
        if not all(line.is_live for line in self.lines):
            return False
        surfaces = self.pipeline.surfaces
        if set(surfaces) != set(self.ccys):
            return False
        return all((surface.state == FITTED).all() for surface in surfaces.values()) and self._agrees(now_ns)

    def _agrees(self, now_ns: int) -> bool:
        """Whether every quote of the chain that has had time to arrive is the venue's."""
        wrong = 0
        for chain in self.pipeline.chains.values():
            for venue, symbol, bid, ask in self._truth(chain.ccy, now_ns):
                row = chain._row.get((venue, symbol))  # noqa: SLF001
                if row is None:
                    wrong += 1
                    continue
                if now_ns - chain.recv_ns[row] > self.rules.quotes.staleness_s_max * S:
                    continue  # not fitted to, and shown as stale
                for mine, theirs in ((chain.bid[row], bid), (chain.ask[row], ask)):
                    if not (mine == theirs or (mine != mine and theirs != theirs)):
                        wrong += 1
        self.counts["disagreements at the last look"] = wrong
        return wrong == 0

    def _truth(self, ccy: str, now_ns: int) -> list[tuple[str, str, float, float]]:
        """Return (venue, symbol, bid, ask) of every open option that has been still for two seconds."""
        found = []
        for name, server in self.servers.items():
            for market in getattr(server.venue, "markets", ()):
                board = market.board
                if market.family.ccy != ccy or not hasattr(board, "ticker"):
                    continue
                still = board.ticker["time_ms"] * 1_000_000 < now_ns - 2 * S
                for row in np.flatnonzero(still & (board.state == 0)).tolist():
                    quote = board.ticker[row]
                    found.append((name, board.symbols[row], float(quote["bid"]), float(quote["ask"])))
        return found

    def _state(self, now_ns: int) -> str:
        lines = [
            f"{line.venue.name}: {'live' if line.is_live else 'not live'}, {line.reconnects} reconnects"
            for line in self.lines
        ]
        smiles = [
            f"{ccy}: {int((surface.state != FITTED).sum())} of {len(surface)} not fitted"
            for ccy, surface in self.pipeline.surfaces.items()
        ]
        self._agrees(now_ns)
        return "; ".join([*lines, *smiles, str(dict(self.counts)), str(self.faults)])


def main() -> int:
    """Run seeds (a number or first:last) over the venues named after them, or all; tell of each."""
    chosen, venues = sys.argv[1] if len(sys.argv) > 1 else "1", sys.argv[2:]
    first, _, last = chosen.partition(":")
    failed = 0
    for seed in range(int(first), int(last or first) + 1):
        try:
            report = Simulation(seed, venues).run()
        except Broken as why:
            failed += 1
            print(f"seed {seed}: BROKEN: {why}", flush=True)
            continue
        told = ", ".join(
            f"{fault.kind} {fault.venue} {(fault.end_ns - fault.start_ns) / S:g} s" for fault in report.faults
        )
        print(f"seed {seed}: {told}; back after {report.recovered_s:.1f} s; {report.counts}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
