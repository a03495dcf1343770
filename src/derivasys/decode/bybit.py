"""Bybit's public v5 messages → events.

Source: bybit-exchange.github.io/docs/v5 (topics `tickers`, `orderbook`, `publicTrade`, `system.status`; REST
`market/instruments-info`, `market/tickers`, `market/recent-trade`, `market/orderbook`, `system/status`).

Of every number: is 0 a market value or a placeholder? Numbers are strings. A price or size "0" of a side means none;
an IV of "0" means none and "5" is a cap. IVs are fractions. All options are linear: prices in USDT (names that end in
-USDT) or USDC (names without), sizes in coins. Greeks are not read: below a day to expiry the venue scales them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from derivasys.decode.book import Book
from derivasys.decode.known import Known
from derivasys.decode.text import Amount, Millis, Positive, failed, implied_vol
from derivasys.expiry import expiry_ms
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

VENUE = "bybit"
BOOKS_MAX = 65_536
"""Order books of one decoder; a message about one more is refused as BAD_VALUE."""
FEES: dict[PriceUnit, TakerFee] = {"quote": TakerFee(0.0003, 0.07)}
"""Without any discount tier (bybit.com, Bybit Option Fees Explained)."""
_MS = 1_000_000

# The day has no leading zero; only a trailing -USDT tells the two series of one strike and expiry apart.
COIN = re.compile(rb'\{(?:"id":"[^"]*",)?"topic":"(?:tickers|publicTrade|orderbook\.\d+)\.([A-Z0-9]+?)(?:USDT)?-')
"""What a frame of one coin alone begins with; of any other, nothing is said."""
_OPTION = re.compile(r"([A-Z0-9]+)-(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:\.\d+)?)-([CP])(-USDT)?")
_DATED = re.compile(r"([A-Z0-9]+?)(USDT)?-(\d{1,2}[A-Z]{3}\d{2})")
_PERPETUAL = re.compile(r"([A-Z0-9]+?)(?:USDT|PERP|USDC|USD)")
_INVERSE_DATED = re.compile(r"([A-Z0-9]+?)USD[FGHJKMNQUVXZ]\d{2}")
_INVERSE = re.compile(r"[A-Z0-9]+?USD(?:[FGHJKMNQUVXZ]\d{2})?")


@lru_cache(maxsize=1 << 16)
def contract(symbol: str) -> Contract:
    """Return the contract that a Bybit symbol stands for. The strike is only in the name.

    Inverse dated futures (BTCUSDH26) state no day: their expiry is None. Raises DecodeError (BAD_SYMBOL).
    """
    try:
        if match := _OPTION.fullmatch(symbol):
            coin, date, strike, kind, suffix = match.groups()
            return Contract(
                VENUE, symbol, coin, "option", "quote", expiry_ms(date), float(strike), "C" if kind == "C" else "P",
                "USDT" if suffix else "USDC",
            )  # fmt: skip
        if match := _DATED.fullmatch(symbol):
            return Contract(VENUE, symbol, match[1], "future", "quote", expiry_ms(match[3]), series=match[2] or "USDC")
    except ValueError as error:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r}: {error}") from None
    if match := _INVERSE_DATED.fullmatch(symbol):
        return Contract(VENUE, symbol, match[1], "future", "quote")
    if match := _PERPETUAL.fullmatch(symbol):
        return Contract(VENUE, symbol, match[1], "perpetual", "quote")
    raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r} is not a Bybit symbol")


class _Known:
    """What is remembered of one instrument."""

    __slots__ = ("contract", "forward", "index", "is_in_dollars", "ticker")

    def __init__(self, of: Contract) -> None:
        self.contract = of
        is_usdt = "USDT" in of.symbol
        day = of.symbol.split("-", 2)[1] if of.kind == "option" else ""
        self.forward = f"{of.ccy}USDT-{day}" if is_usdt else f"{of.ccy}-{day}"
        """Of an option: the series, named as the dated future of its day would be."""
        self.index = of.ccy + ("USDT" if is_usdt else "USD")
        self.is_in_dollars = of.kind != "option" and _INVERSE.fullmatch(of.symbol) is not None
        """Whether sizes are dollars: those of inverse futures."""
        self.ticker: dict[str, Any] | None = None
        """The merged ticker of a future; those of options are complete each time."""


class Decoder:
    """Decodes Bybit's messages; remembers listed contracts, the tickers of futures and order books."""

    def __init__(self) -> None:
        self._known = Known(_Known, contract)
        self._books: dict[str, Book] = {}
        """By topic."""

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one frame or REST reply; [] for acknowledgements, pongs and errors.

        Raises DecodeError, and nothing else, for bytes that are no message of Bybit.
        """
        try:
            if payload.find(b'"topic":"tickers.', 0, 128) >= 0:
                message = _TICKER.decode(payload)
                row = message.data
                known = self._known.get(row.symbol) or self._known.of(row.symbol, recv_ns)
                if known.contract.kind == "option":
                    return _ticker_events(known, row, message.ts, recv_ns)
            return self._other(payload, recv_ns)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise failed(error) from None

    def _other(self, payload: bytes, recv_ns: int) -> list[Event]:
        envelope = _ENVELOPE.decode(payload)
        if envelope.topic is not None:
            if not bytes(envelope.data):
                raise DecodeError(RejectReason.BAD_SHAPE, "no data")
            return self._push(envelope, envelope.topic, recv_ns)
        if envelope.op is not None or envelope.success is not None:
            return []
        if envelope.ret_code is None:
            raise DecodeError(RejectReason.BAD_SHAPE, "neither a topic nor a reply nor an acknowledgement")
        if envelope.ret_code != 0 or not bytes(envelope.result):
            return []
        return self._reply(envelope.result, envelope.time, recv_ns)

    def _push(self, envelope: _Envelope, topic: str, recv_ns: int) -> list[Event]:
        family = topic.partition(".")[0]
        if family == "tickers":
            return self._ticker(envelope, recv_ns)
        if family == "orderbook":
            row = _BOOK.decode(envelope.data)
            return self._book(topic, envelope.type == "snapshot", row, envelope.ts, recv_ns)
        if family == "publicTrade":
            rows = _TRADES.decode(envelope.data)
            return [self._trade(row, recv_ns) for row in rows]
        if family == "system":
            return [_status(row, envelope.ts, recv_ns) for row in _STATUSES.decode(envelope.data)]
        if family in _TOPICS_WITHOUT_EVENTS:
            return []
        raise DecodeError(RejectReason.UNKNOWN_MESSAGE, f"topic {topic!r}")

    # --- pushes ---

    def _ticker(self, envelope: _Envelope, recv_ns: int) -> list[Event]:
        """An option's ticker is whole; a future's is a snapshot, then the fields that changed."""
        changed = _FIELDS.decode(envelope.data)
        symbol = changed.get("symbol")
        if not isinstance(symbol, str):
            raise DecodeError(RejectReason.BAD_SHAPE, "ticker without symbol")
        known = self._known.of(symbol, recv_ns)
        if known.contract.kind == "option":
            return _ticker_events(known, _TICKER_ROW.decode(envelope.data), envelope.ts, recv_ns)
        if envelope.type == "delta":
            if known.ticker is None:
                return [Gap(VENUE, symbol, known.contract.ccy, recv_ns, envelope.ts * _MS, None, None)]
            changed = known.ticker | changed
        row = msgspec.convert(changed, _RestTicker, strict=False)
        known.ticker = {name: value for name, value in changed.items() if name in _TICKER_FIELDS}
        return _ticker_events(known, row.as_ticker(), envelope.ts, recv_ns)

    def _book(self, topic: str, is_snapshot: bool, row: _BookRow, ts: int, recv_ns: int) -> list[Event]:
        """Update ids rise by one; a jump loses the book until the next snapshot.

        An id seen before is a repetition, and dropped, unless it comes later than the book: then the ids have begun
        anew, the snapshot that said so is lost, and so is the book.
        """
        known = self._known.of(row.s, recv_ns)
        book = self._books.get(topic)
        if is_snapshot:
            if book is None and len(self._books) >= BOOKS_MAX:
                raise DecodeError(RejectReason.BAD_VALUE, f"more than {BOOKS_MAX} books")
            book = self._books[topic] = Book(_levels(row.s, row.b), _levels(row.s, row.a), row.u, ts)
        elif book is not None and row.u <= book.last_id and ts <= book.time_ms:
            return []
        elif book is not None and row.u == book.last_id + 1:
            book.apply(_levels(row.s, row.b), _levels(row.s, row.a), row.u)
            book.time_ms = ts
        else:
            expected = None if book is None else book.last_id + 1
            self._books.pop(topic, None)
            return [Gap(VENUE, row.s, known.contract.ccy, recv_ns, ts * _MS, expected, row.u)]
        return [_book_quote(known, book, ts, recv_ns)]

    def _trade(self, row: _Trade | _RestTrade, recv_ns: int) -> Event:
        if isinstance(row, _RestTrade):
            row = _Trade(row.symbol, row.time, row.price, row.size, row.side, row.exec_id, row.is_block_trade, row.iv)
        known = self._known.of(row.s, recv_ns)
        if not (row.p > 0.0 and row.v > 0.0):
            raise DecodeError(RejectReason.BAD_VALUE, f"{row.s}: trade of {row.v} at {row.p}")
        size = row.v / row.p if known.is_in_dollars else row.v
        side: Side = "buy" if row.S == "Buy" else "sell"
        iv = implied_vol(row.iv or None)
        return Trade(known.contract, recv_ns, row.T * _MS, row.p, size, side, row.i, iv, row.BT)

    # --- replies ---

    def _reply(self, result: Raw, time: int, recv_ns: int) -> list[Event]:
        """Tell replies apart by the shape of their first row."""
        shape = _RESULT.decode(result)
        if shape.s is not None and shape.u is not None:
            row = _BOOK.decode(result)
            book = Book(_levels(row.s, row.b), _levels(row.s, row.a), row.u)
            return [_book_quote(self._known.of(row.s, recv_ns), book, shape.ts or time, recv_ns)]
        rows = shape.rows
        if not rows or bytes(memoryview(rows[0])[:1]) != b"{":
            return []
        first = _SHAPE.decode(rows[0])
        if first.options_type is not None or first.contract_type is not None:
            return self._listing(rows, recv_ns)
        if first.exec_id is not None:
            return [self._trade(row, recv_ns) for row in map(_REST_TRADE.decode, rows)]
        if first.bid1_price is not None:
            events: list[Event] = []
            for ticker in map(_REST_TICKER.decode, rows):
                events += _ticker_events(self._known.of(ticker.symbol, recv_ns), ticker.as_ticker(), time, recv_ns)
            return events
        if first.service_types is not None:
            return [_status(row, time, recv_ns) for row in map(_STATUS.decode, rows)]
        return []

    def _listing(self, rows: list[Raw], recv_ns: int) -> list[Event]:
        """Instruments. A row that cannot be read is told as a Status, so that it does not cost the others."""
        events: list[Event] = []
        for row in map(_INSTRUMENT.decode, rows):
            try:
                of = _listed_contract(row)
                state = _STATES.get(row.status, row.status.lower())
                if state == "closed":
                    self._known.pop(of.symbol, None)
                else:
                    self._relist(of, recv_ns)
            except DecodeError as error:
                events.append(Status(VENUE, row.symbol, row.base_coin, recv_ns, None, "unreadable", str(error)))
                continue
            events.append(
                Instrument(
                    of, recv_ns, row.launch_time * _MS if row.launch_time else None, 1.0,
                    row.price_filter.tick_size or None, (), row.lot_size_filter.min_order_qty or None, None,
                    of.ccy + ("USDT" if row.settle_coin == "USDT" else "USD"), state,
                )
            )  # fmt: skip
        return events

    def _relist(self, of: Contract, recv_ns: int) -> None:
        known = self._known.get(of.symbol)
        if known is None:
            self._known.remember(of, recv_ns)
        else:
            known.contract = of


_TOPICS_WITHOUT_EVENTS = frozenset(
    {"kline", "liquidation", "allLiquidation", "insurance", "priceLimit", "adlAlert", "rfq"}
)
_STATES = {"Trading": "open", "Closed": "closed"}
"""Others (PreLaunch, Delivering) keep their names in lower case: not open, but not gone."""
_TYPES: dict[str, OptionType] = {"Call": "C", "Put": "P"}


def _ticker_events(known: _Known, row: _Ticker, ts: int, recv_ns: int) -> list[Event]:
    of = known.contract
    event_ns = ts * _MS
    # "" and "0" stand for none; a price without size is no quote.
    bid: float | None = row.bid_price or None
    ask: float | None = row.ask_price or None
    bid_size: float | None = row.bid_size or None
    ask_size: float | None = row.ask_size or None
    if bid is None or bid_size is None:
        bid = bid_size = None
    elif known.is_in_dollars:
        bid_size /= bid
    if ask is None or ask_size is None:
        ask = ask_size = None
    elif known.is_in_dollars:
        ask_size /= ask
    is_option = of.kind == "option"
    mark = row.mark_price
    open_interest = row.open_interest
    events: list[Event] = [
        Quote(of, recv_ns, event_ns, bid, ask, bid_size, ask_size),
        Mark(
            of, recv_ns, event_ns, None if mark == "" else mark,
            implied_vol(row.mark_price_iv or None) if is_option else None,
            row.last_price or None, None if open_interest == "" or not is_option else open_interest,
        ),
    ]  # fmt: skip
    if is_option and row.underlying_price and of.expiry is not None:
        events.append(
            Forward(VENUE, known.forward, of.ccy, of.expiry, recv_ns, event_ns, row.underlying_price, of.series)
        )
    if row.index_price:
        events.append(Index(VENUE, known.index, of.ccy, recv_ns, event_ns, row.index_price))
    return events


def _book_quote(known: _Known, book: Book, ts: int, recv_ns: int) -> Quote:
    bid, ask, bid_size, ask_size = book.best()
    if known.is_in_dollars:
        bid_size = None if bid is None or bid_size is None else bid_size / bid
        ask_size = None if ask is None or ask_size is None else ask_size / ask
    return Quote(known.contract, recv_ns, ts * _MS, bid, ask, bid_size, ask_size)


def _levels(symbol: str, levels: list[tuple[float, float]]) -> list[tuple[float, float]]:
    for price, size in levels:
        if not (0.0 < price < 1e18 and 0.0 <= size < 1e18):
            raise DecodeError(RejectReason.BAD_VALUE, f"{symbol}: level of {size} at {price}")
    return levels


def _status(row: _Status, ts: int, recv_ns: int) -> Status:
    state = {"ongoing": "maintenance", "completed": "open", "canceled": "open"}.get(row.state, row.state)
    return Status(VENUE, "", "", recv_ns, ts * _MS, state, row.title)


def _listed_contract(row: _Instrument) -> Contract:
    """Return the contract as the listing states it; the strike is only in the name."""
    named = contract(row.symbol)
    coin = row.base_coin or named.ccy
    expiry = row.delivery_time or named.expiry
    if row.options_type is not None:
        kind = _TYPES.get(row.options_type)
        if kind is None or named.strike is None:
            raise DecodeError(RejectReason.BAD_VALUE, f"{row.symbol}: option without strike or type")
        series = row.settle_coin or named.series
        return Contract(VENUE, row.symbol, coin, "option", "quote", expiry, named.strike, kind, series)
    if row.contract_type in ("LinearPerpetual", "InversePerpetual"):
        return Contract(VENUE, row.symbol, coin, "perpetual", "quote")
    return Contract(VENUE, row.symbol, coin, "future", "quote", expiry, series=row.settle_coin or named.series)


# --- raw message types ---------------------------------------------------------------------------


class _Raw(Struct, gc=False, rename="camel"):
    """A venue's object: its names are camelCase."""


