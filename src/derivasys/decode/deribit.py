"""Deribit's public JSON-RPC messages → events.

Source: docs.deribit.com, API v2 (subscriptions `ticker`, `quote`, `book`, `trades`, `markprice.options`,
`deribit_price_index`, `instrument.state`, `instrument.creation`, `platform_state`; methods `get_instruments`,
`get_book_summary_by_currency`, `ticker`, `get_order_book`).

Of every number: is 0 a market value or a placeholder? Prices, sizes and IVs of an empty side arrive as 0.0, as
null or not at all, and all three mean "none". A combo's price may be 0 or negative, an option's may not.
IVs are percent, except in `markprice.options`, where they are a fraction.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Raw, Struct

from derivasys.decode.book import Book
from derivasys.decode.text import Millis, implied_vol
from derivasys.expiry import expiry_ms
from derivasys.messages import (
    Contract,
    ContractKind,
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
    Status,
    TakerFee,
    Trade,
)

VENUE = "deribit"
IV_CAP_PERCENT = 500.0
FEES: dict[PriceUnit, TakerFee] = {
    "coin": TakerFee(0.0003, 0.125),
    "quote": TakerFee(0.0005, 0.125),
}
"""Without any discount tier (support.deribit.com, Fees: BTC and ETH options, USDC linear options)."""
BOOKS_MAX = 20_000
"""Books kept by one decoder; one more is refused as BAD_VALUE."""
EXPIRY_MS_MAX = 9_000_000_000_000
"""As nanoseconds it fits 64 bits."""
_MS = 1_000_000

COIN = re.compile(
    rb'\{"jsonrpc":"2\.0","method":"subscription","params":\{"channel":"(?:ticker|trades|book|quote)\.([A-Z0-9]+)[_-]'
)
"""What a frame of one coin alone begins with; of any other, nothing is said."""
_OPTION = re.compile(r"([A-Z0-9]+?)(?:_([A-Z0-9]+))?-(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:d\d+)?)-([CP])")
_FUTURE = re.compile(r"([A-Z0-9]+?)(?:_([A-Z0-9]+))?-(\d{1,2}[A-Z]{3}\d{2}|PERPETUAL)")
_SPOT = re.compile(r"([A-Z0-9]+)_([A-Z0-9]+)")
_COMBO = re.compile(r"([A-Z0-9]+?)(?:_([A-Z0-9]+))?-[A-Z]+[0-9]*-[0-9A-Zd_.]+(?:-[0-9A-Zd_.]+)*")


@lru_cache(maxsize=1 << 16)
def contract(symbol: str) -> Contract:
    """Return the contract that a Deribit name stands for.

    The listing, where there is one, is the authority for strike, type and expiry; the name serves messages that are
    read without it. Raises DecodeError (BAD_SYMBOL).
    """
    try:
        if match := _OPTION.fullmatch(symbol):
            coin, quote, date, strike, kind = match.groups()
            return Contract(
                VENUE, symbol, coin, "option", _unit(quote), expiry_ms(date),
                float(strike.replace("d", ".")), "C" if kind == "C" else "P", quote or coin,
            )  # fmt: skip
        if match := _FUTURE.fullmatch(symbol):
            coin, quote, date = match.groups()
            if date == "PERPETUAL":
                return Contract(VENUE, symbol, coin, "perpetual", "quote")
            return Contract(VENUE, symbol, coin, "future", "quote", expiry_ms(date), series=quote or coin)
    except ValueError as error:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r}: {error}") from None
    if match := _SPOT.fullmatch(symbol):
        return Contract(VENUE, symbol, match[1], "spot", "quote")
    if match := _COMBO.fullmatch(symbol):
        is_future = symbol.split("-")[1] == "FS"
        unit: PriceUnit = "quote" if is_future else _unit(match[2])
        return Contract(VENUE, symbol, match[1], "combo", unit)
    raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r} is not a Deribit contract name")


def _vol(percent: float | None) -> float | None:
    """Return a vol as a decimal; 0 stands for none and 500 is a cap, not a vol."""
    return percent / 100.0 if percent is not None and 0.0 < percent < IV_CAP_PERCENT else None


def _unit(quote: str | None) -> PriceUnit:
    return "coin" if quote is None else "quote"


class Decoder:
    """Decodes one connection's messages. Its only state is the order books of `book` channels."""

    def __init__(self) -> None:
        self._books: dict[str, Book] = {}

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one frame or REST reply; [] for acknowledgements and heartbeats.

        Raises DecodeError, and nothing else, for bytes that are no message of Deribit.
        """
        try:
            start = payload.find(b'"channel":"ticker.')
            if 0 <= start < 128:
                return _ticker_events(_TICKER.decode(payload).params.data, recv_ns)
            return self._other(payload, recv_ns)
        except msgspec.ValidationError as error:
            raise DecodeError(RejectReason.BAD_SHAPE, str(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise DecodeError(RejectReason.NOT_JSON, str(error)) from None
        except RecursionError:
            raise DecodeError(RejectReason.NOT_JSON, "nested too deeply") from None

    def _other(self, payload: bytes, recv_ns: int) -> list[Event]:
        envelope = _ENVELOPE.decode(payload)
        has_params = bytes(envelope.params) != b""
        if envelope.method == "subscription" and has_params:
            params = _CHANNEL.decode(envelope.params)
            return self._notification(params.channel, params.data, recv_ns)
        if envelope.method == "heartbeat" or envelope.error is not None:
            return []
        if envelope.method is None and bytes(envelope.result):
            return _reply_events(envelope.result, recv_ns)
        if envelope.method is None or not has_params:
            raise DecodeError(RejectReason.BAD_SHAPE, "neither a reply nor a notification")
        raise DecodeError(RejectReason.UNKNOWN_MESSAGE, f"method {envelope.method!r}")

    def _notification(self, channel: str, data: Raw, recv_ns: int) -> list[Event]:
        family, _, rest = channel.partition(".")
        if family == "ticker":
            return _ticker_events(msgspec.json.decode(data, type=_TickerData), recv_ns)
        if family == "quote":
            row = msgspec.json.decode(data, type=_QuoteData)
            return [_quote(contract(row.instrument_name), row, recv_ns)]
        if family == "book":
            return self._book_events(rest, data, recv_ns)
        if family == "trades":
            rows = msgspec.json.decode(data, type=list[_TradeData])
            return [_trade(row, recv_ns) for row in rows]
        if family == "markprice":
            marks = msgspec.json.decode(data, type=list[_MarkData])
            return [_mark_of_index(row, recv_ns) for row in marks]
        if family == "deribit_price_index":
            return [_index(msgspec.json.decode(data, type=_IndexData), recv_ns)]
        if family == "instrument":
            return _lifecycle_events(rest, data, recv_ns)
        if family == "platform_state":
            return _platform_events(msgspec.json.decode(data, type=_PlatformData), recv_ns)
        if family in _CHANNELS_WITHOUT_EVENTS:
            return []
        raise DecodeError(RejectReason.UNKNOWN_MESSAGE, f"channel {channel!r}")

    def _book_events(self, rest: str, data: Raw, recv_ns: int) -> list[Event]:
        if rest.count(".") >= 3:  # {instrument}.{group}.{depth}.{interval}: the whole window each time
            window = msgspec.json.decode(data, type=_BookWindow)
            best = Book(window.bids, window.asks, window.change_id).best()
            return [_book_quote(window.instrument_name, best, window.timestamp, recv_ns)]
        row = msgspec.json.decode(data, type=_BookData)
        symbol = row.instrument_name
        bids = [(price, size) for _, price, size in row.bids]
        asks = [(price, size) for _, price, size in row.asks]
        # Old captures have no `type`; a snapshot may carry prev_change_id, so `type` decides where present.
        is_snapshot = (row.prev_change_id is None) if row.type is None else row.type == "snapshot"
        book = self._books.get(symbol)
        if is_snapshot:
            if book is None and len(self._books) >= BOOKS_MAX:
                raise DecodeError(RejectReason.BAD_VALUE, f"more than {BOOKS_MAX} books")
            book = self._books[symbol] = Book(bids, asks, row.change_id)
        elif book is not None and book.last_id == row.prev_change_id:
            book.apply(bids, asks, row.change_id)
        else:
            expected = None if book is None else book.last_id
            self._books.pop(symbol, None)
            return [
                Gap(
                    VENUE, symbol, contract(symbol).ccy, recv_ns, row.timestamp * _MS,
                    expected, row.prev_change_id,
                )
            ]  # fmt: skip
        return [_book_quote(symbol, book.best(), row.timestamp, recv_ns)]


_CHANNELS_WITHOUT_EVENTS = frozenset(
    {
        "chart",
        "deribit_volatility_index",
        "deribit_price_ranking",
        "deribit_price_statistics",
        "estimated_expiration_price",
        "perpetual",
        "announcements",
    }
)


# --- rows → events -------------------------------------------------------------------------------


def _side(price: float | None, size: float | None, of: Contract, name: str) -> tuple[float | None, float | None]:
    """Return (price, size), both None when the side is empty; size alone None when it is not stated."""
    if price is None or size == 0.0:
        return None, None
    if of.kind != "combo":
        if price == 0.0:
            return None, None
        if not price > 0.0:
            raise DecodeError(RejectReason.BAD_VALUE, f"{of.symbol}: {name} price {price}")
    if size is not None and not size > 0.0:
        raise DecodeError(RejectReason.BAD_VALUE, f"{of.symbol}: {name} amount {size}")
    if size is not None and of.kind != "option" and _is_sized_in_usd(of):
        size = size / price if of.kind != "combo" else None
    return price, size


def _is_sized_in_usd(of: Contract) -> bool:
    """Whether amounts are dollars: those of inverse futures, perpetuals and their spreads."""
    is_future = of.kind in ("future", "perpetual") or (of.kind == "combo" and of.price_unit == "quote")
    return is_future and "_" not in of.symbol.partition("-")[0]


def _quote(of: Contract, row: _Sides, recv_ns: int) -> Quote:
    bid, bid_size = _side(row.best_bid_price, row.best_bid_amount, of, "bid")
    ask, ask_size = _side(row.best_ask_price, row.best_ask_amount, of, "ask")
    return Quote(of, recv_ns, row.timestamp * _MS, bid, ask, bid_size, ask_size)


def _book_quote(
    symbol: str,
    best: tuple[float | None, float | None, float | None, float | None],
    timestamp: int,
    recv_ns: int,
) -> Quote:
    of = contract(symbol)
    bid, bid_size = _side(best[0], best[2], of, "bid")
    ask, ask_size = _side(best[1], best[3], of, "ask")
    return Quote(of, recv_ns, timestamp * _MS, bid, ask, bid_size, ask_size)


def _ticker_events(row: _TickerData, recv_ns: int) -> list[Event]:
    of = contract(row.instrument_name)
    event_ns = row.timestamp * _MS
    events: list[Event] = [
        _quote(of, row, recv_ns),
        Mark(
            of, recv_ns, event_ns, row.mark_price,
            _vol(row.mark_iv) if of.kind == "option" else None,
            row.last_price or None, row.open_interest,
        ),
    ]  # fmt: skip
    if of.kind == "option" and row.underlying_price and of.expiry is not None:
        name = row.underlying_index or ""
        events.append(Forward(VENUE, name, of.ccy, of.expiry, recv_ns, event_ns, row.underlying_price, of.series))
    if row.index_price:
        events.append(Index(VENUE, _index_name(of), of.ccy, recv_ns, event_ns, row.index_price))
    if row.state != "open":
        events.append(Status(VENUE, of.symbol, of.ccy, recv_ns, event_ns, row.state))
    return events


@lru_cache(maxsize=1 << 16)
def _index_name(of: Contract) -> str:
    quote = of.symbol.partition("-")[0].partition("_")[2]
    return f"{of.ccy}_{quote or 'USD'}".lower()


def _trade(row: _TradeData, recv_ns: int) -> Trade:
    of = contract(row.instrument_name)
    if not row.amount > 0.0 or (of.kind != "combo" and not row.price > 0.0):
        raise DecodeError(RejectReason.BAD_VALUE, f"{of.symbol}: trade of {row.amount} at {row.price}")
    size = row.amount / row.price if _is_sized_in_usd(of) and of.kind != "combo" else row.amount
    return Trade(
        of, recv_ns, row.timestamp * _MS, row.price, size, row.direction, str(row.trade_id),
        _vol(row.iv),
        row.block_trade_id is not None or row.block_rfq_id is not None, row.combo_id,
    )  # fmt: skip


def _mark_of_index(row: _MarkData, recv_ns: int) -> Mark:
    return Mark(
        contract(row.instrument_name), recv_ns, row.timestamp * _MS, row.mark_price, implied_vol(row.iv)
    )  # fmt: skip


def _index(row: _IndexData, recv_ns: int) -> Index:
    coin = row.index_name.partition("_")[0].upper()
    return Index(VENUE, row.index_name, coin, recv_ns, row.timestamp * _MS, row.price)


def _lifecycle_events(rest: str, data: Raw, recv_ns: int) -> list[Event]:
    if rest.startswith("creation"):
        return [_instrument(msgspec.json.decode(data, type=_InstrumentData), recv_ns)]
    row = msgspec.json.decode(data, type=_StateData)
    of = contract(row.instrument_name)
    return [Status(VENUE, of.symbol, of.ccy, recv_ns, row.timestamp * _MS, row.state)]


def _platform_events(row: _PlatformData, recv_ns: int) -> list[Event]:
    if row.maintenance is not None:
        return [Status(VENUE, "", "", recv_ns, None, "maintenance" if row.maintenance else "open")]
    if row.price_index is None or row.locked is None:
        return []
    coin = row.price_index.partition("_")[0].upper()
    return [
        Status(
            VENUE, "", coin, recv_ns, None, "locked" if row.locked else "open", row.price_index
        )
    ]  # fmt: skip


def _instrument(row: _InstrumentData, recv_ns: int) -> Instrument:
    kind = _KINDS.get(row.kind)
    if kind is None:
        raise DecodeError(RejectReason.BAD_VALUE, f"{row.instrument_name}: kind {row.kind!r}")
    if kind == "future" and row.settlement_period == "perpetual":
        kind = "perpetual"
    # Listings before 2022 lack instrument_type; the name then tells, as all linear names carry a quote currency.
    is_linear = row.instrument_type == "linear" if row.instrument_type else "_" in row.instrument_name.partition("-")[0]
    is_priced_in_coin = not is_linear and kind in ("option", "combo")
    of = Contract(
        VENUE, row.instrument_name, row.base_currency, kind,
        "coin" if is_priced_in_coin else "quote",
        None if kind in ("perpetual", "spot") else row.expiration_timestamp,
        row.strike if kind == "option" else None,
        _TYPES.get(row.option_type or "") if kind == "option" else None,
        row.instrument_name.partition("-")[0].partition("_")[2] or row.base_currency,
    )  # fmt: skip
    if kind == "option" and (of.type is None or of.strike is None or of.expiry is None or not of.strike > 0):
        raise DecodeError(RejectReason.BAD_VALUE, f"{of.symbol}: option without strike or type")
    if kind == "option" and not 0 < (of.expiry or 0) <= EXPIRY_MS_MAX:
        raise DecodeError(RejectReason.BAD_VALUE, f"{of.symbol}: expiry {of.expiry}")
    return Instrument(
        of, recv_ns, row.creation_timestamp * _MS if row.creation_timestamp else None,
        row.contract_size, row.tick_size,
        tuple((step.above_price, step.tick_size) for step in row.tick_size_steps),
        row.min_trade_amount, row.taker_commission, row.price_index,
        row.state or ("open" if row.is_active else "inactive"),
    )  # fmt: skip


_KINDS: dict[str, ContractKind] = {
    "option": "option",
    "future": "future",
    "spot": "spot",
    "option_combo": "combo",
    "future_combo": "combo",
}
_TYPES: dict[str, OptionType] = {"call": "C", "put": "P"}


# --- replies -------------------------------------------------------------------------------------


def _reply_events(result: Raw, recv_ns: int) -> list[Event]:
    """Tell replies apart by their shape: they name no method, and ids are the caller's own."""
    head = bytes(memoryview(result)[:1])
    if head == b"{":
        return _object_events(result, recv_ns)
    if head != b"[":
        return []  # "ok", a time, a boolean
    events: list[Event] = []
    for row in msgspec.json.decode(result, type=list[Raw]):
        if bytes(memoryview(row)[:1]) != b"{":
            return []  # channel names of an acknowledgement
        events += _object_events(row, recv_ns)
    return events


