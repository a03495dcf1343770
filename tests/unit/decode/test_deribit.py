"""Deribit's messages: each trap of its protocol has a test that fails without its handling."""

import json

import pytest

from derivasys.decode.deribit import Decoder, contract
from derivasys.messages import (
    DecodeError,
    Forward,
    Gap,
    Index,
    Instrument,
    Mark,
    Quote,
    RejectReason,
    Status,
    Trade,
)

RECV_NS = 1_773_428_416_000_000_000
TICKER = {
    "timestamp": 1590969652595, "state": "open", "instrument_name": "BTC-5JUN20-9250-C",
    "best_bid_price": 0.0365, "best_bid_amount": 15.4, "best_ask_price": 0.04, "best_ask_amount": 4.8,
    "bid_iv": 58.39, "ask_iv": 66.9, "mark_iv": 63.21, "mark_price": 0.03847784, "last_price": 0.038,
    "underlying_price": 9440.73, "underlying_index": "SYN.BTC-5JUN20", "index_price": 9434.36, "interest_rate": 0.0,
    "greeks": {"delta": 0.62959}, "open_interest": 533.2, "estimated_delivery_price": 9434.36,
}  # fmt: skip


def notification(channel: str, data: object) -> bytes:
    message = {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": channel, "data": data}}
    return json.dumps(message, separators=(",", ":")).encode()


def ticker(**changes: object) -> bytes:
    return notification("ticker.X.100ms", {**TICKER, **changes})


def reply(result: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, "result": result, "usIn": 1, "usOut": 2, "usDiff": 1}).encode()


def events(payload: bytes) -> list:
    return Decoder().decode(payload, RECV_NS)


def first(kind: type, payload: bytes):
    return next(event for event in events(payload) if isinstance(event, kind))


def test_a_ticker_gives_quote_mark_forward_and_index_in_canonical_units():
    quote, mark, forward, index = events(ticker())
    assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (0.0365, 0.04, 15.4, 4.8)
    assert quote.event_ns == 1590969652595 * 10**6
    assert quote.recv_ns == RECV_NS
    assert mark.iv == pytest.approx(0.6321, rel=1e-15), "percent becomes a decimal"
    assert (mark.price, mark.last, mark.open_interest) == (0.03847784, 0.038, 533.2)
    assert isinstance(forward, Forward)
    assert (forward.price, forward.symbol, forward.expiry) == (9440.73, "SYN.BTC-5JUN20", 1591344000000)
    assert isinstance(index, Index)
    assert (index.price, index.symbol) == (9434.36, "btc_usd")


@pytest.mark.parametrize("price", [0.0, None, "absent"])
@pytest.mark.parametrize("amount", [0.0, None, "absent"])
def test_every_encoding_of_a_missing_side_is_none(price, amount):
    row = dict(TICKER, best_bid_price=price, best_bid_amount=amount, bid_iv=0.0)
    row = {name: value for name, value in row.items() if value != "absent"}
    quote = first(Quote, notification("ticker.X.100ms", row))
    assert quote.bid is None
    assert quote.bid_size is None
    assert quote.ask == 0.04


def test_a_price_without_amount_is_no_quote():
    assert first(Quote, ticker(best_ask_amount=0.0)).ask is None


@pytest.mark.parametrize("field", ["best_bid_price", "best_ask_amount"])
def test_negative_numbers_of_an_option_are_rejected(field):
    with pytest.raises(DecodeError) as error:
        events(ticker(**{field: -0.01}))
    assert error.value.reason is RejectReason.BAD_VALUE
    assert "BTC-5JUN20-9250-C" in error.value.detail


def test_exponent_floats_nulls_and_the_string_expired_are_read():
    raw = ticker(estimated_delivery_price="expired", last_price=None).replace(b"0.0365", b"3.65e-2")
    quote, mark, *_ = events(raw)
    assert quote.bid == 0.0365
    assert mark.last is None


def test_a_zero_mark_iv_is_none_and_a_zero_mark_price_is_kept():
    mark = first(Mark, ticker(mark_iv=0.0, mark_price=0.0))
    assert mark.iv is None
    assert mark.price == 0.0


def test_a_state_other_than_open_is_told():
    assert first(Status, ticker(state="closed")).state == "closed"


@pytest.mark.parametrize(
    ("symbol", "ccy", "kind", "unit", "strike"),
    [
        ("BTC-25DEC26-100000-C", "BTC", "option", "coin", 100000.0),
        ("ETH-5JUN26-310-P", "ETH", "option", "coin", 310.0),
        ("SOL_USDC-26JUN26-142-C", "SOL", "option", "quote", 142.0),
        ("XRP_USDC-30JUN23-0d625-C", "XRP", "option", "quote", 0.625),
        ("MATIC_USDC-9MAR24-1d02-C", "MATIC", "option", "quote", 1.02),
        ("BTC-PERPETUAL", "BTC", "perpetual", "quote", None),
        ("BTC-27SEP24", "BTC", "future", "quote", None),
        ("BTC_USDC", "BTC", "spot", "quote", None),
        ("BTC-CS-19MAY26-70000_75000", "BTC", "combo", "coin", None),
        ("BTC-STRG-26MAR27-72000_80000", "BTC", "combo", "coin", None),
        ("BTC-FS-25DEC26_PERP", "BTC", "combo", "quote", None),
    ],
)
def test_contract_names(symbol, ccy, kind, unit, strike):
    of = contract(symbol)
    assert (of.ccy, of.kind, of.price_unit, of.strike) == (ccy, kind, unit, strike)


