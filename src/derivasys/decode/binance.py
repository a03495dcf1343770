"""Binance European options (eapi): public market data → events.

Source: developers.binance.com/docs/derivatives/options-trading (streams `optionMarkPrice`, `bookTicker`, `depth`,
`optionTrade`, `!index@arr`, `openInterest`, `!optionSymbol`; `GET /eapi/v1/exchangeInfo`), as of December 2025;
messages of the old interface (`markPrice`, `ticker`, `trade`, `depth100`, `index`) are read too.

Units. A price is of one contract of `unit` coins (XRP 100, DOGE 1000): prices become per coin, sizes coins. The venue
values by Black-Scholes on the spot index i at a rate rf, which is Black-76 on F = i·exp(rf·τ) discounted by exp(−rf·τ),
τ = ACT/365 to 08:00 UTC. F becomes a Forward, and every price is divided by that discount factor, because prices
everywhere else are undiscounted. With rf 0, i is the spot and no forward: none is told then.

Of every number: is 0 a market value or a placeholder? Prices and sizes of an empty side are "0.000", IVs of none are
"-1.0", `P` is 0 but for the last half hour. `b` and `a` are vols in `optionMarkPrice`, prices in `bookTicker`, levels
in `depth`.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct, field

from derivasys.decode.book import Book
from derivasys.decode.text import Millis, Positive, failed
from derivasys.expiry import expiry_ms_of_digits
from derivasys.messages import (
    Contract,
    DecodeError,
    Event,
    Forward,
    Gap,
    Index,
    Instrument,
    Mark,
    OptionType,
    PriceUnit,
    Quote,
    RejectReason,
    Side,
    Status,
    TakerFee,
    Trade,
)

T = TypeVar("T")
VENUE = "binance"
DISCOUNTS_MAX = 4096
FEES: dict[PriceUnit, TakerFee] = {"quote": TakerFee(0.0003, 0.10)}
"""Without any discount tier (binance.com, FAQ: Options Trading Fees)."""
CONTRACTS_MAX = 65_536
"""Contracts remembered by one decoder; one more is refused as BAD_VALUE."""
UNITS = {"XRP": 100.0, "DOGE": 1000.0}
"""Coins a contract, as documented, until the listing says otherwise; 1 for other coins."""
BBO_AGE_NS = 1_000_000_000 - 1
"""The best prices inside a mark message may be as old as its cadence; what `bookTicker` said since is newer. What it
said in that very millisecond is not, though it may come later, on a connection of its own."""
SETTLEMENT_MS = 30 * 60_000
"""Marks move to the running average of the index in the last half hour: no market for a surface."""
_MS = 1_000_000
_YEAR_MS = 365 * 86_400_000
_CARRY_MAX = 1.0

COIN = re.compile(rb'\{"stream":"([a-z0-9]+?)(?:usdt)?[@-]')
"""What a frame of one coin alone begins with; of any other, nothing is said."""
_OPTION = re.compile(r"([A-Z0-9]+)-([0-9]{6})-([0-9]+(?:\.[0-9]+)?)-([CP])")


@lru_cache(maxsize=1 << 16)
def contract(symbol: str) -> Contract:
    """Return the option that a name such as XRP-251219-2.05-P stands for. Raises DecodeError (BAD_SYMBOL)."""
    match = _OPTION.fullmatch(symbol)
    if match is None:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol[:40]!r} is not a Binance option name")
    coin, date, strike, kind = match.groups()
    try:
        expiry = expiry_ms_of_digits(date)
    except ValueError as error:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r}: {error}") from None
    if not 0.0 < float(strike) < math.inf:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol[:40]!r}: strike {strike[:40]}")
    return _option(symbol, coin, expiry, float(strike), "C" if kind == "C" else "P")


def _option(symbol: str, coin: str, expiry: int, strike: float, kind: OptionType) -> Contract:
    return Contract(VENUE, symbol, coin, "option", "quote", expiry, strike, kind)


class _Terms:
    """What is known of one contract beside its name."""

    __slots__ = ("contract", "expiry", "is_discount_known", "open_interest", "scale", "ticker_ns", "unit")

    def __init__(self, of: Contract, unit: float) -> None:
        assert of.expiry is not None
        self.contract = of
        self.expiry = of.expiry
        self.unit = unit
        """Coins a contract."""
        self.scale = unit
        """Unit times discount factor: what a price as quoted is divided by."""
        self.open_interest: float | None = None
        """Coins."""
        self.is_discount_known = False
        """Until then a price as quoted would be wrong by the discount, and plausible."""
        self.ticker_ns = 0
        """Event time of the last `bookTicker`."""

    def carry(self, discount: float) -> None:
        """Take the discount factor to the expiry."""
        self.scale = self.unit * discount
        self.is_discount_known = True


class Decoder:
    """Decodes all connections' messages. Its state: contracts (unit, discount, open interest), depth sequences."""

    def __init__(self) -> None:
        self._terms: dict[str, _Terms] = {}
        self._units = dict(UNITS)
        """By coin: what the last listed contract of it has."""
        self._listed: set[str] = set()
        self._discounts: dict[tuple[str, int], float] = {}
        """By coin and expiry, as last stated; at most `DISCOUNTS_MAX`."""
        self._depth_id: dict[str, int] = {}

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one frame or REST reply; [] for acknowledgements and statistics.

        Raises DecodeError, and nothing else, for bytes that are no message of Binance.
        """
        try:
            if payload.find(b'@bookTicker","data":', 0, 64) > 0:
                return self._book_ticker(_BOOK_TICKER.decode(payload).data, recv_ns)
            if payload.find(b'@optionMarkPrice","data":', 0, 64) > 0:
                return self._marks(_MARKS.decode(payload).data, recv_ns)
            if payload.find(b'@optionTrade","data":', 0, 64) > 0:
                row = _TRADES.decode(payload).data
                return [self._trade(row.symbol, row.side, row, recv_ns)]
            return self._other(payload, recv_ns)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise failed(error) from None

    def _other(self, payload: bytes, recv_ns: int) -> list[Event]:
        if payload[:1] == b"[":
            return self._payload("", Raw(payload), recv_ns)
        envelope = _ENVELOPE.decode(payload)
        if envelope.stream is not None and bytes(envelope.data):
            return self._payload(envelope.stream, envelope.data, recv_ns)
        if envelope.event is not None:
            return self._payload("", Raw(payload), recv_ns)
        if envelope.symbols is not None:
            return self._listing(envelope.symbols, recv_ns)
        if bytes(envelope.result) or envelope.error is not None or envelope.code is not None:
            return []  # acknowledgements, lists of subscriptions, errors: the session's business
        raise DecodeError(RejectReason.BAD_SHAPE, "neither a reply nor a stream's message")

    def _payload(self, stream: str, data: Raw, recv_ns: int) -> list[Event]:
        """Tell messages apart by their `e`; only depth needs its stream's name."""
        kinds = _KIND.decode(data)
        if not kinds:
            return []
        kind = kinds[0].event if isinstance(kinds, list) else kinds.event
        if kind in ("depthUpdate", "depth"):
            return self._depth(stream, _DEPTH.decode(data), recv_ns)
        if kind == "markPrice":
            return self._marks(_rows(_MARK.decode(data)), recv_ns)
        if kind == "trade":
            return [self._trade(row.symbol, row.side, row, recv_ns) for row in _rows(_TRADE.decode(data))]
        if kind == "trade_all":
            return [self._trade(row.side, row.symbol, row, recv_ns) for row in _TRADE_ALL.decode(data).trades]
        if kind == "bookTicker":
            return [event for row in _rows(_TICKER.decode(data)) for event in self._book_ticker(row, recv_ns)]
        if kind in ("indexPrice", "index"):
            return [_index(row, recv_ns) for row in _rows(_INDEX.decode(data))]
        if kind == "24hrTicker":
            return [event for row in _rows(_MARK.decode(data)) for event in self._statistics(row, recv_ns)]
        if kind == "openInterest":
            return self._open_interest(_rows(_OPEN_INTEREST.decode(data)))
        if kind == "optionSymbol":
            return [_new_symbol(row, recv_ns) for row in _rows(_NEW_SYMBOL.decode(data))]
        if kind == "kline":
            return []
        raise DecodeError(RejectReason.UNKNOWN_MESSAGE, f"event {kind!r}")

    # --- quotes and marks ---

    def _book_ticker(self, row: _BookTicker, recv_ns: int) -> list[Event]:
        terms = self._terms.get(row.symbol) or self._learn(row.symbol)
        if not terms.is_discount_known:
            discount = self._discounts.get((terms.contract.ccy, terms.expiry))
            if discount is not None:
                terms.carry(discount)
            elif self._listed:
                # Marks come each second and state the same prices. Frames without a listing are read as they are.
                return []
        terms.ticker_ns = row.time * _MS
        return [_quote(terms, row, terms.ticker_ns, recv_ns)]

    def _marks(self, rows: list[_Mark], recv_ns: int) -> list[Event]:
        events: list[Event] = []
        known = self._terms
        carries: dict[int, tuple[float, float | None, float]] = {}
        for row in rows:
            terms = known.get(row.symbol) or self._learn(row.symbol)
            of = terms.contract
            event_ns = row.time * _MS
            is_settling = bool(row.settlement) and 0 <= terms.expiry - row.time <= SETTLEMENT_MS
            if row.rate is not None:
                carry = carries.get(terms.expiry)
                if carry is None or carry[0] != row.rate or carry[1] != row.index:
                    discount, forward = _carry(terms, row.rate, row.index, row.time)
                    carries[terms.expiry] = carry = (row.rate, row.index, discount)
                    if forward is not None and not is_settling:
                        events.append(Forward(VENUE, f"{of.ccy}USDT", of.ccy, terms.expiry, recv_ns, event_ns, forward))
                    if len(self._discounts) >= DISCOUNTS_MAX:
                        self._discounts.clear()  # the next marks state them again
                    self._discounts[of.ccy, terms.expiry] = discount
                terms.carry(carry[2])
            else:
                terms.is_discount_known = True  # marks that state no rate: prices as they are
            bbo_ns = event_ns - BBO_AGE_NS
            if (row.bid is not None or row.ask is not None) and bbo_ns >= terms.ticker_ns:
                events.append(_quote(terms, row, bbo_ns, recv_ns))
            events.append(_mark(terms, row, None, event_ns, recv_ns))
            if is_settling:
                events.append(Status(VENUE, of.symbol, of.ccy, recv_ns, event_ns, "settlement", f"{row.settlement:g}"))
        return events

    def _statistics(self, row: _Mark, recv_ns: int) -> list[Event]:
        """Return quote and mark of the old `ticker`; the new `optionTicker` holds neither, only statistics of a day."""
        if row.bid is None or row.ask is None:
            return []
        terms = self._terms.get(row.symbol) or self._learn(row.symbol)
        event_ns = row.time * _MS
        return [
            _quote(terms, row, event_ns, recv_ns),
            _mark(terms, row, row.last or None, event_ns, recv_ns),
        ]

    def _depth(self, stream: str, row: _Depth, recv_ns: int) -> list[Event]:
        """Return the best prices of a partial book, or the gap before a change; changes alone are no book.

        Both have the event type `depthUpdate`. A change's book would start from `GET /depth`, whose reply does not
        name its contract; the session follows `bookTicker` instead.
        """
        channel = stream.partition("@depth")[2]
        if not channel:
            raise DecodeError(RejectReason.BAD_SHAPE, "a depth message without the name of its stream")
        terms = self._terms.get(row.symbol) or self._learn(row.symbol)
        event_ns = row.time * _MS
        if channel[0].isdigit():
            bid, ask, bid_size, ask_size = Book(row.bids, row.asks, row.last_id).best()
            best = _BookTicker(row.symbol, row.time, bid, bid_size, ask, ask_size)
            return [_quote(terms, best, event_ns, recv_ns)]
        expected = self._depth_id.get(row.symbol)
        if expected is None and len(self._depth_id) >= CONTRACTS_MAX:
            raise DecodeError(RejectReason.BAD_VALUE, f"more than {CONTRACTS_MAX} books")
        self._depth_id[row.symbol] = row.last_id
        if expected is None or expected == row.previous_id:
            return []
        of = terms.contract
        return [Gap(VENUE, of.symbol, of.ccy, recv_ns, event_ns, expected, row.previous_id)]

    def _trade(self, symbol: str, side: str, row: _Trade, recv_ns: int) -> Trade:
        terms = self._terms.get(symbol) or self._learn(symbol)
        taker = _SIDES.get(side)
        if taker is None or row.price == 0.0 or row.size == 0.0:
            raise DecodeError(RejectReason.BAD_VALUE, f"{symbol}: {side!r} trade of {row.size} at {row.price}")
        return Trade(
            terms.contract, recv_ns, row.time * _MS, row.price / terms.scale, row.size * terms.unit, taker,
            str(row.trade_id), is_block=row.kind == "BLOCK",
        )  # fmt: skip

    def _open_interest(self, rows: list[_OpenInterest]) -> list[Event]:
        """Keep open interest for the contract's next mark."""
        for row in rows:
            terms = self._terms.get(row.symbol) or self._learn(row.symbol)
            terms.open_interest = row.contracts * terms.unit
        return []

    # --- contracts ---

    def _learn(self, symbol: str) -> _Terms:
        of = contract(symbol)
        return self._remember(of, self._units.get(of.ccy, 1.0))

    def _remember(self, of: Contract, unit: float) -> _Terms:
        if len(self._terms) >= CONTRACTS_MAX:
            raise DecodeError(RejectReason.BAD_VALUE, f"more than {CONTRACTS_MAX} contracts")
        terms = self._terms[of.symbol] = _Terms(of, unit)
        return terms

    def _listing(self, rows: list[_Symbol], recv_ns: int) -> list[Event]:
        """Return all listed options on coins, and the end of those that were listed and are no longer.

        A listing of nothing is an outage, and ends nothing.
        """
        if not rows:
            return []
        events: list[Event] = [self._instrument(row, recv_ns) for row in rows if _is_on_coin(row)]
        listed = {event.contract.symbol for event in events if isinstance(event, Instrument)}
        for symbol in sorted(self._listed - listed):
            terms = self._terms.pop(symbol, None)
            self._depth_id.pop(symbol, None)
            if terms is not None:
                events.append(Status(VENUE, symbol, terms.contract.ccy, recv_ns, None, "closed", "no longer listed"))
        self._listed = listed
        return events

    def _instrument(self, row: _Symbol, recv_ns: int) -> Instrument:
        kind = _TYPES.get(row.side)
        coin = contract(row.symbol).ccy
        if kind is None or row.strike == 0.0 or not 1e-9 < row.unit < 1e9:
            raise DecodeError(RejectReason.BAD_VALUE, f"{row.symbol}: {row.side!r} at {row.strike}, unit {row.unit}")
        terms = self._terms.get(row.symbol)
        of = _option(row.symbol, coin, row.expiry, row.strike, kind)
        if terms is None or terms.contract != of or terms.unit != row.unit:
            self._remember(of, row.unit)
        self._units[coin] = row.unit
        ticks = [at.tick for at in row.filters if at.kind == "PRICE_FILTER" and at.tick]
        return Instrument(
            of, recv_ns, None, row.unit, ticks[0] / row.unit if ticks else None,
            min_size=row.min_size * row.unit if row.min_size else None, index=row.underlying,
            state="open" if row.status == "TRADING" else row.status.lower(),
        )  # fmt: skip


