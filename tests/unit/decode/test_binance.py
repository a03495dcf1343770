"""Binance's messages: each trap of its protocol has a test that fails without its handling.

The mark, book, trade and ticker rows are real ones of November 2025 to September 2026, shortened to what is read.
"""

import json
import math

import pytest

from derivasys.analytics.black import black_price
from derivasys.connect.runner import FRAME_BYTES_MAX
from derivasys.decode.binance import BBO_AGE_NS, SETTLEMENT_MS, Decoder, contract
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

RECV_NS = 1_790_161_478_000_000_000
MS = 10**6
BTC = {
    "s": "BTC-260925-86000-C", "mp": "809.784", "E": 1790161477974, "e": "markPrice", "i": "85879.82826087", "P": "0.000",
    "bo": "800.000", "ao": "810.000", "bq": "5.08", "aq": "1.10", "b": "0.34500957", "a": "0.34908772", "hl": "1455.000",
    "ll": "165.000", "vo": "0.349", "rf": "0.0558", "d": "0.48723426", "t": "-227.33432684", "g": "0.00018682", "v": "24.52223767",
}  # fmt: skip
XRP = {
    "s": "XRP-251219-2.05-P", "mp": "19.0314", "E": 1765983420260, "e": "markPrice", "i": "1.96239445", "P": "0.0000",
    "bo": "18.5000", "ao": "20.0000", "bq": "0.50", "aq": "3.00", "b": "2.5", "a": "2.7", "vo": "2.6", "rf": "0.0",
}  # fmt: skip
UNQUOTED = {**XRP, "bo": "0.0000", "ao": "0.0000", "bq": "0.00", "aq": "0.00", "b": "-1.0", "a": "-1.0"}
SYMBOL = {
    "symbol": "XRP-251219-2.05-P", "side": "PUT", "strikePrice": "2.05000000", "expiryDate": 1766131200000, "unit": 100,
    "underlying": "XRPUSDT", "quoteAsset": "USDT", "status": "TRADING", "minQty": "0.01", "underlyingType": "CRYPTO",
    "contractType": "CRYPTO_OPTIONS",
    "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.01"}, {"filterType": "LOT_SIZE", "stepSize": "0.01"}],
}  # fmt: skip


def dump(message: object) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


def combined(stream: str, data: object) -> bytes:
    return dump({"stream": stream, "data": data})


def marks(*rows: dict) -> bytes:
    return combined("btcusdt@optionMarkPrice", list(rows))


def book_ticker(symbol: str = "BTC-260925-86000-C", time_ms: int = 1790161477974, **changes: object) -> bytes:
    row = {
        "e": "bookTicker",
        "u": 1,
        "s": symbol,
        "b": "801.000",
        "B": "2.00",
        "a": "809.000",
        "A": "0.50",
        "T": time_ms,
        "E": time_ms,
    }
    return combined(f"{symbol.lower()}@bookTicker", {**row, **changes})


def listing(*rows: dict) -> bytes:
    return dump({"timezone": "UTC", "serverTime": 1765983420260, "optionContracts": [], "optionSymbols": list(rows)})


def events(payload: bytes, decoder: Decoder | None = None) -> list:
    return (decoder or Decoder()).decode(payload, RECV_NS)


def first(kind: type, payload: bytes, decoder: Decoder | None = None):
    return next(event for event in events(payload, decoder) if isinstance(event, kind))


def rejection(payload: bytes) -> RejectReason:
    with pytest.raises(DecodeError) as error:
        events(payload)
    return error.value.reason


