"""OKX's messages: each trap of its protocol has a test that fails without its handling."""

import json

import pytest

from derivasys.decode import known, okx
from derivasys.decode.okx import Decoder, contract
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
OPTION = "BTC-USD-241217-92000-C"
LINEAR = "SOL-USD_UM-260918-100.5-P"
TICKER = {
    "instType": "OPTION", "instId": OPTION, "last": "0.046", "lastSz": "3", "askPx": "0.0465", "askSz": "111", "bidPx": "0.0445",
    "bidSz": "17", "open24h": "0.006", "high24h": "0.006", "low24h": "0.006", "sodUtc0": "0.006", "sodUtc8": "0.006",
    "volCcy24h": "0", "vol24h": "0", "ts": "1734249600000",
}  # fmt: skip
SUMMARY = {
    "instType": "OPTION", "instId": "BTC-USD-241013-70000-P", "uly": "BTC-USD", "delta": "-1.1180902625", "gamma": "2.2361957091",
    "vega": "0.0000000001", "theta": "0.0000032334", "lever": "8.465747567", "markVol": "0.3675503331", "bidVol": "0",
    "askVol": "1.1669998535", "realVol": "", "deltaBS": "-0.9999672034", "gammaBS": "0.0000000002", "thetaBS": "28.2649858387",
    "vegaBS": "0.0000114332", "ts": "1728703155650", "fwdPx": "62604.6993093463", "volLv": "0.2044711229",
}  # fmt: skip
TRADE = {
    "fillVol": "0.5066007836914062", "fwdPx": "16469.69928595038", "idxPx": "16537.2", "instFamily": "BTC-USD",
    "instId": "BTC-USD-230224-18000-C", "markPx": "0.04690107010619562", "optType": "C", "px": "0.045", "side": "sell", "sz": "2",
    "tradeId": "38", "ts": "1672286551080",
}  # fmt: skip
LISTING = {
    "alias": "", "baseCcy": "", "category": "1", "ctMult": "0.01", "ctType": "", "ctVal": "1", "ctValCcy": "BTC",
    "expTime": "1734422400000", "instFamily": "BTC-USD", "instId": OPTION, "instType": "OPTION", "lever": "",
    "listTime": "1734249600000", "lotSz": "1", "minSz": "1", "optType": "C", "quoteCcy": "", "settleCcy": "BTC", "state": "live",
    "stk": "92000", "tickSz": "0.0001", "uly": "BTC-USD", "ruleType": "normal",
}  # fmt: skip
LISTED_LINEAR = {
    **LISTING, "instId": LINEAR, "instFamily": "SOL-USD_UM", "uly": "SOL-USD", "ctVal": "1", "ctMult": "0.5", "ctValCcy": "SOL",
    "ctType": "linear", "settleCcy": "USD", "stk": "100.5", "optType": "P", "expTime": "1789718400000", "tickSz": "0.01",
}  # fmt: skip


def push(channel: str, *rows: object, action: str | None = None, **arg: str) -> bytes:
    message: dict = {"arg": {"channel": channel, **arg}}
    if action is not None:
        message["action"] = action
    return json.dumps({**message, "data": rows}, separators=(",", ":")).encode()


def reply(*rows: object, code: str = "0") -> bytes:
    return json.dumps({"code": code, "msg": "", "data": rows}).encode()


def ticker(**changes: object) -> bytes:
    return push("tickers", {**TICKER, **changes}, instId=OPTION)


def events(*payloads: bytes) -> list:
    decoder = Decoder()
    return [event for payload in payloads for event in decoder.decode(payload, RECV_NS)]


