"""The local OKX: its protocol without a socket, then one walk from its port to a fitted surface."""

import asyncio
import random
from collections import Counter

import orjson
import pytest

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.okx import FAMILIES, OkxSession
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.decode.okx import Decoder, contract
from derivasys.messages import Forward, Gap, Instrument, Mark, Quote, Status, Trade
from derivasys.pipeline import Pipeline
from derivasys.surface import CERTIFIED, FITTED
from derivasys.testing.market import World
from derivasys.testing.okx import OkxServer
from derivasys.testing.okx.payloads import OkxNames
from derivasys.testing.okx.terms import TERMS
from derivasys.testing.okx.venue import REQUESTS_PER_HOUR, OkxVenue
from derivasys.testing.recordings import load_shipped

S = 10**9
CCYS = ("BTC", "SOL")


@pytest.fixture(scope="module")
def chains():
    return [load_shipped("BTC"), load_shipped("ETH")]


class Client:
    """A client of the venue, without a socket."""

    def __init__(self, chains, path="/ws/v5/public", rate=2000.0):
        self.world = World(chains, seed=1)
        self.now_ns = self.world.start_ns
        self.venue = OkxVenue(self.world.venue(TERMS, OkxNames(), CCYS, rate))
        self.session = self.venue.connect(path, self.now_ns)
        self.decoder = Decoder()

    def send(self, text):
        self.venue.receive(self.session, text, self.now_ns)
        return self.session.take()

    def say(self, *args, op="subscribe"):
        return [orjson.loads(payload) for payload in self.send(orjson.dumps({"id": "7", "op": op, "args": args}))]

    def run(self, seconds, step_s=0.1):
        got = []
        for _ in range(round(seconds / step_s)):
            self.now_ns += int(step_s * S)
            self.venue.tick(self.now_ns)
            got += self.session.take()
        return got

    def get(self, path, **query):
        status, body = self.venue.rest(f"/api/v5/{path}", query, self.now_ns)
        return status, body["code"], body["data"]

    def decode(self, payloads):
        return [event for payload in payloads for event in self.decoder.decode(payload, self.now_ns)]

    def symbol(self, family="BTC-USD"):
        """Return an option quoted on both sides, far from its end."""
        board = self.venue.view.market(family).board
        t = board.ticker
        rows = [row for row in board.open_rows().tolist() if t["bid"][row] > 0 and t["ask"][row] > 0]
        return board.symbols[rows[-1]]


def channels(payloads):
    return Counter(orjson.loads(payload)["arg"]["channel"] for payload in payloads)


class TestSubscriptions:
    def test_one_acknowledgement_an_arg_with_the_clients_id_then_the_state(self, chains):
        client = Client(chains)
        args = [{"channel": "opt-summary", "instFamily": "BTC-USD"}, {"channel": "tickers", "instId": client.symbol()}]
        first, summary, second, ticker = client.say(*args)
        assert [first["arg"], second["arg"]] == args
        assert {first["id"], second["id"]} == {"7"}
        assert first["connId"]
        assert len(summary["data"]) > 300
        assert ticker["data"][0]["instId"] == client.symbol()

    @pytest.mark.parametrize(
        ("arg", "code"),
        [
            ({"channel": "tickers", "instId": "BTC-USD-991231-1-C"}, "60018"),
            ({"channel": "nonsense", "instId": "BTC-USD"}, "60018"),
            ({"channel": "tickers", "instFamily": "BTC-USD"}, "60018"),
            ({"channel": "opt-summary", "uly": "BTC-USD"}, "64000"),
            ({"channel": "trades-all", "instId": "BTC-USD"}, "64001"),
            ({"instId": "BTC-USD"}, "60012"),
        ],
    )
    def test_errors(self, chains, arg, code):
        client = Client(chains)
        (error,) = client.say(arg)
        assert (error["event"], error["code"]) == ("error", code)

    def test_what_is_no_request_is_answered_with_an_error(self, chains):
        client = Client(chains)
        for text in (b"hello", b"[]", b'{"op":"subscribe","args":7}', b'{"op":"dance","args":[]}'):
            assert orjson.loads(client.send(text)[0])["code"] == "60012"

    def test_requests_of_an_hour_are_counted_for_each_connection(self, chains):
        client = Client(chains)
        arg = {"channel": "status"}
        for _ in range(REQUESTS_PER_HOUR):
            assert client.say(arg)[0]["event"] == "subscribe"
        assert client.say(arg)[0]["code"] == "60014"
        client.now_ns += 3601 * S
        assert client.say(arg)[0]["event"] == "subscribe"

    def test_what_is_unsubscribed_falls_silent(self, chains):
        client = Client(chains)
        arg = {"channel": "index-tickers", "instId": "BTC-USD"}
        client.say(arg)
        assert client.run(0.5)
        assert client.say(arg, op="unsubscribe")[0]["event"] == "unsubscribe"
        assert client.run(0.5) == []


