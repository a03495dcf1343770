"""Bybit's messages: each trap of its protocol has a test that fails without its handling."""

import json

import pytest

from derivasys.decode import known
from derivasys.decode.bybit import Decoder, contract
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
OPTION = "BTC-27MAR26-70000-P-USDT"
TICKER = {
    "symbol": OPTION, "bidPrice": "340", "bidSize": "10", "bidIv": "0.6004", "askPrice": "355", "askSize": "5.1", "askIv": "0.6107",
    "lastPrice": "350", "highPrice24h": "390", "lowPrice24h": "310", "markPrice": "349.12", "indexPrice": "84020.93",
    "markPriceIv": "0.6054", "underlyingPrice": "84120.93", "openInterest": "20", "turnover24h": "211.8", "volume24h": "10",
    "totalVolume": "20", "totalTurnover": "421", "delta": "0.42723543", "gamma": "0.0505193", "vega": "0.02075941",
    "theta": "-0.06527514", "predictedDeliveryPrice": "0", "change24h": "-0.11111112",
}  # fmt: skip
REST_TICKER = {
    "symbol": "BTC-30DEC22-18000-C", "bid1Price": "0", "bid1Size": "0", "bid1Iv": "0", "ask1Price": "435", "ask1Size": "0.66",
    "ask1Iv": "5", "lastPrice": "435", "markPrice": "0.00000009", "indexPrice": "16600.55", "markIv": "0.7567",
    "underlyingPrice": "16590.42", "openInterest": "6.3", "delta": "0.00000001", "predictedDeliveryPrice": "0",
}  # fmt: skip
LISTING = {
    "symbol": OPTION, "status": "Trading", "baseCoin": "BTC", "quoteCoin": "USDT", "settleCoin": "USDT", "optionsType": "Put",
    "launchTime": "1743669649256", "deliveryTime": "1774598400000", "deliveryFeeRate": "0.00015",
    "priceFilter": {"minPrice": "5", "maxPrice": "1110000", "tickSize": "5"},
    "lotSizeFilter": {"maxOrderQty": "500", "minOrderQty": "0.01", "qtyStep": "0.01"}, "displayName": "BTCUSDT-27MAR26-70000-P",
}  # fmt: skip
TRADE = {
    "p": "985", "v": "0.01", "i": "20f43950-d8dd-5b31-9112-a178eb6023af", "T": 1680652922081, "BT": False,
    "s": "BTC-28APR23-29500-C", "S": "Sell", "mP": "988.2", "iP": "28420.1", "mIv": "0.5512", "iv": "0.5497", "seq": 1783284617,
}  # fmt: skip


def push(topic: str, data: object, kind: str = "snapshot", ts: int = 1680652810254) -> bytes:
    message = {"id": f"{topic}-3414625745-{ts}", "topic": topic, "ts": ts, "data": data, "type": kind}
    return json.dumps(message, separators=(",", ":")).encode()


def ticker(**changes: object) -> bytes:
    return push(f"tickers.{OPTION}", {**TICKER, **changes})


def reply(*rows: object, code: int = 0, **result: object) -> bytes:
    body = {"category": "option", "nextPageCursor": "", "list": rows, **result}
    message = {"retCode": code, "retMsg": "OK", "result": body, "retExtInfo": {}, "time": 1672376592395}
    return json.dumps(message).encode()


def events(*payloads: bytes) -> list:
    decoder = Decoder()
    return [event for payload in payloads for event in decoder.decode(payload, RECV_NS)]


