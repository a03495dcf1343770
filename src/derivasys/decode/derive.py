"""Derive (formerly Lyra): public market data, API v3 → events.

Source: docs.derive.xyz (channels `ticker_slim`, `orderbook`, `trades`, `spot_feed`; `public/get_all_instruments`),
autumn 2026; the full `ticker` of v2 is read too.

Units. Options are linear, a contract is one coin, prices are USDC. `ticker_slim` states the forward `f` and a discount
factor `df`, far from 1 for long expiries (0.950 for a year): the venue's price is df times Black-76 on f. So prices are
divided by it, as prices everywhere else are undiscounted. IVs are fractions. Times are milliseconds in the feed and
seconds in the listing.

Of every number: is 0 a market value or a placeholder? A price, size, IV or discount factor of "0" means none. `f` next
to the prices is the funding of a perpetual, `f` in `option_pricing` the forward.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache
from typing import Annotated

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

VENUE = "derive"
FEES: dict[PriceUnit, TakerFee] = {"quote": TakerFee(0.0004, 0.125, per_order=0.5)}
"""Without any discount tier (help.derive.xyz, What are the fees?)."""
CONTRACTS_MAX = 65_536
"""Contracts remembered by one decoder; one more is refused as BAD_VALUE."""
SETTLEMENT_MS = 30 * 60_000
"""Marks move to the running average of the index in the last half hour: no market for a surface."""
_MS = 1_000_000

# The decimal point of a strike is an underscore, which float() would pass over: float("77_5") is 775.
_OPTION = re.compile(r"([A-Z0-9]+)-20([0-9]{6})-([0-9]+(?:_[0-9]+)?)-([CP])")
_PERPETUAL = re.compile(r"([A-Z0-9]+)-PERP")


@lru_cache(maxsize=1 << 16)
def contract(symbol: str) -> Contract:
    """Return what a name such as HYPE-20260904-77_5-C or BTC-PERP stands for. Raises DecodeError (BAD_SYMBOL)."""
    if match := _PERPETUAL.fullmatch(symbol):
        return Contract(VENUE, symbol, match[1], "perpetual", "quote")
    match = _OPTION.fullmatch(symbol)
    if match is None:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol[:40]!r} is not a Derive contract name")
    coin, date, strike, kind = match.groups()
    try:
        expiry = expiry_ms_of_digits(date)
    except ValueError as error:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r}: {error}") from None
    price = float(strike.replace("_", "."))
    if not 0.0 < price < math.inf:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol[:40]!r}: strike {strike[:40]}")
    return Contract(VENUE, symbol, coin, "option", "quote", expiry, price, "C" if kind == "C" else "P")


class _Terms:
    """What is known of one contract beside its name."""

    __slots__ = ("contract", "discount")

    def __init__(self, of: Contract) -> None:
        self.contract = of
        self.discount = 1.0
        """As last stated with a ticker."""


class Decoder:
    """Decodes one connection's messages. Its state: contracts as listed, and their discount factors."""

    def __init__(self) -> None:
        self._terms: dict[str, _Terms] = {}

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one frame or reply; [] for acknowledgements.

        Raises DecodeError, and nothing else, for bytes that are no message of Derive.
        """
        try:
            if payload.find(b'"channel":"ticker_slim.', 0, 96) > 0:
                params = _SLIM.decode(payload).params
                # The slim ticker does not name its contract.
                return self._ticker(_instrument_of(params.channel), params.data.ticker, recv_ns)
            return self._other(payload, recv_ns)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise failed(error) from None

    def _other(self, payload: bytes, recv_ns: int) -> list[Event]:
        envelope = _ENVELOPE.decode(payload)
        if envelope.method == "subscription" and envelope.params is not None:
            return self._notification(envelope.params.channel, envelope.params.data, recv_ns)
        if envelope.method is not None:
            raise DecodeError(RejectReason.UNKNOWN_MESSAGE, f"method {envelope.method!r}")
        if bytes(envelope.error) not in (b"", b"null"):
            return []
        if bytes(envelope.result):
            return self._reply(envelope.result, recv_ns)
        raise DecodeError(RejectReason.BAD_SHAPE, "a body without its envelope: neither a reply nor a notification")

    def _notification(self, channel: str, data: Raw, recv_ns: int) -> list[Event]:
        family = channel.partition(".")[0]
        if family == "ticker_slim":
            return self._ticker(_instrument_of(channel), _SLIM_DATA.decode(data).ticker, recv_ns)
        if family == "ticker":
            return self._full_ticker(_FULL_DATA.decode(data).ticker, recv_ns)
        if family == "orderbook":
            return self._book(channel, _BOOK.decode(data), recv_ns)
        if family == "trades":
            rows = _TRADES.decode(data)
            return [
                self._trade(row, recv_ns)
                for row in (rows if isinstance(rows, list) else [rows])
                # A fill may be told from both sides; the maker's is the same trade again.
                if row.role != "maker" and row.status != "reverted"
            ]
        if family == "spot_feed":
            return _spot_events(_SPOT.decode(data), recv_ns)
        raise DecodeError(RejectReason.UNKNOWN_MESSAGE, f"channel {channel!r}")

    def _reply(self, result: Raw, recv_ns: int) -> list[Event]:
        """Tell replies apart by their shape: they name no method, and ids are the caller's own."""
        head = bytes(memoryview(result)[:1])
        if head == b"[":
            rows = _KEYS.decode(result)
            return [event for row in rows for event in self._object(row, recv_ns)]
        if head != b"{":
            return []
        page = _PAGE.decode(result)
        if page.instruments is not None:
            return [event for row in page.instruments for event in self._object(row, recv_ns)]
        return self._object(result, recv_ns)

    def _object(self, row: Raw, recv_ns: int) -> list[Event]:
        if bytes(memoryview(row)[:1]) != b"{":
            return []  # names of an acknowledgement
        shape = _SHAPE.decode(row)
        if shape.name is None:
            return []
        if shape.best_bid_price is not None:
            return self._full_ticker(_FULL.decode(row), recv_ns)
        return self._instrument(_INSTRUMENT.decode(row), recv_ns)

    # --- events ---

    def _ticker(self, symbol: str, row: _Slim, recv_ns: int) -> list[Event]:
        terms = self._terms.get(symbol) or self._learn(contract(symbol))
        of = terms.contract
        event_ns = row.time * _MS
        pricing = row.pricing
        if pricing is not None and pricing.discount:
            terms.discount = pricing.discount
        events: list[Event] = [_quote(terms, row.bid, row.bid_size, row.ask, row.ask_size, event_ns, recv_ns)]
        if row.mark is not None:
            iv = pricing.iv or None if pricing is not None else None
            interest = row.stats.open_interest if row.stats is not None else None
            events.append(Mark(of, recv_ns, event_ns, row.mark / terms.discount, iv, None, interest))
        if of.expiry is not None:
            if pricing is not None and pricing.forward:
                events.append(Forward(VENUE, f"{of.ccy}-USD", of.ccy, of.expiry, recv_ns, event_ns, pricing.forward))
            if 0 <= of.expiry - row.time <= SETTLEMENT_MS:
                events.append(Status(VENUE, of.symbol, of.ccy, recv_ns, event_ns, "settlement"))
        if row.index:
            events.append(Index(VENUE, f"{of.ccy}-USD", of.ccy, recv_ns, event_ns, row.index))
        return events

    def _full_ticker(self, row: _Full, recv_ns: int) -> list[Event]:
        """Return the events of the ticker of v2, which says the same in long words."""
        pricing = row.pricing
        short = _Slim(
            time=row.time, bid=row.bid, bid_size=row.bid_size, ask=row.ask, ask_size=row.ask_size, mark=row.mark,
            index=row.index,
            pricing=None if pricing is None else _Pricing(pricing.forward, pricing.discount, pricing.iv),
        )  # fmt: skip
        return self._ticker(row.name, short, recv_ns)

    def _book(self, channel: str, row: _Book, recv_ns: int) -> list[Event]:
        """Return the best prices: each message is the whole book. Grouped prices are rounded, and no quotes."""
        if channel.split(".")[-2:-1] != ["1"]:
            return []
        terms = self._terms.get(row.name) or self._learn(contract(row.name))
        bid, ask, bid_size, ask_size = Book(row.bids, row.asks, row.publish_id).best()
        return [_quote(terms, bid, bid_size, ask, ask_size, row.time * _MS, recv_ns)]

    def _trade(self, row: _Trade, recv_ns: int) -> Trade:
        terms = self._terms.get(row.name) or self._learn(contract(row.name))
        side = _SIDES.get(row.direction)
        if side is None or row.price == 0.0 or row.amount == 0.0:
            raise DecodeError(RejectReason.BAD_VALUE, f"{row.name}: {row.direction!r} of {row.amount} at {row.price}")
        return Trade(
            terms.contract, recv_ns, row.time * _MS, row.price / terms.discount, row.amount, side, row.trade_id,
            is_block=row.quote_id is not None,
        )  # fmt: skip

    def _instrument(self, row: _Instrument, recv_ns: int) -> list[Event]:
        details = row.option
        if details is None:
            return []
        if details.strike == 0.0:
            raise DecodeError(RejectReason.BAD_VALUE, f"{row.name}: strike 0")
        kind: OptionType | None = _TYPES.get(details.kind)
        if kind is None:
            raise DecodeError(RejectReason.BAD_VALUE, f"{row.name}: option type {details.kind!r}")
        of = Contract(VENUE, row.name, row.ccy, "option", "quote", details.expiry * 1000, details.strike, kind)
        terms = self._terms.get(row.name)
        if terms is None:
            self._learn(of)
        else:
            terms.contract = of
        return [
            Instrument(
                of, recv_ns, None, 1.0, row.tick or None, min_size=row.min_size or None, taker_fee=row.taker_fee,
                index=details.index, state="open" if row.is_active else "inactive",
            )
        ]  # fmt: skip

    def _learn(self, of: Contract) -> _Terms:
        if len(self._terms) >= CONTRACTS_MAX:
            raise DecodeError(RejectReason.BAD_VALUE, f"more than {CONTRACTS_MAX} contracts")
        terms = self._terms[of.symbol] = _Terms(of)
        return terms