def test_expiry_is_eight_in_the_morning_utc():
    assert contract("BTC-25DEC26-100000-C").expiry == 1798185600000


@pytest.mark.parametrize(
    "symbol", ["", "BTC", "btc-25DEC26-1-C", "BTC-31FEB26-100-C", "BTC-25XXX26-1-C", "BTC-25DEC26-1-X"]
)
def test_names_outside_the_grammar_are_rejected(symbol):
    with pytest.raises(DecodeError) as error:
        events(ticker(instrument_name=symbol))
    assert error.value.reason is RejectReason.BAD_SYMBOL


def test_a_combo_may_have_a_negative_price():
    row = dict(TICKER, instrument_name="BTC-CS-19MAY26-70000_75000", best_bid_price=-0.01, best_bid_amount=1.0)
    quote, mark, *_ = events(notification("ticker.X.100ms", row))
    assert quote.bid == -0.01
    assert mark.iv is None, "a combo's mark_iv is no implied vol"


def test_sizes_of_inverse_futures_are_dollars_and_become_coins():
    row = {"timestamp": 1, "instrument_name": "BTC-PERPETUAL", "best_bid_price": 50_000.0, "best_bid_amount": 100_000.0,
           "best_ask_price": 50_001.0, "best_ask_amount": 10.0}  # fmt: skip
    quote = first(Quote, notification("quote.BTC-PERPETUAL", row))
    assert quote.bid_size == pytest.approx(2.0)


class TestListing:
    ROW = {
        "kind": "option", "instrument_name": "BTC-13JAN23-16000-P", "option_type": "put", "strike": 16000,
        "base_currency": "BTC", "quote_currency": "BTC", "instrument_type": "reversed", "price_index": "btc_usd",
        "contract_size": 1, "min_trade_amount": 0.1, "tick_size": 0.0001,
        "tick_size_steps": [{"above_price": 0.005, "tick_size": 0.0005}], "taker_commission": 0.0003,
        "creation_timestamp": 1671696002000, "expiration_timestamp": 1673596800000, "is_active": True, "state": "open",
    }  # fmt: skip

    def test_terms(self):
        (listed,) = events(reply([self.ROW]))
        assert isinstance(listed, Instrument)
        assert (listed.contract.strike, listed.contract.type, listed.contract.price_unit) == (16000.0, "P", "coin")
        assert listed.tick_steps == ((0.005, 0.0005),)

    def test_the_listing_not_the_name_decides(self):
        (listed,) = events(reply([dict(self.ROW, strike=16001, instrument_type="linear")]))
        assert listed.contract.strike == 16001.0
        assert listed.contract.price_unit == "quote"

    def test_an_alt_multiplier_is_the_contract_size(self):
        row = dict(self.ROW, instrument_name="SOL_USDC-26JUN26-142-C", base_currency="SOL", contract_size=10,
                   instrument_type="linear")  # fmt: skip
        assert events(reply([row]))[0].contract_size == 10.0

    def test_an_option_that_expires_in_another_age_is_rejected(self):
        with pytest.raises(DecodeError, match="expiry"):
            events(reply([{**self.ROW, "expiration_timestamp": 10**16}]))

    def test_an_option_without_strike_is_rejected(self):
        with pytest.raises(DecodeError) as error:
            events(reply([{**self.ROW, "strike": None}]))
        assert error.value.reason is RejectReason.BAD_VALUE

    def test_creation_notification(self):
        (listed,) = events(notification("instrument.creation.option.any", self.ROW))
        assert isinstance(listed, Instrument)

    def test_state_notification(self):
        row = {"timestamp": 1553080940000, "state": "created", "instrument_name": "BTC-22MAR19"}
        (status,) = events(notification("instrument.state.future.BTC", row))
        assert (status.symbol, status.state) == ("BTC-22MAR19", "created")


