"""The local Binance: its protocol without a socket, then one walk from its port to a fitted surface."""

import asyncio
import random

import httpx
import orjson
import pytest

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.decode.binance import Decoder
from derivasys.messages import Forward, Index, Instrument, Mark, Quote, Status, Trade
from derivasys.pipeline import Pipeline
from derivasys.surface import CERTIFIED, FITTED
from derivasys.testing.binance.payloads import BinanceNames
from derivasys.testing.binance.server import BinanceServer
from derivasys.testing.binance.terms import TERMS
from derivasys.testing.binance.venue import REFUSED_MAX, WEIGHT_MAX, Venue
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped

S = 10**9
CCYS = ("BTC", "XRP")


@pytest.fixture(scope="module")
def chains():
    return [load_shipped("BTC"), load_shipped("ETH")]


class Client:
    """A client of the venue, without a socket."""

    def __init__(self, chains, route="market", *, life_s=86_400.0, rate=2000.0):
        self.world = World(chains, seed=1)
        self.now_ns = self.world.start_ns
        self.venue = Venue(self.world.venue(TERMS, BinanceNames(), CCYS, rate), life_s)
        self.open(route)

    def open(self, route, *streams, is_combined=True):
        self.session = self.venue.connect(route, is_combined=is_combined, streams=list(streams), now_ns=self.now_ns)

    def say(self, method, *params, call_id=1):
        self.venue.receive(self.session, orjson.dumps({"method": method, "params": params, "id": call_id}), self.now_ns)
        return orjson.loads(self.session.take()[-1])

    def run(self, seconds):
        got = []
        for _ in range(int(seconds * 10)):
            self.now_ns += S // 10
            self.venue.tick(self.now_ns)
            got += self.session.take()
        return got

    @property
    def symbol(self):
        board = self.venue.view.markets[0].board
        return board.symbols[int(board.open_rows()[0])]


def names(got):
    return {orjson.loads(payload)["stream"] for payload in got}


def test_subscriptions_are_acknowledged_and_listed(chains):
    client = Client(chains)
    assert client.say("SUBSCRIBE", "btcusdt@optionMarkPrice", "nonsense@y") == {"result": None, "id": 1}
    assert client.say("LIST_SUBSCRIPTIONS")["result"] == ["btcusdt@optionMarkPrice", "nonsense@y"]
    assert names(client.run(1.5)) == {"btcusdt@optionMarkPrice"}, "a name that does not exist is silent"
    assert client.say("UNSUBSCRIBE", "btcusdt@optionMarkPrice") == {"result": None, "id": 1}
    assert client.run(1.5) == []


@pytest.mark.parametrize(
    ("route", "stream"), [("public", "btcusdt@optionMarkPrice"), ("market", "btcusdt@optionTrade"), ("", "!index@arr")]
)
def test_the_wrong_path_upgrades_and_stays_silent(chains, route, stream):
    client = Client(chains, route)
    client.venue.receive(
        client.session, orjson.dumps({"method": "SUBSCRIBE", "params": [stream], "id": 1}), client.now_ns
    )
    assert len(client.session.take()) == (1 if route else 0)
    assert client.run(2.0) == []


def test_errors(chains):
    client = Client(chains)
    assert client.say("SING")["code"] == 2
    client.venue.receive(client.session, b'{"method":"SUBSCRIBE","params":[],"id":-1}', client.now_ns)
    assert orjson.loads(client.session.take()[0])["code"] == 2
    many = [f"btc-260925-{number}-c@bookTicker" for number in range(201)]
    assert "error" in client.say("SUBSCRIBE", *many)
    assert "error" not in client.say("SUBSCRIBE", *many[:200])


def test_more_than_ten_messages_a_second_end_the_connection(chains):
    client = Client(chains)
    for _ in range(10):
        client.say("LIST_SUBSCRIPTIONS")
    assert client.session.closing is None
    client.say("LIST_SUBSCRIPTIONS")
    assert client.session.closing == (1008, "Too many requests")


def test_a_connection_has_an_end(chains):
    client = Client(chains, life_s=2.0)
    client.run(1.5)
    assert client.session.closing is None
    client.run(1.0)
    assert client.session.closing[0] == 1001


def test_the_stream_names_of_the_address_and_raw_payloads(chains):
    client = Client(chains)
    client.open("market", "!index@arr", is_combined=False)
    (data, *_) = map(orjson.loads, client.run(1.2))
    assert {row["s"] for row in data} == {"BTCUSDT", "XRPUSDT"}