# --- rows → events -------------------------------------------------------------------------------


def _quote(terms: _Terms, row: _BookTicker | _Mark, event_ns: int, recv_ns: int) -> Quote:
    """Return the best prices: per coin, sizes in coins, None where price or size is 0 or not stated."""
    bid, ask, bid_size, ask_size = row.bid, row.ask, row.bid_size, row.ask_size
    if bid and bid_size:
        bid, bid_size = bid / terms.scale, bid_size * terms.unit
    else:
        bid = bid_size = None
    if ask and ask_size:
        ask, ask_size = ask / terms.scale, ask_size * terms.unit
    else:
        ask = ask_size = None
    return Quote(terms.contract, recv_ns, event_ns, bid, ask, bid_size, ask_size)


def _carry(terms: _Terms, rate: float, index: float | None, time: int) -> tuple[float, float | None]:
    """Return the discount factor to the contract's expiry and the forward; 1 and None where the rate tells of none.

    Within minutes of expiry any basis makes an absurd rate: it is the carry rf·τ that must be sensible.
    """
    carry = rate * (terms.expiry - time) / _YEAR_MS
    if carry == 0.0 or time >= terms.expiry or not -_CARRY_MAX <= carry <= _CARRY_MAX:
        return 1.0, None
    growth = math.exp(carry)
    return 1.0 / growth, index * growth if index else None


