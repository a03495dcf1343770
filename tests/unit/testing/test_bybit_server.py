"""The local Bybit: its protocol without a socket, then one walk from its port to a fitted surface."""

import asyncio
import random
from urllib.parse import parse_qsl, urlsplit

import orjson
import pytest

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.bybit import ENTRY
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.decode.bybit import Decoder, contract
from derivasys.messages import Forward, Gap, Index, Instrument, Mark, Quote, Status, Trade
from derivasys.pipeline import Pipeline
from derivasys.surface import CERTIFIED, FITTED
from derivasys.testing.bybit import BybitServer
from derivasys.testing.bybit.payloads import BybitNames
from derivasys.testing.bybit.terms import TERMS
from derivasys.testing.bybit.venue import REST_CALLS_MAX, TOPIC_CHARS_MAX, BybitVenue
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped

S = 10**9
CCYS = ("BTC", "DOGE")


@pytest.fixture(scope="module")
def chains():
    return [load_shipped("BTC"), load_shipped("ETH")]


class Client:
    """A client of the venue, without a socket."""

    def __init__(self, chains, market="option", rate=2000.0):
        self.world = World(chains, seed=1)
        self.now_ns = self.world.start_ns
        self.venue = BybitVenue(self.world.venue(TERMS, BybitNames(), CCYS, rate))
        self.session = self.venue.connect(market, self.now_ns)
        self.decoder = Decoder()

    def send(self, text):
        self.venue.receive(self.session, text, self.now_ns)
        return self.session.take()

    def say(self, *topics, op="subscribe"):
        request = orjson.dumps({"req_id": "7", "op": op, "args": topics})
        return [orjson.loads(payload) for payload in self.send(request)]

    def run(self, seconds, step_s=0.1):
        got = []
        for _ in range(round(seconds / step_s)):
            self.now_ns += int(step_s * S)
            self.venue.tick(self.now_ns)
            got += self.session.take()
        return got

    def get(self, path, **query):
        return self.venue.rest(f"/v5/{path}", query, self.now_ns)

    def listed(self, **query):
        status, body = self.get("market/instruments-info", **query)
        assert (status, body["retCode"]) == (200, 0)
        return body["result"]

    def decode(self, payloads):
        return [event for payload in payloads for event in self.decoder.decode(payload, self.now_ns)]

    @property
    def board(self):
        return self.venue.view.market("BTC-USDT").board

    @property
    def symbol(self):
        """Return an option quoted on both sides, far from its end."""
        t = self.board.ticker
        rows = [row for row in self.board.open_rows().tolist() if t["bid"][row] > 0 and t["ask"][row] > 0]
        return self.board.symbols[rows[-1]]

    @property
    def future(self):
        return next(name for name, future in self.board.futures.items() if future.expiry is not None)


class TestSubscriptions:
    def test_the_option_socket_answers_with_lists_and_no_request_id(self, chains):
        client = Client(chains)
        topic = f"tickers.{client.symbol}"
        ack, ticker = client.say(topic, "tickers.BTC-1JAN20-1-C-USDT", "nonsense.X", "publicTrade.ABC")
        assert ack.keys() == {"success", "conn_id", "data", "type"}
        assert ack["data"] == {
            "failTopics": ["tickers.BTC-1JAN20-1-C-USDT", "nonsense.X", "publicTrade.ABC"], "successTopics": [topic],
        }  # fmt: skip
        assert (ticker["topic"], ticker["type"]) == (topic, "snapshot")

    def test_elsewhere_a_request_succeeds_or_fails_as_a_whole(self, chains):
        client = Client(chains, "linear")
        (failed,) = client.say(f"tickers.{client.future}", "tickers.NOPE")
        assert (failed["success"], failed["req_id"], failed["op"]) == (False, "7", "subscribe")
        assert "tickers.NOPE" in failed["ret_msg"]
        assert client.run(1.0) == []
        done, ticker = client.say(f"tickers.{client.future}")
        assert done["success"]
        assert ticker["type"] == "snapshot"

    def test_a_connection_has_room_for_so_many_characters(self, chains):
        client = Client(chains)
        topics = [f"tickers.{symbol}" for symbol in client.board.symbols]
        failed, held = [], []
        for at in range(0, len(topics), 10):
            ack, *_ = client.say(*topics[at : at + 10])
            failed += ack["data"]["failTopics"]
            held += ack["data"]["successTopics"]
        assert sum(len(topic) + 3 for topic in held) <= TOPIC_CHARS_MAX
        assert 500 < len(held) < len(topics)
        assert len(held) + len(failed) == len(topics)

    def test_what_is_unsubscribed_falls_silent(self, chains):
        client = Client(chains, "linear")
        client.say(f"tickers.{client.future}")
        assert client.run(2.0)
        assert client.say(f"tickers.{client.future}", op="unsubscribe")[0]["success"]
        assert client.run(2.0) == []

    @pytest.mark.parametrize(
        "text", [b"hello", b"[]", b'{"op":"subscribe"}', b'{"op":"subscribe","args":[1]}', b'{"op":"dance"}']
    )
    def test_what_is_no_request_is_refused(self, chains, text):
        (answer,) = Client(chains).send(text)
        assert orjson.loads(answer)["success"] is False