class _Valued(_Raw, gc=False):
    symbol: str
    last_price: Amount = ""
    mark_price: Amount = ""
    index_price: Amount = ""
    open_interest: Amount = ""
    underlying_price: Amount = ""


class _Ticker(_Valued, gc=False):
    """As pushed to options."""

    bid_price: Amount = ""
    bid_size: Amount = ""
    ask_price: Amount = ""
    ask_size: Amount = ""
    mark_price_iv: Amount = ""


class _RestTicker(_Valued, gc=False):
    """As REST answers, and as pushed to futures: the same numbers under other names."""

    bid1_price: Amount = ""
    bid1_size: Amount = ""
    ask1_price: Amount = ""
    ask1_size: Amount = ""
    mark_iv: Amount = ""

    def as_ticker(self) -> _Ticker:
        """Return it under the names of option pushes."""
        return _Ticker(
            self.symbol, self.last_price, self.mark_price, self.index_price, self.open_interest, self.underlying_price,
            self.bid1_price, self.bid1_size, self.ask1_price, self.ask1_size, self.mark_iv,
        )  # fmt: skip


class _TickerMessage(_Raw, gc=False):
    ts: Millis
    data: _Ticker


class _Envelope(_Raw, gc=False):
    topic: str | None = None
    type: str | None = None
    ts: Millis = 0
    data: Raw = Raw()
    op: Any = None
    success: Any = None
    ret_code: int | None = None
    result: Raw = Raw()
    time: Millis = 0


