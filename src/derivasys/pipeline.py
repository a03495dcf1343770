"""The whole flow: raw bytes in by `push`, surfaces out by `drain`. Time is an argument of both.

    bytes → decode → chain (cells written)            push: once a message
    dirty expiries → calibrate → Surface → State      drain: once a cycle

Messages write cells and cycles read dirty cells, so the cost depends on cycles, not on the message rate, and a burst
conflates instead of queueing. Nothing here reads a clock, the network or a random source: the same pushes and drains
give the same states, byte for byte.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence

from derivasys.calibrate import Grid, Rules, Stopwatch, calibrate
from derivasys.decode import DECODERS
from derivasys.estimate.chain import Chain
from derivasys.messages import DecodeError, Event, Gap, Instrument, Mark, Quote
from derivasys.surface import Surface

REFRESH_S = 1.0
"""An expiry is calibrated at least this often: tau runs and quotes age without any message."""
REJECTS_KEPT = 256
"""The last undecodable messages, with their bytes."""
REJECT_BYTES_MAX = 4096
CCYS_MAX = 64
"""Chains of one pipeline; listings of further currencies are counted as `too_many_ccys`."""


class Pipeline:
    """Chains and surfaces of all currencies of one clock.

    `ccys` limits the currencies; None, or none of them, takes what is listed. `stopwatch` (nanoseconds) times the
    stages of a cycle; without it surfaces carry no times, so that a replay is a pure function of its input.
    """

    def __init__(
        self,
        rules: Rules | None = None,
        ccys: Collection[str] | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self.chains: dict[str, Chain] = {}
        self.surfaces: dict[str, Surface] = {}
        self.rejects: Counter[tuple[str, str]] = Counter()
        """Undecodable messages by venue and reason."""
        self.rejected: deque[tuple[str, int, str, bytes]] = deque(maxlen=REJECTS_KEPT)
        """(venue, recv_ns, why, bytes) of the last of them."""
        self.ignored: Counter[tuple[str, str]] = Counter()
        """Events that reached no chain, by venue and reason: `too_many_ccys`; `unlisted`, before any listing."""
        self.events = 0
        self.last_event: Event | None = None
        """Of the message pushed last; None when it had none."""
        self.gaps: Counter[str] = Counter()
        """By venue."""
        self._rules = rules or Rules()
        self._ccys = frozenset(ccys or ())
        self._stopwatch = stopwatch
        self._decoders = {venue: make() for venue, make in DECODERS.items()}
        self._grids: dict[str, Grid] = {}

    def push(self, venue: str, payload: bytes, recv_ns: int) -> Sequence[str]:
        """Take one raw message of a venue; return the contracts whose sequenced streams turn out to have a gap."""
        try:
            events = self._decoders[venue].decode(payload, recv_ns)
        except DecodeError as error:
            self.rejects[venue, error.reason.value] += 1
            self.rejected.append((venue, recv_ns, str(error), payload[:REJECT_BYTES_MAX]))
            self.last_event = None
            return ()
        self.last_event = events[-1] if events else None
        return self.apply_all(events)

    def apply(self, event: Event) -> None:
        """Take one event."""
        self.apply_all((event,))

    def apply_all(self, events: Sequence[Event]) -> Sequence[str]:
        """Take events in turn; return the contracts of gaps among them."""
        self.events += len(events)
        chains = self.chains
        broken: Sequence[str] = ()
        for event in events:
            kind = type(event)
            if kind is Quote or kind is Mark:  # nine in ten; without the property
                ccy = event.contract.ccy  # type: ignore[union-attr]
            else:
                ccy = event.ccy
                if kind is Gap:
                    broken = (*broken, event.symbol)  # type: ignore[union-attr]
                    self.gaps[event.venue] += 1  # type: ignore[union-attr]
            chain = chains.get(ccy)
            if chain is None:
                chain = self._open_chain(event, ccy)
                if chain is None:
                    continue
            chain.handlers[kind](event)
        return broken

    def drops(self, venue: str) -> int:
        """Return how many events of a venue changed nothing: unlisted, out of order, dated ahead, beyond a bound."""
        counters = [self.ignored, *(chain.ignored for chain in self.chains.values())]
        return sum(count for counter in counters for (of, _), count in counter.items() if of == venue)

    def drain(self, now_ns: int, only: Callable[[str], bool] | None = None) -> list[Surface]:
        """Run one cycle: return the new surface of every currency with something to calibrate."""
        surfaces = []
        for ccy, chain in self.chains.items():
            if only is None or only(ccy):
                surface = self._cycle(chain, now_ns)
                if surface is not None:
                    self.surfaces[ccy] = surface
                    surfaces.append(surface)
        return surfaces

    def _cycle(self, chain: Chain, now_ns: int) -> Surface | None:
        dirty = set(chain.take_dirty(now_ns))
        last = self.surfaces.get(chain.ccy)
        grid = self._grids.get(chain.ccy)
        if grid is None or grid.layout != chain.layout:
            grid = self._grids[chain.ccy] = Grid(chain)
            slots = list(range(len(chain.expiries)))
        else:
            slots = [
                slot
                for slot, expiry in enumerate(chain.expiries)
                if expiry in dirty or last is None or _is_due(last, slot, now_ns)
            ]
            if not slots:
                return None
        if not slots and (last is None or not last.expiries):
            return None
        return calibrate(chain, grid, slots, last, now_ns, self._rules, self._stopwatch)

    def _open_chain(self, event: Event, ccy: str) -> Chain | None:
        """Start a currency with its first listed option; anything earlier has no place to go."""
        if self._ccys and ccy not in self._ccys:
            return None
        if isinstance(event, Quote) and event.contract.kind == "option":
            self.ignored[event.contract.venue, "unlisted"] += 1
            return None
        if not isinstance(event, Instrument) or event.contract.kind != "option":
            return None
        if len(self.chains) >= CCYS_MAX:
            self.ignored[event.contract.venue, "too_many_ccys"] += 1
            return None
        chain = self.chains[ccy] = Chain(ccy)
        return chain


def _is_due(last: Surface, slot: int, now_ns: int) -> bool:
    return now_ns - int(last.read_ns[slot]) >= REFRESH_S * 1e9
