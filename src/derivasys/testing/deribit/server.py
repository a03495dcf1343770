"""The local Deribit on a port: REST at /api/v2, sockets at /ws/api/v2. No logic of the venue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import orjson

from derivasys.clock import Clock
from derivasys.testing.deribit.faults import Faults
from derivasys.testing.deribit.rpc import RpcError, error_reply, parse_request
from derivasys.testing.deribit.session import Session
from derivasys.testing.deribit.terms import TERMS
from derivasys.testing.deribit.venue import Venue
from derivasys.testing.market import Market, ReplayMarket, World
from derivasys.testing.market.recorded import DeribitNames
from derivasys.testing.recordings import RecordedChain
from derivasys.testing.shell import LocalServer, Reply

SOCKET_PATH = "/ws/api/v2"
REST_PATH = "/api/v2"
TICKER_INTERVAL_MS, LOAD_INTERVAL_MS = 100, 10
FAITHFUL_RATE_MAX = 8_000.0


class DeribitServer(LocalServer):
    """Serves markets that share one clock."""

    doors = (32, 0, 1.0)
    """The venue counts HTTP among them; here connections alone."""

    def __init__(
        self,
        markets: Market | Sequence[Market],
        clock: Clock,
        *,
        seed: int = 0,
        faults: Faults | None = None,
        ticker_interval_ms: int = TICKER_INTERVAL_MS,
    ) -> None:
        """`ticker_interval_ms`: what `100ms` means for tickers; less only to load a client."""
        several = markets if isinstance(markets, Sequence) else [markets]
        self.venue = Venue(several, seed, faults, ticker_interval_ms)
        super().__init__(self.venue, clock)

    @property
    def faults(self) -> Faults:
        """The switches of the venue's misbehaviour."""
        return self.venue.faults

    def has_socket(self, path: str) -> bool:
        return path == SOCKET_PATH

    def open_session(self, path: str, query: Mapping[str, str], now_ns: int) -> Session:
        return self.venue.connect(now_ns)

    def http(self, method: str, path: str, query: Mapping[str, str], body: bytes, now_ns: int) -> Reply:
        if not path.startswith(REST_PATH):
            return 404, b"{}", {}
        name = path.removeprefix(REST_PATH).strip("/")
        if method == "GET":
            return *self.venue.rest(name, dict(query), None, now_ns), {}
        try:
            call = parse_request(body)
        except RpcError as error:
            return 400, error_reply(None, error, now_ns // 1000, now_ns // 1000), {}
        return *self.venue.rest(call.method, call.params, call.id, now_ns), {}


def serve(world: World, clock: Clock, ccys: Sequence[str], rate: float) -> DeribitServer:
    """Return the venue's view of a simulated world, to be started; see `testing.servers`."""
    view = world.venue(TERMS, DeribitNames(), ccys, rate)
    return DeribitServer(view.markets, clock, seed=world.seed, ticker_interval_ms=interval_ms(rate))


def replay(chains: Sequence[RecordedChain], clock: Clock, seed: int) -> DeribitServer:
    """Return a server that repeats recorded chains, to be started; see `testing.servers`."""
    return DeribitServer([ReplayMarket(chain) for chain in chains], clock, seed=seed)


def interval_ms(rate: float) -> int:
    """Return what `100ms` has to mean for `rate` tickers a second.

    Deribit sends an instrument's ticker at most every 100 ms, which caps what a chain can send; beyond that a load test
    has to be less faithful.
    """
    return TICKER_INTERVAL_MS if rate <= FAITHFUL_RATE_MAX else LOAD_INTERVAL_MS


def describe(server: DeribitServer) -> bytes:
    """Return one line of JSON about a running server, for whoever started it."""
    labels = [market.label for market in server.venue.markets]
    simulated = any(market.is_simulated for market in server.venue.markets)
    return orjson.dumps({"address": server.address, "simulated": simulated, "markets": labels})