class TestWhatIsSent:
    def decode(self, client, got):
        decoder = Decoder()
        _, body, _ = client.venue.rest("exchangeInfo", {}, client.now_ns)
        listed = decoder.decode(body, 1)
        return listed, [event for payload in got for event in decoder.decode(payload, 1)]

    def test_the_decoder_gives_back_what_the_board_says(self, chains):
        client = Client(chains)
        client.say("SUBSCRIBE", "xrpusdt@optionMarkPrice", "!index@arr")
        got = client.run(1.0)
        market = next(one for one in client.venue.view.markets if one.family.ccy == "XRP")
        board = market.board
        client.venue._send("xrpusdt@optionMarkPrice", client.venue.marks(market))
        listed, events = self.decode(client, [*got, *client.session.take()])
        quotes = {event.contract.symbol: event for event in events if isinstance(event, Quote)}
        marks = {event.contract.symbol: event for event in events if isinstance(event, Mark)}
        forwards = {event.expiry: event.price for event in events if isinstance(event, Forward)}
        assert any(isinstance(event, Index) for event in events)
        assert all(event.contract_size == 100.0 for event in listed if event.contract.ccy == "XRP")
        checked = 0
        for row in board.open_rows().tolist():
            at, expiry = board.ticker[row], board.expiries[int(board.expiry_of[row])]
            assert forwards[expiry.ms] == pytest.approx(expiry.forward, rel=1e-4)
            undiscounted = expiry.forward / board.index_price
            quote = quotes[board.symbols[row]]
            if at["bid"] != at["bid"]:
                assert quote.bid is None
            else:
                assert quote.bid == pytest.approx(float(at["bid"]) * undiscounted, rel=1e-3, abs=1e-5)
                assert quote.bid_size == pytest.approx(float(at["bid_size"]), rel=1e-2)
                checked += 1
            assert marks[board.symbols[row]].iv == pytest.approx(float(at["mark_iv"]) / 100, abs=1e-6)
        assert checked > 50

    def test_listing_terms_and_a_stock_option_that_is_left_out(self, chains):
        client = Client(chains)
        body = orjson.loads(client.venue.rest("exchangeInfo", {}, client.now_ns)[1])
        assert {row["underlyingType"] for row in body["optionSymbols"]} == {"CRYPTO", "EQUITY"}
        listed, _ = self.decode(client, [])
        assert {event.contract.ccy for event in listed} == {"BTC", "XRP"}
        open_rows = sum(len(market.board.open_rows()) for market in client.venue.view.markets)
        assert len(listed) == open_rows

    def test_best_prices_and_trades_are_on_public(self, chains):
        client = Client(chains, "public", rate=8000.0)
        board = client.venue.view.markets[0].board
        wanted = [f"{board.symbols[row].lower()}@bookTicker" for row in board.open_rows().tolist()[:198]]
        client.say("SUBSCRIBE", "btcusdt@optionTrade", *wanted)
        got = client.run(20.0)
        assert len(names(got)) > 50
        # This connection has no marks, so that no discount factor is known to who knows the listing.
        _, events = self.decode(client, got)
        assert {type(event) for event in events} == {Trade}
        decoder = Decoder()
        events = [event for frame in got for event in decoder.decode(frame, 1)]
        assert {type(event) for event in events} == {Quote, Trade}
        assert all(event.price > 0 and event.contract.ccy == "BTC" for event in events if isinstance(event, Trade))

    def test_books_partial_and_changes_with_gaps(self, chains):
        client = Client(chains, "public", rate=20_000.0)
        name = client.symbol.lower()
        client.venue.losses.drop_every = 5
        client.say("SUBSCRIBE", f"{name}@depth20@100ms", f"{name}@depth@100ms")
        _, events = self.decode(client, client.run(20.0))
        kinds = {type(event).__name__ for event in events}
        assert kinds == {"Quote", "Gap"}

    def test_open_interest_and_statistics(self, chains):
        client = Client(chains)
        client.say("SUBSCRIBE", f"btcusdt@openInterest@{client.symbol.split('-')[1]}")
        (data,) = map(orjson.loads, client.run(1.0))
        assert data["data"][0]["e"] == "openInterest"
        client.open("public", f"{client.symbol.lower()}@optionTicker")
        assert self.decode(client, client.run(1.1))[1] == []

    def test_silent_streams(self, chains):
        client = Client(chains)
        client.say("SUBSCRIBE", "btcusdt@optionMarkPrice", "!index@arr")
        client.venue.losses.stalled = {"btcusdt"}
        assert names(client.run(2.0)) == {"!index@arr"}

    def test_the_roll(self, chains):
        client = Client(chains)
        client.say("SUBSCRIBE", "btcusdt@optionMarkPrice", "!optionSymbol")
        first = client.venue.view.markets[0].board.expiries[0].ms
        client.now_ns = (first - 20 * 60_000) * 10**6
        client.venue.tick(client.now_ns)
        client.session.take()
        _, events = self.decode(client, client.run(1.5))
        assert {event.state for event in events if isinstance(event, Status)} == {"settlement"}
        assert first not in {event.expiry for event in events if isinstance(event, Forward)}
        client.now_ns = first * 10**6 - S
        client.venue.tick(client.now_ns)
        client.session.take()
        listed, events = self.decode(client, client.run(6.0))
        assert "created" in {event.state for event in events if isinstance(event, Status)}
        assert first not in {event.contract.expiry for event in listed}