class _BookRow(_Raw, gc=False):
    s: str
    b: list[tuple[float, float]]
    a: list[tuple[float, float]]
    u: int


class _Trade(_Raw, gc=False):
    s: str
    T: Millis
    p: Positive
    v: Positive
    S: Any
    i: str
    BT: bool = False
    iv: Amount = ""

    def __post_init__(self) -> None:
        if self.S not in ("Buy", "Sell"):
            raise ValueError(f"side {self.S!r}")


class _RestTrade(_Raw, gc=False):
    symbol: str
    time: Millis
    price: Positive
    size: Positive
    side: Any
    exec_id: str
    is_block_trade: bool = False
    iv: Amount = ""

    def __post_init__(self) -> None:
        if self.side not in ("Buy", "Sell"):
            raise ValueError(f"side {self.side!r}")


class _Status(_Raw, gc=False):
    state: str
    title: str = ""


class _PriceFilter(Struct, rename="camel", gc=False, frozen=True):
    tick_size: Amount = ""


class _LotSizeFilter(Struct, rename="camel", gc=False, frozen=True):
    min_order_qty: Amount = ""


class _Instrument(_Raw, gc=False):
    symbol: str
    status: str
    base_coin: str = ""
    settle_coin: str = ""
    options_type: str | None = None
    contract_type: str | None = None
    launch_time: Millis | None = None
    delivery_time: Millis | None = None
    price_filter: _PriceFilter = _PriceFilter()
    lot_size_filter: _LotSizeFilter = _LotSizeFilter()


