"""The board of a local venue: all options and futures of one coin, in columns.

Columns hold what the venue's ticker of each contract now says, rounded as the venue prints it:
prices in coin per coin, IVs in percent, forwards and greeks in USD, sizes in coins; NaN = none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.implied_vol import implied_vol
from derivasys.messages import OptionType
from derivasys.testing.deribit_names import option_name
from derivasys.testing.market.black76 import price_greeks
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

MARK_DIGITS = {"BTC": 8, "ETH": 6}
MIN_SIZE = {"BTC": 0.1, "ETH": 1.0}
"""min_trade_amount, coins."""
TICK, TICK_ABOVE, TICK_STEP = 0.0001, 0.005, 0.0005
"""Base tick, the price above which the step's tick applies, and that tick; coin."""
IV_CAP_PERCENT = 500.0


class Expiry(Struct):
    """One expiry date of the board."""

    ms: int
    underlying_index: str
    """A listed future, or SYN.<future> when there is none."""
    forward: float
    rate: float
    """Log basis a year: forward = index · exp(rate · tau)."""
    state: int = OPEN
    delivery_price: float = np.nan

    @property
    def is_listed(self) -> bool:
        """Whether the underlying is a future that trades."""
        return not self.underlying_index.startswith(("SYN.", "index_price"))


class Future(Struct):
    """A dated future or the perpetual (`expiry` None); prices in USD, sizes in USD."""

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


def round_tick(price: Floats) -> Floats:
    """Return prices (coin) rounded to the nearest price the venue allows."""
    # A quotient of whole numbers is the double nearest to the decimal, so it prints short.
    fine = np.rint(price * 10_000.0) / 10_000.0
    coarse = np.rint(price * 2_000.0) / 2_000.0
    out: Floats = np.where(price > TICK_ABOVE, coarse, fine)
    return out


def next_tick(price: Floats) -> Floats:
    """Return the allowed price above each allowed price (coin)."""
    at_step = price > TICK_ABOVE - 0.5 * TICK
    return round_tick(np.where(at_step, price + TICK_STEP, price + TICK))


class Board:
    """Contracts in columns. An option keeps its row for good; `add_options` appends rows."""

    def __init__(self, ccy: str, index_price: float) -> None:
        self.ccy = ccy
        self.index_name = f"{ccy.lower()}_usd"
        self.index_price = index_price
        self.mark_digits = MARK_DIGITS.get(ccy, 6)
        self.min_size = MIN_SIZE.get(ccy, 1.0)
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
            symbol = option_name(self.ccy, expiry, strike, option_type)
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

    def value(self, rows: Ints, iv: Floats, time_ms: int | Ints) -> None:
        """Set mark IV, mark and greeks of `rows` from `iv` (decimal) and the forwards there."""
        t, forward, strike = self.ticker, self.ticker["forward"][rows], self.strike[rows]
        tau = tau_years(self.expiry_ms[rows], time_ms)
        price, *greeks = price_greeks(forward, strike, tau, iv, self.is_call[rows])
        t["mark"][rows] = np.round(price / forward, self.mark_digits)
        t["mark_iv"][rows] = np.round(100.0 * iv, 2)
        for name, values in zip(("delta", "gamma", "vega", "theta", "rho"), greeks, strict=True):
            t[name][rows] = np.round(values, 5)

    def imply(self, rows: Ints, time_ms: int | Ints) -> None:
        """Set bid_iv and ask_iv (percent) of `rows` from bid and ask; 0 where there is none."""
        n = len(rows)
        t = self.ticker
        sides = np.concatenate([t["bid"][rows], t["ask"][rows]])
        forward = np.tile(t["forward"][rows], 2)
        tau = np.tile(tau_years(self.expiry_ms[rows], time_ms), 2)
        strike, is_call = np.tile(self.strike[rows], 2), np.tile(self.is_call[rows], 2)
        iv, _ = implied_vol(np.nan_to_num(sides) * forward, forward, strike, tau, is_call)
        percent = np.where(np.isfinite(iv) & ~np.isnan(sides), np.round(100.0 * iv, 2), 0.0)
        percent = np.minimum(percent, IV_CAP_PERCENT)
        t["bid_iv"][rows] = percent[:n]
        t["ask_iv"][rows] = percent[n:]

    def open_rows(self) -> Ints:
        """Return the rows of the options that trade."""
        return np.flatnonzero(self.state == OPEN)
