"""The local OKX on a port: REST at /api/v5, sockets at /ws/v5/public, /business and /private. No logic of the venue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from derivasys.clock import Clock
from derivasys.testing.market import VenueMarket, World
from derivasys.testing.okx.payloads import OkxNames
from derivasys.testing.okx.terms import TERMS
from derivasys.testing.okx.venue import Faults, OkxVenue, Session
from derivasys.testing.shell import LocalServer, Reply

SOCKET_PATHS = frozenset({"/ws/v5/public", "/ws/v5/business", "/ws/v5/private"})


class OkxServer(LocalServer):
    """Serves one view of a simulated world."""

    doors = (0, 3, 1.0)

    def __init__(self, view: VenueMarket, clock: Clock, *, seed: int = 0, faults: Faults | None = None) -> None:
        self.venue = OkxVenue(view, seed, faults)
        super().__init__(self.venue, clock)

    def has_socket(self, path: str) -> bool:
        return path in SOCKET_PATHS

    def open_session(self, path: str, query: Mapping[str, str], now_ns: int) -> Session:
        return self.venue.connect(path, now_ns)

    def http(self, method: str, path: str, query: Mapping[str, str], body: bytes, now_ns: int) -> Reply:
        status, answer = self.venue.rest(path, dict(query), now_ns)
        return status, orjson.dumps(answer), {}


def serve(world: World, clock: Clock, ccys: Sequence[str], rate: float) -> OkxServer:
    """Return the venue's view of a simulated world, to be started; see `testing.servers`."""
    return OkxServer(world.venue(TERMS, OkxNames(), ccys, rate), clock, seed=world.seed)