class TestConnection:
    def test_text_pings(self, chains):
        assert Client(chains).send(b"ping") == [b"pong"]

    def test_without_a_subscription_it_is_closed_in_spite_of_pings(self, chains):
        client = Client(chains)
        client.run(20, 1.0)
        client.send(b"ping")
        client.run(9, 1.0)
        assert client.session.closing is None
        client.run(2, 1.0)
        assert client.session.closing[0] == 4004

    def test_a_quiet_subscription_lives_by_pings(self, chains):
        client = Client(chains)
        client.say({"channel": "status"})
        for _ in range(4):
            client.run(20, 1.0)
            client.send(b"ping")
        assert client.session.closing is None
        client.run(31, 1.0)
        assert client.session.closing[0] == 4004

    def test_an_upgrade_is_announced_a_minute_ahead(self, chains):
        client = Client(chains)
        client.say({"channel": "status"})
        client.venue.upgrade()
        assert orjson.loads(client.session.take()[0])["code"] == "64008"
        client.send(b"ping")
        client.run(20, 1.0)
        assert client.session.closing is None
        client.send(b"ping")
        client.run(20, 1.0)
        client.send(b"ping")
        client.run(21, 1.0)
        assert client.session.closing[0] == 4006


class TestPushes:
    def test_cadence(self, chains):
        client = Client(chains)
        client.say(
            {"channel": "opt-summary", "instFamily": "BTC-USD"}, {"channel": "index-tickers", "instId": "BTC-USD"}
        )
        told = channels(client.run(10.0))
        assert 9 <= told["opt-summary"] <= 11
        assert 90 <= told["index-tickers"] <= 101

    def test_quotes_marks_and_forwards_are_those_of_the_market(self, chains):
        client = Client(chains)
        for family in ("BTC-USD", "BTC-USD_UM", "SOL-USD_UM"):
            _, _, listing = client.get("public/instruments", instType="OPTION", instFamily=family)
            client.decode([orjson.dumps({"code": "0", "data": listing})])
            board = client.venue.view.market(family).board
            symbol = client.symbol(family)
            row = board.row_of[symbol]
            args = [{"channel": "tickers", "instId": symbol}, {"channel": "opt-summary", "instFamily": family}]
            events = client.decode([orjson.dumps(answer) for answer in client.say(*args)])
            (quote,) = [event for event in events if isinstance(event, Quote)]
            cell = board.ticker[row]
            assert (quote.bid, quote.ask) == (cell["bid"], cell["ask"])
            assert (quote.bid_size, quote.ask_size) == pytest.approx((cell["bid_size"], cell["ask_size"]))
            assert quote.contract.price_unit == board.family.price_unit
            (mark,) = [event for event in events if isinstance(event, Mark) and event.contract.symbol == symbol]
            assert mark.iv == pytest.approx(cell["mark_iv"] / 100)
            if board.family.price_unit == "coin":
                assert mark.price == pytest.approx(cell["mark"], abs=2e-10)
            forwards = {event.expiry: event.price for event in events if isinstance(event, Forward)}
            assert forwards == {one.ms: one.forward for one in board.expiries}

    def test_the_first_trade_after_subscribing_may_be_an_old_one(self, chains):
        client = Client(chains)
        arg = {"channel": "option-trades", "instType": "OPTION", "instFamily": "BTC-USD"}
        client.say(arg)
        told = client.decode(client.run(20.0))
        assert told
        assert all(isinstance(event, Trade) and event.iv for event in told)
        client.say(arg, op="unsubscribe")
        _, cached = client.say(arg)
        assert cached["data"][0]["tradeId"] == told[-1].trade_id
        assert client.decode([orjson.dumps(cached)]) == []

    def test_books_of_deltas_agree_with_windows(self, chains):
        client = Client(chains)
        symbol = client.symbol()
        for channel in ("books", "bbo-tbt"):
            client.decode([orjson.dumps(answer) for answer in client.say({"channel": channel, "instId": symbol})])
        best = {}
        for payload in client.run(30.0):
            (event,) = client.decode([payload])
            assert isinstance(event, Quote)
            best[orjson.loads(payload)["arg"]["channel"]] = (event.bid, event.ask)
        assert best["books"] == best["bbo-tbt"]

    @pytest.mark.parametrize(("fault", "is_gap"), [("book_gap", True), ("book_reset", False)])
    def test_a_lost_change_is_a_gap_and_a_reset_is_none(self, chains, fault, is_gap):
        client = Client(chains, rate=20_000.0)
        client.decode([orjson.dumps(a) for a in client.say({"channel": "books", "instId": client.symbol()})])
        client.run(1.0)
        setattr(client.venue.faults, fault, True)
        client.decoder = Decoder()
        client.say({"channel": "books", "instId": client.symbol()}, op="unsubscribe")
        client.decode([orjson.dumps(a) for a in client.say({"channel": "books", "instId": client.symbol()})])
        events = client.decode(client.run(10.0))
        assert len(events) > 5
        assert any(isinstance(event, Gap) for event in events) is is_gap

    def test_an_unchanged_book_says_that_it_lives(self, chains):
        client = Client(chains, rate=0.001)
        client.say({"channel": "books", "instId": client.symbol()})
        idle = [orjson.loads(payload)["data"][0] for payload in client.run(70.0, 1.0)]
        assert {(row["seqId"] - row["prevSeqId"], len(row["bids"])) for row in idle} == {(0, 0)}

    def test_maintenance_is_announced(self, chains):
        client = Client(chains)
        _, state = client.say({"channel": "status"})
        assert state["data"][0]["state"] == "completed"
        client.venue.announce("ongoing")
        (status,) = client.decode(client.session.take())
        assert isinstance(status, Status)
        assert status.state == "maintenance"

    def test_the_roll(self, chains):
        client = Client(chains)
        client.say({"channel": "instruments", "instType": "OPTION"})
        first = client.venue.view.market("BTC-USD").board.expiries[0].ms
        client.now_ns = first * 10**6 - S
        client.venue.tick(client.now_ns)
        client.session.take()
        events = client.decode(client.run(10.0))
        assert {event.state for event in events} == {"preopen", "open", "closed"}
        assert {event.contract.expiry for event in events if event.state == "closed"} == {first}
        _, _, listed = client.get("public/instruments", instType="OPTION", instFamily="BTC-USD")
        assert str(first) not in {row["expTime"] for row in listed}
        assert {row["state"] for row in listed} == {"live"}

    def test_new_contracts_are_listed_before_they_open(self, chains):
        client = Client(chains)
        first = client.venue.view.market("BTC-USD").board.expiries[0].ms
        client.now_ns = first * 10**6 - S
        client.venue.tick(client.now_ns)
        client.run(6.0)
        _, _, listed = client.get("public/instruments", instType="OPTION", instFamily="BTC-USD")
        assert {row["state"] for row in listed} == {"live", "preopen"}