def _instrument_of(channel: str) -> str:
    return channel.partition(".")[2].rpartition(".")[0]


def _quote(
    terms: _Terms, bid: float | None, bid_size: float | None, ask: float | None, ask_size: float | None,
    event_ns: int, recv_ns: int,
) -> Quote:  # fmt: skip
    if bid and bid_size:
        bid /= terms.discount
    else:
        bid = bid_size = None
    if ask and ask_size:
        ask /= terms.discount
    else:
        ask = ask_size = None
    return Quote(terms.contract, recv_ns, event_ns, bid, ask, bid_size, ask_size)


def _spot_events(row: _SpotFeed, recv_ns: int) -> list[Event]:
    return [
        Index(VENUE, f"{coin}-USD", coin, recv_ns, row.time * _MS, feed.price)
        for coin, feed in row.feeds.items()
        if feed.price
    ]


_SIDES: dict[str, Side] = {"buy": "buy", "sell": "sell"}
_TYPES: dict[str, OptionType] = {"C": "C", "P": "P"}


# --- raw message types: numbers are strings ------------------------------------------------------

_Seconds = Annotated[int, Meta(ge=0, le=9_000_000_000)]
_Discount = Annotated[float, Meta(ge=0.0, le=2.0)]
"""0 stands for none."""