class TestOptionTicker:
    def test_quote_mark_forward_and_index_in_canonical_units(self):
        quote, mark, forward, index = events(ticker())
        assert isinstance(quote, Quote)
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (340.0, 355.0, 10.0, 5.1)
        assert (quote.contract.price_unit, quote.event_ns) == ("quote", 1680652810254 * 10**6)
        assert isinstance(mark, Mark)
        assert (mark.price, mark.iv, mark.last, mark.open_interest) == (349.12, 0.6054, 350.0, 20.0)
        assert isinstance(forward, Forward)
        assert (forward.price, forward.symbol, forward.expiry) == (84120.93, "BTCUSDT-27MAR26", 1774598400000)
        assert isinstance(index, Index)
        assert (index.price, index.symbol) == (84020.93, "BTCUSDT")

    @pytest.mark.parametrize("spelling", [{}, {"indent": 1}])
    def test_the_fast_path_is_only_faster(self, spelling):
        message = json.dumps(json.loads(ticker()), **spelling).encode()
        assert events(message) == events(ticker())

    def test_every_ticker_is_whole(self):
        """An option's ticker after another takes nothing from it, whatever its type says."""
        bare = {"symbol": OPTION, "askPrice": "355", "askSize": "1"}
        quote, mark = events(ticker(), push(f"tickers.{OPTION}", bare, "delta"))[4:]
        assert (quote.bid, quote.ask) == (None, 355.0)
        assert (mark.price, mark.iv) == (None, None)

    @pytest.mark.parametrize("price", ["0", ""])
    @pytest.mark.parametrize("size", ["0", "", "absent"])
    def test_every_encoding_of_a_missing_side_is_none(self, price, size):
        row = {**TICKER, "bidPrice": price, "bidSize": size, "bidIv": "0"}
        row = {name: value for name, value in row.items() if value != "absent"}
        quote = events(push("tickers.X", row))[0]
        assert (quote.bid, quote.bid_size, quote.ask) == (None, None, 355.0)

    def test_a_price_without_size_is_no_quote(self):
        assert events(ticker(askSize="0"))[0].ask is None
        assert events(ticker(bidSize="0"))[0].bid is None

    @pytest.mark.parametrize(("told", "iv"), [("0", None), ("", None), ("5", None), ("4.9999", 4.9999)])
    def test_zero_is_no_vol_and_five_is_a_cap(self, told, iv):
        assert events(ticker(markPriceIv=told))[1].iv == iv

    def test_a_mark_of_zero_is_kept(self):
        assert events(ticker(markPrice="0"))[1].price == 0.0

    def test_a_stale_wide_quote_is_passed_on_with_its_mark(self):
        """Ordinary on small coins; spread and mark tell, where quotes are chosen."""
        row = {
            **TICKER,
            "symbol": "SOL-28APR23-24-C",
            "bidPrice": "0.34",
            "askPrice": "3.11",
            "markPrice": "1.99054639",
        }
        quote, mark, *_ = events(push("tickers.SOL-28APR23-24-C", row))
        assert (quote.bid, quote.ask, mark.price) == (0.34, 3.11, 1.99054639)

    def test_greeks_are_not_read(self):
        """Theta and gamma come scaled below a day to expiry, so none of them goes any further."""
        odd = dict.fromkeys(("delta", "gamma", "vega", "theta"), "unreadable")
        assert events(ticker(**odd)) == events(ticker())

    @pytest.mark.parametrize("value", ["-1", "nan", "inf", "1e300"])
    @pytest.mark.parametrize("field", ["bidPrice", "askSize", "underlyingPrice"])
    def test_numbers_that_cannot_be_are_rejected(self, field, value):
        with pytest.raises(DecodeError) as error:
            events(ticker(**{field: value}))
        assert error.value.reason is RejectReason.BAD_VALUE

    @pytest.mark.parametrize("price", ["0", ""])
    def test_no_forward_and_no_index_are_told_where_there_is_none(self, price):
        assert len(events(ticker(underlyingPrice=price, indexPrice=price))) == 2


@pytest.mark.parametrize(
    ("symbol", "ccy", "kind", "strike", "expiry"),
    [
        ("BTC-6JAN23-17500-C", "BTC", "option", 17500.0, 1672992000000),
        ("BTC-3OCT25-60000-C-USDT", "BTC", "option", 60000.0, 1759478400000),
        ("ETH-16OCT26-2625-C-USDT", "ETH", "option", 2625.0, 1792137600000),
        ("XRP-27MAR26-1.4-C-USDT", "XRP", "option", 1.4, 1774598400000),
        ("BTCUSDT", "BTC", "perpetual", None, None),
        ("BTCPERP", "BTC", "perpetual", None, None),
        ("BTCUSDT-21FEB25", "BTC", "future", None, 1740124800000),
        ("BTC-26DEC25", "BTC", "future", None, 1766736000000),
        ("BTCUSDH23", "BTC", "future", None, None),
    ],
)
def test_contract_names(symbol, ccy, kind, strike, expiry):
    of = contract(symbol)
    assert (of.ccy, of.kind, of.strike, of.expiry, of.price_unit) == (ccy, kind, strike, expiry, "quote")