class TestTicker:
    def test_prices_in_coin_and_sizes_in_coins(self):
        (quote,) = events(ticker())
        assert isinstance(quote, Quote)
        assert (quote.bid, quote.ask) == (0.0445, 0.0465)
        assert (quote.bid_size, quote.ask_size) == pytest.approx((0.17, 1.11)), "contracts of 0.01 BTC"
        assert quote.contract.price_unit == "coin"
        assert quote.event_ns == 1734249600000 * 10**6
        assert quote.recv_ns == RECV_NS

    @pytest.mark.parametrize("spelling", [{}, {"indent": 1}])
    def test_the_fast_path_is_only_faster(self, spelling):
        (quote,) = events(json.dumps({"arg": {"channel": "tickers"}, "data": [TICKER]}, **spelling).encode())
        assert quote == events(ticker())[0]

    @pytest.mark.parametrize("price", ["", "0"])
    @pytest.mark.parametrize("size", ["", "0"])
    def test_every_encoding_of_a_missing_side_is_none(self, price, size):
        (quote,) = events(ticker(bidPx=price, bidSz=size))
        assert (quote.bid, quote.bid_size, quote.ask) == (None, None, 0.0465)

    @pytest.mark.parametrize("size", ["", "0"])
    def test_a_price_without_size_is_no_quote(self, size):
        assert events(ticker(askSz=size))[0].ask is None
        assert events(ticker(bidSz=size))[0].bid is None

    @pytest.mark.parametrize("value", ["-0.01", "nan", "inf", "1e300"])
    @pytest.mark.parametrize("field", ["bidPx", "askSz"])
    def test_numbers_that_cannot_be_are_rejected(self, field, value):
        with pytest.raises(DecodeError) as error:
            events(ticker(**{field: value}))
        assert error.value.reason is RejectReason.BAD_VALUE

    def test_a_time_that_no_clock_shows_is_rejected(self):
        with pytest.raises(DecodeError) as error:
            events(ticker(ts="99999999999999999"))
        assert error.value.reason is RejectReason.BAD_VALUE


class TestContractTerms:
    def test_sizes_use_the_listed_multipliers(self):
        before, listed, after = events(ticker(), reply({**LISTING, "ctMult": "0.1"}), ticker())
        assert before.bid_size == pytest.approx(0.17)
        assert isinstance(listed, Instrument)
        assert listed.contract_size == pytest.approx(0.1)
        assert after.bid_size == pytest.approx(1.7)

    def test_a_linear_family_is_priced_in_dollars_and_has_no_size_before_its_listing(self):
        row = {**TICKER, "instId": LINEAR, "bidPx": "3.2", "askPx": "3.4"}
        quote, listed, after = events(
            push("tickers", row, instId=LINEAR), reply(LISTED_LINEAR), push("tickers", row, instId=LINEAR)
        )
        assert quote.contract.price_unit == "quote"
        assert (quote.bid, quote.bid_size) == (3.2, None), "an unknown multiplier is not guessed"
        assert (listed.contract.ccy, listed.contract.price_unit, listed.index) == ("SOL", "quote", "SOL-USD")
        assert after.bid_size == pytest.approx(8.5)

    def test_a_trade_of_unknown_size_is_rejected(self):
        row = {**TRADE, "instId": LINEAR}
        with pytest.raises(DecodeError) as error:
            events(push("option-trades", row))
        assert error.value.reason is RejectReason.BAD_VALUE
        *_, trade = events(reply(LISTED_LINEAR), push("option-trades", row))
        assert trade.size == 1.0

    def test_sizes_of_inverse_futures_are_dollars_and_become_coins(self):
        row = {**TICKER, "instId": "BTC-USD-SWAP", "bidPx": "50000", "askPx": "50001"}
        assert events(push("tickers", row))[0].bid_size == pytest.approx(17 * 100 / 50_000)
        listed = {**LISTING, "instType": "SWAP", "instId": "BTC-USD-SWAP", "ctVal": "10", "ctMult": "1", "ctValCcy": "USD",
                  "ctType": "inverse", "stk": "", "optType": "", "expTime": ""}  # fmt: skip
        terms, quote = events(reply(listed), push("tickers", row))
        assert terms.contract_size is None, "not coins"
        assert quote.bid_size == pytest.approx(17 * 10 / 50_000)

    def test_spot_sizes_are_coins(self):
        assert events(push("tickers", {**TICKER, "instId": "BTC-USDT"}))[0].bid_size == 17.0

    def test_a_decoder_remembers_only_so_many_instruments(self, monkeypatch):
        monkeypatch.setattr(known, "KNOWN_MAX", 1)
        decoder = Decoder()
        decoder.decode(ticker(), 1)
        decoder.decode(ticker(), 1)
        with pytest.raises(DecodeError) as error:
            decoder.decode(ticker(instId="BTC-USD-241217-93000-C"), 1)
        assert error.value.reason is RejectReason.BAD_VALUE
        (quote, *_) = decoder.decode(ticker(instId="BTC-USD-241217-93000-C"), 2**61)
        assert quote.contract.symbol == "BTC-USD-241217-93000-C", "the expired make room"