class TestBook:
    SNAPSHOT = {"type": "snapshot", "timestamp": 5, "change_id": 100, "prev_change_id": 20, "instrument_name": "BTC-25DEC26-100000-C",
                "bids": [["new", 0.05, 1.0], ["new", 0.049, 2.0]], "asks": [["new", 0.06, 3.0]]}  # fmt: skip

    def change(self, previous: int, now: int, bids=(), asks=()) -> bytes:
        row = dict(
            self.SNAPSHOT, type="change", prev_change_id=previous, change_id=now, bids=list(bids), asks=list(asks)
        )
        return notification("book.X.100ms", row)

    def test_changes_keep_the_best_prices(self):
        decoder = Decoder()
        (quote,) = decoder.decode(notification("book.X.100ms", self.SNAPSHOT), 1)
        assert (quote.bid, quote.ask) == (0.05, 0.06), "a snapshot may carry prev_change_id"
        (quote,) = decoder.decode(self.change(100, 107, bids=[["delete", 0.05, 0.0]]), 2)
        assert (quote.bid, quote.bid_size) == (0.049, 2.0)
        (quote,) = decoder.decode(self.change(107, 108, asks=[["change", 0.06, 9.0]]), 3)
        assert quote.ask_size == 9.0

    def test_a_gap_is_told_and_the_book_forgotten_until_a_snapshot(self):
        decoder = Decoder()
        decoder.decode(notification("book.X.100ms", self.SNAPSHOT), 1)
        (gap,) = decoder.decode(self.change(101, 102), 2)
        assert isinstance(gap, Gap)
        assert (gap.expected, gap.received) == (100, 101)
        (gap,) = decoder.decode(self.change(102, 103), 3)
        assert isinstance(gap, Gap)
        assert gap.expected is None
        (quote,) = decoder.decode(notification("book.X.100ms", self.SNAPSHOT), 4)
        assert isinstance(quote, Quote)

    def test_a_grouped_window_stands_alone(self):
        row = {"instrument_name": "BTC-PERPETUAL", "timestamp": 1, "change_id": 5, "bids": [[10.0, 100.0]], "asks": []}
        (quote,) = events(notification("book.BTC-PERPETUAL.none.10.100ms", row))
        assert (quote.bid, quote.ask) == (10.0, None)


def test_trades_tell_side_block_and_combo():
    row = {"trade_id": "415305279", "timestamp": 3, "price": 0.0525, "iv": 45.91, "instrument_name": "BTC-24APR26-72000-C",
           "direction": "buy", "amount": 3, "block_trade_id": "B1", "combo_id": "BTC-CS-1"}  # fmt: skip
    (trade,) = events(notification("trades.option.BTC.100ms", [row]))
    assert isinstance(trade, Trade)
    assert (trade.side, trade.size, trade.is_block, trade.combo_id) == ("buy", 3.0, True, "BTC-CS-1")
    assert trade.iv == pytest.approx(0.4591)


@pytest.mark.parametrize("iv", [0.0, 500.0, None])
def test_a_vol_of_zero_is_none_and_500_is_a_cap(iv):
    assert first(Mark, ticker(mark_iv=iv)).iv is None


def test_mark_prices_of_an_index_state_iv_as_a_fraction():
    row = {"timestamp": 1622470378005, "mark_price": 0.0333, "iv": 0.9, "instrument_name": "BTC-2JUN21-37000-P"}
    (mark,) = events(notification("markprice.options.btc_usd", [row]))
    assert mark.iv == 0.9


def test_platform_state():
    (status,) = events(notification("platform_state", {"maintenance": True}))
    assert (status.symbol, status.state) == ("", "maintenance")
    (status,) = events(notification("platform_state", {"price_index": "sol_usdc", "locked": True, "reasons": []}))
    assert (status.ccy, status.state) == ("SOL", "locked")


@pytest.mark.parametrize(
    "payload",
    [
        reply(["ticker.BTC-1.100ms"]), reply("ok"), reply(1733338800000), reply([]), reply({"btc": {"option": ["5JUN26"]}}),
        b'{"jsonrpc":"2.0","method":"heartbeat","params":{"type":"test_request"}}',
        b'{"jsonrpc":"2.0","id":5,"error":{"code":10028,"message":"too_many_requests"}}',
        notification("deribit_volatility_index.btc_usd", {"volatility": 50.0}),
    ],
)  # fmt: skip
def test_control_messages_give_no_events(payload):
    assert events(payload) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", RejectReason.NOT_JSON), (b"{", RejectReason.NOT_JSON), (b"\xff\xfe", RejectReason.NOT_JSON),
        (b"[1,2]", RejectReason.BAD_SHAPE), (b"{}", RejectReason.BAD_SHAPE), (b"7", RejectReason.BAD_SHAPE),
        (b'{"error":' + b"[" * 100_000, RejectReason.NOT_JSON),
        (ticker(timestamp="now"), RejectReason.BAD_SHAPE),
        (ticker(timestamp=10**17), RejectReason.BAD_SHAPE), (ticker(instrument_name=None), RejectReason.BAD_SHAPE),
        (notification("secret.channel", {}), RejectReason.UNKNOWN_MESSAGE),
        (b'{"method":"public/nothing","params":{}}', RejectReason.UNKNOWN_MESSAGE),
        (b'{"method":"subscription"}', RejectReason.BAD_SHAPE),
        (notification("trades.X.raw", [{"trade_id": "1", "timestamp": 1, "price": 1, "instrument_name": "BTC-PERPETUAL",
                                        "direction": "sideways", "amount": 1}]), RejectReason.BAD_SHAPE),
    ],
)  # fmt: skip
def test_bad_bytes_are_rejected_with_their_reason(payload, reason):
    with pytest.raises(DecodeError) as error:
        events(payload)
    assert error.value.reason is reason
