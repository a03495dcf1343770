"""The bodies of Bybit's messages, field for field as the venue prints them: numbers are strings, "0" means none.

IVs are fractions rounded to four decimals, 5 at most. REST and option pushes name the same ticker fields differently.
Below a day to expiry theta and gamma come scaled by the days left.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from derivasys.expiry import expiry_label
from derivasys.messages import OptionType
from derivasys.testing.market.board import OPEN, SETTLEMENT, Board, Future
from derivasys.testing.market.events import Print
from derivasys.testing.market.family import Family
from derivasys.testing.text import text

Json = dict[str, Any]
IV_CAP = 5.0
DAY_MS = 86_400_000
SETTLING_MS = 30 * 60_000
"""The average that settles is shown in the last half hour."""
REST_NAMES = {
    "bidPrice": "bid1Price", "bidSize": "bid1Size", "bidIv": "bid1Iv", "askPrice": "ask1Price", "askSize": "ask1Size",
    "askIv": "ask1Iv", "markPriceIv": "markIv",
}  # fmt: skip


class BybitNames:
    """BTC-6JAN26-17500-C-USDT (the day without leading zero), BTCUSDT-27MAR26, BTCUSDT; USDC is not named."""

    def option(self, family: Family, expiry_ms: int, strike: float, option_type: OptionType) -> str:
        """Return the symbol of an option."""
        suffix = "-USDT" if family.settle == "USDT" else ""
        return f"{family.ccy}-{expiry_label(expiry_ms)}-{text(strike)}-{option_type}{suffix}"

    def future(self, family: Family, expiry_ms: int | None) -> str:
        """Return the symbol of a dated future or the perpetual."""
        is_usdt = family.settle == "USDT"
        if expiry_ms is None:
            return f"{family.ccy}{'USDT' if is_usdt else 'PERP'}"
        name = f"{family.ccy}{'USDT' if is_usdt else ''}"
        return f"{name}-{_instant(expiry_ms):%d%b%y}".upper()


def _instant(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC)


def _iv(percent: float) -> str:
    return text(round(min(percent / 100.0, IV_CAP), 4), "0") if percent > 0.0 else "0"


def ticker(board: Board, row: int, now_ms: int, settling: float) -> Json:
    """Return the ticker of an option as it is pushed; `settling` is the estimated delivery price."""
    t = board.ticker[row]
    expiry = board.expiries[board.expiry_of[row]]
    bid, ask = text(t["bid"], "0"), text(t["ask"], "0")
    left = max(expiry.ms - now_ms, 0)
    scale = min(1.0, left / DAY_MS)
    last = text(t["last"], "0")
    return {
        "symbol": board.symbols[row], "bidPrice": bid, "bidSize": "0" if bid == "0" else text(t["bid_size"]),
        "bidIv": "0" if bid == "0" else _iv(t["bid_iv"]), "askPrice": ask,
        "askSize": "0" if ask == "0" else text(t["ask_size"]), "askIv": "0" if ask == "0" else _iv(t["ask_iv"]),
        "lastPrice": last, "highPrice24h": text(t["high"], "0"), "lowPrice24h": text(t["low"], "0"),
        "markPrice": text(t["mark"], "0"), "indexPrice": text(board.index_price), "markPriceIv": _iv(t["mark_iv"]),
        "underlyingPrice": text(expiry.forward), "openInterest": text(t["open_interest"], "0"),
        "turnover24h": text(t["volume_usd"], "0"), "volume24h": text(t["volume"], "0"),
        "totalVolume": text(t["volume"], "0"), "totalTurnover": text(t["volume_usd"], "0"),
        "delta": text(round(float(t["delta"]), 8), "0"), "gamma": text(round(scale * float(t["gamma"]), 8), "0"),
        "vega": text(round(float(t["vega"]), 8), "0"), "theta": text(round(scale * float(t["theta"]), 8), "0"),
        "predictedDeliveryPrice": text(settling) if 0 < left <= SETTLING_MS else "0", "change24h": "0",
    }  # fmt: skip


def rest_ticker(pushed: Json) -> Json:
    """Return a pushed ticker under the names of REST."""
    return {REST_NAMES.get(name, name): value for name, value in pushed.items()}


def future_ticker(board: Board, future: Future) -> Json:
    """Return the whole ticker of a future or perpetual."""
    return {
        "symbol": future.symbol, "tickDirection": "PlusTick", "lastPrice": text(future.last, "0"),
        "markPrice": text(future.mark), "indexPrice": text(board.index_price), "openInterest": "1000",
        "bid1Price": text(future.bid), "bid1Size": "" if future.bid is None else text(future.bid_size),
        "ask1Price": text(future.ask), "ask1Size": "" if future.ask is None else text(future.ask_size),
        "deliveryTime": "" if future.expiry is None else f"{_instant(future.expiry):%FT%TZ}",
        "predictedDeliveryPrice": "", "basisRate": "",
    }  # fmt: skip


def trade(board: Board, made: Print) -> Json:
    """Return one trade of `publicTrade`."""
    return {
        "p": text(made.price), "v": text(made.amount), "i": f"{made.trade_id:032x}", "T": made.time_ms, "BT": False,
        "s": board.symbols[made.row], "S": made.direction.capitalize(), "mP": text(made.mark), "iP": text(made.index),
        "mIv": _iv(board.ticker["mark_iv"][made.row]), "iv": _iv(made.iv), "seq": made.trade_id, "RPI": False,
    }  # fmt: skip


def instrument(board: Board, row: int) -> Json:
    """Return the row of an option in `instruments-info`. The strike is only in the name."""
    family = board.family
    tick, lot = text(family.ticks.base), text(family.min_size)
    status = {OPEN: "Trading", SETTLEMENT: "Delivering"}.get(int(board.state[row]), "Closed")
    return {
        "symbol": board.symbols[row], "status": status, "baseCoin": family.ccy, "quoteCoin": family.quote,
        "settleCoin": family.settle, "optionsType": "Call" if board.is_call[row] else "Put",
        "launchTime": str(board.listed_ms[row]), "deliveryTime": str(board.expiry_ms[row]),
        "deliveryFeeRate": "0.00015", "displayName": "",
        "priceFilter": {"minPrice": tick, "maxPrice": "1110000", "tickSize": tick},
        "lotSizeFilter": {"maxOrderQty": "500", "minOrderQty": lot, "qtyStep": lot},
    }  # fmt: skip


def future_instrument(board: Board, future: Future) -> Json:
    """Return the row of a future or perpetual in `instruments-info`."""
    family = board.family
    tick, lot = text(family.future_tick), text(family.future_lot)
    return {
        "symbol": future.symbol, "contractType": "LinearPerpetual" if future.expiry is None else "LinearFutures",
        "status": "Trading" if future.state == OPEN else "Closed", "baseCoin": family.ccy, "quoteCoin": family.quote,
        "settleCoin": family.settle, "launchTime": "1585526400000", "deliveryTime": str(future.expiry or 0),
        "deliveryFeeRate": "", "priceFilter": {"minPrice": tick, "maxPrice": "2000000", "tickSize": tick},
        "lotSizeFilter": {"maxOrderQty": "1190", "minOrderQty": lot, "qtyStep": lot},
    }  # fmt: skip


def system_status(state: str, now_ms: int) -> Json:
    """Return one entry of `system.status` and of /v5/system/status."""
    return {
        "id": "4d95b2a0-587f-11f0-bcc9-56f28c94d6ea", "title": "t06", "state": state, "begin": str(now_ms),
        "end": str(now_ms + 3_600_000), "href": "", "serviceTypes": [2, 3, 4, 5], "product": [1, 2], "uidSuffix": [],
        "maintainType": 1, "env": 1,
    }  # fmt: skip