@pytest.mark.parametrize(
    "symbol",
    ["", "BTC", "BTC-31FEB26-100-C", "BTC-25XXX26-1-C", "BTC-25DEC26-1-X", "BTC-25DEC26-1d5-C", "BTC-25DEC26-1-C-USDC"],
)
def test_names_outside_the_grammar_are_rejected(symbol):
    with pytest.raises(DecodeError) as error:
        events(ticker(symbol=symbol))
    assert error.value.reason is RejectReason.BAD_SYMBOL


def test_the_series_of_one_strike_and_expiry_are_two_contracts():
    of_usdt, of_usdc = (events(ticker(symbol=symbol)) for symbol in (OPTION, OPTION.removesuffix("-USDT")))
    assert of_usdt[0].contract != of_usdc[0].contract
    assert (of_usdt[2].symbol, of_usdc[2].symbol) == ("BTCUSDT-27MAR26", "BTC-27MAR26")
    assert (of_usdt[3].symbol, of_usdc[3].symbol) == ("BTCUSDT", "BTCUSD")


class TestRest:
    def test_the_same_ticker_under_other_names(self):
        quote, mark, forward, index = events(reply(REST_TICKER))
        assert (quote.bid, quote.ask, quote.ask_size) == (None, 435.0, 0.66)
        assert (mark.iv, mark.price) == (0.7567, 0.00000009)
        assert (forward.price, index.price) == (16590.42, 16600.55)
        assert quote.event_ns == 1672376592395 * 10**6

    def test_trades(self):
        row = {"execId": "e1", "symbol": OPTION, "price": "340", "size": "0.5", "side": "Buy", "time": "1672376592000",
               "isBlockTrade": True, "iv": "0.61"}  # fmt: skip
        (trade,) = events(reply(row))
        assert (trade.price, trade.size, trade.side, trade.is_block, trade.iv) == (340.0, 0.5, "buy", True, 0.61)

    def test_an_order_book(self):
        (quote,) = events(reply(s=OPTION, b=[["340", "1"]], a=[], ts=1709891679000, u=1234567, seq=1, list=[]))
        assert (quote.bid, quote.ask, quote.event_ns) == (340.0, None, 1709891679000 * 10**6)

    @pytest.mark.parametrize(
        ("state", "told"), [("ongoing", "maintenance"), ("completed", "open"), ("scheduled", "scheduled")]
    )
    def test_system_status(self, state, told):
        row = {
            "id": "4d",
            "title": "t06",
            "state": state,
            "begin": "1",
            "end": "2",
            "serviceTypes": [2, 3],
            "product": [1, 2],
            "env": 1,
        }
        for payload in (reply(row), push("system.status", [row])):
            (status,) = events(payload)
            assert isinstance(status, Status)
            assert (status.symbol, status.state, status.detail) == ("", told, "t06")