class TestMarks:
    def test_price_forward_and_vol_agree_with_the_venues_own_model(self):
        forward, quote, mark = events(marks(BTC))
        assert isinstance(forward, Forward)
        tau = (1790323200000 - 1790161477974) / (365 * 86_400_000)
        assert forward.price == pytest.approx(85879.82826087 * math.exp(0.0558 * tau), rel=1e-12)
        assert (forward.expiry, forward.symbol) == (1790323200000, "BTCUSDT")
        for iv, price in ((0.349, mark.price), (0.34500957, quote.bid), (0.34908772, quote.ask)):
            assert float(black_price(forward.price, 86000.0, tau, iv, True)) == pytest.approx(price, abs=0.003)
        assert mark.iv == 0.349, "a fraction already"
        assert mark.event_ns == 1790161477974 * MS

    def test_prices_are_undiscounted(self):
        """Without dividing by exp(-rf·τ) a year at 5.58 % would bias vols at the money by as much."""
        far = {**BTC, "s": "BTC-270924-86000-C"}
        years = (contract(far["s"]).expiry - BTC["E"]) / (365 * 86_400_000)
        assert first(Quote, marks(far)).bid == pytest.approx(800.0 * math.exp(0.0558 * years), rel=1e-12)

    def test_the_discount_holds_for_the_next_book_ticker(self):
        decoder = Decoder()
        growth = first(Forward, marks(BTC), decoder).price / 85879.82826087
        quote = first(Quote, book_ticker(), decoder)
        assert quote.bid == pytest.approx(801.0 * growth, rel=1e-12)
        assert quote.bid_size == 2.0

    def test_with_rate_zero_the_index_is_spot_and_no_forward(self):
        assert [type(event) for event in events(marks({**BTC, "rf": "0.0"}))] == [Quote, Mark]
        assert first(Quote, marks({**BTC, "rf": "0.0"})).bid == 800.0

    def test_an_absurd_rate_of_one_expiry_costs_nothing_else(self):
        """A minute before expiry a basis of 3 bp is a rate of 160; a rate of 99 for a day is no carry at all."""
        late = {**BTC, "E": contract(BTC["s"]).expiry - 60_000, "rf": "160"}
        assert first(Forward, marks(late)).price == pytest.approx(85879.82826087 * math.exp(160 / 525_600), rel=1e-12)
        absurd = {**BTC, "s": "BTC-270924-86000-C", "rf": "99"}
        assert [event.expiry for event in events(marks(absurd, BTC)) if isinstance(event, Forward)] == [1790323200000]
        assert first(Quote, marks(absurd)).bid == 800.0

    def test_one_forward_an_expiry_and_another_where_the_rate_differs(self):
        put, other = {**BTC, "s": "BTC-260925-86000-P"}, {**BTC, "s": "BTC-260926-86000-P", "rf": "0.04"}
        found = [event for event in events(marks(BTC, put, other)) if isinstance(event, Forward)]
        assert [event.expiry for event in found] == [1790323200000, 1790409600000]
        again = {**put, "rf": "0.06"}
        assert sum(isinstance(event, Forward) for event in events(marks(BTC, again))) == 2

    def test_zero_prices_and_minus_one_vols_are_none(self):
        quote = first(Quote, marks(UNQUOTED))
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (None, None, None, None)
        one_sided = first(Quote, marks({**BTC, "rf": "0.0", "bo": "0.000", "bq": "0.0000", "b": "-1.0"}))
        assert (one_sided.bid, one_sided.ask) == (None, 810.0)
        assert first(Mark, marks({**UNQUOTED, "vo": "-1.0"})).iv is None

    def test_a_price_without_size_is_no_quote(self):
        assert first(Quote, marks({**BTC, "aq": "0.00"})).ask is None

    @pytest.mark.parametrize(("symbol", "unit"), [("XRP-251219-2.05-P", 100.0), ("DOGE-251219-0.14-C", 1000.0)])
    def test_prices_and_sizes_of_many_coin_contracts_are_made_per_coin(self, symbol, unit):
        quote, mark = events(marks({**XRP, "s": symbol}))
        assert (quote.bid, quote.ask) == (18.5 / unit, 20.0 / unit)
        assert (quote.bid_size, quote.ask_size) == (0.5 * unit, 3.0 * unit)
        assert mark.price == 19.0314 / unit

    def test_best_prices_of_a_mark_are_a_second_older_than_it(self):
        quote, mark = events(marks(XRP))
        assert quote.event_ns == mark.event_ns - BBO_AGE_NS

    def test_a_book_ticker_of_the_very_millisecond_that_a_mark_is_dated_to_is_older(self):
        of_mark = first(Quote, marks(BTC))
        (late,) = events(book_ticker(time_ms=BTC["E"] - 1000))
        assert of_mark.event_ns - 1 == late.event_ns

    def test_a_book_ticker_of_the_last_second_is_not_overwritten_by_a_mark(self):
        decoder = Decoder()
        decoder.decode(book_ticker(time_ms=BTC["E"] - 400), RECV_NS)
        assert not any(isinstance(event, Quote) for event in decoder.decode(marks(BTC), RECV_NS))
        later = {**BTC, "E": BTC["E"] + 1000}
        assert first(Quote, marks(later), decoder).ask == pytest.approx(810.0, rel=1e-3)

    def test_the_last_half_hour_is_told_as_settlement_without_a_forward(self):
        expiry = contract(BTC["s"]).expiry
        settling = {**BTC, "E": expiry - SETTLEMENT_MS + 1, "P": "85900.000"}
        found = events(marks(settling))
        status = next(event for event in found if isinstance(event, Status))
        assert (status.symbol, status.state) == (BTC["s"], "settlement")
        assert not any(isinstance(event, Forward) for event in found)
        assert not any(isinstance(event, Status) for event in events(marks({**BTC, "P": "85900.000"})))

    def test_a_whole_chain_is_one_frame_of_a_quarter_megabyte(self):
        frame = marks(*({**BTC, "s": f"BTC-260925-{20_000 + 100 * at}-C"} for at in range(752)))
        assert 240_000 < len(frame) < FRAME_BYTES_MAX
        found = events(frame)
        assert [type(event) for event in found].count(Quote) == 752
        assert sum(isinstance(event, Forward) for event in found) == 1

    def test_a_mark_without_any_best_prices_gives_no_quote(self):
        """The interface before December 2025."""
        old = combined(
            "XRP@markPrice", [{"e": "markPrice", "E": 1696118400043, "s": "XRP-231006-0.44-C", "mp": "7.949"}]
        )
        (mark,) = events(old)
        assert mark.price == pytest.approx(0.07949)

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("bo", "-1"),
            ("mp", "-0.1"),
            ("bq", "nan"),
            ("ao", "inf"),
            ("i", "-1"),
            ("rf", "inf"),
            ("vo", "-7"),
            ("E", -1),
        ],
    )
    def test_numbers_that_cannot_be(self, field, value):
        assert rejection(marks({**BTC, field: value})) is RejectReason.BAD_VALUE


