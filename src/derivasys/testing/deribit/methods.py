"""The venue's public methods that need no connection: the same over a socket and over REST."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from derivasys.testing.deribit import payloads
from derivasys.testing.deribit.books import sides
from derivasys.testing.deribit.rpc import Json, invalid_params, not_found
from derivasys.testing.deribit_names import expiry_name
from derivasys.testing.market import Market
from derivasys.testing.market.board import DELIVERED, OPEN

Markets = Sequence[Market]
Method = Callable[[Markets, Json, int], Any]

BOOK_DEPTHS = {"1", "5", "10", "20", "50", "100", "1000", "10000"}
ALIASES = {"any", "BTC", "ETH", "SOL", "USDC", "USDT", "EURR"}
"""Currencies that are known to the venue, listed here or not."""


def find(markets: Markets, symbol: str) -> tuple[Market, int | None] | None:
    """Return the market of a contract with its row, which is None for a future."""
    for market in markets:
        row = market.board.row_of.get(symbol)
        if row is not None:
            return market, row
        if symbol in market.board.futures:
            return market, None
    return None


def of_currency(markets: Markets, params: Json) -> list[Market]:
    """Return the markets that the parameter `currency` means."""
    currency = _string(params, "currency")
    if currency not in ALIASES | {market.board.ccy for market in markets}:
        raise invalid_params("currency", "value is not in the list of known currencies")
    return [m for m in markets if currency in ("any", m.board.family.settle)]


def delivery_price(market: Market, row: int) -> float:
    """Return the estimated delivery price of an option, quote currency."""
    return market.estimated_delivery_price(int(market.board.expiry_ms[row]))


def ticker(market: Market, symbol: str, row: int | None) -> Json:
    """Return the present ticker of a contract of `market`."""
    board = market.board
    if row is not None:
        return payloads.ticker(board, row, delivery_price(market, row))
    future = board.futures[symbol]
    price = board.index_price
    if future.expiry is not None:
        price = market.estimated_delivery_price(future.expiry)
    return payloads.future_ticker(board, future, price)


def _string(params: Json, name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise invalid_params(name, "is required")
    return value


def _flag(params: Json, name: str) -> bool:
    """Return a boolean parameter, which REST carries as text; False when absent."""
    value = params.get(name, False)
    if value in (True, "true"):
        return True
    if value in (False, "false"):
        return False
    raise invalid_params(name, "must be a boolean")


def _kind(params: Json) -> str | None:
    kind = params.get("kind")
    known = (None, "any", "option", "future", "spot", "option_combo", "future_combo")
    if kind not in known:
        raise invalid_params("kind", "value is not in the list of known kinds")
    return None if kind == "any" else kind


def _found(markets: Markets, params: Json) -> tuple[Market, int | None, str]:
    symbol = _string(params, "instrument_name")
    found = find(markets, symbol)
    if found is None:
        raise not_found()
    return *found, symbol


def _get_instruments(markets: Markets, params: Json, _now_ms: int) -> list[Json]:
    kind, expired = _kind(params), _flag(params, "expired")
    listed = []
    for market in of_currency(markets, params):
        board = market.board
        if kind in (None, "option"):
            rows = [r for r, s in enumerate(board.state.tolist()) if (s == DELIVERED) is expired]
            listed += [payloads.instrument(board, row) for row in rows]
        if kind in (None, "future"):
            listed += [
                payloads.future_instrument(board, future)
                for future in board.futures.values()
                if (future.state == DELIVERED) is expired
            ]
    return listed


def _get_instrument(markets: Markets, params: Json, _now_ms: int) -> Json:
    market, row, symbol = _found(markets, params)
    if row is not None:
        return payloads.instrument(market.board, row)
    return payloads.future_instrument(market.board, market.board.futures[symbol])


def _get_expirations(markets: Markets, params: Json, _now_ms: int) -> Json:
    kind = _kind(params)
    currency = _string(params, "currency")
    by_kind: dict[str, set[int | None]] = {"option": set(), "future": set()}
    for market in of_currency(markets, params):
        by_kind["option"] |= {e.ms for e in market.board.expiries if e.state == OPEN}
        futures = market.board.futures.values()
        by_kind["future"] |= {f.expiry for f in futures if f.state == OPEN}
    named = {
        name: [
            "PERPETUAL" if ms is None else expiry_name(ms)
            for ms in sorted(dates, key=lambda d: payloads.PERPETUAL_EXPIRY_MS if d is None else d)
        ]
        for name, dates in by_kind.items()
        if kind in (None, name)
    }
    return named if currency == "any" else {currency.lower(): named}


def _get_book_summary(markets: Markets, params: Json, now_ms: int) -> list[Json]:
    if _kind(params) not in (None, "option"):
        return []
    return [
        payloads.book_summary(m.board, int(row), now_ms, m.board.index_price)
        for m in of_currency(markets, params)
        for row in m.board.open_rows()
    ]


def _ticker(markets: Markets, params: Json, _now_ms: int) -> Json:
    market, row, symbol = _found(markets, params)
    return ticker(market, symbol, row)


def _get_order_book(markets: Markets, params: Json, _now_ms: int) -> Json:
    market, row, symbol = _found(markets, params)
    depth = params.get("depth", 5)
    if str(depth) not in BOOK_DEPTHS:
        raise invalid_params("depth", "must be one of 1, 5, 10, 20, 50, 100, 1000, 10000")
    bids, asks = ([list(level) for level in side.items()][: int(depth)] for side in sides(market, symbol, row))
    now = ticker(market, symbol, row)
    return now | {"change_id": now["timestamp"], "bids": bids, "asks": asks}


def _get_index_price(markets: Markets, params: Json, _now_ms: int) -> Json:
    name = _string(params, "index_name")
    for market in markets:
        if market.board.index_name == name:
            price = market.board.index_price
            return {"index_price": price, "estimated_delivery_price": price}
    raise invalid_params("index_name", "value is not in the list of known indices")


def _get_delivery_prices(markets: Markets, params: Json, _now_ms: int) -> Json:
    name = _string(params, "index_name")
    done = [
        (expiry.ms, expiry.delivery_price)
        for market in markets
        if market.board.index_name == name
        for expiry in market.board.expiries
        if expiry.state == DELIVERED
    ]
    data = [{"date": _date(ms), "delivery_price": price} for ms, price in sorted(done, reverse=True)]
    return {"data": data, "records_total": len(data)}


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y-%m-%d")


def _get_time(_markets: Markets, _params: Json, now_ms: int) -> int:
    return now_ms


def _test(_markets: Markets, _params: Json, _now_ms: int) -> Json:
    return {"version": "1.2.26"}


METHODS: dict[str, Method] = {
    "public/get_instruments": _get_instruments,
    "public/get_instrument": _get_instrument,
    "public/get_expirations": _get_expirations,
    "public/get_book_summary_by_currency": _get_book_summary,
    "public/ticker": _ticker,
    "public/get_order_book": _get_order_book,
    "public/get_index_price": _get_index_price,
    "public/get_delivery_prices": _get_delivery_prices,
    "public/get_time": _get_time,
    "public/test": _test,
}
"""public/status, subscriptions and heartbeats are with the venue and the session."""