class TestListing:
    def test_terms(self):
        (listed,) = events(reply(LISTING))
        of = listed.contract
        assert isinstance(listed, Instrument)
        assert (of.strike, of.type, of.expiry, of.ccy) == (70000.0, "P", 1774598400000, "BTC"), (
            "the strike is only in the name"
        )
        assert (listed.contract_size, listed.min_size, listed.index, listed.state) == (1.0, 0.01, "BTCUSDT", "open")
        assert listed.tick_size == 5.0, "the coarse tick by which fits judge the error of cheap wings"

    def test_the_listing_not_the_name_decides(self):
        listed, quote, *_ = events(reply({**LISTING, "optionsType": "Call", "deliveryTime": "1774598400001"}), ticker())
        for of in (listed.contract, quote.contract):
            assert (of.type, of.expiry) == ("C", 1774598400001)

    @pytest.mark.parametrize(
        ("status", "state"),
        [("Trading", "open"), ("PreLaunch", "prelaunch"), ("Delivering", "delivering"), ("Closed", "closed")],
    )
    def test_states(self, status, state):
        assert events(reply({**LISTING, "status": status}))[0].state == state

    def test_a_row_that_cannot_be_read_does_not_cost_the_others(self):
        told, listed = events(reply({**LISTING, "symbol": "BTC-27MAR26-UP-P"}, LISTING))
        assert (told.symbol, told.state) == ("BTC-27MAR26-UP-P", "unreadable")
        assert isinstance(listed, Instrument)

    def test_futures(self):
        row = {"symbol": "BTCUSDT-27MAR26", "contractType": "LinearFutures", "status": "Trading", "baseCoin": "BTC", "settleCoin": "USDT",
               "deliveryTime": "1774598400000", "priceFilter": {"tickSize": "0.1"}, "lotSizeFilter": {"minOrderQty": "0.001"}}  # fmt: skip
        perpetual = {**row, "symbol": "BTCUSDT", "contractType": "LinearPerpetual", "deliveryTime": "0"}
        future, swap = events(reply(row, perpetual))
        assert (future.contract.kind, future.contract.expiry) == ("future", 1774598400000)
        assert (swap.contract.kind, swap.contract.expiry) == ("perpetual", None)

    def test_a_decoder_remembers_only_so_many_instruments(self, monkeypatch):
        monkeypatch.setattr(known, "KNOWN_MAX", 1)
        decoder = Decoder()
        decoder.decode(ticker(), 1)
        with pytest.raises(DecodeError) as error:
            decoder.decode(ticker(symbol="BTC-27MAR26-71000-P-USDT"), 1)
        assert error.value.reason is RejectReason.BAD_VALUE
        (quote, *_) = decoder.decode(ticker(symbol="BTC-27MAR26-71000-P-USDT"), 2**61)
        assert quote.contract.symbol == "BTC-27MAR26-71000-P-USDT", "the expired make room"


class TestLinearTicker:
    SNAPSHOT = {"symbol": "BTCUSDT-27MAR26", "markPrice": "84000.1", "indexPrice": "83900", "bid1Price": "84000", "bid1Size": "1.2",
                "ask1Price": "84001", "ask1Size": "2", "lastPrice": "84000", "openInterest": "9", "basisRate": "0.01"}  # fmt: skip
    TOPIC = "tickers.BTCUSDT-27MAR26"

    def test_changes_are_merged_into_the_snapshot(self):
        change = {"symbol": "BTCUSDT-27MAR26", "bid1Price": "83999"}
        *_, quote, mark, index = events(push(self.TOPIC, self.SNAPSHOT), push(self.TOPIC, change, "delta"))
        assert (quote.bid, quote.bid_size, quote.ask) == (83999.0, 1.2, 84001.0)
        assert (mark.price, mark.iv, index.price) == (84000.1, None, 83900.0)

    def test_changes_without_a_snapshot_are_a_gap(self):
        (gap,) = events(push(self.TOPIC, {"symbol": "BTCUSDT-27MAR26", "bid1Price": "83999"}, "delta"))
        assert isinstance(gap, Gap)
        assert gap.symbol == "BTCUSDT-27MAR26"

    def test_a_snapshot_forgets_what_was_before(self):
        *_, quote, _ = events(
            push(self.TOPIC, self.SNAPSHOT),
            push(self.TOPIC, {"symbol": "BTCUSDT-27MAR26", "bid1Price": "1", "bid1Size": "1"}),
        )
        assert (quote.bid, quote.ask) == (1.0, None)

    def test_sizes_of_inverse_futures_are_dollars_and_become_coins(self):
        quote, *_ = events(push("tickers.BTCUSDH26", {**self.SNAPSHOT, "symbol": "BTCUSDH26", "bid1Size": "84000"}))
        assert quote.bid_size == pytest.approx(1.0)


