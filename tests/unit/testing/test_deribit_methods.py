"""The local Deribit's methods over HTTP: shapes and values of the replies."""

from typing import Any

import orjson
import pytest

from derivasys.testing.deribit import Venue
from derivasys.testing.deribit_names import expiry_ms
from derivasys.testing.market import ReplayMarket, SimulatedMarket
from derivasys.testing.recordings import CHAINS, fixtures_dir, load_shipped

CHAIN = load_shipped("BTC")
NOW_NS = CHAIN.instant_ns


def get(venue: Venue, method: str, now_ns: int = NOW_NS, **params: str) -> Any:
    status, body = venue.rest(f"public/{method}", dict(params), None, now_ns)
    assert status == 200, body
    return orjson.loads(body)["result"]


@pytest.fixture
def venue() -> Venue:
    return Venue([SimulatedMarket(CHAIN, 1)])


def test_get_instruments_lists_every_option(venue: Venue) -> None:
    listed = get(venue, "get_instruments", currency="BTC", kind="option", expired="false")
    assert [i["instrument_name"] for i in listed] == [row.symbol for row in CHAIN.rows]
    first = listed[0]
    expected = {
        "kind": "option",
        "instrument_name": "BTC-25DEC26-100000-C",
        "option_type": "call",
        "strike": 100000.0,
        "expiration_timestamp": expiry_ms("25DEC26"),
        "instrument_type": "reversed",
        "contract_size": 1.0,
        "min_trade_amount": 0.1,
        "tick_size": 0.0001,
        "tick_size_steps": [{"above_price": 0.005, "tick_size": 0.0005}],
        "base_currency": "BTC",
        "quote_currency": "BTC",
        "counter_currency": "USD",
        "price_index": "btc_usd",
        "settlement_period": "month",
        "state": "open",
        "is_active": True,
    }
    assert {name: first[name] for name in expected} == expected
    ids = [i["instrument_id"] for i in listed]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("expiry", "period"),
    [("14MAR26", "day"), ("20MAR26", "week"), ("3APR26", "week"), ("27MAR26", "month")],
)
def test_settlement_periods(venue: Venue, expiry: str, period: str) -> None:
    listed = get(venue, "get_instruments", currency="any", kind="option")
    periods = {i["settlement_period"] for i in listed if f"-{expiry}-" in i["instrument_name"]}
    assert periods == {period}


def test_get_instruments_by_kind_and_currency(venue: Venue) -> None:
    futures = get(venue, "get_instruments", currency="BTC", kind="future")
    names = {i["instrument_name"] for i in futures}
    listed = {r.underlying_index for r in CHAIN.rows if not r.underlying_index.startswith("SYN.")}
    assert names == listed | {"BTC-PERPETUAL"}
    everything = get(venue, "get_instruments", currency="any")
    assert len(everything) == len(CHAIN.rows) + len(futures)
    assert get(venue, "get_instruments", currency="ETH") == []
    assert get(venue, "get_instruments", currency="BTC", expired="true") == []


def test_get_instrument_is_the_listed_one(venue: Venue) -> None:
    listed = get(venue, "get_instruments", currency="BTC")
    for instrument in (listed[5], listed[-1]):
        name = instrument["instrument_name"]
        assert get(venue, "get_instrument", instrument_name=name) == instrument


def test_get_expirations(venue: Venue) -> None:
    dates = ["14MAR26", "15MAR26", "16MAR26", "17MAR26", "20MAR26", "27MAR26", "3APR26", "24APR26",
             "29MAY26", "26JUN26", "25SEP26", "25DEC26"]  # fmt: skip
    assert get(venue, "get_expirations", currency="BTC", kind="option") == {"btc": {"option": dates}}
    both = get(venue, "get_expirations", currency="any", kind="any")
    assert both["option"] == dates
    assert both["future"][-1] == "PERPETUAL"


def test_the_replayed_book_summary_is_the_recording() -> None:
    venue = Venue([ReplayMarket(CHAIN)])
    made = get(venue, "get_book_summary_by_currency", currency="BTC", kind="option")
    recorded = orjson.loads((fixtures_dir() / CHAINS["BTC"]).read_bytes())["result"]
    for row in made:
        assert row["creation_timestamp"] == NOW_NS // 1_000_000
    for row in made + recorded:
        del row["creation_timestamp"]
    assert made == recorded


def test_ticker_and_index(venue: Venue) -> None:
    option = get(venue, "ticker", instrument_name="BTC-25DEC26-100000-C")
    assert option["best_bid_price"] == 0.0715
    assert option["underlying_index"] == "BTC-25DEC26"
    future = get(venue, "ticker", instrument_name="BTC-PERPETUAL")
    assert "greeks" not in future
    assert {"current_funding", "funding_8h", "interest_value"} <= set(future)
    index = get(venue, "get_index_price", index_name="btc_usd")
    assert index == {"index_price": 71048.7, "estimated_delivery_price": 71048.7}


def test_what_expired_is_listed_as_expired(venue: Venue) -> None:
    later_ns = (expiry_ms("14MAR26") + 60_000) * 1_000_000
    venue.tick(later_ns)
    gone = get(venue, "get_instruments", later_ns, currency="BTC", kind="option", expired="true")
    assert {i["expiration_timestamp"] for i in gone} == {expiry_ms("14MAR26")}
    assert all(i["state"] == "delivered" and not i["is_active"] for i in gone)
    prices = get(venue, "get_delivery_prices", later_ns, index_name="btc_usd")
    assert prices["records_total"] == 1
    assert prices["data"][0]["date"] == "2026-03-14"
    dates = get(venue, "get_expirations", later_ns, currency="BTC", kind="option")["btc"]["option"]
    assert "14MAR26" not in dates


def test_status_time_and_test(venue: Venue) -> None:
    assert get(venue, "status") == {"locked": "false", "locked_indices": []}
    assert get(venue, "get_time") == NOW_NS // 1_000_000
    assert "version" in get(venue, "test")


def test_errors_and_limits_over_http(venue: Venue) -> None:
    status, body = venue.rest("public/nonsense", {}, None, NOW_NS)
    assert (status, orjson.loads(body)["error"]["code"]) == (400, -32601)
    statuses = [venue.rest("public/get_instruments", {"currency": "ETH"}, None, NOW_NS)[0] for _ in range(51)]
    assert statuses == [200] * 50 + [429]
