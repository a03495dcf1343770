"""OKX's public v5 messages → events.

Source: www.okx.com/docs-v5: channels `tickers`, `opt-summary`, `option-trades`, `trades`, `mark-price`,
`open-interest`, `index-tickers`, `instruments`, `status`, `bbo-tbt`, `books5`, `books`, `books-l2-tbt` and
`books50-l2-tbt` with their sequence rules; REST `public/instruments`, `public/instrument-tick-bands` and the channels'
twins.

Of every number: is 0 a market value or a placeholder? All numbers are strings; "" means none, and so does the price or
size "0" of a side. Vols are fractions; "0" and "" mean none and "5" is a cap.

Sizes are in contracts. They become coins by the contract's terms, which the listing states (ctVal × ctMult) and the
decoder remembers. Until a listing was read, those of 2026 are assumed where they are known (`COINS_PER_CONTRACT`,
`DOLLARS_PER_CONTRACT`); otherwise quotes carry no sizes and trades are rejected.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, field

from derivasys.decode.book import Book
from derivasys.decode.known import Known
from derivasys.decode.text import Amount, Millis, Positive, failed, implied_vol, number
from derivasys.expiry import expiry_ms_of_digits
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
    PriceUnit,
    Quote,
    RejectReason,
    Side,
    Status,
    TakerFee,
    Trade,
)

VENUE = "okx"
BOOKS_MAX = 65_536
"""Order books of one decoder; a message about one more is refused as BAD_VALUE."""
FAMILIES_MAX = 1024
"""Families whose tick bands are kept."""
FEES: dict[PriceUnit, TakerFee] = {"coin": TakerFee(0.0003, 0.07), "quote": TakerFee(0.0003, 0.07)}
"""Without any discount tier (okx.com, Trading Fee Rules FAQ, as of 2025-05-15)."""
COINS_PER_CONTRACT = {"BTC-USD": 0.01, "ETH-USD": 0.1}
"""Of the inverse option families, in 2026. (In 2022 it was ten times as much: recordings carry their listing.)"""
DOLLARS_PER_CONTRACT = {"BTC": 100.0}
"""Of inverse futures and swaps; 10 for every other coin."""
_MS = 1_000_000

COIN = re.compile(rb'\{"arg":\{"channel":"[a-z0-9-]+","inst(?:Id|Family)":"([A-Z0-9]+)-')
"""What a frame of one coin alone begins with; of any other, nothing is said."""
# Read from the right: the family may hold more than two words (BTC-USD_UM).
_OPTION = re.compile(r"([A-Z0-9]+)-([A-Z0-9]+(?:_UM)?)-(\d{6})-(\d+(?:\.\d+)?)-([CP])")
_FUTURE = re.compile(r"([A-Z0-9]+)-([A-Z0-9]+(?:_UM)?(?:_XPERP)?)-(\d{6}|SWAP)")
_SPOT = re.compile(r"([A-Z0-9]+)-([A-Z0-9]+)")


@lru_cache(maxsize=1 << 16)
def contract(symbol: str) -> Contract:
    """Return the contract that an OKX instId stands for; the listing, where there is one, is the authority.

    A family X-USD is inverse (options priced in coin), any other, X-USD_UM among them, linear. An XPERP is a perpetual
    whatever its date says. Raises DecodeError (BAD_SYMBOL).
    """
    try:
        if match := _OPTION.fullmatch(symbol):
            coin, quote, date, strike, kind = match.groups()
            return Contract(
                VENUE, symbol, coin, "option", "coin" if quote == "USD" else "quote", expiry_ms_of_digits(date),
                float(strike), "C" if kind == "C" else "P", f"{coin}-{quote}",
            )  # fmt: skip
        if match := _FUTURE.fullmatch(symbol):
            coin, quote, date = match.groups()
            if date == "SWAP" or quote.endswith("_XPERP"):
                return Contract(VENUE, symbol, coin, "perpetual", "quote")
            return Contract(VENUE, symbol, coin, "future", "quote", expiry_ms_of_digits(date), series=f"{coin}-{quote}")
    except ValueError as error:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r}: {error}") from None
    if match := _SPOT.fullmatch(symbol):
        return Contract(VENUE, symbol, match[1], "spot", "quote")
    raise DecodeError(RejectReason.BAD_SYMBOL, f"{symbol!r} is not an OKX instrument name")


def family(symbol: str) -> str:
    """Return the family of an instId: BTC-USD of BTC-USD-241217-92000-C."""
    return "-".join(symbol.split("-", 2)[:2])


class _Known:
    """What is remembered of one instrument."""

    __slots__ = ("coins", "contract", "dollars", "iv", "last_trade", "price")

    def __init__(self, of: Contract) -> None:
        self.contract = of
        self.coins: float | None = None
        """Coins per contract."""
        self.dollars: float | None = None
        """Dollars per contract, of inverse futures."""
        self.price: float | None = None
        self.iv: float | None = None
        """The last mark: price and vol come in different channels."""
        self.last_trade = ""
        if of.kind == "option":
            self.coins = COINS_PER_CONTRACT.get(family(of.symbol))
        elif of.kind == "spot":
            self.coins = 1.0
        elif family(of.symbol).endswith("-USD"):
            self.dollars = DOLLARS_PER_CONTRACT.get(of.ccy, 10.0)

    def size(self, contracts: float, price: float) -> float | None:
        """Return coins."""
        if self.coins is not None:
            return contracts * self.coins
        return None if self.dollars is None else contracts * self.dollars / price


class Decoder:
    """Decodes OKX's messages; remembers contract terms, last marks, last trade ids and the books of delta channels."""

    def __init__(self) -> None:
        self._known = Known(_Known, contract)
        self._books: dict[tuple[str, str], Book] = {}
        """By channel and instId."""
        self._ticks: dict[str, tuple[tuple[float, float], ...]] = {}
        """By family: (above price, tick), the first of them the base tick."""
        self._readers: dict[str, Callable[[Raw, int], list[Event]]] = {
            "tickers": lambda data, at: [self._ticker(row, at) for row in _TICKER_ROWS.decode(data)],
            "opt-summary": self._summaries,
            "option-trades": self._trades,
            "trades": self._trades,
            "trades-all": self._trades,
            "mark-price": lambda data, at: [self._mark(row, at) for row in _MARKS.decode(data)],
            "open-interest": lambda data, at: [self._open_interest(row, at) for row in _OPEN_INTERESTS.decode(data)],
            "index-tickers": lambda data, at: [_index(row, at) for row in _INDICES.decode(data)],
            "instruments": self._listing,
            "status": lambda data, at: [_status(row, at) for row in _STATUS_ROWS.decode(data)],
            "instrument-tick-bands": self._learn_ticks,
        }

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one frame or REST reply; [] for acknowledgements, errors and "pong".

        Raises DecodeError, and nothing else, for bytes that are no message of OKX.
        """
        try:
            if payload.startswith(b'{"arg":{"channel":"tickers"'):
                return [self._ticker(row, recv_ns) for row in _TICKERS.decode(payload).data]
            if payload == b"pong":
                return []
            return self._other(payload, recv_ns)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise failed(error) from None

    def _other(self, payload: bytes, recv_ns: int) -> list[Event]:
        envelope = _ENVELOPE.decode(payload)
        if envelope.event is not None:
            return []
        if envelope.arg is not None:
            if not bytes(envelope.data):
                raise DecodeError(RejectReason.BAD_SHAPE, "no data")
            return self._push(envelope.arg, envelope.action, envelope.data, recv_ns)
        if envelope.code is None:
            raise DecodeError(RejectReason.BAD_SHAPE, "neither a push nor a reply nor an event")
        return self._reply(envelope.data, recv_ns) if envelope.code == "0" else []

    def _push(self, arg: _Arg, action: str | None, data: Raw, recv_ns: int) -> list[Event]:
        channel = arg.channel
        if channel in _DELTA_BOOKS or channel in _WINDOW_BOOKS:
            return [self._book(arg, action, row, recv_ns) for row in _BOOKS.decode(data)]
        read = self._readers.get(channel)
        if read is not None:
            return read(data, recv_ns)
        if channel in _CHANNELS_WITHOUT_EVENTS or channel.startswith(("candle", "mark-price-candle", "index-candle")):
            return []
        raise DecodeError(RejectReason.UNKNOWN_MESSAGE, f"channel {channel!r}")

    def _reply(self, data: Raw, recv_ns: int) -> list[Event]:
        """Tell replies apart by a field of their first row: they name no method."""
        rows = msgspec.json.decode(data, type=list[Raw]) if bytes(data) else []
        if not rows or bytes(memoryview(rows[0])[:1]) != b"{":
            return []
        fields = msgspec.json.decode(rows[0], type=dict[str, Raw])
        for name, channel in _TWINS.items():
            if name in fields:
                return self._readers[channel](data, recv_ns)
        return []

    # --- rows → events ---

    def _ticker(self, row: _Ticker, recv_ns: int) -> Event:
        known = self._known.get(row.inst_id) or self._known.of(row.inst_id, recv_ns)
        bid: float | None = row.bid_px or None
        ask: float | None = row.ask_px or None
        bid_size = ask_size = None
        # "" and "0" stand for none; a price without size is no quote.
        if bid is not None:
            if row.bid_sz:
                bid_size = known.size(row.bid_sz, bid)
            else:
                bid = None
        if ask is not None:
            if row.ask_sz:
                ask_size = known.size(row.ask_sz, ask)
            else:
                ask = None
        return Quote(known.contract, recv_ns, row.ts * _MS, bid, ask, bid_size, ask_size)

    def _summaries(self, data: Raw, recv_ns: int) -> list[Event]:
        """Marks of options, and the forward of each expiry once for as long as it stays the same."""
        events: list[Event] = []
        forwards: dict[tuple[str, int], float] = {}
        for row in _SUMMARIES.decode(data):
            known = self._known.of(row.inst_id, recv_ns)
            of = known.contract
            known.iv = implied_vol(number(row.mark_vol))
            if of.price_unit == "coin":
                known.price = _mark_price(number(row.delta), number(row.delta_usd))
            event_ns = row.ts * _MS
            events.append(Mark(of, recv_ns, event_ns, known.price, known.iv))
            forward = number(row.fwd_px)
            if forward is None or not forward > 0.0 or of.expiry is None:
                continue
            name = family(of.symbol)
            if forwards.get((name, of.expiry)) != forward:
                forwards[name, of.expiry] = forward
                events.append(Forward(VENUE, name, of.ccy, of.expiry, recv_ns, event_ns, forward, of.series))
        return events

    def _mark(self, row: _Mark, recv_ns: int) -> Event:
        known = self._known.of(row.inst_id, recv_ns)
        known.price = None if row.mark_px == "" else row.mark_px
        return Mark(known.contract, recv_ns, row.ts * _MS, known.price, known.iv)

    def _open_interest(self, row: _OpenInterest, recv_ns: int) -> Event:
        known = self._known.of(row.inst_id, recv_ns)
        coins = None if row.oi_ccy == "" else row.oi_ccy
        return Mark(known.contract, recv_ns, row.ts * _MS, known.price, known.iv, None, coins)

    def _trades(self, data: Raw, recv_ns: int) -> list[Event]:
        events: list[Event] = []
        for row in _TRADES.decode(data):
            known = self._known.of(row.inst_id, recv_ns)
            if known.last_trade == row.trade_id:
                continue  # sent again from the venue's cache after a subscription
            if not (row.px > 0.0 and row.sz > 0.0):
                raise DecodeError(RejectReason.BAD_VALUE, f"{row.inst_id}: trade of {row.sz} at {row.px}")
            size = known.size(row.sz, row.px)
            if size is None:
                raise DecodeError(RejectReason.BAD_VALUE, f"{row.inst_id}: contract size unknown before its listing")
            known.last_trade = row.trade_id
            iv = implied_vol(number(row.fill_vol))
            side: Side = "buy" if row.side == "buy" else "sell"
            events.append(Trade(known.contract, recv_ns, row.ts * _MS, row.px, size, side, row.trade_id, iv))
        return events

    def _book(self, arg: _Arg, action: str | None, row: _BookRow, recv_ns: int) -> Event:
        symbol = arg.inst_id or row.inst_id
        bids, asks = _levels(symbol, row.bids), _levels(symbol, row.asks)
        book = self._books.get((arg.channel, symbol))
        if arg.channel in _WINDOW_BOOKS:
            book = Book(bids, asks, 0)
        elif action == "snapshot":
            if book is None and len(self._books) >= BOOKS_MAX:
                raise DecodeError(RejectReason.BAD_VALUE, f"more than {BOOKS_MAX} books")
            book = self._books[arg.channel, symbol] = Book(bids, asks, row.seq_id)
        elif book is not None and book.last_id == row.prev_seq_id:
            # An idle frame (seqId = prevSeqId, no levels) and a reset (seqId below prevSeqId) both continue the book.
            # Captures made before there were ids have -1 throughout: they are taken in order.
            book.apply(bids, asks, row.seq_id)
        else:
            expected = None if book is None else book.last_id
            self._books.pop((arg.channel, symbol), None)
            ccy = self._known.of(symbol, recv_ns).contract.ccy
            return Gap(VENUE, symbol, ccy, recv_ns, row.ts * _MS, expected, row.prev_seq_id)
        known = self._known.of(symbol, recv_ns)
        bid, ask, bid_contracts, ask_contracts = book.best()
        bid_size = None if bid is None or bid_contracts is None else known.size(bid_contracts, bid)
        ask_size = None if ask is None or ask_contracts is None else known.size(ask_contracts, ask)
        return Quote(known.contract, recv_ns, row.ts * _MS, bid, ask, bid_size, ask_size)

    # --- listings ---

    def _learn_ticks(self, data: Raw, recv_ns: int) -> list[Event]:
        for row in _TICK_BANDS.decode(data):
            if len(self._ticks) < FAMILIES_MAX:
                self._ticks[row.inst_family] = tuple(sorted((band.min_px, band.tick_sz) for band in row.tick_band))
        return []

    def _listing(self, data: Raw, recv_ns: int) -> list[Event]:
        """Instruments. A row that cannot be read is told as a Status, so that it does not cost the others."""
        events: list[Event] = []
        for row in _INSTRUMENTS.decode(data):
            try:
                events.append(self._instrument(row, recv_ns))
            except DecodeError as error:
                coin = row.inst_id.partition("-")[0]
                events.append(Status(VENUE, row.inst_id, coin, recv_ns, None, "unreadable", str(error)))
        return events

    def _instrument(self, row: _Instrument, recv_ns: int) -> Instrument:
        of = _listed_contract(row)
        state = _STATES.get(row.state, row.state)
        if state == "closed":
            self._known.pop(row.inst_id, None)
            for channel in _DELTA_BOOKS:
                self._books.pop((channel, row.inst_id), None)
            known = _Known(of)
        else:
            known = self._known.get(row.inst_id) or self._known.remember(of, recv_ns)
            known.contract = of
        if row.ct_val and row.ct_mult:
            if of.kind == "option" or row.ct_val_ccy == of.ccy:
                known.coins, known.dollars = row.ct_val * row.ct_mult, None
            else:
                known.coins, known.dollars = None, row.ct_val * row.ct_mult
        ticks = self._ticks.get(row.inst_family, ()) if of.kind == "option" else ()
        coins = known.coins
        return Instrument(
            of, recv_ns, row.list_time * _MS if row.list_time else None, coins,
            ticks[0][1] if ticks else row.tick_sz or None,  # tickSz is only the smallest of the bands
            ticks[1:],
            row.min_sz * coins if row.min_sz and coins else None, None,
            row.uly.removesuffix("_UM") or None, state,
        )  # fmt: skip


_DELTA_BOOKS = frozenset({"books", "books-l2-tbt", "books50-l2-tbt"})
_WINDOW_BOOKS = frozenset({"bbo-tbt", "books5"})
_CHANNELS_WITHOUT_EVENTS = frozenset(
    {
        "estimated-price",
        "price-limit",
        "funding-rate",
        "liquidation-orders",
        "public-block-trades",
        "public-struc-block-trades",
        "block-tickers",
    }
)
_TWINS = {
    "tickBand": "instrument-tick-bands",
    "begin": "status",
    "ctVal": "instruments",
    "tradeId": "option-trades",
    "markVol": "opt-summary",
    "askPx": "tickers",
    "markPx": "mark-price",
    "oi": "open-interest",
    "idxPx": "index-tickers",
}
"""A field that only the rows of this channel's REST twin have, or those before it here."""
_KINDS: dict[str, ContractKind] = {"OPTION": "option", "FUTURES": "future", "SWAP": "perpetual", "SPOT": "spot"}
_STATES = {"live": "open", "expired": "closed"}
"""Others (suspend, preopen, test) keep their names: not open, but not gone."""
_STATUSES = {"ongoing": "maintenance", "pre_open": "maintenance", "completed": "open", "canceled": "open"}


