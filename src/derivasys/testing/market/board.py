"""The board of a local venue: all options and futures of one family, in columns.

Columns hold what the venue's ticker of each contract now says: prices per coin in the family's unit (coin or quote
currency), IVs in percent, forwards and greeks in quote currency, sizes in coins; NaN = none. Each is rounded as the
venue prints it, but for what the venue prints by contract: its server converts that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.implied_vol import implied_vol
from derivasys.messages import OptionType
from derivasys.testing.market import kernels
from derivasys.testing.market.black76 import price_greeks
from derivasys.testing.market.family import Family, Names
from derivasys.testing.recordings import YEAR_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TICKER_FIELDS = (
    *("bid", "bid_size", "ask", "ask_size", "bid_iv", "ask_iv", "mark", "mark_iv", "last"),
    *("forward", "index", "delta", "gamma", "vega", "theta", "rho", "open_interest"),
    *("settlement", "volume", "volume_usd", "high", "low", "price_change"),
)
TICKER = np.dtype([("time_ms", "i8")] + [(name, "f8") for name in TICKER_FIELDS])

OPEN, SETTLEMENT, DELIVERED = 0, 1, 2
STATES = ("open", "settlement", "delivered")


class Expiry(Struct):
    """One expiry date of the board."""

    ms: int
    underlying_index: str
    """A listed future, or SYN.<future> when there is none."""
    forward: float
    rate: float
    """Log basis a year: forward = index · exp(rate · tau), but for noise."""
    state: int = OPEN
    delivery_price: float = np.nan

    @property
    def is_listed(self) -> bool:
        """Whether the underlying is a future that trades."""
        return not self.underlying_index.startswith(("SYN.", "index_price"))


class Future(Struct):
    """A dated future or the perpetual (`expiry` None); prices in quote currency, sizes as the venue counts them."""

    symbol: str
    expiry: int | None
    mark: float
    time_ms: int
    bid: float | None = None
    ask: float | None = None
    bid_size: float = 0.0
    ask_size: float = 0.0
    last: float | None = None
    state: int = OPEN


def tau_years(expiry_ms: Ints, now_ms: int | Ints) -> Floats:
    """Return the time left in years of 365 days, at least 0."""
    left: Floats = np.maximum(expiry_ms - now_ms, 0) / YEAR_MS
    return left


class Board:
    """Contracts in columns. An option keeps its row for good; `add_options` appends rows."""

    def __init__(self, family: Family, names: Names, index_price: float) -> None:
        self.family = family
        self.names = names
        self.ccy = family.ccy
        self.index_name = f"{family.ccy}_{family.quote}".lower()
        self.index_price = index_price
        self.min_size = family.min_size
        self.expiries: list[Expiry] = []
        self.futures: dict[str, Future] = {}
        self.symbols: list[str] = []
        self.row_of: dict[str, int] = {}
        self.expiry_of: Ints = np.zeros(0, np.int64)
        """Index into `expiries`, by option."""
        self.expiry_ms: Ints = np.zeros(0, np.int64)
        self.strike: Floats = np.zeros(0)
        self.is_call: NDArray[np.bool_] = np.zeros(0, np.bool_)
        self.listed_ms: Ints = np.zeros(0, np.int64)
        self.state: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self.ticker: NDArray[np.void] = np.zeros(0, TICKER)

    def add_options(
        self,
        expiries: Sequence[int],
        strikes: Sequence[float],
        types: Sequence[OptionType],
        listed_ms: Sequence[int],
    ) -> Ints:
        """Append options, without quotes, and return their rows.

        `expiries` are indices into `self.expiries`; all arguments have one entry for each option.
        """
        first, n = len(self.symbols), len(strikes)
        ms = np.array([self.expiries[number].ms for number in expiries], np.int64)
        for expiry, strike, option_type in zip(ms.tolist(), strikes, types, strict=True):
            symbol = self.names.option(self.family, expiry, strike, option_type)
            self.row_of[symbol] = len(self.symbols)
            self.symbols.append(symbol)
        fresh = np.zeros(n, TICKER)
        for name in TICKER_FIELDS:
            fresh[name] = np.nan
        for name in ("open_interest", "volume", "volume_usd", "bid_size", "ask_size"):
            fresh[name] = 0.0
        calls = np.array([t == "C" for t in types], np.bool_)
        self.expiry_of = np.concatenate([self.expiry_of, np.array(expiries, np.int64)])
        self.expiry_ms = np.concatenate([self.expiry_ms, ms])
        self.strike = np.concatenate([self.strike, np.asarray(strikes, np.float64)])
        self.is_call = np.concatenate([self.is_call, calls])
        self.listed_ms = np.concatenate([self.listed_ms, np.array(listed_ms, np.int64)])
        self.state = np.concatenate([self.state, np.zeros(n, np.uint8)])
        self.ticker = np.concatenate([self.ticker, fresh])
        return np.arange(first, first + n)

    def worth(self, rows: Ints) -> Floats:
        """Return, by row, what 1 of the price unit is worth in undiscounted quote currency."""
        forward: Floats = self.ticker["forward"][rows]
        if self.family.price_unit == "coin":
            return forward
        return forward / self.ticker["index"][rows] if self.family.is_discounted else np.ones(len(rows))

    def value(self, rows: Ints, iv: Floats, time_ms: int | Ints) -> None:
        """Set mark IV, mark and greeks of `rows` from `iv` (decimal) and the forwards there."""
        t, forward, strike = self.ticker, self.ticker["forward"][rows], self.strike[rows]
        tau = tau_years(self.expiry_ms[rows], time_ms)
        price, *greeks = price_greeks(forward, strike, tau, iv, self.is_call[rows])
        t["mark"][rows] = np.round(price / self.worth(rows), self.family.mark_digits)
        t["mark_iv"][rows] = np.round(100.0 * iv, self.family.iv_digits)
        for name, values in zip(("delta", "gamma", "vega", "theta", "rho"), greeks, strict=True):
            t[name][rows] = np.round(values, self.family.greek_digits)

    def imply(self, rows: Ints, time_ms: int | Ints) -> None:
        """Set bid_iv and ask_iv (percent) of `rows` from bid and ask; 0 where there is none."""
        worth, tau = self.worth(rows), tau_years(self.expiry_ms[rows], time_ms)
        valued = np.array([worth, np.broadcast_to(tau, worth.shape)])
        self.imply_valued(rows, valued)

    def imply_valued(self, rows: Ints, valued: Floats) -> None:
        """Do as `imply`, given by row the unit's worth and tau."""
        asked = kernels.sides(self.ticker, rows, self.strike, self.is_call, valued)
        iv, _ = implied_vol(asked[0], asked[1], asked[2], asked[3], asked[4] > 0.0)
        kernels.set_quote_ivs(self.ticker, rows, iv, 10.0**self.family.iv_digits)

    def add_future(self, expiry_ms: int | None, mark: float, time_ms: int) -> Future:
        """Add a dated future, or with None the perpetual, without quotes."""
        symbol = self.names.future(self.family, expiry_ms)
        future = self.futures[symbol] = Future(symbol, expiry_ms, mark, time_ms)
        return future

    def open_rows(self) -> Ints:
        """Return the rows of the options that trade."""
        return np.flatnonzero(self.state == OPEN)
