"""The bodies of Deribit's messages, field for field as the venue prints them.

A missing side is written in each of the ways seen on the wire: price 0.0, price null, or no price
at all, always with amount 0.0 and iv 0.0. IVs are in percent, but a fraction in markprice.options.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import isnan
from typing import Any

import orjson

from derivasys.testing.market.board import (
    DELIVERED,
    STATES,
    Board,
    Future,
)
from derivasys.testing.market.events import Print
from derivasys.testing.market.family import Family

Json = dict[str, Any]

PERPETUAL_EXPIRY_MS = 32_503_708_800_000
"""What the venue gives as the expiration of a perpetual: the year 3000."""
MISSING_PRICE_STYLES = (0.0, 0.0, None, "absent")
"""How an option with a missing side writes its price, by row: captures show 0.0 most."""
BAND_COIN_MAX = 0.04
"""Half-width of the order price band of expensive options, coin."""
FUTURE_BAND = 0.015
FRIDAY = 4


def notification(channel: str, data: bytes) -> bytes:
    """Return the bytes of one subscription message."""
    head = b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"'
    return b"".join((head, channel.encode(), b'","data":', data, b"}}"))


def ticker(board: Board, row: int, delivery: float) -> Json:
    """Return the full ticker of an option; `delivery` is its estimated delivery price, USD."""
    return ticker_of(board, row, board.ticker[row].tolist(), delivery)


def ticker_of(board: Board, row: int, cells: tuple[Any, ...], delivery: float) -> Json:
    """Return the ticker from the cells of a row of `board.ticker`."""
    (time_ms, bid, bid_size, ask, ask_size, bid_iv, ask_iv, mark, mark_iv, last, forward, index,
     delta, gamma, vega, theta, rho, interest, settlement, volume, volume_usd, high, low,
     change) = cells  # fmt: skip
    expiry = board.expiries[board.expiry_of[row]]
    band, tick, digits = _band(board.family, mark, forward)
    data: Json = {
        "timestamp": time_ms,
        "state": STATES[board.state[row]],
        "stats": {
            "volume": volume,
            "volume_usd": volume_usd,
            "price_change": change,
            "low": low,
            "high": high,
        },
        "instrument_name": board.symbols[row],
        "best_bid_price": bid,
        "best_bid_amount": bid_size,
        "best_ask_price": ask,
        "best_ask_amount": ask_size,
        "bid_iv": bid_iv,
        "ask_iv": ask_iv,
        "mark_iv": mark_iv,
        "mark_price": mark,
        "last_price": last,
        "underlying_price": forward,
        "underlying_index": expiry.underlying_index,
        "index_price": index,
        "interest_rate": 0.0,
        "greeks": {"delta": delta, "gamma": gamma, "vega": vega, "theta": theta, "rho": rho},
        "open_interest": interest,
        "min_price": round(max(mark - band, tick), digits),
        "max_price": round(mark + band, digits),
        "estimated_delivery_price": delivery,
    }
    if not isnan(settlement):
        data["settlement_price"] = settlement
    if isnan(bid):
        _omit(data, "best_bid_price", row)
    if isnan(ask):
        _omit(data, "best_ask_price", row + 1)
    if expiry.state == DELIVERED:
        data["estimated_delivery_price"] = "expired"
        data["delivery_price"] = expiry.delivery_price
    return data


def _band(family: Family, mark: float, forward: float) -> tuple[float, float, int]:
    """Return half the width of the order price band, the least price and the decimals of both."""
    if family.price_unit == "coin":
        return min(0.015 + 0.4 * mark, BAND_COIN_MAX), family.ticks.base, 4
    return min(0.015 * forward + 0.4 * mark, BAND_COIN_MAX * forward), family.ticks.base, family.index_digits


def _omit(data: Json, field: str, row: int) -> None:
    style = MISSING_PRICE_STYLES[row % len(MISSING_PRICE_STYLES)]
    if style == "absent":
        del data[field]
    else:
        data[field] = style


def future_ticker(board: Board, future: Future, delivery: float) -> Json:
    """Return the ticker of a future or perpetual: prices and open interest in USD."""
    data: Json = {
        "timestamp": future.time_ms,
        "state": STATES[future.state],
        "stats": {
            "volume": None,
            "volume_usd": None,
            "price_change": None,
            "low": None,
            "high": None,
        },
        "instrument_name": future.symbol,
        "best_bid_price": future.bid,
        "best_bid_amount": future.bid_size,
        "best_ask_price": future.ask,
        "best_ask_amount": future.ask_size,
        "mark_price": future.mark,
        "last_price": future.last,
        "index_price": board.index_price,
        "settlement_price": future.mark,
        "min_price": round(future.mark * (1 - FUTURE_BAND), 2),
        "max_price": round(future.mark * (1 + FUTURE_BAND), 2),
        "open_interest": 0.0,
        "estimated_delivery_price": delivery,
    }
    if future.expiry is None:
        data |= {"current_funding": 0.0, "funding_8h": 1.742e-05, "interest_value": 0.00282134}
    if future.state == DELIVERED:
        data["estimated_delivery_price"] = "expired"
    return data


def quote(board: Board, row: int) -> Json:
    """Return the best bid and offer of an option."""
    cells = board.ticker[row]
    bid, ask = float(cells["bid"]), float(cells["ask"])
    return {
        "timestamp": int(cells["time_ms"]),
        "instrument_name": board.symbols[row],
        "best_ask_price": 0.0 if isnan(ask) else ask,
        "best_bid_price": 0.0 if isnan(bid) else bid,
        "best_ask_amount": float(cells["ask_size"]),
        "best_bid_amount": float(cells["bid_size"]),
    }


def future_quote(future: Future) -> Json:
    """Return the best bid and offer of a future."""
    return {
        "timestamp": future.time_ms,
        "instrument_name": future.symbol,
        "best_ask_price": future.ask or 0.0,
        "best_bid_price": future.bid or 0.0,
        "best_ask_amount": future.ask_size,
        "best_bid_amount": future.bid_size,
    }


def trade(board: Board, p: Print) -> Json:
    """Return one print of an option."""
    family = board.family.name
    name = str(p.trade_id) if family == "BTC" else f"{family}-{p.trade_id}"
    return {
        "trade_seq": p.trade_seq,
        "trade_id": name,
        "timestamp": p.time_ms,
        "tick_direction": p.tick_direction,
        "price": p.price,
        "mark_price": p.mark,
        "iv": p.iv,
        "instrument_name": board.symbols[p.row],
        "index_price": p.index,
        "direction": p.direction,
        "amount": p.amount,
        "contracts": p.amount / board.family.contract_size,
    }


def mark_prices(board: Board) -> bytes:
    """Return the body of markprice.options: every open option, `iv` as a fraction."""
    rows = board.open_rows()
    cells = board.ticker[rows]
    body = [
        {"timestamp": ms, "mark_price": mark, "iv": round(iv / 100.0, 4), "instrument_name": name}
        for ms, mark, iv, name in zip(
            cells["time_ms"].tolist(),
            cells["mark"].tolist(),
            cells["mark_iv"].tolist(),
            (board.symbols[row] for row in rows),
            strict=True,
        )
    ]
    return orjson.dumps(body)


def book_summary(board: Board, row: int, now_ms: int, delivery: float) -> Json:
    """Return the row of an option in get_book_summary_by_currency, fields in the venue's order."""
    cells = dict(zip(board.ticker.dtype.names or (), board.ticker[row].tolist(), strict=True))
    bid, ask = cells["bid"], cells["ask"]
    return {
        "high": cells["high"],
        "low": cells["low"],
        "last": cells["last"],
        "instrument_name": board.symbols[row],
        "bid_price": bid,
        "ask_price": ask,
        "open_interest": cells["open_interest"],
        "mark_price": cells["mark"],
        "creation_timestamp": now_ms,
        "price_change": cells["price_change"],
        "interest_rate": 0.0,
        "volume": cells["volume"],
        "mark_iv": cells["mark_iv"],
        "underlying_price": cells["forward"],
        "underlying_index": board.expiries[board.expiry_of[row]].underlying_index,
        "estimated_delivery_price": delivery,
        "base_currency": board.ccy,
        "quote_currency": board.family.settle,
        "volume_usd": cells["volume_usd"],
        # NaN (a missing side) is written as null.
        "mid_price": round((bid + ask) / 2.0, 8),
    }