class _Pricing(Struct, gc=False):
    forward: Positive | None = field(name="f", default=None)
    discount: _Discount | None = field(name="df", default=None)
    iv: Positive | None = field(name="i", default=None)


class _Stats(Struct, gc=False):
    open_interest: Positive | None = field(name="oi", default=None)


class _Slim(Struct, gc=False, kw_only=True):
    time: Millis = field(name="t")
    bid: Positive | None = field(name="b", default=None)
    bid_size: Positive | None = field(name="B", default=None)
    ask: Positive | None = field(name="a", default=None)
    ask_size: Positive | None = field(name="A", default=None)
    mark: Positive | None = field(name="M", default=None)
    index: Positive | None = field(name="I", default=None)
    pricing: _Pricing | None = field(name="option_pricing", default=None)
    stats: _Stats | None = None


class _SlimData(Struct, gc=False):
    ticker: _Slim = field(name="instrument_ticker")


class _SlimParams(Struct, gc=False):
    channel: str
    data: _SlimData


class _SlimMessage(Struct, gc=False):
    params: _SlimParams


class _FullPricing(Struct, gc=False):
    forward: Positive | None = field(name="forward_price", default=None)
    discount: _Discount | None = field(name="discount_factor", default=None)
    iv: Positive | None = None


class _Full(Struct, gc=False, kw_only=True):
    name: str = field(name="instrument_name")
    time: Millis = field(name="timestamp")
    bid: Positive | None = field(name="best_bid_price", default=None)
    bid_size: Positive | None = field(name="best_bid_amount", default=None)
    ask: Positive | None = field(name="best_ask_price", default=None)
    ask_size: Positive | None = field(name="best_ask_amount", default=None)
    mark: Positive | None = field(name="mark_price", default=None)
    index: Positive | None = field(name="index_price", default=None)
    pricing: _FullPricing | None = field(name="option_pricing", default=None)