def _object_events(row: Raw, recv_ns: int) -> list[Event]:
    keys = msgspec.json.decode(row, type=_Shape)
    if keys.instrument_name is None:
        return []
    if keys.kind is not None:
        return [_instrument(msgspec.json.decode(row, type=_InstrumentData), recv_ns)]
    if keys.best_bid_amount is not None or keys.greeks is not None:
        return _ticker_events(msgspec.json.decode(row, type=_TickerData), recv_ns)
    if keys.creation_timestamp is not None:
        return _summary_events(msgspec.json.decode(row, type=_SummaryData), recv_ns)
    return []


def _summary_events(row: _SummaryData, recv_ns: int) -> list[Event]:
    of = contract(row.instrument_name)
    event_ns = row.creation_timestamp * _MS
    bid, _ = _side(row.bid_price, None, of, "bid")
    ask, _ = _side(row.ask_price, None, of, "ask")
    events: list[Event] = [
        Quote(of, recv_ns, event_ns, bid, ask, None, None),
        Mark(
            of, recv_ns, event_ns, row.mark_price,
            _vol(row.mark_iv) if of.kind == "option" else None,
            row.last or None, row.open_interest,
        ),
    ]  # fmt: skip
    if of.kind == "option" and row.underlying_price and of.expiry is not None:
        name = row.underlying_index or ""
        events.append(Forward(VENUE, name, of.ccy, of.expiry, recv_ns, event_ns, row.underlying_price, of.series))
    return events


