"""The local Derive: its protocol without a socket, then one walk from its port to a fitted surface."""

import asyncio
import random

import httpx
import orjson
import pytest

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.decode.derive import Decoder, contract
from derivasys.messages import Forward, Index, Mark, Quote, Trade
from derivasys.pipeline import Pipeline
from derivasys.surface import CERTIFIED, FITTED
from derivasys.testing.derive.payloads import DeriveNames
from derivasys.testing.derive.server import DeriveServer
from derivasys.testing.derive.terms import TERMS
from derivasys.testing.derive.venue import CALLS_PER_S, Venue
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped

S = 10**9
CCYS = ("BTC", "XRP")


@pytest.fixture(scope="module")
def chains():
    return [load_shipped("BTC"), load_shipped("ETH")]


class Client:
    """A client of the venue, without a socket."""

    def __init__(self, chains, rate=2000.0):
        self.world = World(chains, seed=1)
        self.now_ns = self.world.start_ns
        self.venue = Venue(self.world.venue(TERMS, DeriveNames(), CCYS, rate))
        self.session = self.venue.connect()

    def call(self, method, **params):
        self.venue.receive(self.session, orjson.dumps({"id": 7, "method": method, "params": params}), self.now_ns)
        reply = orjson.loads(self.session.take()[-1])
        assert reply["id"] == 7
        return reply

    def run(self, seconds):
        got = []
        for _ in range(int(seconds * 10)):
            self.now_ns += S // 10
            self.venue.tick(self.now_ns)
            got += self.session.take()
        return got

    def symbols(self, ccy):
        board = next(market.board for market in self.venue.view.markets if market.family.ccy == ccy)
        return [board.symbols[row] for row in board.open_rows().tolist()]


def test_subscriptions_have_a_status_each(chains):
    client = Client(chains)
    name = f"ticker_slim.{client.symbols('BTC')[0]}.1000"
    client.venue.refused = {"spot_feed.XRP": "not today"}
    result = client.call("subscribe", channels=[name, "nonsense", "ticker_slim.NO-20260101-1-C.100", "spot_feed.XRP"])[
        "result"
    ]
    assert result["status"] == {
        name: "ok",
        "nonsense": "channel does not exist",
        "ticker_slim.NO-20260101-1-C.100": "channel does not exist",
        "spot_feed.XRP": "not today",
    }
    assert result["current_subscriptions"] == [name]
    assert client.call("unsubscribe", channels=[name])["result"]["current_subscriptions"] == []
    assert client.run(2.0) == []


def test_listings_come_in_pages(chains):
    client = Client(chains)
    names, page, pages = [], 1, 1
    while page <= pages:
        result = client.call(
            "public/get_all_instruments",
            currency="XRP",
            expired=False,
            instrument_type="option",
            page=page,
            page_size=20,
        )["result"]
        names += [row["instrument_name"] for row in result["instruments"]]
        pages, page = result["pagination"]["num_pages"], page + 1
        client.now_ns += S
    assert pages > 3
    assert names == client.symbols("XRP")
    assert any("_" in name for name in names), "a strike's decimal point"
    assert all(contract(name).ccy == "XRP" for name in names)


def test_errors(chains):
    client = Client(chains)
    assert client.call("public/sing")["error"]["code"] == -32601
    assert client.call("subscribe", channels=7)["error"]["code"] == -32602
    assert client.call("public/get_all_instruments", page=0)["error"]["code"] == -32602
    client.venue.receive(client.session, b"{", client.now_ns)
    assert orjson.loads(client.session.take()[0])["error"]["code"] == -32600
    client.now_ns += 2 * S
    codes = [client.call("public/get_all_currencies").get("error", {}).get("code") for _ in range(CALLS_PER_S + 1)]
    assert codes == [None] * CALLS_PER_S + [-32000]


