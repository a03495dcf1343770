"""What each venue lists and how it differs, as far as its documentation and listings of 2026 tell; else plausible.

Sizes, prices and ticks are by coin here (see `family.Family`), whatever the venue prints.
"""

from __future__ import annotations

import math

from msgspec import Struct

from derivasys.testing.market.family import Family
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.manner import Manner
from derivasys.testing.market.ticks import Ticks


class VenueTerms(Struct, frozen=True):
    """One venue's families and manner."""

    families: tuple[Family, ...]
    manner: Manner


_COIN_TICKS = Ticks(0.0001, ((0.005, 0.0005),))


def deribit_inverse(ccy: str) -> Family:
    """Return Deribit's coin-settled options on BTC or ETH; any other recorded coin is treated like ETH."""
    is_btc = ccy == "BTC"
    return Family(
        venue="deribit", ccy=ccy, name=ccy, price_unit="coin", quote="USD", settle=ccy, ticks=_COIN_TICKS,
        min_size=0.1 if is_btc else 1.0, mark_digits=8 if is_btc else 6, future_tick=0.5 if is_btc else 0.05,
        z_max=math.inf,
    )  # fmt: skip


def _deribit_linear(
    ccy: str, size: float, ticks: Ticks, min_size: float, digits: int, future_tick: float, weight: float = 1.0
) -> Family:
    return Family(
        venue="deribit", ccy=ccy, name=f"{ccy}_USDC", quote="USDC", settle="USDC", contract_size=size, ticks=ticks,
        min_size=min_size, index_digits=digits, mark_digits=digits + 2, greek_digits=8, future_tick=future_tick,
        future_lot=min_size, ladder=Ladder(3, 2, 2, 2), z_max=3.0, weight=weight,
    )  # fmt: skip


DERIBIT = VenueTerms(
    (
        deribit_inverse("BTC"),
        deribit_inverse("ETH"),
        _deribit_linear("BTC", 1.0, Ticks(5.0, ((1000.0, 20.0),)), 0.01, 2, 0.5, 0.3),
        _deribit_linear("ETH", 1.0, Ticks(0.2, ((50.0, 1.0),)), 0.1, 2, 0.05, 0.3),
        _deribit_linear("SOL", 10.0, Ticks(0.02, ((5.0, 0.1),)), 10.0, 4, 0.01),
        _deribit_linear("XRP", 1000.0, Ticks(0.0002, ((0.05, 0.001),)), 1000.0, 5, 0.0001),
        _deribit_linear("AVAX", 100.0, Ticks(0.005, ((0.5, 0.02),)), 100.0, 4, 0.001),
        _deribit_linear("TRX", 10_000.0, Ticks(0.00005), 10_000.0, 6, 0.00001),
        _deribit_linear("HYPE", 10.0, Ticks(0.01, ((2.0, 0.05),)), 10.0, 4, 0.001),
    ),
    Manner(),
)


def _okx(ccy: str, *, is_inverse: bool, size: float, ticks: Ticks, digits: int, future_tick: float) -> Family:
    return Family(
        venue="okx", ccy=ccy, name=f"{ccy}-USD" if is_inverse else f"{ccy}-USD_UM", quote="USD",
        price_unit="coin" if is_inverse else "quote", settle=ccy if is_inverse else "USD", contract_size=size,
        ticks=ticks, min_size=size, index_digits=digits, mark_digits=10 if is_inverse else digits + 4, iv_digits=8,
        greek_digits=10, future_tick=future_tick, ladder=Ladder(2, 3, 3, 3), z_max=3.5, every=1 if is_inverse else 2,
        weight=1.0 if is_inverse else 0.6,
    )  # fmt: skip


OKX = VenueTerms(
    (
        _okx("BTC", is_inverse=True, size=0.01, ticks=_COIN_TICKS, digits=2, future_tick=0.1),
        _okx("ETH", is_inverse=True, size=0.1, ticks=_COIN_TICKS, digits=2, future_tick=0.01),
        _okx("BTC", is_inverse=False, size=0.01, ticks=Ticks(5.0), digits=2, future_tick=0.1),
        _okx("ETH", is_inverse=False, size=0.1, ticks=Ticks(0.2), digits=2, future_tick=0.01),
        _okx("SOL", is_inverse=False, size=1.0, ticks=Ticks(0.01), digits=4, future_tick=0.01),
    ),
    Manner(latency_ms=50, spread=1.3, gaps=0.05, basis_sd=0.5e-4, level_sd=0.002),
)


