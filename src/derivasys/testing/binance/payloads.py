"""The venue's messages and listing, as it prints them: strings, by contract, vols as fractions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from derivasys.messages import OptionType
from derivasys.testing.market import Board, Print
from derivasys.testing.market.board import tau_years
from derivasys.testing.market.family import Family
from derivasys.testing.market.life import AVERAGE_MS
from derivasys.testing.text import text

Json = dict[str, Any]
RATE_MAX = 1000.0
"""Of what is printed as `rf`; within minutes of expiry the smallest basis makes a large rate."""


class BinanceNames:
    """The venue's grammar of symbols."""

    def option(self, family: Family, expiry_ms: int, strike: float, option_type: OptionType) -> str:
        return f"{family.ccy}-{_date(expiry_ms)}-{text(strike)}-{option_type}"

    def future(self, family: Family, expiry_ms: int | None) -> str:
        return family.name if expiry_ms is None else f"{family.name}_{_date(expiry_ms)}"


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%y%m%d")


class Printer:
    """Prints one family's prices and sizes: by contract, with the decimals of its ticks."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self.unit = board.family.contract_size
        self.tick = board.family.ticks.base * self.unit
        self.step = board.family.min_size / self.unit
        self._digits = max(3, _decimals(self.tick))

    def price(self, per_coin: float) -> str:
        """Return the price of one contract; NaN, which stands for none, as zero."""
        return f"{0.0 if math.isnan(per_coin) else per_coin * self.unit:.{self._digits}f}"

    def size(self, coins: float, price: float) -> str:
        """Return contracts; zero where there is no price."""
        return f"{0.0 if math.isnan(price) or math.isnan(coins) else coins / self.unit:.{_decimals(self.step) + 2}f}"


def _decimals(step: float) -> int:
    return len(text(step).partition(".")[2])


def marks(printer: Printer, rows: Sequence[int], now_ms: int, delivery: dict[int, float]) -> list[Json]:
    """Return `optionMarkPrice`: one element an option.

    `delivery` has the estimated delivery prices of expiries in their last half hour, by expiry: the underlying of their
    marks moves to that average.
    """
    board = printer.board
    taus = tau_years(board.expiry_ms, now_ms)
    out = []
    index = board.index_price
    for row, at, t in zip(rows, board.ticker[rows], taus[rows].tolist(), strict=True):
        ms = int(board.expiry_ms[row])
        underlying = delivery.get(ms, index)
        forward = board.expiries[int(board.expiry_of[row])].forward
        rate = math.log(forward / index) / t if t > 0 else 0.0
        bid, ask = float(at["bid"]), float(at["ask"])
        out.append(
            {
                "s": board.symbols[row], "mp": printer.price(float(at["mark"])), "E": now_ms, "e": "markPrice",
                "i": f"{underlying:.8f}", "P": f"{delivery.get(ms, 0.0):.3f}",
                "bo": printer.price(bid), "ao": printer.price(ask), "bq": printer.size(float(at["bid_size"]), bid),
                "aq": printer.size(float(at["ask_size"]), ask), "b": vol(bid, float(at["bid_iv"])),
                "a": vol(ask, float(at["ask_iv"])), "hl": printer.price(1.5 * float(at["mark"])),
                "ll": printer.price(0.5 * float(at["mark"])), "vo": f"{float(at['mark_iv']) / 100:.8f}",
                "rf": f"{min(max(rate, -RATE_MAX), RATE_MAX):.4f}", "d": f"{float(at['delta']):.8f}",
                "t": f"{float(at['theta']):.8f}", "g": f"{float(at['gamma']):.8f}", "v": f"{float(at['vega']):.8f}",
            }
        )  # fmt: skip
    return out


def is_settling(expiry_ms: int, now_ms: int) -> bool:
    """Tell whether an expiry is in its last half hour."""
    return 0 < expiry_ms - now_ms <= AVERAGE_MS


def vol(price: float, percent: float) -> str:
    """Return a quote's vol as a fraction; -1.0 for none."""
    return "-1.0" if math.isnan(price) or not percent > 0 else f"{percent / 100:.8f}"


def book_ticker(printer: Printer, row: int, update_id: int) -> Json:
    """Return `bookTicker`: here b and a are prices, B and A sizes."""
    at = printer.board.ticker[row]
    bid, ask, time_ms = float(at["bid"]), float(at["ask"]), int(at["time_ms"])
    return {
        "e": "bookTicker", "u": update_id, "s": printer.board.symbols[row], "b": printer.price(bid),
        "B": printer.size(float(at["bid_size"]), bid), "a": printer.price(ask),
        "A": printer.size(float(at["ask_size"]), ask), "T": time_ms, "E": time_ms,
    }  # fmt: skip


