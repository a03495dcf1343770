"""The local Binance on a port: REST at /eapi/v1, sockets at /public and /market. No logic of the venue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from derivasys.clock import Clock
from derivasys.testing.binance.payloads import BinanceNames
from derivasys.testing.binance.session import Route, Session
from derivasys.testing.binance.terms import TERMS
from derivasys.testing.binance.venue import LIFE_S, Venue
from derivasys.testing.market import VenueMarket, World
from derivasys.testing.shell import LocalServer, Reply

REST_PATH = "/eapi/v1/"
_ROUTES: dict[str, Route] = {"public": "public", "market": "market"}


class BinanceServer(LocalServer):
    """Serves one view of a simulated world."""

    doors = (0, 300, 300.0)

    def __init__(self, view: VenueMarket, clock: Clock, *, life_s: float = LIFE_S) -> None:
        self.venue = Venue(view, life_s)
        super().__init__(self.venue, clock)

    def has_socket(self, path: str) -> bool:
        """Tell whether a path upgrades: also those without a route do, and then stay silent."""
        words = path.strip("/").split("/")
        return words[0] in ("ws", "stream") or (words[0] in _ROUTES and words[1:2] in (["ws"], ["stream"]))

    def open_session(self, path: str, query: Mapping[str, str], now_ns: int) -> Session:
        first, *rest = path.strip("/").split("/")
        route = _ROUTES.get(first, "")
        is_combined = "stream" in (first, *rest[:1])
        names = query.get("streams", "").split("/") if is_combined else rest[1:]
        return self.venue.connect(route, is_combined=is_combined, streams=[n for n in names if n], now_ns=now_ns)

    def http(self, method: str, path: str, query: Mapping[str, str], body: bytes, now_ns: int) -> Reply:
        if method != "GET" or not path.startswith(REST_PATH):
            return 404, b"{}", {}
        return self.venue.rest(path.removeprefix(REST_PATH), query, now_ns)


def serve(world: World, clock: Clock, ccys: Sequence[str], rate: float) -> BinanceServer:
    """Return the venue's view of a simulated world, to be started; see `testing.servers`."""
    return BinanceServer(world.venue(TERMS, BinanceNames(), ccys, rate), clock)
