"""The local Derive on a port: calls by POST at /v3/public, sockets at /v3/ws. No logic of the venue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from derivasys.clock import Clock
from derivasys.testing.derive.payloads import DeriveNames
from derivasys.testing.derive.terms import TERMS
from derivasys.testing.derive.venue import Session, Venue
from derivasys.testing.market import VenueMarket, World
from derivasys.testing.shell import LocalServer, Reply

ROOT = "/v3/"
SOCKET_PATH = "/v3/ws"


class DeriveServer(LocalServer):
    """Serves one view of a simulated world."""

    def __init__(self, view: VenueMarket, clock: Clock) -> None:
        self.venue = Venue(view)
        super().__init__(self.venue, clock)

    def has_socket(self, path: str) -> bool:
        return path == SOCKET_PATH

    def open_session(self, path: str, query: Mapping[str, str], now_ns: int) -> Session:
        return self.venue.connect()

    def http(self, method: str, path: str, query: Mapping[str, str], body: bytes, now_ns: int) -> Reply:
        if not path.startswith(ROOT):
            return 404, b"{}", {}
        try:
            params = orjson.loads(body) if body else {}
        except orjson.JSONDecodeError:
            params = None
        if not isinstance(params, dict):
            return 400, b'{"error":{"code":-32700,"message":"Parse error"}}', {}
        return *self.venue.rest(path.removeprefix(ROOT), params), {}


def serve(world: World, clock: Clock, ccys: Sequence[str], rate: float) -> DeriveServer:
    """Return the venue's view of a simulated world, to be started; see `testing.servers`."""
    return DeriveServer(world.venue(TERMS, DeriveNames(), ccys, rate), clock)