class TestBook:
    TOPIC = "orderbook.25.SOL-28APR23-30-C"

    def frame(self, u: int, bids=(), asks=(), kind="delta") -> bytes:
        return push(self.TOPIC, {"s": "SOL-28APR23-30-C", "b": bids, "a": asks, "u": u, "seq": 5}, kind)

    def snapshot(self, u=24641) -> bytes:
        return self.frame(u, [["0.01", "50"]], [["1.74", "46"]], "snapshot")

    def test_changes_keep_the_best_prices(self):
        _, quote = events(self.snapshot(), self.frame(24642, asks=[["1.74", "0"], ["1.75", "46"], ["9", "0"]]))
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (0.01, 1.75, 50.0, 46.0)

    def test_a_jump_is_a_gap_and_the_book_is_forgotten_until_a_snapshot(self):
        _, gap, still, quote = events(self.snapshot(), self.frame(24643), self.frame(24644), self.snapshot(24650))
        assert (type(gap), gap.expected, gap.received) == (Gap, 24642, 24643)
        assert (type(still), still.expected) == (Gap, None)
        assert isinstance(quote, Quote)

    def test_ids_that_begin_anew_lose_the_book_when_the_snapshot_that_says_so_is_lost(self):
        later = {"s": "SOL-28APR23-30-C", "b": [["7", "1"]], "a": [], "u": 2, "seq": 5}
        _, gap = events(self.snapshot(), push(self.TOPIC, later, "delta", ts=1680652811254))
        assert (type(gap), gap.expected, gap.received) == (Gap, 24642, 2)

    def test_changes_seen_before_are_dropped(self):
        assert len(events(self.snapshot(), self.frame(24641, [["7", "1"]]), self.frame(24642))) == 2

    @pytest.mark.parametrize("u", [0, 1])
    def test_every_snapshot_replaces_the_book(self, u):
        _, quote, after = events(self.snapshot(), self.frame(u, kind="snapshot"), self.frame(u + 1, [["0.02", "1"]]))
        assert (quote.bid, quote.ask) == (None, None)
        assert after.bid == 0.02

    @pytest.mark.parametrize("level", [["-1", "1"], ["0", "1"], ["1", "-1"], ["nan", "1"]])
    def test_levels_that_cannot_be_are_rejected(self, level):
        with pytest.raises(DecodeError) as error:
            events(self.frame(1, [level], kind="snapshot"))
        assert error.value.reason is RejectReason.BAD_VALUE


def test_trades_tell_side_vol_and_block():
    (trade,) = events(push("publicTrade.BTC", [{**TRADE, "BT": True}]))
    assert isinstance(trade, Trade)
    assert (trade.price, trade.size, trade.side, trade.is_block, trade.iv) == (985.0, 0.01, "sell", True, 0.5497)
    assert trade.event_ns == 1680652922081 * 10**6


def test_old_trades_have_no_vol():
    row = {name: TRADE[name] for name in ("p", "v", "i", "T", "BT", "s", "S")}
    assert events(push("publicTrade.BTC", [row]))[0].iv is None


@pytest.mark.parametrize(
    "payload",
    [
        b'{"success":true,"conn_id":"aa","data":{"failTopics":[],"successTopics":["tickers.X"]},"type":"COMMAND_RESP"}',
        b'{"success":true,"ret_msg":"","conn_id":"3c","req_id":"","op":"subscribe"}',
        b'{"success":false,"ret_msg":"Invalid topic","conn_id":"3c","op":"subscribe"}',
        b'{"args":["1672916271846"],"op":"pong"}',
        b'{"success":true,"ret_msg":"pong","conn_id":"46","req_id":"","op":"ping"}',
        reply(), reply(code=10001), reply({"anything": 1}), push("kline.5.BTCUSDT", []),
    ],
)  # fmt: skip
def test_control_messages_give_no_events(payload):
    assert events(payload) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", RejectReason.NOT_JSON), (b"{", RejectReason.NOT_JSON), (b"\xff\xfe", RejectReason.NOT_JSON),
        (b"[1,2]", RejectReason.BAD_SHAPE), (b"{}", RejectReason.BAD_SHAPE), (b"7", RejectReason.BAD_SHAPE),
        (b'{"op":' + b"[" * 100_000, RejectReason.NOT_JSON), (b'{"topic":"tickers.X","ts":1}', RejectReason.BAD_SHAPE),
        (b'{"topic":"publicTrade.BTC","ts":1}', RejectReason.BAD_SHAPE), (ticker(symbol=None), RejectReason.BAD_SHAPE),
        (push("tickers.X", TICKER, ts="soon"), RejectReason.BAD_SHAPE), (push("secret.X", {}), RejectReason.UNKNOWN_MESSAGE),
        (push("publicTrade.BTC", [{**TRADE, "S": "Sideways"}]), RejectReason.BAD_SHAPE),
        (push("publicTrade.BTC", [{**TRADE, "v": "0"}]), RejectReason.BAD_VALUE),
    ],
)  # fmt: skip
def test_bad_bytes_are_rejected_with_their_reason(payload, reason):
    with pytest.raises(DecodeError) as error:
        events(payload)
    assert error.value.reason is reason