def _mark_price(delta: float | None, delta_usd: float | None) -> float | None:
    """Return an inverse option's mark price: its coin delta is its dollar delta less the price in coin."""
    if delta is None or delta_usd is None or not delta_usd >= delta:
        return None
    return round(delta_usd - delta, 10)  # both come with ten decimals


def _levels(symbol: str, levels: list[tuple[float, float, Any, Any]]) -> list[tuple[float, float]]:
    pairs = [(price, size) for price, size, _, _ in levels]
    for price, size in pairs:
        if not (0.0 < price < 1e18 and 0.0 <= size < 1e18):
            raise DecodeError(RejectReason.BAD_VALUE, f"{symbol}: level of {size} at {price}")
    return pairs


def _index(row: _Index, recv_ns: int) -> Index:
    coin, _, quote = row.inst_id.partition("-")
    if not coin or not quote:
        raise DecodeError(RejectReason.BAD_SYMBOL, f"{row.inst_id!r} is not an OKX index")
    if not row.idx_px > 0.0:
        raise DecodeError(RejectReason.BAD_VALUE, f"{row.inst_id}: index {row.idx_px}")
    return Index(VENUE, row.inst_id, coin, recv_ns, row.ts * _MS, row.idx_px)


def _status(row: _Status, recv_ns: int) -> Status:
    event_ns = row.ts * _MS if row.ts else None
    return Status(VENUE, "", "", recv_ns, event_ns, _STATUSES.get(row.state, row.state), row.title)


