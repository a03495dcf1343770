"""The messages that pass between stages: frozen, typed, in canonical units.

Units, once and for all: prices per coin in the contract's own unit (`price_unit` says which: the
coin or the quote currency), undiscounted (those of a venue that discounts are divided by its factor,
so that Black-76 on the forward gives them), sizes in coins, implied vols as decimals, instants in
nanoseconds since the Unix epoch (`*_ns`) except an expiry, which is in milliseconds as every venue
states it.
A missing side of a quote is None, never 0.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct

OptionType = Literal["C", "P"]
PriceUnit = Literal["coin", "quote"]
ContractKind = Literal["option", "future", "perpetual", "combo", "spot"]
Side = Literal["buy", "sell"]


class TakerFee(Struct, frozen=True, gc=False):
    """What taking an option's bid or ask costs a coin: min(rate · underlying + per order / size, cap · premium)."""

    rate: float
    """Fraction of the underlying."""
    cap: float
    """… but never more than this fraction of the premium."""
    per_order: float = 0.0
    """Quote currency, whatever the size."""


class Contract(Struct, frozen=True, gc=False, cache_hash=True):
    """What a message is about: one listed contract of one venue."""

    venue: str
    symbol: str
    """The venue's own name, verbatim."""
    ccy: str
    """The coin: BTC, ETH, SOL."""
    kind: ContractKind
    price_unit: PriceUnit
    expiry: int | None = None
    """Milliseconds UTC; None for a perpetual."""
    strike: float | None = None
    type: OptionType | None = None
    series: str = ""
    """Tells families of one coin apart whose forwards differ, as their settlements do; "" where a venue has one."""


class _AboutContract(Struct, frozen=True, gc=False):
    contract: Contract

    @property
    def ccy(self) -> str:
        """The coin of the contract."""
        return self.contract.ccy


class Instrument(_AboutContract, frozen=True, gc=False, tag_field="kind", tag="instrument"):
    """A listing: the contract and its terms as the venue states them at `recv_ns`."""

    recv_ns: int
    event_ns: int | None = None
    contract_size: float | None = None
    """Coins per contract."""
    tick_size: float | None = None
    tick_steps: tuple[tuple[float, float], ...] = ()
    """(above price, tick) in ascending order; the base tick applies below the first."""
    min_size: float | None = None
    taker_fee: float | None = None
    """Fraction of the underlying, as the venue states it."""
    index: str | None = None
    state: str = "open"


class Quote(_AboutContract, frozen=True, gc=False, tag_field="kind", tag="quote"):
    """Best bid and ask. None means that the side is empty."""

    recv_ns: int
    event_ns: int | None
    bid: float | None
    ask: float | None
    bid_size: float | None
    ask_size: float | None


class Mark(_AboutContract, frozen=True, gc=False, tag_field="kind", tag="mark"):
    """The venue's own valuation, with the last traded price and open interest where it gives them."""

    recv_ns: int
    event_ns: int | None
    price: float | None
    iv: float | None = None
    last: float | None = None
    open_interest: float | None = None


class Trade(_AboutContract, frozen=True, gc=False, tag_field="kind", tag="trade"):
    """One print; `side` is the taker's. `is_block` marks prints made away from the book."""

    recv_ns: int
    event_ns: int | None
    price: float
    size: float
    side: Side
    trade_id: str
    iv: float | None = None
    is_block: bool = False
    combo_id: str | None = None


class Forward(Struct, frozen=True, gc=False, tag_field="kind", tag="forward"):
    """A venue's forward of one expiry and series, in quote currency, as stated with an option of that expiry."""

    venue: str
    symbol: str
    """The venue's name of the underlying: a future, a synthetic (SYN.…) or the index."""
    ccy: str
    expiry: int
    recv_ns: int
    event_ns: int | None
    price: float
    series: str = ""
    """Of the contracts that it is the forward of; see `Contract`."""


class Index(Struct, frozen=True, gc=False, tag_field="kind", tag="index"):
    """A venue's spot index, in quote currency."""

    venue: str
    symbol: str
    ccy: str
    recv_ns: int
    event_ns: int | None
    price: float


class Gap(Struct, frozen=True, gc=False, tag_field="kind", tag="gap"):
    """A break in a sequenced stream: what is held of that symbol is no longer to be trusted."""

    venue: str
    symbol: str
    ccy: str
    recv_ns: int
    event_ns: int | None
    expected: int | None
    received: int | None


class Status(Struct, frozen=True, gc=False, tag_field="kind", tag="status"):
    """A change in the life of a contract (`state`) or of the venue (symbol is then empty)."""

    venue: str
    symbol: str
    ccy: str
    recv_ns: int
    event_ns: int | None
    state: str
    detail: str = ""


Event = Instrument | Quote | Mark | Trade | Forward | Index | Gap | Status


class RejectReason(StrEnum):
    """Why bytes of a venue gave no event. Counted by venue and reason; the bytes are kept."""

    NOT_JSON = "not_json"
    """The bytes are not one JSON value."""
    BAD_SHAPE = "bad_shape"
    """JSON, but a field is missing or of a wrong type."""
    BAD_VALUE = "bad_value"
    """A number that cannot be: a negative price or size, a non-finite value."""
    BAD_SYMBOL = "bad_symbol"
    """A contract name outside the venue's grammar."""
    UNKNOWN_MESSAGE = "unknown_message"
    """A message of a kind this decoder does not know."""


class DecodeError(ValueError):
    """Bytes of a venue that are no message of it; `reason` is counted, `detail` names the place."""

    def __init__(self, reason: RejectReason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