class TestBookTicker:
    def test_letters_mean_prices_and_sizes_here(self):
        quote = first(Quote, book_ticker())
        assert (quote.bid, quote.ask, quote.bid_size, quote.ask_size) == (801.0, 809.0, 2.0, 0.5)
        assert (quote.contract.symbol, quote.event_ns) == ("BTC-260925-86000-C", 1790161477974 * MS)
        assert quote.contract.price_unit == "quote"

    def test_a_price_is_not_believed_before_its_discount_is_known(self):
        """As quoted it would be wrong by the discount, and plausible. A new strike takes the discount of its expiry."""
        decoder = Decoder()
        decoder.decode(listing(SYMBOL), RECV_NS)
        assert events(book_ticker(), decoder) == []
        decoder.decode(marks(BTC), RECV_NS)
        known = first(Quote, book_ticker(), decoder)
        strike = first(Quote, book_ticker("BTC-260925-90000-C"), decoder)
        assert strike.bid == known.bid > 801.0

    def test_raw_form(self):
        raw = dump(json.loads(book_ticker())["data"])
        assert events(raw) == events(book_ticker())

    def test_missing_sides(self):
        quote = first(Quote, book_ticker(b="0.000", B="0.00"))
        assert (quote.bid, quote.bid_size, quote.ask) == (None, None, 809.0)

    def test_altcoins_are_per_coin(self):
        quote = first(Quote, book_ticker("DOGE-251219-0.14-C", b="5.00", B="7.00"))
        assert (quote.bid, quote.bid_size) == (0.005, 7000.0)