# --- raw message types ---------------------------------------------------------------------------


class _Sides(Struct, gc=False, kw_only=True):
    timestamp: Millis
    instrument_name: str
    best_bid_price: float | None = None
    best_ask_price: float | None = None
    best_bid_amount: float | None = None
    best_ask_amount: float | None = None


class _QuoteData(_Sides, gc=False, kw_only=True):
    pass


class _TickerData(_Sides, gc=False, kw_only=True):
    state: str = "open"
    mark_price: float | None = None
    mark_iv: float | None = None
    last_price: float | None = None
    open_interest: float | None = None
    underlying_price: float | None = None
    underlying_index: str | None = None
    index_price: float | None = None


class _TickerParams(Struct, gc=False):
    data: _TickerData


class _TickerMessage(Struct, gc=False):
    params: _TickerParams


class _Envelope(Struct, gc=False):
    method: str | None = None
    params: Raw = Raw()
    result: Raw = Raw()
    error: Any = None


class _Channel(Struct, gc=False):
    channel: str
    data: Raw


class _BookData(Struct, gc=False):
    instrument_name: str
    timestamp: Millis
    change_id: int
    bids: list[tuple[str, float, float]]
    asks: list[tuple[str, float, float]]
    prev_change_id: int | None = None
    type: str | None = None