def depth(printer: Printer, row: int, ids: tuple[int, int, int], now_ms: int) -> Json:
    """Return a book of one level a side: partial books and changes have the same event type."""
    at = printer.board.ticker[row]
    bid, ask = float(at["bid"]), float(at["ask"])
    first, last, previous = ids
    return {
        "e": "depthUpdate", "E": now_ms, "T": int(at["time_ms"]), "s": printer.board.symbols[row], "U": first,
        "u": last, "pu": previous,
        "b": [] if math.isnan(bid) else [[printer.price(bid), printer.size(float(at["bid_size"]), bid)]],
        "a": [] if math.isnan(ask) else [[printer.price(ask), printer.size(float(at["ask_size"]), ask)]],
    }  # fmt: skip


def trade(printer: Printer, made: Print) -> Json:
    """Return `optionTrade`; `m` tells whether the buyer was the maker."""
    is_buy = made.direction == "buy"
    return {
        "e": "trade", "E": made.time_ms, "T": made.time_ms, "s": printer.board.symbols[made.row], "t": made.trade_seq,
        "p": printer.price(made.price), "q": printer.size(made.amount, made.price), "X": "MARKET",
        "S": "BUY" if is_buy else "SELL", "m": not is_buy,
    }  # fmt: skip


def index(board: Board, now_ms: int) -> Json:
    """Return one element of `!index@arr`."""
    return {"e": "indexPrice", "E": now_ms, "s": board.family.name, "p": f"{board.index_price:.8f}"}


def open_interest(printer: Printer, row: int, now_ms: int) -> Json:
    """Return one element of `openInterest`: contracts, and their worth in USDT."""
    board = printer.board
    coins = float(board.ticker["open_interest"][row])
    return {
        "e": "openInterest", "E": now_ms, "s": board.symbols[row], "o": text(coins / printer.unit),
        "h": text(coins * board.index_price),
    }  # fmt: skip


def statistics(printer: Printer, row: int, now_ms: int) -> Json:
    """Return `optionTicker`: 24 hours in numbers, zero where there was no trade, and no best prices."""
    at = printer.board.ticker[row]
    last, high, low = (printer.price(float(at[name])) for name in ("last", "high", "low"))
    return {
        "e": "24hrTicker", "E": now_ms, "s": printer.board.symbols[row], "p": "0.000", "P": "0.000", "w": last,
        "c": last, "Q": "0.00", "o": last, "h": high, "l": low,
        "v": text(float(at["volume"]) / printer.unit), "q": "0.000", "O": now_ms - 86_400_000, "C": now_ms,
        "F": 0, "L": 0, "n": 0,
    }  # fmt: skip


def new_symbol(board: Board, row: int, now_ms: int) -> Json:
    """Return `!optionSymbol`: a listing."""
    return {
        "e": "optionSymbol", "E": now_ms, "s": board.symbols[row], "ps": board.family.name, "qa": "USDT",
        "d": "CALL" if board.is_call[row] else "PUT", "sp": text(float(board.strike[row])),
        "dt": int(board.expiry_ms[row]), "u": int(board.family.contract_size), "ot": int(board.listed_ms[row]),
        "cs": "TRADING",
    }  # fmt: skip


def symbol(printer: Printer, row: int) -> Json:
    """Return a row of `optionSymbols` of the listing; `side` is the option's type."""
    board = printer.board
    tick, step = text(printer.tick), text(printer.step)
    return {
        "symbol": board.symbols[row], "side": "CALL" if board.is_call[row] else "PUT",
        "strikePrice": f"{float(board.strike[row]):.8f}", "expiryDate": int(board.expiry_ms[row]),
        "unit": int(printer.unit), "underlying": board.family.name, "quoteAsset": "USDT", "status": "TRADING",
        "minQty": step, "maxQty": "10000", "priceScale": 3, "quantityScale": 2, "underlyingType": "CRYPTO",
        "contractType": "CRYPTO_OPTIONS", "nakedSell": True,
        "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
            {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "10000", "stepSize": step},
        ],
    }  # fmt: skip


def stock_symbol(expiry_ms: int) -> Json:
    """Return an option on a stock, which stand in the same listing since July 2026."""
    return {
        "symbol": f"TSLA-{_date(expiry_ms)}-400-C", "side": "CALL", "strikePrice": "400.00000000",
        "expiryDate": expiry_ms, "unit": 1, "underlying": "TSLAUSDT", "quoteAsset": "USDT", "status": "TRADING",
        "minQty": "0.01", "maxQty": "100", "underlyingType": "EQUITY", "contractType": "TRADFI_OPTIONS",
        "filters": [{"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000", "tickSize": "0.01"}],
    }  # fmt: skip