def instrument(board: Board, row: int) -> Json:
    """Return the get_instruments object of an option."""
    expiry, family = int(board.expiry_ms[row]), board.family
    return {
        "price_index": board.index_name,
        "kind": "option",
        "instrument_name": board.symbols[row],
        "instrument_id": 500_000 + row,
        "option_type": "call" if board.is_call[row] else "put",
        "strike": float(board.strike[row]),
        "is_active": bool(board.state[row] == 0),
        "state": STATES[board.state[row]],
        "expiration_timestamp": expiry,
        "creation_timestamp": int(board.listed_ms[row]),
        "settlement_period": _period(expiry),
        "instrument_type": _type(family),
        "contract_size": family.contract_size,
        "min_trade_amount": board.min_size,
        "tick_size": family.ticks.base,
        "tick_size_steps": [{"above_price": above, "tick_size": tick} for above, tick in family.ticks.steps],
        "base_currency": board.ccy,
        "quote_currency": family.settle,
        "counter_currency": family.quote,
        "settlement_currency": family.settle,
        "maker_commission": 0.0003,
        "taker_commission": 0.0003,
        "block_trade_commission": 0.00015,
        "block_trade_min_trade_amount": 25 if board.ccy == "BTC" else 250,
        "block_trade_tick_size": family.ticks.base,
        "max_leverage": 1,
    }


def future_instrument(board: Board, future: Future) -> Json:
    """Return the get_instruments object of a future or perpetual."""
    family = board.family
    perpetual = future.expiry is None
    expiry = PERPETUAL_EXPIRY_MS if future.expiry is None else future.expiry
    return {
        "price_index": board.index_name,
        "kind": "future",
        "instrument_name": future.symbol,
        "instrument_id": 400_000 + list(board.futures).index(future.symbol),
        "is_active": future.state == 0,
        "state": STATES[future.state],
        "expiration_timestamp": expiry,
        "creation_timestamp": 1_534_167_754_000,
        "settlement_period": "perpetual" if perpetual else _period(expiry),
        "instrument_type": _type(family),
        "future_type": _type(family),
        "contract_size": family.future_lot,
        "min_trade_amount": family.future_lot,
        "tick_size": family.future_tick,
        "tick_size_steps": [],
        "base_currency": board.ccy,
        "quote_currency": family.quote,
        "counter_currency": family.quote,
        "settlement_currency": family.settle,
        "maker_commission": 0.0,
        "taker_commission": 0.0005,
        "block_trade_commission": 0.00025,
        "block_trade_min_trade_amount": 200_000,
        "block_trade_tick_size": 0.01,
        "max_leverage": 50,
    }


def _type(family: Family) -> str:
    return "reversed" if family.price_unit == "coin" else "linear"


def _period(expiry_ms: int) -> str:
    """Return day, week or month: the last Friday of a month is a month's end, quarters included."""
    day = datetime.fromtimestamp(expiry_ms / 1000, tz=UTC)
    if day.weekday() != FRIDAY:
        return "day"
    return "week" if (day + timedelta(days=7)).month == day.month else "month"