@pytest.mark.parametrize(
    ("symbol", "ccy", "kind", "unit", "strike", "family"),
    [
        ("BTC-USD-241217-92000-C", "BTC", "option", "coin", 92000.0, "BTC-USD"),
        ("BTC-USD_UM-261231-56000-C", "BTC", "option", "quote", 56000.0, "BTC-USD_UM"),
        ("SOL-USD_UM-260918-100.5-P", "SOL", "option", "quote", 100.5, "SOL-USD_UM"),
        ("BTC-USD-261225", "BTC", "future", "quote", None, "BTC-USD"),
        ("BTC-USD_UM-261225", "BTC", "future", "quote", None, "BTC-USD_UM"),
        ("BTC-USD_UM_XPERP-310404", "BTC", "perpetual", "quote", None, "BTC-USD_UM_XPERP"),
        ("BTC-USD_UM-SWAP", "BTC", "perpetual", "quote", None, "BTC-USD_UM"),
        ("BTC-USDT-SWAP", "BTC", "perpetual", "quote", None, "BTC-USDT"),
        ("PROPS-ETH", "PROPS", "spot", "quote", None, "PROPS-ETH"),
    ],
)
def test_contract_names_are_read_from_the_right(symbol, ccy, kind, unit, strike, family):
    of = contract(symbol)
    assert (of.ccy, of.kind, of.price_unit, of.strike) == (ccy, kind, unit, strike)
    assert okx.family(symbol) == family


def test_expiry_is_eight_in_the_morning_utc():
    assert contract(OPTION).expiry == 1734422400000


@pytest.mark.parametrize(
    "symbol", ["", "BTC", "btc-USD-241217-1-C", "BTC-USD-240231-1-C", "BTC-USD-241217-1-X", "BTC-USD-241217-1e5-C"]
)
def test_names_outside_the_grammar_are_rejected(symbol):
    with pytest.raises(DecodeError) as error:
        events(ticker(instId=symbol))
    assert error.value.reason is RejectReason.BAD_SYMBOL


class TestSummary:
    def test_mark_vol_forward_and_the_mark_that_follows_from_two_deltas(self):
        mark, forward = events(push("opt-summary", SUMMARY, instFamily="BTC-USD"))
        assert isinstance(mark, Mark)
        assert mark.iv == 0.3675503331, "a fraction already"
        assert mark.price == pytest.approx(1 / 8.465747567, rel=1e-7), "lever is one over the mark"
        assert isinstance(forward, Forward)
        assert (forward.price, forward.symbol, forward.ccy) == (62604.6993093463, "BTC-USD", "BTC")
        assert forward.expiry == mark.contract.expiry == 1728806400000

    def test_a_forward_is_told_once_for_each_expiry_as_long_as_it_stays_the_same(self):
        rows = [{**SUMMARY, "instId": f"BTC-USD-241013-{strike}-P"} for strike in (60000, 61000, 62000)]
        rows[2]["fwdPx"] = "62605"
        rows.append({**SUMMARY, "instId": "BTC-USD-241014-60000-P"})
        found = [event.price for event in events(push("opt-summary", *rows)) if isinstance(event, Forward)]
        assert found == [62604.6993093463, 62605.0, 62604.6993093463]

    @pytest.mark.parametrize("vol", ["", "0", "5", "∞", "nan", "-0.3"])
    def test_no_vol_is_none(self, vol):
        mark, forward = events(push("opt-summary", {**SUMMARY, "markVol": vol}))
        assert mark.iv is None
        assert forward.price > 0, "one odd value does not cost the others"

    @pytest.mark.parametrize("price", ["", "0", "-1", "inf"])
    def test_no_forward_is_told_where_there_is_none(self, price):
        assert len(events(push("opt-summary", {**SUMMARY, "fwdPx": price}))) == 1

    def test_old_summaries_have_no_forward(self):
        row = {key: value for key, value in SUMMARY.items() if key not in ("fwdPx", "volLv")}
        (mark,) = events(push("opt-summary", row, uly="BTC-USD"))
        assert isinstance(mark, Mark)

    def test_coin_deltas_of_linear_options_give_no_mark_but_mark_price_does(self):
        row = {**SUMMARY, "instId": LINEAR}
        priced = push("mark-price", {"instType": "OPTION", "instId": LINEAR, "markPx": "3.3", "ts": "1734249600385"})
        mark, _, price, again, _ = events(push("opt-summary", row), priced, push("opt-summary", row))
        assert (mark.price, mark.iv) == (None, 0.3675503331)
        assert (price.price, price.iv) == (3.3, 0.3675503331), "the vol of the last summary stays"
        assert (again.price, again.iv) == (3.3, 0.3675503331)


