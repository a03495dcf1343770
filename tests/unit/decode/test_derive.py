"""Derive's messages: each trap of its protocol has a test that fails without its handling."""

import json

import pytest

from derivasys.decode.derive import SETTLEMENT_MS, Decoder, contract
from derivasys.messages import DecodeError, Forward, Index, Instrument, Mark, Quote, RejectReason, Status, Trade

RECV_NS = 1_779_953_797_100_000_000
PUT = "ETH-20260612-1900-P"
SLIM = {
    "t": 1779953797040, "A": "3.46", "B": "250.6", "a": "43.8", "b": "38.4", "f": None, "I": "1991.7", "M": "42.3",
    "option_pricing": {"ai": "0.52063", "bi": "0.48229", "d": "-0.30438", "df": "0.999", "f": "1992.6", "g": "0.00169741",
                       "i": "0.51012", "m": "42.3", "r": "1.74065", "t": "-2.40149", "v": "1.41384"},
    "stats": {"c": "0", "h": "0", "l": "0", "n": 0, "oi": "42.13", "p": "0", "pr": "0", "v": "0"}, "minp": "23.2", "maxp": "67.2",
}  # fmt: skip
INSTRUMENT = {
    "instrument_name": "XRP-20261225-0_5-P", "instrument_type": "option", "base_currency": "XRP", "quote_currency": "USDC",
    "is_active": True, "tick_size": "0.001", "minimum_amount": "10", "amount_step": "1", "taker_fee_rate": "0.0003",
    "scheduled_activation": 1700000000, "scheduled_deactivation": 1798185600,
    "option_details": {"expiry": 1798185600, "index": "XRP-USD", "option_type": "P", "settlement_price": None, "strike": "0.5"},
}  # fmt: skip