def _mark(terms: _Terms, row: _Mark, last: float | None, event_ns: int, recv_ns: int) -> Mark:
    iv, price = row.iv, row.price
    return Mark(
        terms.contract, recv_ns, event_ns, None if price is None else price / terms.scale,
        iv if iv is not None and iv > 0.0 else None, None if last is None else last / terms.scale, terms.open_interest,
    )  # fmt: skip


def _index(row: _IndexRow, recv_ns: int) -> Index:
    if row.price == 0.0:
        raise DecodeError(RejectReason.BAD_VALUE, f"{row.symbol}: index 0")
    return Index(VENUE, row.symbol, row.symbol.removesuffix("USDT"), recv_ns, row.time * _MS, row.price)


def _new_symbol(row: _NewSymbol, recv_ns: int) -> Status:
    """Tell of a listing by its name alone: the other fields contradict it, and do not say whether it is of a coin."""
    state = "created" if row.status == "TRADING" else row.status.lower()
    return Status(VENUE, row.symbol, contract(row.symbol).ccy, recv_ns, row.time * _MS, state)


def _is_on_coin(row: _Symbol) -> bool:
    return row.underlying_type in ("", "CRYPTO", "COIN") and row.contract_type in ("", "CRYPTO_OPTIONS")


_SIDES: dict[str, Side] = {"BUY": "buy", "SELL": "sell", "1": "buy", "-1": "sell"}
_TYPES: dict[str, OptionType] = {"CALL": "C", "PUT": "P"}


