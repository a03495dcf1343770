"""The connections of a run: a venue's sessions at one end, our sessions at the other, and what happens in between."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from derivasys.connect.runner import RELIST_RETRY_S, STAY_AWAY_S
from derivasys.connect.session import Backoff, Reconnect, Session
from derivasys.pipeline import Pipeline
from derivasys.testing.shell import ABNORMAL, LocalServer
from derivasys.testing.simulation.checks import Broken
from derivasys.testing.simulation.faults import Kind, S

if TYPE_CHECKING:
    from derivasys.testing.simulation.run import Simulation

LATENCY_NS = 20_000_000
DELAY_NS = 3 * S
SLOW_PER_STEP = 2
"""Messages that a slow wire carries a step."""
BACKLOG_MAX = 10_000
"""Messages waiting on a slow wire before the venue gives its client up."""
PROVED_S = 5.0
_TIME = re.compile(rb"(?<![\d.])1[67]\d{11}(?![\d.])")
_DAY_MS, _EIGHT_MS = 86_400_000, 28_800_000


class Wire:
    """One connection. Messages wait here for their time."""

    def __init__(self, session: Session, far: Any, now_ns: int) -> None:
        self.session = session
        self.far = far
        self.inbound: list[tuple[int, bytes, bool]] = []
        """(due, payload, is it corrupt)."""
        self.outbound: list[tuple[int, bytes]] = []
        self.opened_ns = now_ns
        self.is_dead = False
        """Half open: nothing will ever pass again, though nobody is told."""


class Line:
    """One of a venue's conversations, through all its connections."""

    def __init__(
        self,
        venue: str,
        make_session: Callable[[int], Session],
        server: LocalServer,
        sim: Simulation,
        pipeline: Pipeline,
        *,
        is_book: bool = False,
    ) -> None:
        self.venue = venue
        self.is_book = is_book
        self.wire: Wire | None = None
        self.reconnects = 0
        self._make_session = make_session
        self._server = server
        self._sim = sim
        self._pipeline = pipeline
        self._backoff = Backoff(sim.rng)
        self._retry_ns = sim.clock.now_ns()
        self._relist_ns = 0

    def step(self, now_ns: int) -> None:
        """Carry messages, run timers, connect and reconnect."""
        if self.wire is None:
            if now_ns >= self._retry_ns:
                self._connect(now_ns)
            return
        wire = self.wire
        try:
            self._carry(wire, now_ns)
            if self.wire is None:
                return
            self._say(wire, wire.session.tick(now_ns), now_ns)
            if wire.session.is_leaving:
                raise Reconnect("leaving")
            if wire.session.relisting and now_ns >= self._relist_ns and self._list(wire.session, now_ns):
                # As with sockets, a listing that cannot be fetched does not end a conversation that lives.
                self._relist_ns = now_ns + int(RELIST_RETRY_S * S)
        except Reconnect as why:
            self._end(f"reconnect: {_gist(str(why))}", now_ns)
        except (msgspec.DecodeError, UnicodeDecodeError) as why:
            self._end(f"undecodable listing: {type(why).__name__}", now_ns)

    def _connect(self, now_ns: int) -> None:
        on = self._sim.on[self.venue]
        if Kind.GONE in on or Kind.HALF_OPEN in on:
            self._sim.counts["refused"] += 1
            self._wait(0.0, now_ns)
            return
        session = self._make_session(now_ns)
        try:
            failed = self._list(session, now_ns)
        except (Reconnect, msgspec.DecodeError, UnicodeDecodeError):
            failed = 500
        if failed:
            self._wait(STAY_AWAY_S.get(failed, 0.0), now_ns)
            return
        url = urlsplit(session.ws_path)
        if not self._server.has_socket(url.path):
            raise Broken(f"{self.venue}: no socket at {session.ws_path}")
        far = self._server.open_session(url.path, dict(parse_qsl(url.query)), now_ns)
        self.wire = Wire(session, far, now_ns)
        self._say(self.wire, session.opened(now_ns), now_ns)

    def _wait(self, at_least_s: float, now_ns: int) -> None:
        self._retry_ns = now_ns + int(max(self._backoff.next_s(), at_least_s) * S)

    def _list(self, session: Session, now_ns: int) -> int:
        """Fetch what the session wants to see listed; return the HTTP status of a failure, else 0."""
        on = self._sim.on[self.venue]
        while session.relisting:
            path = session.relisting[0]
            if Kind.GONE in on or Kind.HALF_OPEN in on:
                self._sim.counts["refused"] += 1
                return 599
            url = urlsplit(path)
            if Kind.MAINTENANCE in on:
                self._sim.counts["asked_in_maintenance"] += 1
            status, body, _ = self._sim.http(self.venue, self._server, url.path, dict(parse_qsl(url.query)), now_ns)
            if status != 200:
                self._sim.counts["listing_refused"] += 1
                return status
            session.relisting.remove(path)
            self._pipeline.push(self.venue, body, now_ns)
            session.listed(path, body, now_ns)
        return 0

    def _say(self, wire: Wire, messages: list[bytes], now_ns: int) -> None:
        if not messages:
            return
        on = self._sim.on[self.venue]
        if wire.is_dead or Kind.DEAF in on:
            self._sim.counts["unheard"] += len(messages)
            return
        wire.outbound += [(now_ns + LATENCY_NS, message) for message in messages]

    def _carry(self, wire: Wire, now_ns: int) -> None:
        """Move what is due in both directions, through whatever fault is on."""
        on = self._sim.on[self.venue]
        while wire.outbound and wire.outbound[0][0] <= now_ns:
            self._server._venue.receive(wire.far, wire.outbound.pop(0)[1], now_ns)  # noqa: SLF001 - the shell's venue
        payloads = wire.far.take()
        if wire.is_dead or Kind.HALF_OPEN in on or Kind.GONE in on:
            wire.is_dead = True
            self._sim.counts["swallowed"] += len(payloads) + len(wire.inbound)
            wire.inbound.clear()
            return
        if on:
            for payload in payloads:
                self._disturb(payload, wire, on, now_ns)
        else:
            due_ns = now_ns + LATENCY_NS
            wire.inbound += [(due_ns, payload, False) for payload in payloads]
        if Kind.CUT in on:
            self._sim.counts["cut_in_flight"] += len(wire.inbound)
            self._end("cut", now_ns)
            return
        if wire.far.closing is not None:
            code = wire.far.closing[0]
            self._end("cut by the venue" if code == ABNORMAL else f"closed by the venue: {code}", now_ns)
            return
        if wire.inbound:
            self._deliver(wire, on, now_ns)

    def _deliver(self, wire: Wire, on: frozenset[Kind], now_ns: int) -> None:
        if Kind.SLOW in on:
            due, wire.inbound = wire.inbound[:SLOW_PER_STEP], wire.inbound[SLOW_PER_STEP:]
            self._sim.counts["backlog"] = max(self._sim.counts["backlog"], len(wire.inbound))
            if len(wire.inbound) > BACKLOG_MAX:
                self._end("too slow", now_ns)
                return
        else:
            due = [entry for entry in wire.inbound if entry[0] <= now_ns]
            wire.inbound = [entry for entry in wire.inbound if entry[0] > now_ns]
        for _, payload, is_corrupt in due:
            for symbol in self._sim.receive(self, payload, now_ns, is_corrupt=is_corrupt):
                wire.session.broken(symbol)
            self._say(wire, wire.session.received(payload, now_ns), now_ns)

    def _disturb(self, payload: bytes, wire: Wire, on: frozenset[Kind], now_ns: int) -> None:
        """Put one message of the venue on its way, or not."""
        rng, counts = self._sim.rng, self._sim.counts
        due_ns = now_ns + LATENCY_NS
        if Kind.DROP in on and rng.random() < 0.3:
            counts["dropped"] += 1
            return
        if Kind.SKEW in on:
            payload = self._skewed(payload, self._sim.skew_ms[self.venue], now_ns)
        is_corrupt = Kind.CORRUPT in on and rng.random() < 0.2
        if is_corrupt:
            counts["corrupted"] += 1
            payload = self._corrupted(payload)
        if Kind.DUPLICATE in on and rng.random() < 0.5:
            counts["duplicated"] += 1
            wire.inbound.append((due_ns, payload, is_corrupt))
        if Kind.REORDER in on and rng.random() < 0.5:
            counts["reordered"] += 1
            due_ns += rng.randrange(1, S)
        if Kind.DELAY in on:
            counts["delayed"] += 1
            due_ns += DELAY_NS
        wire.inbound.append((due_ns, payload, is_corrupt))

    def _corrupted(self, payload: bytes) -> bytes:
        """Return the message cut short or with a byte changed.

        A changed digit inside a change of an order book stays in the book for good: nothing but a checksum, which these
        venues do not send, could tell. So books lose their ends only.
        """
        rng = self._sim.rng
        at = rng.randrange(len(payload)) if payload else 0
        if self.is_book or rng.random() < 0.5:
            return payload[:at]
        return payload[:at] + bytes([rng.randrange(256)]) + payload[at + 1 :]

    def _skewed(self, payload: bytes, skew_ms: int, now_ns: int) -> bytes:
        """Return the message as the venue would send it with a clock that is wrong by `skew_ms`; expiries stand."""
        now_ms = now_ns // 1_000_000

        def moved(found: re.Match[bytes]) -> bytes:
            stated = int(found[0])
            if abs(stated - now_ms) > 600_000 or stated % _DAY_MS == _EIGHT_MS:
                return found[0]
            self._sim.counts["skewed"] += 1
            return str(stated + skew_ms).encode()

        return _TIME.sub(moved, payload)

    def _end(self, why: str, now_ns: int) -> None:
        wire = self.wire
        assert wire is not None
        self._server._venue.disconnect(wire.far)  # noqa: SLF001
        if now_ns - wire.opened_ns > PROVED_S * S:
            self._backoff.reset()
        self.wire = None
        self.reconnects += 1
        self._sim.counts[why] += 1
        self._wait(0.0, now_ns)


def _gist(why: str) -> str:
    """Return a reason without what differs from case to case."""
    return re.sub(r"\d[\d.]*", "n", why.partition(":")[0])[:40]