def dump(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def notification(channel: str, data: object) -> bytes:
    return dump({"method": "subscription", "params": {"channel": channel, "data": data}})


def slim(symbol: str = PUT, pricing: dict | None = None, **changes: object) -> bytes:
    row = {**SLIM, **changes, "option_pricing": {**SLIM["option_pricing"], **(pricing or {})}}
    return notification(f"ticker_slim.{symbol}.1000", {"timestamp": 1779953797040, "instrument_ticker": row})


def reply(result: object) -> bytes:
    return dump({"id": 3, "result": result})


def events(payload: bytes, decoder: Decoder | None = None) -> list:
    return (decoder or Decoder()).decode(payload, RECV_NS)


def first(kind: type, payload: bytes, decoder: Decoder | None = None):
    return next(event for event in events(payload, decoder) if isinstance(event, kind))


def rejection(payload: bytes) -> RejectReason:
    with pytest.raises(DecodeError) as error:
        events(payload)
    return error.value.reason


class TestTicker:
    def test_the_name_is_the_channels(self):
        quote, mark, forward, index = events(slim())
        assert quote.contract.symbol == PUT
        assert (quote.contract.strike, quote.contract.type, quote.contract.price_unit) == (1900.0, "P", "quote")
        assert (quote.bid_size, quote.ask_size, quote.event_ns) == (250.6, 3.46, 1779953797040 * 10**6)
        assert (mark.iv, mark.open_interest) == (0.51012, 42.13)
        assert isinstance(forward, Forward)
        assert (forward.price, forward.expiry) == (1992.6, 1781251200000)
        assert isinstance(index, Index)
        assert (index.price, index.ccy) == (1991.7, "ETH")

    def test_prices_are_divided_by_the_discount_factor(self):
        quote, mark, *_ = events(slim(pricing={"df": "0.950"}, b="12500", M="13312"))
        assert (quote.bid, quote.ask) == (12500 / 0.95, 43.8 / 0.95)
        assert mark.price == 13312 / 0.95

    def test_a_discount_factor_of_zero_is_none_and_the_last_one_stands(self):
        decoder = Decoder()
        decoder.decode(slim(pricing={"df": "0.5"}), RECV_NS)
        assert first(Quote, slim(pricing={"df": "0"}), decoder).bid == 38.4 / 0.5
        assert first(Quote, slim(pricing={"df": "0"})).bid == 38.4

    def test_zero_prices_and_vols_are_none(self):
        quote, mark, *_ = events(slim(a="0", A="0", b="0", B="0", pricing={"i": "0"}))
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (None, None, None, None)
        assert mark.iv is None
        assert not any(isinstance(event, Forward) for event in events(slim(pricing={"f": "0"})))

    def test_a_perpetual_has_funding_not_a_forward_in_f(self):
        row = {**SLIM, "f": "0.0000125", "option_pricing": None}
        found = events(notification("ticker_slim.BTC-PERP.100", {"timestamp": 1, "instrument_ticker": row}))
        assert [type(event) for event in found] == [Quote, Mark, Index]
        assert found[0].contract.kind == "perpetual"

    def test_the_last_half_hour_is_told_as_settlement(self):
        expiry = contract(PUT).expiry
        assert first(Status, slim(t=expiry - SETTLEMENT_MS)).state == "settlement"
        assert not any(isinstance(event, Status) for event in events(slim(t=expiry - SETTLEMENT_MS - 1)))

    def test_the_full_ticker_of_v2(self):
        row = {
            "instrument_name": "ETH-20260627-3500-C", "timestamp": 1700000000000, "best_bid_price": "118.0", "best_bid_amount": "5",
            "best_ask_price": "120.5", "best_ask_amount": "10", "index_price": "3500", "mark_price": "119.0",
            "option_pricing": {"iv": "0.60", "forward_price": "3505", "mark_price": "119.25"},
        }  # fmt: skip
        expected = [Quote, Mark, Forward, Index]
        assert [type(event) for event in events(reply(row))] == expected
        channel = notification("ticker.ETH-20260627-3500-C.1000", {"timestamp": 1, "instrument_ticker": row})
        assert [type(event) for event in events(channel)] == expected
        assert first(Forward, channel).price == 3505.0

    @pytest.mark.parametrize("change", [{"b": "-1"}, {"A": "nan"}, {"I": "inf"}, {"t": -5}])
    def test_numbers_that_cannot_be(self, change):
        assert rejection(slim(**change)) is RejectReason.BAD_VALUE


class TestBook:
    ROW = {"timestamp": 1738331231506, "instrument_name": PUT, "publish_id": 628419, "bids": [["38.4", "40"], ["38", "1"]],
           "asks": [["43.8", "7"]]}  # fmt: skip

    def test_each_message_is_the_whole_book(self):
        decoder = Decoder()
        (quote,) = decoder.decode(notification(f"orderbook.{PUT}.1.10", self.ROW), 1)
        assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (38.4, 40.0, 43.8, 7.0)
        (quote,) = decoder.decode(notification(f"orderbook.{PUT}.1.10", {**self.ROW, "bids": []}), 2)
        assert quote.bid is None

    def test_grouped_prices_are_no_quotes(self):
        assert events(notification(f"orderbook.{PUT}.10.1", self.ROW)) == []


class TestTrades:
    ROW = {"direction": "buy", "instrument_name": PUT, "trade_id": "t-1", "trade_price": "40", "trade_amount": "2",
           "timestamp": 1700000000001, "liquidity_role": "taker", "quote_id": None, "tx_status": "settled"}  # fmt: skip

    @pytest.mark.parametrize("wrap", [lambda row: row, lambda row: [row]])
    def test_one_or_a_list(self, wrap):
        (trade,) = events(notification("trades.option.ETH", wrap(self.ROW)))
        assert isinstance(trade, Trade)
        assert (trade.price, trade.size, trade.side, trade.trade_id, trade.is_block) == (40.0, 2.0, "buy", "t-1", False)

    def test_the_makers_side_of_a_fill_is_not_a_second_trade(self):
        rows = [self.ROW, {**self.ROW, "liquidity_role": "maker", "direction": "sell"}]
        assert len(events(notification("trades.option.ETH", rows))) == 1

    def test_reverted_trades_are_left_out_and_quoted_ones_marked(self):
        assert events(notification("trades.option.ETH", {**self.ROW, "tx_status": "reverted"})) == []
        assert events(notification("trades.option.ETH", {**self.ROW, "quote_id": "q"}))[0].is_block

    def test_prices_are_undiscounted_like_quotes(self):
        decoder = Decoder()
        decoder.decode(slim(pricing={"df": "0.5"}), 1)
        assert events(notification("trades.option.ETH", self.ROW), decoder)[0].price == 80.0

    @pytest.mark.parametrize("change", [{"direction": "up"}, {"trade_price": "0"}, {"trade_amount": "0"}])
    def test_impossible_trades(self, change):
        assert rejection(notification("trades.option.ETH", {**self.ROW, **change})) is RejectReason.BAD_VALUE


class TestListing:
    def test_terms(self):
        (listed,) = events(reply({"instruments": [INSTRUMENT], "pagination": {"num_pages": 1, "count": 1}}))
        assert isinstance(listed, Instrument)
        of = listed.contract
        assert (of.ccy, of.strike, of.type, of.expiry) == ("XRP", 0.5, "P", 1798185600000)
        assert (listed.contract_size, listed.tick_size, listed.min_size, listed.state) == (1.0, 0.001, 10.0, "open")

    def test_v2_lists_without_pages_and_perpetuals_are_left_out(self):
        perpetual = {**INSTRUMENT, "instrument_name": "XRP-PERP", "instrument_type": "perp", "option_details": None}
        (listed,) = events(reply([perpetual, INSTRUMENT]))
        assert listed.contract.kind == "option"

    def test_the_listing_not_the_name_decides_and_seconds_become_milliseconds(self):
        details = {**INSTRUMENT["option_details"], "strike": "0.55", "expiry": 1798272000}
        decoder = Decoder()
        (listed,) = events(reply({"instruments": [{**INSTRUMENT, "option_details": details}]}), decoder)
        assert (listed.contract.strike, listed.contract.expiry) == (0.55, 1798272000000)
        assert first(Quote, slim("XRP-20261225-0_5-P"), decoder).contract == listed.contract

    def test_an_inactive_contract(self):
        assert events(reply({"instruments": [{**INSTRUMENT, "is_active": False}]}))[0].state == "inactive"

    @pytest.mark.parametrize("change", [{"strike": "0"}, {"option_type": "X"}, {"expiry": 10**12}])
    def test_impossible_terms(self, change):
        row = {**INSTRUMENT, "option_details": {**INSTRUMENT["option_details"], **change}}
        assert rejection(reply({"instruments": [row]})) is RejectReason.BAD_VALUE


def test_the_spot_feed():
    data = {"timestamp": 1700000000001, "feeds": {"BTC": {"price": "84812.5", "confidence": "1"}}}
    (index,) = events(notification("spot_feed.BTC", data))
    assert (index.ccy, index.symbol, index.price) == ("BTC", "BTC-USD", 84812.5)


@pytest.mark.parametrize(
    ("symbol", "ccy", "kind", "strike"),
    [
        ("BTC-20261004-88000-C", "BTC", "option", 88000.0),
        ("XRP-20261225-0_5-P", "XRP", "option", 0.5),
        ("HYPE-20260904-77_5-C", "HYPE", "option", 77.5),
        ("BTC-PERP", "BTC", "perpetual", None),
    ],
)
def test_contract_names_have_an_underscore_for_the_decimal_point(symbol, ccy, kind, strike):
    of = contract(symbol)
    assert (of.ccy, of.kind, of.strike) == (ccy, kind, strike)


def test_expiry_is_eight_in_the_morning_utc():
    assert contract("BTC-20261004-88000-C").expiry == 1791100800000


@pytest.mark.parametrize(
    "symbol", ["", "BTC", "BTC-20261304-1-C", "BTC-20261004-0_0-C", "BTC-20261004-88000-X", "BTC-261004-1-C"]
)
def test_names_outside_the_grammar_are_rejected(symbol):
    assert rejection(slim(symbol)) is RejectReason.BAD_SYMBOL


@pytest.mark.parametrize(
    "payload",
    [
        reply({"status": {"ticker_slim.X.1000": "ok"}, "current_subscriptions": ["ticker_slim.X.1000"]}), reply("ok"), reply(1700000000000),
        reply([]), reply(["ETH-20260627-3500-C"]), dump({"id": 5, "error": {"code": -32000, "message": "Rate limit exceeded"}}),
    ],
)  # fmt: skip
def test_control_messages_give_no_events(payload):
    assert events(payload) == []


def test_a_null_error_is_none():
    assert len(events(dump({"id": 1, "error": None, "result": {"instruments": [INSTRUMENT]}}))) == 1


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", RejectReason.NOT_JSON), (b"{", RejectReason.NOT_JSON), (b"\xff\xfe", RejectReason.NOT_JSON),
        (b"[1,2]", RejectReason.BAD_SHAPE), (b"{}", RejectReason.BAD_SHAPE), (b"7", RejectReason.BAD_SHAPE),
        (b'{"error":' + b"[" * 100_000, RejectReason.NOT_JSON), (dump(SLIM), RejectReason.BAD_SHAPE),
        (slim(t="now"), RejectReason.BAD_SHAPE), (notification("secret.channel", {}), RejectReason.UNKNOWN_MESSAGE),
        (b'{"method":"public/nothing","params":{"channel":"x","data":1}}', RejectReason.UNKNOWN_MESSAGE),
    ],
)  # fmt: skip
def test_bad_bytes_are_rejected_with_their_reason(payload, reason):
    assert rejection(payload) is reason