class _Result(_Raw, gc=False):
    rows: list[Raw] = field(default_factory=list, name="list")
    s: Any = None
    u: Any = None
    ts: Millis | None = None


class _Shape(_Raw, gc=False):
    options_type: Any = None
    contract_type: Any = None
    exec_id: Any = None
    bid1_price: Any = None
    service_types: Any = None


_TICKER_FIELDS = frozenset(at.encode_name for at in msgspec.structs.fields(_RestTicker))
_TICKER = msgspec.json.Decoder(_TickerMessage, strict=False)
_TICKER_ROW = msgspec.json.Decoder(_Ticker, strict=False)
_REST_TICKER = msgspec.json.Decoder(_RestTicker, strict=False)
_FIELDS = msgspec.json.Decoder(dict[str, Any])
_ENVELOPE = msgspec.json.Decoder(_Envelope, strict=False)
_BOOK = msgspec.json.Decoder(_BookRow, strict=False)
_TRADES = msgspec.json.Decoder(list[_Trade], strict=False)
_REST_TRADE = msgspec.json.Decoder(_RestTrade, strict=False)
_STATUS = msgspec.json.Decoder(_Status, strict=False)
_STATUSES = msgspec.json.Decoder(list[_Status], strict=False)
_INSTRUMENT = msgspec.json.Decoder(_Instrument, strict=False)
_RESULT = msgspec.json.Decoder(_Result, strict=False)
_SHAPE = msgspec.json.Decoder(_Shape)