class TestRest:
    def test_answers(self, chains):
        client = Client(chains)
        families = [row["instFamily"] for row in client.get("public/instrument-tick-bands", instType="OPTION")[2]]
        assert families == ["BTC-USD", "BTC-USD_UM", "SOL-USD_UM"]
        for path in (
            "public/instruments",
            "public/opt-summary",
            "public/open-interest",
            "public/mark-price",
            "market/tickers",
        ):
            status, code, rows = client.get(path, instType="OPTION", instFamily="BTC-USD")
            assert (status, code) == (200, "0")
            assert len(rows) > 300
            assert client.decode([orjson.dumps({"code": "0", "msg": "", "data": rows})])
        assert client.get("market/index-tickers", instId="SOL-USD")[1] == "0"
        assert client.get("public/time")[1] == "0"
        assert client.get("system/status")[1] == "0"

    def test_errors(self, chains):
        client = Client(chains)
        assert client.get("public/instruments", instType="OPTION")[1] == "50015"
        assert client.get("public/instruments", instType="OPTION", instFamily="BTC-USDC")[1] == "51000"
        assert client.get("nonsense")[0] == 404
        client.venue.faults.maintenance = True
        assert client.get("public/instruments", instType="OPTION", instFamily="BTC-USD")[1] == "50001"

    def test_too_many_calls(self, chains):
        client = Client(chains)
        answers = [client.get("public/instrument-tick-bands", instType="OPTION")[:2] for _ in range(6)]
        assert answers == [(200, "0")] * 5 + [(429, "50011")]
        client.now_ns += 2 * S + 1
        assert client.get("public/instrument-tick-bands", instType="OPTION")[0] == 200