class _FullData(Struct, gc=False):
    ticker: _Full = field(name="instrument_ticker")


class _Book(Struct, gc=False):
    name: str = field(name="instrument_name")
    time: Millis = field(name="timestamp")
    publish_id: int
    bids: list[tuple[Positive, Positive]]
    asks: list[tuple[Positive, Positive]]


class _Trade(Struct, gc=False, kw_only=True):
    name: str = field(name="instrument_name")
    time: Millis = field(name="timestamp")
    trade_id: str
    direction: str
    price: Positive = field(name="trade_price")
    amount: Positive = field(name="trade_amount")
    role: str | None = field(name="liquidity_role", default=None)
    status: str | None = field(name="tx_status", default=None)
    quote_id: str | None = None
    """Of the quote that answered a request: a trade away from the book."""


class _Feed(Struct, gc=False):
    price: Positive


class _SpotFeed(Struct, gc=False):
    time: Millis = field(name="timestamp")
    feeds: dict[str, _Feed]


class _Option(Struct, gc=False):
    expiry: _Seconds
    strike: Positive
    kind: str = field(name="option_type")
    index: str | None = None


class _Instrument(Struct, gc=False, kw_only=True):
    name: str = field(name="instrument_name")
    ccy: str = field(name="base_currency")
    is_active: bool = True
    tick: Positive | None = field(name="tick_size", default=None)
    min_size: Positive | None = field(name="minimum_amount", default=None)
    taker_fee: Positive | None = field(name="taker_fee_rate", default=None)
    option: _Option | None = field(name="option_details", default=None)


class _Page(Struct, gc=False):
    instruments: list[Raw] | None = None


class _Shape(Struct, gc=False):
    name: str | None = field(name="instrument_name", default=None)
    best_bid_price: Positive | None = None


class _Params(Struct, gc=False):
    channel: str
    data: Raw


class _Envelope(Struct, gc=False):
    method: str | None = None
    params: _Params | None = None
    result: Raw = Raw()
    error: Raw = Raw()


_SLIM = msgspec.json.Decoder(_SlimMessage, strict=False)
_SLIM_DATA = msgspec.json.Decoder(_SlimData, strict=False)
_FULL = msgspec.json.Decoder(_Full, strict=False)
_FULL_DATA = msgspec.json.Decoder(_FullData, strict=False)
_BOOK = msgspec.json.Decoder(_Book, strict=False)
_TRADES = msgspec.json.Decoder(_Trade | list[_Trade], strict=False)
_SPOT = msgspec.json.Decoder(_SpotFeed, strict=False)
_INSTRUMENT = msgspec.json.Decoder(_Instrument, strict=False)
_PAGE = msgspec.json.Decoder(_Page)
_SHAPE = msgspec.json.Decoder(_Shape, strict=False)
_KEYS = msgspec.json.Decoder(list[Raw])
_ENVELOPE = msgspec.json.Decoder(_Envelope)
