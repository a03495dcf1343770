"""The local Bybit on a port: REST at /v5, one socket path a market. No logic of the venue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from derivasys.clock import Clock
from derivasys.testing.bybit.payloads import BybitNames
from derivasys.testing.bybit.terms import TERMS
from derivasys.testing.bybit.venue import BybitVenue, Faults, Session
from derivasys.testing.market import VenueMarket, World
from derivasys.testing.shell import LocalServer, Reply

SOCKETS = "/v5/public/"
MARKETS = frozenset({"option", "linear", "inverse", "spot", "misc/status"})


class BybitServer(LocalServer):
    """Serves one view of a simulated world."""

    doors = (1000, 500, 300.0)

    def __init__(self, view: VenueMarket, clock: Clock, *, seed: int = 0, faults: Faults | None = None) -> None:
        self.venue = BybitVenue(view, seed, faults)
        super().__init__(self.venue, clock)

    def has_socket(self, path: str) -> bool:
        return path.startswith(SOCKETS) and path.removeprefix(SOCKETS) in MARKETS

    def open_session(self, path: str, query: Mapping[str, str], now_ns: int) -> Session:
        return self.venue.connect(path.removeprefix(SOCKETS), now_ns)

    def http(self, method: str, path: str, query: Mapping[str, str], body: bytes, now_ns: int) -> Reply:
        status, answer = self.venue.rest(path, dict(query), now_ns)
        return status, orjson.dumps(answer), {}


def serve(world: World, clock: Clock, ccys: Sequence[str], rate: float) -> BybitServer:
    """Return the venue's view of a simulated world, to be started; see `testing.servers`."""
    return BybitServer(world.venue(TERMS, BybitNames(), ccys, rate), clock, seed=world.seed)