def test_listed_contracts_have_the_names_of_the_grammar(chains):
    client = Client(chains)
    for family in ("BTC-USD", "BTC-USD_UM", "SOL-USD_UM"):
        for kind in ("OPTION", "FUTURES", "SWAP"):
            _, _, rows = client.get("public/instruments", instType=kind, instFamily=family)
            for event in client.decode([orjson.dumps({"code": "0", "msg": "", "data": rows})]):
                assert isinstance(event, Instrument)
                assert contract(event.contract.symbol) == event.contract


def test_channels_refused_or_unanswered_are_noticed_by_the_session(chains):
    client = Client(chains)
    session = OkxSession(["BTC"], client.now_ns)
    refused = client.symbol()
    client.venue.faults.refused = {f"tickers:{refused}"}
    while session.relisting:
        path = session.relisting.pop(0)
        query = dict(pair.split("=") for pair in path.partition("?")[2].split("&"))
        body = client.venue.rest(path.partition("?")[0], query, client.now_ns)[1]
        session.listed(path, orjson.dumps(body), client.now_ns)
    for message in session.opened(client.now_ns):
        for answer in client.send(message):
            session.received(answer, client.now_ns)
    assert session.refused == {f'{{"channel":"tickers","instId":"{refused}"}}'}
    assert len(session.subscribed) > 600
    assert path != FAMILIES


def test_from_the_port_to_a_fitted_surface(chains):
    async def main() -> tuple[Pipeline, list[Connector], OkxServer]:
        world = World(chains, seed=1)
        clock = RecordedClock(world.start_ns)
        server = OkxServer(world.venue(TERMS, OkxNames(), CCYS, 1000.0), clock)
        await server.start()
        pipeline = Pipeline(ccys=CCYS)
        venue = VENUES["okx"]
        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        connector = Connector(
            venue.name, endpoint, lambda now_ns: venue.sessions(CCYS, now_ns)[0], clock, pipeline.push, random.Random(1)
        )
        task = asyncio.create_task(connector.run())
        try:
            async with asyncio.timeout(60.0):
                while connector.state != "live" or len(pipeline.chains) < 2:
                    await asyncio.sleep(0.1)
                await asyncio.sleep(3.0)
            pipeline.drain(clock.now_ns())
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.stop()
        return pipeline, [connector], server

    pipeline, connectors, server = asyncio.run(main())
    assert not pipeline.rejects
    assert not pipeline.gaps
    assert sum(connector.reconnects for connector in connectors) == 0
    for ccy in CCYS:
        surface = pipeline.surfaces[ccy]
        assert (surface.state == FITTED).mean() > 0.8
        assert (surface.butterfly[surface.state == FITTED] == CERTIFIED).all()
        board = server.venue.view.market(f"{ccy}-USD_UM").board
        assert [one.ms for one in board.expiries] == list(surface.expiries)
        for slot, expiry in enumerate(surface.expiries):
            if surface.state[slot] != FITTED:
                continue
            rows = [row for row in board.open_rows().tolist() if board.expiry_ms[row] == expiry]
            nearest = min(rows, key=lambda row: abs(board.strike[row] - board.expiries[slot].forward))
            fitted, cell = surface.vol(expiry, strike=float(board.strike[nearest])), board.ticker[nearest]
            assert cell["bid_iv"] / 100 - 0.01 < fitted < cell["ask_iv"] / 100 + 0.01