class TestDepth:
    ROW = {"e": "depthUpdate", "E": 1765983419936, "T": 1765983419928, "s": "ETH-251219-3100-C", "U": 121508743,
           "u": 121509455, "pu": 121508733, "b": [["16.6000", "150.23"], ["16.4000", "10.00"]],
           "a": [["18.8000", "70.00"], ["20.6000", "240.88"]]}  # fmt: skip

    def change(self, **changes) -> bytes:
        return combined("eth-251219-3100-c@depth@100ms", {**self.ROW, **changes})

    def test_the_name_of_the_stream_tells_a_partial_book_from_a_change(self):
        (quote,) = events(combined("eth-251219-3100-c@depth20@100ms", self.ROW))
        assert (quote.bid, quote.bid_size, quote.ask, quote.ask_size) == (16.6, 150.23, 18.8, 70.0)
        assert events(self.change()) == []

    def test_without_a_name_it_is_rejected(self):
        assert rejection(dump(self.ROW)) is RejectReason.BAD_SHAPE

    def test_a_partial_book_replaces_the_one_before(self):
        decoder = Decoder()
        decoder.decode(combined("x@depth5@100ms", self.ROW), 1)
        (quote,) = decoder.decode(combined("x@depth5@100ms", {**self.ROW, "b": []}), 2)
        assert quote.bid is None

    def test_only_pu_links_changes(self):
        decoder = Decoder()
        decoder.decode(self.change(), 1)
        assert decoder.decode(self.change(U=121509999, u=121510500, pu=121509455), 2) == [], "U is shared by symbols"
        (gap,) = decoder.decode(self.change(U=121510501, u=121510600, pu=121510400), 3)
        assert isinstance(gap, Gap)
        assert (gap.symbol, gap.expected, gap.received) == ("ETH-251219-3100-C", 121510500, 121510400)
        assert decoder.decode(self.change(u=121510700, pu=121510600), 4) == []

    def test_sizes_are_contracts(self):
        row = {**self.ROW, "s": "XRP-251219-2.05-P"}
        (quote,) = events(combined("xrp-251219-2.05-p@depth10@500ms", row))
        assert (quote.bid, quote.bid_size) == (pytest.approx(0.166), pytest.approx(15023.0))


class TestTrades:
    ROW = {"e": "trade", "E": 1765983422509, "T": 1765983422500, "s": "BTC-251218-89000-P", "t": 18, "p": "600.000",
           "q": "3.90", "X": "MARKET", "S": "SELL", "m": True}  # fmt: skip

    def test_taker_side_time_and_identity(self):
        (trade,) = events(combined("btcusdt@optionTrade", self.ROW))
        assert isinstance(trade, Trade)
        assert (trade.price, trade.size, trade.side, trade.trade_id, trade.is_block) == (
            600.0,
            3.9,
            "sell",
            "18",
            False,
        )
        assert trade.event_ns == 1765983422500 * MS

    def test_block_trades_are_marked(self):
        assert events(combined("btcusdt@optionTrade", {**self.ROW, "X": "BLOCK"}))[0].is_block

    def test_the_old_format(self):
        """2023: ids and sides are strings of numbers, S 1 or -1."""
        row = {"e": "trade", "E": 1, "s": "DOGE-231006-0.06-C", "t": "15", "p": "2.64", "q": "0.01", "T": 2, "S": "-1"}
        (trade,) = events(combined("DOGE-231006-0.06-C@trade", row))
        assert (trade.side, trade.price, trade.size) == ("sell", 0.00264, 10.0)

    @pytest.mark.parametrize("change", [{"S": "CALL"}, {"p": "0"}, {"q": "0"}])
    def test_impossible_trades(self, change):
        assert rejection(combined("x@optionTrade", {**self.ROW, **change})) is RejectReason.BAD_VALUE