class _BookWindow(Struct, gc=False):
    instrument_name: str
    timestamp: Millis
    change_id: int
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]


class _TradeData(Struct, gc=False):
    instrument_name: str
    timestamp: Millis
    price: float
    amount: float
    direction: Any
    trade_id: str | int
    iv: float | None = None
    block_trade_id: str | int | None = None
    block_rfq_id: str | int | None = None
    combo_id: str | None = None

    def __post_init__(self) -> None:
        if self.direction not in ("buy", "sell"):
            raise ValueError(f"direction {self.direction!r}")


class _MarkData(Struct, gc=False):
    instrument_name: str
    timestamp: Millis
    mark_price: float | None = None
    iv: float | None = None


class _IndexData(Struct, gc=False):
    index_name: str
    timestamp: Millis
    price: float


class _StateData(Struct, gc=False):
    instrument_name: str
    timestamp: Millis
    state: str


class _PlatformData(Struct, gc=False):
    maintenance: bool | None = None
    price_index: str | None = None
    locked: bool | None = None


class _TickStep(Struct, gc=False):
    above_price: float
    tick_size: float


class _InstrumentData(Struct, gc=False):
    instrument_name: str
    kind: str
    base_currency: str
    expiration_timestamp: int | None = None  # of a perpetual: the year 3000
    strike: float | None = None
    option_type: str | None = None
    instrument_type: str | None = None
    settlement_period: str | None = None
    contract_size: float | None = None
    tick_size: float | None = None
    tick_size_steps: list[_TickStep] = []
    min_trade_amount: float | None = None
    taker_commission: float | None = None
    price_index: str | None = None
    creation_timestamp: Millis | None = None
    is_active: bool = True
    state: str | None = None


class _SummaryData(Struct, gc=False):
    instrument_name: str
    creation_timestamp: Millis
    bid_price: float | None = None
    ask_price: float | None = None
    mark_price: float | None = None
    mark_iv: float | None = None
    last: float | None = None
    open_interest: float | None = None
    underlying_price: float | None = None
    underlying_index: str | None = None


class _Shape(Struct, gc=False):
    instrument_name: str | None = None
    kind: str | None = None
    best_bid_amount: float | None = None
    greeks: Any = None
    creation_timestamp: Millis | None = None


_TICKER = msgspec.json.Decoder(_TickerMessage)
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_CHANNEL = msgspec.json.Decoder(_Channel)