def _listed_contract(row: _Instrument) -> Contract:
    """Return the contract as the listing states it; a preopen row may leave fields for the name to tell."""
    kind = _KINDS.get(row.inst_type)
    if kind is None:
        raise DecodeError(RejectReason.BAD_VALUE, f"{row.inst_id}: instType {row.inst_type!r}")
    if row.rule_type == "xperp":
        kind = "perpetual"
    coin = row.base_ccy or (row.uly or row.inst_id).partition("-")[0]
    if kind in ("perpetual", "spot"):
        return Contract(VENUE, row.inst_id, coin, kind, "quote")
    if kind == "future":
        expiry = row.exp_time or contract(row.inst_id).expiry
        return Contract(VENUE, row.inst_id, coin, kind, "quote", expiry, series=family(row.inst_id))
    if row.stk and row.exp_time and row.opt_type and row.settle_ccy:
        return Contract(
            VENUE, row.inst_id, coin, "option", "coin" if row.settle_ccy == coin else "quote", row.exp_time, row.stk,
            "C" if row.opt_type == "C" else "P", family(row.inst_id),
        )  # fmt: skip
    of = contract(row.inst_id)
    if of.kind != "option":
        raise DecodeError(RejectReason.BAD_VALUE, f"{row.inst_id}: option without strike or type")
    return of