# --- raw message types: numbers are strings, keys single letters ----------------------------------

_Rate = Annotated[float, Meta(ge=-1e6, le=1e6)]
_Vol = Annotated[float, Meta(ge=-1.0, le=1000.0)]
"""-1 stands for none."""


class _BookTicker(Struct, gc=False):
    symbol: str = field(name="s")
    time: Millis = field(name="E")
    bid: Positive | None = field(name="b")
    bid_size: Positive | None = field(name="B")
    ask: Positive | None = field(name="a")
    ask_size: Positive | None = field(name="A")


class _Mark(Struct, gc=False, kw_only=True):
    symbol: str = field(name="s")
    time: Millis = field(name="E")
    price: Positive | None = field(name="mp", default=None)
    last: Positive | None = field(name="c", default=None)
    index: Positive | None = field(name="i", default=None)
    settlement: Positive | None = field(name="P", default=None)
    bid: Positive | None = field(name="bo", default=None)
    ask: Positive | None = field(name="ao", default=None)
    bid_size: Positive | None = field(name="bq", default=None)
    ask_size: Positive | None = field(name="aq", default=None)
    iv: _Vol | None = field(name="vo", default=None)
    rate: _Rate | None = field(name="rf", default=None)


class _Depth(Struct, gc=False):
    symbol: str = field(name="s")
    time: Millis = field(name="E")
    last_id: int = field(name="u")
    previous_id: int = field(name="pu")
    bids: list[tuple[Positive, Positive]] = field(name="b")
    asks: list[tuple[Positive, Positive]] = field(name="a")