class TestConnection:
    def test_pongs_differ_by_market(self, chains):
        (option,) = Client(chains).send(b'{"req_id":"1","op":"ping"}')
        (linear,) = Client(chains, "linear").send(b'{"req_id":"1","op":"ping"}')
        assert orjson.loads(option)["op"] == "pong"
        assert (orjson.loads(linear)["op"], orjson.loads(linear)["ret_msg"]) == ("ping", "pong")

    def test_without_a_message_for_ten_minutes_it_is_cut(self, chains):
        client = Client(chains)
        client.run(599, 599.0)
        assert client.session.closing is None
        client.run(2, 1.0)
        assert client.session.closing is not None


class TestPushes:
    def test_tickers_are_those_of_the_market_at_most_every_100_ms(self, chains):
        client = Client(chains, rate=50_000.0)
        _, ticker = client.say(f"tickers.{client.symbol}")
        cell = client.board.ticker[client.board.row_of[client.symbol]]
        quote, mark, forward, index = client.decode([orjson.dumps(ticker)])
        assert isinstance(quote, Quote)
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (
            cell["bid"],
            cell["ask"],
            cell["bid_size"],
            cell["ask_size"],
        )
        assert isinstance(mark, Mark)
        assert mark.iv == pytest.approx(cell["mark_iv"] / 100, abs=5e-5)
        assert isinstance(forward, Forward)
        assert forward.price in {one.forward for one in client.board.expiries}
        assert isinstance(index, Index)
        assert index.price == client.board.index_price
        pushes = [orjson.loads(payload) for payload in client.run(10.0, 0.02)]
        assert {push["type"] for push in pushes} == {"snapshot"}
        assert 50 < len(pushes) <= 100
        assert len({push["id"] for push in pushes}) == len(pushes)

    def test_missing_sides_and_caps_are_written_as_the_venue_does(self, chains):
        client = Client(chains)
        rows = client.get("market/tickers", category="option", baseCoin="BTC")[1]["result"]["list"]
        assert {row["bid1Size"] for row in rows if row["bid1Price"] == "0"} == {"0"}
        assert all(float(row["ask1Iv"]) <= 5 for row in rows)
        assert "bidPrice" not in rows[0]

    def test_tickers_of_futures_are_changes(self, chains):
        client = Client(chains, "linear")
        client.decode([orjson.dumps(answer) for answer in client.say(f"tickers.{client.future}")])
        pushes = client.run(5.0)
        assert {orjson.loads(push)["type"] for push in pushes} == {"delta"}
        *_, quote = (event for event in client.decode(pushes) if isinstance(event, Quote))
        future = client.board.futures[client.future]
        assert (quote.bid, quote.ask) == (future.bid, future.ask)
        assert (quote.contract.kind, quote.contract.expiry) == ("future", future.expiry)

    def test_books_and_their_gaps(self, chains):
        client = Client(chains, rate=20_000.0)
        topic = f"orderbook.25.{client.symbol}"
        client.decode([orjson.dumps(answer) for answer in client.say(topic)])
        *_, quote = client.decode(client.run(5.0))
        cell = client.board.ticker[client.board.row_of[client.symbol]]
        assert (quote.bid, quote.ask) == (cell["bid"], cell["ask"])
        client.venue.faults.book_gap = True
        events = client.decode(client.run(5.0))
        assert any(isinstance(event, Gap) for event in events)
        client.venue.restart_books()
        restarted = client.session.take()
        assert orjson.loads(restarted[0])["data"]["u"] == 1
        assert isinstance(client.decode(restarted)[0], Quote)
        assert not any(isinstance(event, Gap) for event in client.decode(client.run(5.0)))

    def test_an_empty_book_has_u_0(self, chains):
        client = Client(chains)
        t = client.board.ticker
        bare = next(row for row in client.board.open_rows().tolist() if not t["bid"][row] > 0)
        t["ask"][bare] = float("nan")
        _, book = client.say(f"orderbook.25.{client.board.symbols[bare]}")
        assert book["data"] | {"s": ""} == {"s": "", "b": [], "a": [], "u": 0, "seq": 0}

    def test_trades(self, chains):
        client = Client(chains)
        client.say("publicTrade.BTC", "publicTrade.DOGE")
        events = client.decode(client.run(20.0))
        assert {event.ccy for event in events} == set(CCYS)
        assert all(isinstance(event, Trade) for event in events)
        assert sum(event.iv is not None for event in events) > len(events) / 2

    def test_maintenance_is_announced(self, chains):
        client = Client(chains, "misc/status")
        _, state = client.say("system.status")
        assert state["data"][0]["state"] == "completed"
        client.venue.announce("ongoing")
        (status,) = client.decode(client.session.take())
        assert isinstance(status, Status)
        assert status.state == "maintenance"

    def test_what_has_expired_falls_silent_and_leaves_the_listing(self, chains):
        client = Client(chains)
        first = client.board.expiries[0]
        symbol = client.board.symbols[0]
        assert client.board.expiry_ms[0] == first.ms
        client.say(f"tickers.{symbol}")
        client.now_ns = first.ms * 10**6 - S
        client.venue.tick(client.now_ns)
        client.session.take()
        client.run(1.1)
        states = {row["symbol"]: row["status"] for row in client.listed(category="option", limit="1000")["list"]}
        assert states[symbol] == "Delivering"
        client.run(4.0)
        states = {row["symbol"]: row["status"] for row in client.listed(category="option", limit="1000")["list"]}
        assert set(states.values()) == {"Trading", "PreLaunch"}
        assert symbol not in states
        assert client.run(4.0) == []
        states = {row["symbol"]: row["status"] for row in client.listed(category="option", limit="1000")["list"]}
        assert set(states.values()) == {"Trading"}