class TestListing:
    def test_terms(self):
        (listed,) = events(listing(SYMBOL))
        assert isinstance(listed, Instrument)
        of = listed.contract
        assert (of.ccy, of.kind, of.type, of.strike, of.expiry) == ("XRP", "option", "P", 2.05, 1766131200000)
        assert (listed.contract_size, listed.index, listed.state) == (100.0, "XRPUSDT", "open")
        assert listed.tick_size == 0.01 / 100, "per coin, as prices are"
        assert listed.min_size == 1.0, "coins"

    def test_side_is_the_option_type_here(self):
        assert events(listing({**SYMBOL, "side": "CALL"}))[0].contract.type == "C"
        assert rejection(listing({**SYMBOL, "side": "BUY"})) is RejectReason.BAD_VALUE

    def test_the_listing_decides_the_unit(self):
        decoder = Decoder()
        decoder.decode(listing({**SYMBOL, "unit": 10}), 1)
        assert first(Mark, marks(XRP), decoder).price == pytest.approx(1.90314)
        other = first(Mark, marks({**XRP, "s": "XRP-251219-2.10-P"}), decoder)
        assert other.price == pytest.approx(1.90314), "and that of contracts of the coin that are not listed yet"

    def test_options_on_stocks_are_left_out(self):
        stock = {
            **SYMBOL,
            "symbol": "TSLA-261218-400-C",
            "underlyingType": "EQUITY",
            "contractType": "TRADFI_OPTIONS",
            "unit": 1,
        }
        odd = {**stock, "symbol": "BRK.B-261218-400-C"}
        (listed,) = events(listing(stock, SYMBOL, odd))
        assert listed.contract.ccy == "XRP"

    def test_listings_before_july_2026_name_no_underlying_type(self):
        row = {name: value for name, value in SYMBOL.items() if name not in ("underlyingType", "contractType")}
        assert len(events(listing(row))) == 1

    def test_what_is_no_longer_listed_is_closed(self):
        decoder = Decoder()
        other = {**SYMBOL, "symbol": "XRP-251219-2.05-C", "side": "CALL"}
        decoder.decode(listing(SYMBOL, other), 1)
        kept, gone = decoder.decode(listing(SYMBOL), 2)
        assert isinstance(kept, Instrument)
        assert (gone.symbol, gone.state) == ("XRP-251219-2.05-C", "closed")

    def test_an_empty_listing_ends_nothing(self):
        decoder = Decoder()
        decoder.decode(listing(SYMBOL), 1)
        assert decoder.decode(listing(), 2) == []
        assert len(decoder.decode(listing(SYMBOL), 3)) == 1

    def test_a_contract_that_does_not_trade(self):
        assert events(listing({**SYMBOL, "status": "HALT"}))[0].state == "halt"

    def test_a_new_symbol_is_told_by_its_name_alone(self):
        """The documented sample contradicts itself: strike 21000 and a delivery in 2100 for this name."""
        row = {"e": "optionSymbol", "E": 1669356423908, "s": "BTC-250926-140000-C", "ps": "BTCUSDT", "qa": "USDT", "d": "CALL",
               "sp": "21000", "dt": 4133404800000, "u": 1, "ot": 1569398400000, "cs": "TRADING"}  # fmt: skip
        (status,) = events(combined("!optionSymbol", row))
        assert isinstance(status, Status)
        assert (status.symbol, status.ccy, status.state) == ("BTC-250926-140000-C", "BTC", "created")


def test_index_prices():
    rows = [{"e": "indexPrice", "E": 1763092572229, "s": name, "p": "3224.51976744"} for name in ("ETHUSDT", "BTCUSDT")]
    found = events(combined("!index@arr", rows))
    assert [(event.symbol, event.ccy, event.price) for event in found] == [
        ("ETHUSDT", "ETH", 3224.51976744),
        ("BTCUSDT", "BTC", 3224.51976744),
    ]
    assert all(isinstance(event, Index) for event in found)


def test_open_interest_is_of_the_next_mark_in_coins():
    decoder = Decoder()
    row = {"e": "openInterest", "E": 1765983420500, "s": "XRP-251219-2.05-P", "o": "123.45", "h": "1"}
    for stream in ("xrpusdt@openInterest@251219", "xrpusdt@optionOpenInterest@251219"):
        assert events(combined(stream, [row]), decoder) == []
    assert first(Mark, marks(XRP), decoder).open_interest == 12345.0


def test_the_new_option_ticker_says_nothing_of_the_market():
    """Since December 2025 without best prices and greeks: an absent bid there is not an empty side."""
    row = {"e": "24hrTicker", "E": 1765983420778, "s": "BTC-251219-89000-C", "p": "695.000", "P": "95.862", "w": "636.186",
           "c": "1420.000", "Q": "1.54", "o": "725.000", "h": "1420.000", "l": "235.000", "v": "44.43", "n": 107}  # fmt: skip
    assert events(combined("btc-251219-89000-c@optionTicker", row)) == []