class TestTrades:
    def test_side_is_the_takers_and_size_is_in_coins(self):
        (trade,) = events(push("option-trades", TRADE, instType="OPTION", instFamily="BTC-USD"))
        assert isinstance(trade, Trade)
        assert (trade.price, trade.size, trade.side, trade.trade_id) == (0.045, 0.02, "sell", "38")
        assert trade.iv == 0.5066007836914062

    def test_the_trade_sent_from_the_cache_after_a_subscription_is_not_told_twice(self):
        frames = [push("option-trades", {**TRADE, "tradeId": identity}) for identity in ("38", "38", "39", "39")]
        assert [trade.trade_id for trade in events(*frames)] == ["38", "39"]

    def test_plain_trades_have_no_vol(self):
        row = {
            "instId": OPTION,
            "tradeId": "376",
            "px": "0.0005",
            "sz": "1",
            "side": "buy",
            "ts": "1",
            "count": "2",
            "seqId": 9,
        }
        (trade,) = events(push("trades", row, instId=OPTION))
        assert (trade.iv, trade.side) == (None, "buy")

    @pytest.mark.parametrize(("field", "value"), [("px", "0"), ("sz", "0"), ("px", "-1"), ("px", "nan")])
    def test_a_trade_at_nothing_is_rejected(self, field, value):
        with pytest.raises(DecodeError) as error:
            events(push("option-trades", {**TRADE, field: value}))
        assert error.value.reason is RejectReason.BAD_VALUE


class TestBook:
    @staticmethod
    def frame(previous: int, now: int, bids=(), asks=(), action="update", channel="books") -> bytes:
        row = {"bids": bids, "asks": asks, "ts": "1734249601111", "checksum": 0, "prevSeqId": previous, "seqId": now}
        return push(channel, row, action=action, instId=OPTION)

    SNAPSHOT = staticmethod(lambda: TestBook.frame(
        -1, 100, [["0.0445", "9", "0", "1"]], [["0.0455", "12", "0", "2"], ["0.046", "40", "0", "1"]], "snapshot",
    ))  # fmt: skip

    def test_updates_keep_the_best_prices(self):
        _, quote = events(self.SNAPSHOT(), self.frame(100, 101, asks=[["0.0455", "0", "0", "0"]]))
        assert (quote.bid, quote.ask) == (0.0445, 0.046)
        assert (quote.bid_size, quote.ask_size) == pytest.approx((0.09, 0.4))

    def test_a_checksum_is_not_verified(self):
        """It is constant 0 since June 2026: who verifies it resubscribes for ever."""
        assert isinstance(events(self.SNAPSHOT().replace(b'"checksum":0', b'"checksum":7'))[0], Quote)

    def test_an_idle_frame_is_no_gap(self):
        quotes = events(self.SNAPSHOT(), self.frame(100, 100), self.frame(100, 101))
        assert [type(event) for event in quotes] == [Quote] * 3
        assert quotes[1].bid == 0.0445

    def test_a_reset_of_the_sequence_is_no_gap(self):
        quotes = events(self.SNAPSHOT(), self.frame(100, 3, [["0.045", "1", "0", "1"]]), self.frame(3, 4))
        assert [type(event) for event in quotes] == [Quote] * 3
        assert quotes[2].bid == 0.045

    def test_a_gap_is_told_and_the_book_forgotten_until_a_snapshot(self):
        _, gap, still, quote = events(
            self.SNAPSHOT(), self.frame(101, 102), self.frame(102, 103), self.SNAPSHOT()
        )  # fmt: skip
        assert isinstance(gap, Gap)
        assert (gap.expected, gap.received, gap.ccy) == (100, 101, "BTC")
        assert (type(still), still.expected) == (Gap, None)
        assert isinstance(quote, Quote)

    def test_books_of_two_channels_are_two_books(self):
        _, gap = events(self.SNAPSHOT(), self.frame(100, 101, channel="books-l2-tbt"))
        assert isinstance(gap, Gap)

    @pytest.mark.parametrize("channel", ["bbo-tbt", "books5"])
    def test_windows_stand_alone(self, channel):
        row = {"asks": [["0.046", "40", "0", "1"]], "bids": [], "ts": "1", "seqId": 5}
        first, second = events(push(channel, row, instId=OPTION), push(channel, row, instId=OPTION))
        assert (first.bid, first.ask) == (None, 0.046)
        assert first == second

    def test_a_crossed_book_before_the_opening_is_passed_on(self):
        (quote,) = events(
            self.frame(-1, 1, [["0.05", "1", "0", "1"]], [["0.04", "1", "0", "1"]], "snapshot"),
        )
        assert quote.bid > quote.ask

    @pytest.mark.parametrize(
        "level", [["-1", "1", "0", "1"], ["0", "1", "0", "1"], ["1", "-1", "0", "1"], ["nan", "1", "0", "1"]]
    )
    def test_levels_that_cannot_be_are_rejected(self, level):
        with pytest.raises(DecodeError) as error:
            events(self.frame(-1, 1, [level], action="snapshot"))
        assert error.value.reason is RejectReason.BAD_VALUE


