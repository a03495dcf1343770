"""The rows of OKX's messages, field for field as the venue prints them: every number is a string, "" means none.

Sizes are in contracts, vols fractions with 5 as a cap. Of the two sets of greeks the coin one of an inverse family is
delta = deltaBS - mark, which is how the venue's messages agree; of a linear family both are taken as equal.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from derivasys.messages import OptionType
from derivasys.testing.market.board import OPEN, Board, Future
from derivasys.testing.market.events import Print
from derivasys.testing.market.family import Family
from derivasys.testing.text import text

Json = dict[str, Any]
LEVER_MAX = 2000.0
IV_CAP = 5.0
DOLLARS_PER_FUTURE = {"BTC": 100}
"""Of inverse futures; 10 for other coins."""


class OkxNames:
    """BTC-USD-241217-92000-C, SOL-USD_UM-260918-100.5-P, BTC-USD-261225, BTC-USD-SWAP."""

    def option(self, family: Family, expiry_ms: int, strike: float, option_type: OptionType) -> str:
        """Return the instId of an option."""
        return f"{family.name}-{_date(expiry_ms)}-{text(strike)}-{option_type}"

    def future(self, family: Family, expiry_ms: int | None) -> str:
        """Return the instId of a future or swap."""
        return f"{family.name}-{'SWAP' if expiry_ms is None else _date(expiry_ms)}"


def _date(expiry_ms: int) -> str:
    return datetime.fromtimestamp(expiry_ms / 1000, tz=UTC).strftime("%y%m%d")


def contracts(family: Family, coins: float) -> str:
    """Return a size in coins as a number of contracts."""
    return text(round(coins / family.contract_size, 6))


def ticker(board: Board, symbol: str) -> Json:
    """Return the row of `tickers`: best bid and ask, last trade."""
    row = board.row_of.get(symbol)
    if row is None:
        return _future_ticker(board.futures[symbol])
    t = board.ticker[row]
    family = board.family
    bid, ask, last = text(t["bid"]), text(t["ask"]), text(t["last"])
    return {
        "instType": "OPTION", "instId": symbol, "last": last, "lastSz": "0" if last else "",
        "askPx": ask, "askSz": contracts(family, t["ask_size"]) if ask else "",
        "bidPx": bid, "bidSz": contracts(family, t["bid_size"]) if bid else "",
        "open24h": last, "high24h": text(t["high"]), "low24h": text(t["low"]), "sodUtc0": last, "sodUtc8": last,
        "volCcy24h": text(t["volume"], "0"), "vol24h": contracts(family, t["volume"]), "ts": str(t["time_ms"]),
    }  # fmt: skip


def _future_ticker(future: Future) -> Json:
    last = text(future.last)
    return {
        "instType": "SWAP" if future.expiry is None else "FUTURES", "instId": future.symbol, "last": last,
        "lastSz": "1", "askPx": text(future.ask), "askSz": "" if future.ask is None else text(future.ask_size),
        "bidPx": text(future.bid), "bidSz": "" if future.bid is None else text(future.bid_size),
        "open24h": last, "high24h": last, "low24h": last, "sodUtc0": last, "sodUtc8": last, "volCcy24h": "0",
        "vol24h": "0", "ts": str(future.time_ms),
    }  # fmt: skip


def _vol(percent: float) -> str:
    """Return a vol as a fraction: "" for none, 5 at most."""
    return "" if not percent > 0.0 else text(round(min(percent / 100.0, IV_CAP), 10))


def _greek(value: float) -> str:
    return "" if value != value else f"{value:.10f}"


def summary(board: Board, row: int) -> Json:
    """Return the row of `opt-summary`."""
    t, family = board.ticker[row], board.family
    mark, forward = float(t["mark"]), float(t["forward"])
    is_coin = family.price_unit == "coin"
    delta_usd = float(t["delta"])
    delta = delta_usd - mark if is_coin else delta_usd
    coin = mark if is_coin else mark / forward
    expiry = board.expiries[board.expiry_of[row]]
    return {
        "instType": "OPTION", "instId": board.symbols[row], "uly": f"{family.ccy}-USD", "delta": _greek(delta),
        "gamma": _greek(forward * t["gamma"] - 2.0 * delta), "vega": _greek(t["vega"] / forward),
        "theta": _greek(t["theta"] / forward),
        "lever": text(round(min(1.0 / coin, LEVER_MAX), 9)) if coin > 0 else "0",
        "markVol": _vol(t["mark_iv"]), "bidVol": _vol(t["bid_iv"]) or "0", "askVol": _vol(t["ask_iv"]), "realVol": "",
        "deltaBS": _greek(delta_usd), "gammaBS": _greek(t["gamma"]), "thetaBS": _greek(t["theta"]),
        "vegaBS": _greek(t["vega"]), "ts": str(t["time_ms"]), "fwdPx": text(expiry.forward), "volLv": "",
    }  # fmt: skip


def option_trade(board: Board, made: Print) -> Json:
    """Return the row of `option-trades`."""
    family, row = board.family, made.row
    return {
        "fillVol": text(round(made.iv / 100.0, 10)), "fwdPx": text(board.expiries[board.expiry_of[row]].forward),
        "idxPx": text(made.index), "instFamily": family.name, "instId": board.symbols[row], "markPx": text(made.mark),
        "optType": "C" if board.is_call[row] else "P", "px": text(made.price), "side": made.direction,
        "sz": contracts(family, made.amount), "tradeId": str(made.trade_seq), "ts": str(made.time_ms),
    }  # fmt: skip


def plain_trade(board: Board, made: Print) -> Json:
    """Return the row of `trades`: no vol, no forward."""
    row = option_trade(board, made)
    kept = {name: row[name] for name in ("instId", "tradeId", "px", "sz", "side", "ts")}
    return kept | {"count": "1", "seqId": made.trade_id}


def mark_price(board: Board, symbol: str) -> Json:
    """Return the row of `mark-price`."""
    row = board.row_of.get(symbol)
    if row is None:
        future = board.futures[symbol]
        kind = "SWAP" if future.expiry is None else "FUTURES"
        return {"instType": kind, "instId": symbol, "markPx": text(future.mark), "ts": str(future.time_ms)}
    t = board.ticker[row]
    return {"instType": "OPTION", "instId": symbol, "markPx": text(t["mark"]), "ts": str(t["time_ms"])}


def open_interest(board: Board, row: int) -> Json:
    """Return the row of `open-interest`: contracts, coins, dollars."""
    t = board.ticker[row]
    coins = float(t["open_interest"])
    return {
        "instId": board.symbols[row], "instType": "OPTION", "oi": contracts(board.family, coins), "oiCcy": text(coins),
        "oiUsd": text(round(coins * board.index_price, 2)), "ts": str(t["time_ms"]),
    }  # fmt: skip


def index(board: Board, now_ms: int) -> Json:
    """Return the row of `index-tickers`: the index of X-USD_UM is X-USD."""
    price = text(board.index_price)
    return {
        "instId": f"{board.ccy}-USD", "idxPx": price, "open24h": price, "high24h": price, "low24h": price,
        "sodUtc0": price, "sodUtc8": price, "ts": str(now_ms),
    }  # fmt: skip


def instrument(board: Board, symbol: str, state: str | None = None) -> Json:
    """Return the row of a listing. `tickSz` is the smallest of the bands."""
    family = board.family
    row = board.row_of.get(symbol)
    common = {
        "alias": "", "baseCcy": "", "category": "1", "instFamily": family.name, "instId": symbol, "lever": "",
        "quoteCcy": "", "settleCcy": family.settle, "uly": f"{family.ccy}-USD", "ruleType": "normal",
    }  # fmt: skip
    if row is None:
        return common | _future_terms(board, board.futures[symbol], state)
    return common | {
        "instType": "OPTION", "ctMult": text(family.contract_size), "ctVal": "1", "ctValCcy": family.ccy,
        "ctType": "" if family.price_unit == "coin" else "linear",
        "expTime": str(board.expiry_ms[row]), "listTime": str(board.listed_ms[row]),
        "lotSz": "1", "minSz": contracts(family, family.min_size), "optType": "C" if board.is_call[row] else "P",
        "state": state or ("live" if board.state[row] == OPEN else "expired"), "stk": text(float(board.strike[row])),
        "tickSz": text(family.ticks.base), "upcChg": [],
    }  # fmt: skip


def _future_terms(board: Board, future: Future, state: str | None) -> Json:
    family = board.family
    is_inverse = family.price_unit == "coin"
    size = str(DOLLARS_PER_FUTURE.get(family.ccy, 10)) if is_inverse else "0.01"
    return {
        "instType": "SWAP" if future.expiry is None else "FUTURES", "ctMult": "1",
        "ctType": "inverse" if is_inverse else "linear", "ctVal": size, "ctValCcy": "USD" if is_inverse else family.ccy,
        "expTime": "" if future.expiry is None else str(future.expiry), "listTime": "1611916828000", "lotSz": "1",
        "minSz": "1", "optType": "", "state": state or ("live" if future.state == OPEN else "expired"), "stk": "",
        "tickSz": text(family.future_tick),
    }  # fmt: skip


def tick_bands(family: Family) -> Json:
    """Return the row of `instrument-tick-bands`."""
    starts = [(0.0, family.ticks.base), *family.ticks.steps]
    ends = [start for start, _ in starts[1:]] + [1e6]
    bands = [
        {"minPx": text(start), "maxPx": text(end), "tickSz": text(tick)}
        for (start, tick), end in zip(starts, ends, strict=True)
    ]
    return {"instType": "OPTION", "instFamily": family.name, "tickBand": bands}


def system_status(state: str, now_ms: int) -> Json:
    """Return the row of `status` and of system/status."""
    return {
        "begin": str(now_ms), "end": str(now_ms + 3_600_000), "href": "", "preOpenBegin": "", "scheDesc": "",
        "serviceType": "0", "state": state, "system": "unified", "maintType": "1", "env": "1",
        "title": "Trading account WebSocket system upgrade", "ts": str(now_ms),
    }  # fmt: skip