def test_the_old_ticker():
    row = {"e": "24hrTicker", "E": 1696118400043, "s": "BTC-240927-25000-P", "c": "0", "bo": "3000", "ao": "3950", "bq": "2.55",
           "aq": "5.8", "b": "0.3804034", "a": "0.47609568", "vo": "0.42824954", "mp": "3475"}  # fmt: skip
    quote, mark = events(combined("BTC-240927-25000-P@ticker", row))
    assert (quote.bid, quote.ask) == (3000.0, 3950.0)
    assert (mark.price, mark.iv, mark.last) == (3475.0, 0.42824954, None)


@pytest.mark.parametrize(
    ("symbol", "ccy", "strike", "expiry"),
    [
        ("BTC-260925-86000-C", "BTC", 86000.0, 1790323200000),
        ("BNB-251219-880-P", "BNB", 880.0, 1766131200000),
        ("SOL-251219-142.5-C", "SOL", 142.5, 1766131200000),
        ("XRP-230331-0.365-P", "XRP", 0.365, 1680249600000),
        ("DOGE-231006-0.06-C", "DOGE", 0.06, 1696579200000),
    ],
)
def test_contract_names(symbol, ccy, strike, expiry):
    of = contract(symbol)
    assert (of.ccy, of.kind, of.price_unit, of.strike, of.expiry) == (ccy, "option", "quote", strike, expiry)
    assert of.type == symbol[-1]


@pytest.mark.parametrize(
    "symbol",
    ["", "BTC", "btc-260925-86000-c", "BTC-261331-100-C", "BTC-260925-86000-X", "BTC-260925-0-C", "BTC-260925-" + "9" * 400 + "-C",
     "BTC-26٠925-86000-C"],
)  # fmt: skip
def test_names_outside_the_grammar_are_rejected(symbol):
    assert rejection(book_ticker(s=symbol)) is RejectReason.BAD_SYMBOL


@pytest.mark.parametrize(
    "payload",
    [
        b'{"result":null,"id":1}', b'{"result":["btcusdt@optionMarkPrice"],"id":3}', b'{"id":5,"result":null}',
        b'{"code":2,"msg":"Invalid request: unknown variant"}', b'{"error":{"code":-1121,"msg":"Invalid symbol."},"id":7}',
        combined("!index@arr", []), marks(), combined("btc-251219-89000-c@kline_1m", {"e": "kline", "E": 1, "s": "X", "k": {}}),
    ],
)  # fmt: skip
def test_control_messages_and_empty_ones_give_no_events(payload):
    assert events(payload) == []


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", RejectReason.NOT_JSON), (b"{", RejectReason.NOT_JSON), (b"\xff\xfe", RejectReason.NOT_JSON),
        (b"[1,2]", RejectReason.BAD_SHAPE), (b"{}", RejectReason.BAD_SHAPE), (b"7", RejectReason.BAD_SHAPE),
        (b'{"error":' + b"[" * 100_000, RejectReason.NOT_JSON), (b"[" * 100_000, RejectReason.BAD_SHAPE),
        (marks({**BTC, "E": "now"}), RejectReason.BAD_SHAPE), (marks({**BTC, "s": None}), RejectReason.BAD_SHAPE),
        (marks({**BTC, "E": 10**20}), RejectReason.BAD_VALUE),
        (combined("x@y", {"e": "secret"}), RejectReason.UNKNOWN_MESSAGE), (combined("x@y", {}), RejectReason.BAD_SHAPE),
        (combined("!index@arr", [{"e": "indexPrice", "E": 1, "s": "BTCUSDT", "p": "0"}]), RejectReason.BAD_VALUE),
        (listing({**SYMBOL, "strikePrice": "0"}), RejectReason.BAD_VALUE), (listing({**SYMBOL, "unit": 0}), RejectReason.BAD_VALUE),
    ],
)  # fmt: skip
def test_bad_bytes_are_rejected_with_their_reason(payload, reason):
    assert rejection(payload) is reason
