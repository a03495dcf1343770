"""What Binance lists and how it differs, as far as its documentation and listings of 2026 tell; else plausible.

Sizes, prices and ticks are by coin (see `market.family.Family`), whatever the venue prints.
"""

from __future__ import annotations

from derivasys.testing.market.family import Family
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.manner import Manner, VenueTerms
from derivasys.testing.market.ticks import Ticks


def _binance(ccy: str, unit: float, min_size: float, tick: float, digits: int, future_tick: float) -> Family:
    return Family(
        venue="binance", ccy=ccy, name=f"{ccy}USDT", quote="USDT", settle="USDT", contract_size=unit,
        ticks=Ticks(tick), min_size=min_size, index_digits=max(digits, 4), mark_digits=digits + 2, iv_digits=6,
        greek_digits=8, is_discounted=True, future_tick=future_tick, future_lot=min_size / 10.0,
        ladder=Ladder(3, 3, 3, 3), z_max=3.0, has_dated_futures=ccy in ("BTC", "ETH"),
    )  # fmt: skip


TERMS = VenueTerms(
    "binance",
    (
        _binance("BTC", 1.0, 0.01, 5.0, 2, 0.1),
        _binance("ETH", 1.0, 0.01, 0.2, 2, 0.01),
        _binance("BNB", 1.0, 0.01, 0.1, 3, 0.01),
        _binance("SOL", 1.0, 0.01, 0.01, 4, 0.01),
        _binance("XRP", 100.0, 1.0, 0.0001, 5, 0.0001),
        _binance("DOGE", 1000.0, 10.0, 0.00001, 7, 0.00001),
    ),
    Manner(latency_ms=150, spread=1.5, gaps=0.1, premium=3e-4, basis_sd=1e-4, level_sd=0.003),
    announces_listings=True,
    undated_ms=1000,
    is_discounted=True,
)
