"""The venue's messages and listing, as it prints them: strings, vols as fractions, "0" for none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from derivasys.messages import OptionType
from derivasys.testing.market import Board, Print
from derivasys.testing.market.family import Family
from derivasys.testing.text import text

Json = dict[str, Any]


class DeriveNames:
    """The venue's grammar of symbols: a strike's decimal point is an underscore."""

    def option(self, family: Family, expiry_ms: int, strike: float, option_type: OptionType) -> str:
        return f"{family.ccy}-{_date(expiry_ms)}-{text(strike).replace('.', '_')}-{option_type}"

    def future(self, family: Family, expiry_ms: int | None) -> str:
        # The venue lists no dated futures, but the market asks for a name to hang the forward on.
        return f"{family.ccy}-{'PERP' if expiry_ms is None else _date(expiry_ms)}"


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).strftime("%Y%m%d")


def slim(board: Board, row: int, now_ms: int) -> Json:
    """Return `ticker_slim`, which does not name its contract."""
    at = board.ticker[row]
    expiry = board.expiries[int(board.expiry_of[row])]
    mark = text(float(at["mark"]), "0")
    return {
        "timestamp": now_ms,
        "instrument_ticker": {
            "t": int(at["time_ms"]), **_sides(board, row), "f": None, "I": text(board.index_price), "M": mark,
            "option_pricing": {
                "i": _vol(float(at["mark_iv"])), "bi": _vol(float(at["bid_iv"])), "ai": _vol(float(at["ask_iv"])),
                "d": f"{float(at['delta']):.5f}", "g": f"{float(at['gamma']):.8f}", "v": f"{float(at['vega']):.5f}",
                "t": f"{float(at['theta']):.5f}", "r": f"{float(at['rho']):.5f}", "m": mark,
                "f": text(expiry.forward), "df": f"{min(1.0, board.index_price / expiry.forward):.3f}",
            },
            "stats": {"c": "0", "v": text(float(at["volume"]), "0"), "pr": "0", "n": 0, "h": "0", "l": "0", "p": "0",
                      "oi": text(float(at["open_interest"]), "0")},
            "minp": "0", "maxp": text(10.0 * float(at["mark"]), "0"),
        },
    }  # fmt: skip


def _sides(board: Board, row: int) -> Json:
    at = board.ticker[row]
    sides: Json = {}
    for price_key, size_key, name in (("b", "B", "bid"), ("a", "A", "ask")):
        price = float(at[name])
        sides[price_key] = text(price, "0")
        sides[size_key] = text(float(at[f"{name}_size"]), "0") if price == price else "0"
    return sides


def _vol(percent: float) -> str:
    return f"{percent / 100:.5f}" if percent > 0 else "0"


def book(board: Board, row: int, publish_id: int, now_ms: int) -> Json:
    """Return `orderbook`: the whole of it each time, here one level a side."""
    sides = _sides(board, row)
    return {
        "timestamp": now_ms, "instrument_name": board.symbols[row], "publish_id": publish_id,
        "bids": [] if sides["b"] == "0" else [[sides["b"], sides["B"]]],
        "asks": [] if sides["a"] == "0" else [[sides["a"], sides["A"]]],
    }  # fmt: skip


def trades(board: Board, made: Print) -> list[Json]:
    """Return a fill as it is told: once from the taker's side and once from the maker's."""
    taker = {
        "direction": made.direction, "instrument_name": board.symbols[made.row], "trade_id": str(made.trade_id),
        "trade_price": text(made.price), "trade_amount": text(made.amount), "timestamp": made.time_ms,
        "mark_price": text(made.mark, "0"), "index_price": text(made.index), "liquidity_role": "taker",
        "quote_id": None, "tx_status": "settled",
    }  # fmt: skip
    other = "sell" if made.direction == "buy" else "buy"
    return [taker, {**taker, "direction": other, "liquidity_role": "maker"}]


def spot(board: Board, now_ms: int) -> Json:
    """Return `spot_feed`."""
    return {"timestamp": now_ms, "feeds": {board.family.ccy: {"price": text(board.index_price), "confidence": "1"}}}


def instrument(board: Board, row: int) -> Json:
    """Return a row of the listing; its times are seconds."""
    family = board.family
    return {
        "instrument_name": board.symbols[row], "instrument_type": "option", "is_active": True,
        "base_currency": family.ccy, "quote_currency": "USDC", "tick_size": text(family.ticks.base),
        "minimum_amount": text(family.min_size), "amount_step": text(family.min_size), "maker_fee_rate": "0",
        "taker_fee_rate": "0.0003", "scheduled_activation": int(board.listed_ms[row]) // 1000,
        "scheduled_deactivation": int(board.expiry_ms[row]) // 1000, "perp_details": None,
        "option_details": {
            "index": f"{family.ccy}-USD", "expiry": int(board.expiry_ms[row]) // 1000,
            "strike": text(float(board.strike[row])), "option_type": "C" if board.is_call[row] else "P",
            "settlement_price": None,
        },
    }  # fmt: skip