class TestListing:
    def test_terms(self):
        (listed,) = events(reply(LISTING))
        of = listed.contract
        assert (of.strike, of.type, of.price_unit, of.expiry) == (92000.0, "C", "coin", 1734422400000)
        assert (listed.tick_size, listed.min_size, listed.state) == (0.0001, 0.01, "open")

    def test_the_listing_not_the_name_decides(self):
        row = {**LISTING, "stk": "92001", "settleCcy": "USD", "expTime": "1734422400001"}
        listed, quote = events(reply(row), ticker())
        for of in (listed.contract, quote.contract):
            assert (of.strike, of.price_unit, of.expiry) == (92001.0, "quote", 1734422400001)

    def test_the_tick_size_is_only_the_smallest_band(self):
        bands = {"instType": "OPTION", "instFamily": "BTC-USD",
                 "tickBand": [{"minPx": "0.005", "maxPx": "100", "tickSz": "0.0005"},
                              {"minPx": "0", "maxPx": "0.005", "tickSz": "0.0001"}]}  # fmt: skip
        (listed,) = events(reply(bands), reply(LISTING))
        assert (listed.tick_size, listed.tick_steps) == (0.0001, ((0.005, 0.0005),))

    @pytest.mark.parametrize(
        ("state", "told"), [("live", "open"), ("expired", "closed"), ("preopen", "preopen"), ("suspend", "suspend")]
    )
    def test_states(self, state, told):
        (listed,) = events(push("instruments", {**LISTING, "state": state}, instType="OPTION"))
        assert listed.state == told

    def test_a_preopen_row_may_lack_its_terms(self):
        row = {
            **LISTING,
            "state": "preopen",
            "stk": "",
            "ctVal": "",
            "ctMult": "",
            "tickSz": "",
            "settleCcy": "",
            "listTime": "",
        }
        (listed,) = events(reply(row))
        assert (listed.contract.strike, listed.contract.price_unit, listed.tick_size) == (92000.0, "coin", None)

    def test_a_row_that_cannot_be_read_does_not_cost_the_others(self):
        odd = {**LISTING, "instId": "BTC-USD-241217-UP-C", "stk": ""}
        told, listed = events(reply(odd, LISTING))
        assert isinstance(told, Status)
        assert (told.symbol, told.state) == ("BTC-USD-241217-UP-C", "unreadable")
        assert isinstance(listed, Instrument)

    def test_an_expired_contract_is_forgotten(self):
        decoder = Decoder()
        decoder.decode(reply(LISTING), 1)
        decoder.decode(TestBook.SNAPSHOT(), 1)
        decoder.decode(push("instruments", {**LISTING, "state": "expired"}, instType="OPTION"), 1)
        assert (decoder._known, decoder._books) == ({}, {})

    def test_perpetuals_with_a_date_are_not_futures(self):
        row = {
            **LISTING,
            "instType": "FUTURES",
            "instId": "BTC-USD_UM_XPERP-310404",
            "ruleType": "xperp",
            "stk": "",
            "optType": "",
        }
        assert events(reply(row))[0].contract.kind == "perpetual"