class _Trade(Struct, gc=False, kw_only=True):
    symbol: str = field(name="s")
    side: str = field(name="S")
    time: Millis = field(name="T")
    price: Positive = field(name="p")
    size: Positive = field(name="q")
    trade_id: str | int = field(name="t")
    kind: str = field(name="X", default="")


class _TradeAll(Struct, gc=False):
    trades: list[_Trade] = field(name="t")
    """Of 2021: in these `S` is the contract and `s` the side."""


class _IndexRow(Struct, gc=False):
    symbol: str = field(name="s")
    time: Millis = field(name="E")
    price: Positive = field(name="p")


class _OpenInterest(Struct, gc=False):
    symbol: str = field(name="s")
    contracts: Positive = field(name="o")


class _NewSymbol(Struct, gc=False):
    symbol: str = field(name="s")
    time: Millis = field(name="E")
    status: str = field(name="cs", default="TRADING")


class _Filter(Struct, gc=False):
    kind: str = field(name="filterType")
    tick: Positive | None = field(name="tickSize", default=None)


class _Symbol(Struct, gc=False, kw_only=True):
    symbol: str
    side: str
    """CALL or PUT here, BUY or SELL elsewhere."""
    strike: Positive = field(name="strikePrice")
    expiry: Millis = field(name="expiryDate")
    unit: Positive = 1.0
    underlying: str | None = None
    status: str = "TRADING"
    filters: list[_Filter] = []
    min_size: Positive | None = field(name="minQty", default=None)
    underlying_type: str = field(name="underlyingType", default="")
    contract_type: str = field(name="contractType", default="")