# --- raw message types ---------------------------------------------------------------------------


class _Raw(Struct, gc=False, rename="camel"):
    """A venue's object: its names are camelCase."""


class _Ticker(_Raw, gc=False):
    inst_id: str
    ts: Millis
    bid_px: Amount = ""
    bid_sz: Amount = ""
    ask_px: Amount = ""
    ask_sz: Amount = ""


class _Tickers(_Raw, gc=False):
    data: list[_Ticker]


class _Arg(_Raw, gc=False):
    channel: str
    inst_id: str = ""


class _Envelope(_Raw, gc=False):
    arg: _Arg | None = None
    action: str | None = None
    data: Raw = Raw()
    event: Any = None
    code: str | None = None


class _Summary(_Raw, gc=False):
    inst_id: str
    ts: Millis
    mark_vol: str = ""
    fwd_px: str = ""
    delta: str = ""
    delta_usd: str = field(default="", name="deltaBS")


class _Mark(_Raw, gc=False):
    inst_id: str
    ts: Millis
    mark_px: Amount = ""


class _OpenInterest(_Raw, gc=False):
    inst_id: str
    ts: Millis
    oi_ccy: Amount = ""


class _Trade(_Raw, gc=False):
    inst_id: str
    ts: Millis
    trade_id: str
    px: Positive
    sz: Positive
    side: Any
    fill_vol: str = ""

    def __post_init__(self) -> None:
        if self.side not in ("buy", "sell"):
            raise ValueError(f"side {self.side!r}")