class TestRest:
    def test_the_coin_is_bitcoin_where_none_is_named(self, chains):
        client = Client(chains)
        assert {row["baseCoin"] for row in client.listed(category="option")["list"]} == {"BTC"}
        assert client.listed(category="option", baseCoin="ABC")["list"] == []

    def test_pages(self, chains):
        client = Client(chains)
        first = client.listed(category="option")
        assert len(first["list"]) == 500
        second = client.listed(category="option", cursor=first["nextPageCursor"])
        assert second["nextPageCursor"] == ""
        symbols = [row["symbol"] for page in (first, second) for row in page["list"]]
        assert symbols == [
            symbol
            for market in client.venue.view.markets
            if market.family.ccy == "BTC"
            for symbol in market.board.symbols
        ]

    def test_errors(self, chains):
        client = Client(chains)
        assert client.get("market/instruments-info", category="option", limit="2000")[1]["retCode"] == 10001
        assert client.get("market/instruments-info")[1]["retCode"] == 10001
        assert client.get("nonsense", category="option")[0] == 404
        client.venue.faults.maintenance = True
        assert client.get("market/tickers", category="option")[1]["retCode"] == 10016

    def test_six_hundred_calls_in_five_seconds(self, chains):
        client = Client(chains)
        statuses = [client.get("market/time")[0] for _ in range(REST_CALLS_MAX + 1)]
        assert statuses == [200] * REST_CALLS_MAX + [403]


def test_listed_contracts_have_the_names_of_the_grammar(chains):
    client = Client(chains)
    for category in ("option", "linear"):
        for ccy in CCYS:
            body = client.get("market/instruments-info", category=category, baseCoin=ccy, limit="1000")[1]
            for event in client.decode([orjson.dumps(body)]):
                assert isinstance(event, Instrument)
                assert contract(event.contract.symbol) == event.contract


@pytest.mark.parametrize("fault", ["refused", "unnamed"])
def test_topics_refused_or_passed_over_are_noticed_by_the_session(chains, fault):
    client = Client(chains)
    session = ENTRY.sessions(["DOGE"], client.now_ns)[0]
    board = client.venue.view.market("DOGE-USDT").board
    gone = f"tickers.{board.symbols[-1]}"
    setattr(client.venue.faults, fault, {gone})
    while session.relisting:
        url = urlsplit(session.relisting.pop(0))
        body = client.venue.rest(url.path, dict(parse_qsl(url.query)), client.now_ns)[1]
        session.listed(url.path + "?" + url.query, orjson.dumps(body), client.now_ns)
    for message in session.opened(client.now_ns):
        for answer in client.send(message):
            session.received(answer, client.now_ns)
    assert session.refused == {gone}
    assert len(session.subscribed) == len(board.open_rows())


def test_from_the_port_to_a_fitted_surface(chains):
    async def main() -> tuple[Pipeline, list[Connector], BybitServer]:
        world = World(chains, seed=1)
        clock = RecordedClock(world.start_ns)
        server = BybitServer(world.venue(TERMS, BybitNames(), CCYS, 1000.0), clock)
        await server.start()
        pipeline = Pipeline(ccys=CCYS)
        venue = VENUES["bybit"]
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
            pipeline.drain(clock.now_ns())
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.stop()
        return pipeline, connectors, server

    pipeline, connectors, server = asyncio.run(main())
    assert not pipeline.rejects
    assert not pipeline.gaps
    assert sum(connector.reconnects for connector in connectors) == 0
    for ccy in CCYS:
        surface = pipeline.surfaces[ccy]
        assert (surface.state == FITTED).mean() > 0.8
        assert (surface.butterfly[surface.state == FITTED] == CERTIFIED).all()
        board = server.venue.view.market(f"{ccy}-USDT").board
        assert sorted(one.ms for one in board.expiries) == list(surface.expiries)
        for slot, expiry in enumerate(surface.expiries):
            if surface.state[slot] != FITTED:
                continue
            rows = [row for row in board.open_rows().tolist() if board.expiry_ms[row] == expiry]
            forward = next(one.forward for one in board.expiries if one.ms == expiry)
            nearest = min(rows, key=lambda row: abs(board.strike[row] - forward))
            fitted, cell = surface.vol(expiry, strike=float(board.strike[nearest])), board.ticker[nearest]
            assert cell["bid_iv"] / 100 - 0.01 < fitted < cell["ask_iv"] / 100 + 0.01