def test_index():
    row = {"instId": "ETH-USD", "idxPx": "3814.05", "open24h": "3928.05", "ts": "1640001659508"}
    (index,) = events(push("index-tickers", row, instId="ETH-USD"))
    assert isinstance(index, Index)
    assert (index.price, index.ccy, index.symbol) == (3814.05, "ETH", "ETH-USD")
    with pytest.raises(DecodeError):
        events(push("index-tickers", {**row, "idxPx": "0"}))


def test_open_interest_is_in_coins():
    row = {"instId": "ETH-USD-211231-9600-C", "instType": "OPTION", "oi": "36", "oiCcy": "3.6", "oiUsd": "1", "ts": "1"}
    (mark,) = events(push("open-interest", row))
    assert mark.open_interest == 3.6


@pytest.mark.parametrize(
    ("state", "told"), [("ongoing", "maintenance"), ("completed", "open"), ("scheduled", "scheduled")]
)
def test_system_status(state, told):
    row = {"begin": "1672823400000", "end": "1672825980000", "serviceType": "0", "state": state, "system": "unified", "env": "1",
           "title": "Upgrade", "ts": "1672826038470"}  # fmt: skip
    for payload in (push("status", row), reply(row)):
        (status,) = events(payload)
        assert (status.symbol, status.state, status.detail) == ("", told, "Upgrade")


@pytest.mark.parametrize(
    ("rows", "kind"),
    [
        ([TICKER], Quote), ([SUMMARY], Mark), ([TRADE], Trade), ([LISTING], Instrument),
        ([{"instId": OPTION, "instType": "OPTION", "markPx": "0.04", "ts": "1"}], Mark),
        ([{"instId": OPTION, "instType": "OPTION", "oi": "3", "oiCcy": "0.03", "ts": "1"}], Mark),
        ([{"instId": "BTC-USD", "idxPx": "100000", "ts": "1"}], Index),
    ],
)  # fmt: skip
def test_replies_are_told_apart_by_their_shape(rows, kind):
    assert isinstance(events(reply(*rows))[0], kind)


@pytest.mark.parametrize(
    "payload",
    [
        b"pong", b'{"id":"1","event":"subscribe","arg":{"channel":"tickers","instId":"BTC-USD-241217-92000-C"},"connId":"a4"}',
        b'{"event":"error","code":"60012","msg":"Invalid request: {}","connId":"a4d3ae55"}',
        b'{"event":"notice","code":"64008","msg":"The connection will soon be closed","connId":"a4d3ae55"}',
        reply(), reply(code="51000"), reply([1, 2]), reply({"ts": "1597026383085"}),
        push("candle1m", ["1", "2"]), push("price-limit", {"instId": OPTION, "buyLmt": "", "enabled": False, "ts": "1"}),
    ],
)  # fmt: skip
def test_control_messages_give_no_events(payload):
    assert events(payload) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", RejectReason.NOT_JSON), (b"{", RejectReason.NOT_JSON), (b"\xff\xfe", RejectReason.NOT_JSON),
        (b"ping", RejectReason.NOT_JSON), (b"[1,2]", RejectReason.BAD_SHAPE), (b"{}", RejectReason.BAD_SHAPE),
        (b"7", RejectReason.BAD_SHAPE), (b'{"event":' + b"[" * 100_000, RejectReason.NOT_JSON),
        (b'{"arg":{"channel":"opt-summary"}}', RejectReason.BAD_SHAPE),
        (ticker(ts="now"), RejectReason.BAD_SHAPE), (ticker(instId=None), RejectReason.BAD_SHAPE),
        (ticker(bidPx="∞"), RejectReason.BAD_SHAPE), (push("secret", {}), RejectReason.UNKNOWN_MESSAGE),
        (push("option-trades", {**TRADE, "side": "sideways"}), RejectReason.BAD_SHAPE),
    ],
)  # fmt: skip
def test_bad_bytes_are_rejected_with_their_reason(payload, reason):
    with pytest.raises(DecodeError) as error:
        events(payload)
    assert error.value.reason is reason
