"""The local Deribit's order books: the chain of ids, windows, and the same book over REST."""

import orjson
import pytest

from derivasys.testing.deribit import Venue
from derivasys.testing.market import World
from derivasys.testing.market.recorded import DeribitNames
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import TERMS

S = 10**9


@pytest.fixture(scope="module")
def market():
    world = World([load_shipped("BTC"), load_shipped("ETH")], seed=1)
    return world.venue(TERMS["deribit"], DeribitNames(), ("SOL",), 2000.0)


def subscribed(market, *channels):
    venue = Venue(market.markets)
    session = venue.connect(venue._now_ns)
    call = {"jsonrpc": "2.0", "id": 1, "method": "public/subscribe", "params": {"channels": channels}}
    venue.receive(session, orjson.dumps(call), venue._now_ns)
    accepted, *rest = (orjson.loads(payload) for payload in session.take())
    return venue, session, accepted["result"], [message["params"]["data"] for message in rest]


def test_a_snapshot_then_changes_linked_by_ids_that_jump(market):
    board = market.markets[0].board
    names = [f"book.{symbol}.100ms" for symbol in board.symbols[:40]]
    venue, session, accepted, first = subscribed(market, *names)
    assert sorted(accepted) == sorted(names)
    assert {data["type"] for data in first} == {"snapshot"}
    last = {data["instrument_name"]: data["change_id"] for data in first}
    changes = 0
    for _ in range(40):
        venue.tick(venue._now_ns + S // 10)
        for payload in session.take():
            data = orjson.loads(payload)["params"]["data"]
            assert data["type"] == "change"
            assert data["prev_change_id"] == last[data["instrument_name"]]
            assert data["change_id"] > data["prev_change_id"] + 1
            assert data["bids"] or data["asks"]
            last[data["instrument_name"]] = data["change_id"]
            changes += 1
    assert changes > 50


def test_a_window_is_whole_each_time(market):
    symbol = market.markets[0].board.symbols[20]
    _, _, accepted, (data,) = subscribed(market, f"book.{symbol}.none.10.100ms")
    assert accepted
    assert "type" not in data
    assert all(len(level) == 2 for level in data["bids"] + data["asks"])


@pytest.mark.parametrize("rest", ["50ms", "none.3.100ms", "5.10.100ms", "raw.100ms"])
def test_unknown_intervals_and_depths_are_dropped(market, rest):
    symbol = market.markets[0].board.symbols[20]
    assert subscribed(market, f"book.{symbol}.{rest}")[2] == []


def test_rest_shows_the_same_book(market):
    symbol = market.markets[0].board.symbols[20]
    venue, _, _, (data,) = subscribed(market, f"book.{symbol}.none.10.100ms")
    status, body = venue.rest("public/get_order_book", {"instrument_name": symbol, "depth": "10"}, None, venue._now_ns)
    found = orjson.loads(body)["result"]
    assert status == 200
    assert (found["bids"], found["asks"]) == (data["bids"], data["asks"])
    status, body = venue.rest("public/get_order_book", {"instrument_name": symbol, "depth": "3"}, None, venue._now_ns)
    assert status == 400