class _BookRow(_Raw, gc=False):
    ts: Millis
    bids: list[tuple[float, float, Any, Any]]
    asks: list[tuple[float, float, Any, Any]]
    seq_id: int = -1
    prev_seq_id: int = -1
    inst_id: str = ""


class _Index(_Raw, gc=False):
    inst_id: str
    ts: Millis
    idx_px: Positive


class _Status(_Raw, gc=False):
    state: str
    title: str = ""
    ts: Millis | None = None


class _Band(_Raw, gc=False):
    min_px: Positive
    tick_sz: Positive


class _TickBands(_Raw, gc=False):
    inst_family: str
    tick_band: list[_Band]


class _Instrument(_Raw, gc=False):
    inst_id: str
    inst_type: str
    state: str = "live"
    inst_family: str = ""
    uly: str = ""
    base_ccy: str = ""
    settle_ccy: str = ""
    opt_type: str = ""
    stk: Amount = ""
    exp_time: Millis | Literal[""] = ""
    list_time: Millis | Literal[""] = ""
    ct_val: Amount = ""
    ct_mult: Amount = ""
    ct_val_ccy: str = ""
    tick_sz: Amount = ""
    min_sz: Amount = ""
    rule_type: str = ""


_TICKERS = msgspec.json.Decoder(_Tickers, strict=False)
_ENVELOPE = msgspec.json.Decoder(_Envelope)
_TICKER_ROWS = msgspec.json.Decoder(list[_Ticker], strict=False)
_SUMMARIES = msgspec.json.Decoder(list[_Summary], strict=False)
_MARKS = msgspec.json.Decoder(list[_Mark], strict=False)
_OPEN_INTERESTS = msgspec.json.Decoder(list[_OpenInterest], strict=False)
_TRADES = msgspec.json.Decoder(list[_Trade], strict=False)
_BOOKS = msgspec.json.Decoder(list[_BookRow], strict=False)
_INDICES = msgspec.json.Decoder(list[_Index], strict=False)
_STATUS_ROWS = msgspec.json.Decoder(list[_Status], strict=False)
_TICK_BANDS = msgspec.json.Decoder(list[_TickBands], strict=False)
_INSTRUMENTS = msgspec.json.Decoder(list[_Instrument], strict=False)