def test_the_decoder_gives_back_what_the_board_says(chains):
    client = Client(chains)
    symbols = client.symbols("XRP")
    client.call("subscribe", channels=[f"ticker_slim.{name}.100" for name in symbols] + ["spot_feed.XRP"])
    decoder = Decoder()
    events = [event for payload in client.run(1.0) for event in decoder.decode(payload, 1)]
    quotes = {event.contract.symbol: event for event in events if isinstance(event, Quote)}
    marks = {event.contract.symbol: event for event in events if isinstance(event, Mark)}
    forwards = {event.expiry: event.price for event in events if isinstance(event, Forward)}
    assert any(isinstance(event, Index) and event.symbol == "XRP-USD" for event in events)
    board = client.venue.view.market("XRP").board
    checked = 0
    for row, name in ((board.row_of[name], name) for name in symbols):
        at, expiry = board.ticker[row], board.expiries[int(board.expiry_of[row])]
        assert forwards[expiry.ms] == pytest.approx(expiry.forward, rel=1e-3)
        if int(at["time_ms"]) * 10**6 != quotes[name].event_ns:
            continue
        undiscounted = expiry.forward / board.index_price
        if at["bid"] != at["bid"]:
            assert quotes[name].bid is None
        else:
            # The factor is printed with three decimals.
            assert quotes[name].bid == pytest.approx(float(at["bid"]) * undiscounted, rel=2e-3)
            checked += 1
        assert marks[name].iv == pytest.approx(float(at["mark_iv"]) / 100, abs=1e-5)
    assert checked > 20


def test_books_and_trades(chains):
    client = Client(chains, rate=20_000.0)
    books = [f"orderbook.{name}.1.10" for name in client.symbols("BTC")]
    client.call("subscribe", channels=["trades.option.BTC", *books])
    decoder = Decoder()
    payloads = client.run(20.0)
    events = [event for payload in payloads for event in decoder.decode(payload, 1)]
    assert {type(event) for event in events} == {Quote, Trade}
    fills = sum(payload.count(b'"trade_id"') for payload in payloads)
    assert 2 * sum(isinstance(event, Trade) for event in events) == fills, "each fill is told from both sides"


def test_tickers_come_at_most_once_an_interval(chains):
    client = Client(chains, rate=20_000.0)
    client.call("subscribe", channels=[f"ticker_slim.{client.symbols('BTC')[0]}.1000"])
    assert 3 <= len(client.run(5.0)) <= 6


def test_stalled_channels(chains):
    client = Client(chains)
    client.venue.losses.stalled = {"ticker_slim."}
    client.call("subscribe", channels=[f"ticker_slim.{client.symbols('BTC')[0]}.100", "spot_feed.BTC"])
    assert {orjson.loads(payload)["params"]["channel"] for payload in client.run(2.0)} == {"spot_feed.BTC"}


def test_from_the_port_to_a_fitted_surface(chains):
    async def main() -> tuple[Pipeline, Connector]:
        world = World(chains, seed=1)
        clock = RecordedClock(world.start_ns)
        server = DeriveServer(world.venue(TERMS, DeriveNames(), CCYS, 1000.0), clock)
        await server.start()
        pipeline = Pipeline(ccys=CCYS)
        venue = VENUES["derive"]
        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        connector = Connector(
            venue.name, endpoint, lambda now_ns: venue.sessions(CCYS, now_ns)[0], clock, pipeline.push, random.Random(1)
        )
        task = asyncio.create_task(connector.run())
        try:
            async with asyncio.timeout(60.0):
                while len(pipeline.chains) < 2 or connector.state != "live":
                    await asyncio.sleep(0.1)
                await asyncio.sleep(5.0)
            async with httpx.AsyncClient(trust_env=False) as http:
                assert (await http.get(endpoint.http + venue.probe)).is_success
                posted = await http.post(f"{endpoint.http}/v3/public/get_all_instruments", json={"currency": "XRP"})
                assert posted.json()["result"]["pagination"]["count"] > 50
            pipeline.drain(clock.now_ns())
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.stop()
        return pipeline, connector

    pipeline, connector = asyncio.run(main())
    assert not pipeline.rejects
    assert connector.reconnects == 0
    for ccy in CCYS:
        surface = pipeline.surfaces[ccy]
        assert (surface.state == FITTED).mean() > 0.8
        assert (surface.butterfly[surface.state == FITTED] == CERTIFIED).all()
        assert {one.source for one in surface.forwards} <= {"venue", "parity"}