class TestRest:
    def test_answers_and_errors(self, chains):
        client = Client(chains)

        def get(path, **query):
            return client.venue.rest(path, query, client.now_ns)[:2]

        assert get("ping") == (200, b"{}")
        assert orjson.loads(get("time")[1])["serverTime"] == client.now_ns // 10**6
        assert float(orjson.loads(get("index", underlying="BTCUSDT")[1])["indexPrice"]) > 0
        assert orjson.loads(get("index", underlying="NOUSDT")[1])["code"] == -1128
        assert "lastUpdateId" in orjson.loads(get("depth", symbol=client.symbol)[1])
        assert get("depth", symbol="X") == (400, b'{"code":-1121,"msg":"Invalid symbol."}')
        assert get("nonsense")[0] == 404

    def test_weight_then_429_then_418(self, chains):
        client = Client(chains)
        statuses = [client.venue.rest("ping", {}, client.now_ns)[0] for _ in range(WEIGHT_MAX + REFUSED_MAX + 2)]
        assert statuses.count(200) == WEIGHT_MAX
        assert statuses[-1] == 418
        assert 429 in statuses
        client.now_ns += 121 * S
        status, _, headers = client.venue.rest("ping", {}, client.now_ns)
        assert (status, headers["X-MBX-USED-WEIGHT-1M"]) == (200, "1")


def test_from_the_port_to_a_fitted_surface(chains):
    async def main() -> tuple[Pipeline, list[Connector]]:
        world = World(chains, seed=1)
        clock = RecordedClock(world.start_ns)
        server = BinanceServer(world.venue(TERMS, BinanceNames(), CCYS, 1000.0), clock)
        await server.start()
        pipeline = Pipeline(ccys=CCYS)
        venue = VENUES["binance"]
        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        connectors = [
            Connector(
                venue.name,
                endpoint,
                lambda now_ns, at=at: venue.sessions(CCYS, now_ns)[at],
                clock,
                pipeline.push,
                random.Random(at),
            )
            for at in range(len(venue.sessions(CCYS, 0)))
        ]
        tasks = [asyncio.create_task(connector.run()) for connector in connectors]
        try:
            async with asyncio.timeout(60.0):
                while not all(connector.state == "live" for connector in connectors) or len(pipeline.chains) < 2:
                    await asyncio.sleep(0.1)
                await asyncio.sleep(3.0)
            async with httpx.AsyncClient(trust_env=False) as http:
                assert (await http.get(endpoint.http + venue.probe)).is_success
            pipeline.drain(clock.now_ns())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.stop()
        return pipeline, connectors

    pipeline, connectors = asyncio.run(main())
    assert not pipeline.rejects
    assert sum(connector.reconnects for connector in connectors) == 0
    for ccy in CCYS:
        surface = pipeline.surfaces[ccy]
        assert (surface.state == FITTED).mean() > 0.8
        assert (surface.butterfly[surface.state == FITTED] == CERTIFIED).all()
        forwards = {one.source for one in surface.forwards}
        assert forwards <= {"venue", "parity"}


@pytest.mark.parametrize("status", [451, 403])
def test_a_listing_refused_to_this_region_is_told(chains, status):
    class Blocked(BinanceServer):
        def http(self, method, path, query, body, now_ns):
            return status, b"", {}

    async def main() -> Connector:
        world = World(chains, seed=1)
        clock = RecordedClock(world.start_ns)
        server = Blocked(world.venue(TERMS, BinanceNames(), CCYS, 1000.0), clock)
        await server.start()
        venue = VENUES["binance"]
        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        connector = Connector(
            venue.name,
            endpoint,
            lambda now_ns: venue.sessions(CCYS, now_ns)[0],
            clock,
            lambda *_: (),
            random.Random(1),
        )
        task = asyncio.create_task(connector.run())
        async with asyncio.timeout(20.0):
            while not connector.detail:
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await server.stop()
        return connector

    connector = asyncio.run(main())
    assert connector.state == "down"
    assert str(status) in connector.detail


def test_listed_contracts_have_the_names_of_the_grammar(chains):
    client = Client(chains)
    decoder = Decoder()
    listed = decoder.decode(client.venue.rest("exchangeInfo", {}, client.now_ns)[1], 1)
    from derivasys.decode.binance import contract

    for event in listed:
        assert isinstance(event, Instrument)
        assert contract(event.contract.symbol) == event.contract