class _Kind(Struct, gc=False):
    event: str = field(name="e")


class _Envelope(Struct, gc=False):
    stream: str | None = None
    data: Raw = Raw()
    event: str | None = field(name="e", default=None)
    result: Raw = Raw()
    error: Any = None
    code: Any = None
    symbols: list[_Symbol] | None = field(name="optionSymbols", default=None)


class _BookTickerMessage(Struct, gc=False):
    data: _BookTicker


class _MarksMessage(Struct, gc=False):
    data: list[_Mark]


class _TradeMessage(Struct, gc=False):
    data: _Trade


def _rows(data: T | list[T]) -> list[T]:
    return data if isinstance(data, list) else [data]


_BOOK_TICKER = msgspec.json.Decoder(_BookTickerMessage, strict=False)
_MARKS = msgspec.json.Decoder(_MarksMessage, strict=False)
_TRADES = msgspec.json.Decoder(_TradeMessage, strict=False)
_ENVELOPE = msgspec.json.Decoder(_Envelope, strict=False)
_KIND = msgspec.json.Decoder(_Kind | list[_Kind])
_MARK = msgspec.json.Decoder(_Mark | list[_Mark], strict=False)
_TICKER = msgspec.json.Decoder(_BookTicker | list[_BookTicker], strict=False)
_DEPTH = msgspec.json.Decoder(_Depth, strict=False)
_TRADE = msgspec.json.Decoder(_Trade | list[_Trade], strict=False)
_TRADE_ALL = msgspec.json.Decoder(_TradeAll, strict=False)
_INDEX = msgspec.json.Decoder(_IndexRow | list[_IndexRow], strict=False)
_OPEN_INTEREST = msgspec.json.Decoder(_OpenInterest | list[_OpenInterest], strict=False)
_NEW_SYMBOL = msgspec.json.Decoder(_NewSymbol | list[_NewSymbol], strict=False)
