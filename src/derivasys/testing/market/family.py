"""A family: all options that one venue lists on one coin under the same terms, and the futures beside them."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from derivasys.messages import OptionType, PriceUnit
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.ticks import Ticks


class Family(Struct, frozen=True, kw_only=True):
    """Terms of listing. Sizes are in coins, prices per coin in `price_unit`, whatever the venue prints."""

    venue: str
    ccy: str
    name: str
    """The venue's own name of the family: BTC, SOL_USDC, BTC-USD_UM, XRPUSDT."""
    price_unit: PriceUnit = "quote"
    quote: str
    """Currency of strikes, index and forwards, and of prices that are not in coin: USD, USDC, USDT."""
    settle: str
    premium: float = 0.0
    """Of its index over the venue's others, relative: it counts in another currency."""
    contract_size: float = 1.0
    """Coins a contract. A venue that prints sizes or prices by contract converts in its server."""
    ticks: Ticks
    min_size: float
    """Least order and step of sizes, coins."""
    index_digits: int = 2
    """Decimals of the index and of listed futures."""
    mark_digits: int = 4
    iv_digits: int = 2
    """Decimals of IVs in percent."""
    greek_digits: int = 5
    is_discounted: bool = False
    """Prices are e^(-rT) of the undiscounted ones, e^(-rT) = index / forward."""
    ladder: Ladder = Ladder()
    z_max: float = 4.0
    """Strikes are listed up to so many standard deviations from the forward."""
    every: int = 1
    """Of the coin's strikes each n-th is listed."""
    has_dated_futures: bool = True
    has_perpetual: bool = True
    future_tick: float = 0.5
    future_lot: float = 10.0
    """Step of the futures' sizes, in the unit in which the venue counts them."""
    weight: float = 1.0
    """Messages an option, against the venue's other families."""


class Names(Protocol):
    """A venue's grammar of symbols, given to the market by the venue's server."""

    def option(self, family: Family, expiry_ms: int, strike: float, option_type: OptionType) -> str:
        """Return the symbol of an option."""

    def future(self, family: Family, expiry_ms: int | None) -> str:
        """Return the symbol of a dated future, or with None of the perpetual."""