def _bybit(ccy: str, ladder: Ladder, min_size: float, tick: float, digits: int, future_tick: float) -> Family:
    return Family(
        venue="bybit", ccy=ccy, name=f"{ccy}-USDT", quote="USDT", settle="USDT", ticks=Ticks(tick), min_size=min_size,
        index_digits=digits, mark_digits=8, greek_digits=8, future_tick=future_tick, future_lot=min_size / 10.0,
        ladder=ladder, z_max=3.5,
    )  # fmt: skip


_NINE, _SEVEN = Ladder(3, 3, 3, 3), Ladder(3, 2, 2, 1)
BYBIT = VenueTerms(
    (
        _bybit("BTC", _NINE, 0.01, 5.0, 2, 0.1),
        _bybit("ETH", _NINE, 0.1, 0.1, 2, 0.01),
        _bybit("SOL", _SEVEN, 1.0, 0.01, 4, 0.01),
        _bybit("XRP", _SEVEN, 100.0, 0.0002, 5, 0.0001),
        _bybit("DOGE", _SEVEN, 1000.0, 0.00001, 7, 0.00001),
    ),
    Manner(latency_ms=100, spread=1.2, gaps=0.05, premium=3e-4, basis_sd=0.5e-4, level_sd=0.002),
)


def _binance(ccy: str, unit: float, min_size: float, tick: float, digits: int, future_tick: float) -> Family:
    return Family(
        venue="binance", ccy=ccy, name=f"{ccy}USDT", quote="USDT", settle="USDT", contract_size=unit,
        ticks=Ticks(tick), min_size=min_size, index_digits=max(digits, 4), mark_digits=digits + 2, iv_digits=6,
        greek_digits=8, is_discounted=True, future_tick=future_tick, future_lot=min_size / 10.0,
        ladder=Ladder(3, 3, 3, 3), z_max=3.0, has_dated_futures=ccy in ("BTC", "ETH"),
    )  # fmt: skip


BINANCE = VenueTerms(
    (
        _binance("BTC", 1.0, 0.01, 5.0, 2, 0.1),
        _binance("ETH", 1.0, 0.01, 0.2, 2, 0.01),
        _binance("BNB", 1.0, 0.01, 0.1, 3, 0.01),
        _binance("SOL", 1.0, 0.01, 0.01, 4, 0.01),
        _binance("XRP", 100.0, 1.0, 0.0001, 5, 0.0001),
        _binance("DOGE", 1000.0, 10.0, 0.00001, 7, 0.00001),
    ),
    Manner(latency_ms=150, spread=1.5, gaps=0.1, premium=3e-4, basis_sd=1e-4, level_sd=0.003),
)


def _derive(ccy: str, min_size: float, tick: float, digits: int) -> Family:
    return Family(
        venue="derive", ccy=ccy, name=ccy, quote="USDC", settle="USDC", ticks=Ticks(tick), min_size=min_size,
        index_digits=digits, mark_digits=digits + 2, iv_digits=3, is_discounted=True, ladder=Ladder(3, 3, 2, 3),
        z_max=2.5, has_dated_futures=False,
    )  # fmt: skip


DERIVE = VenueTerms(
    (
        _derive("BTC", 0.01, 1.0, 2),
        _derive("ETH", 0.1, 0.1, 2),
        _derive("SOL", 1.0, 0.01, 4),
        _derive("XRP", 10.0, 0.0001, 5),
        _derive("HYPE", 1.0, 0.01, 4),
    ),
    Manner(latency_ms=100, spread=2.0, gaps=0.3, basis_sd=1e-4, level_sd=0.004),
)

VENUES: dict[str, VenueTerms] = {
    "deribit": DERIBIT,
    "okx": OKX,
    "bybit": BYBIT,
    "binance": BINANCE,
    "derive": DERIVE,
}
