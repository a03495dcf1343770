"""What Bybit lists and how it differs, as far as its documentation and listings of 2026 tell; else plausible.

Sizes, prices and ticks are by coin (see `market.family.Family`), whatever the venue prints.
"""

from __future__ import annotations

import msgspec

from derivasys.testing.market.family import Family
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.manner import Manner, VenueTerms
from derivasys.testing.market.ticks import Ticks


def _bybit(ccy: str, ladder: Ladder, min_size: float, tick: float, digits: int, future_tick: float) -> Family:
    return Family(
        venue="bybit", ccy=ccy, name=f"{ccy}-USDT", quote="USDT", settle="USDT", ticks=Ticks(tick), min_size=min_size,
        index_digits=digits, mark_digits=8, greek_digits=8, future_tick=future_tick, future_lot=min_size / 10.0,
        ladder=ladder, z_max=3.5,
    )  # fmt: skip


def _usdc(family: Family) -> Family:
    """Return what is left of the older series, which settles in USDC and is written without a suffix."""
    return msgspec.structs.replace(
        family, name=f"{family.ccy}-USDC", quote="USD", settle="USDC", premium=-2e-4, every=2, weight=0.3
    )


_OLD = Ladder(1, 1, 1, 1)
_NINE, _SEVEN = Ladder(3, 3, 3, 3), Ladder(3, 2, 2, 1)
TERMS = VenueTerms(
    "bybit",
    (
        _bybit("BTC", _NINE, 0.01, 5.0, 2, 0.1),
        _bybit("ETH", _NINE, 0.1, 0.1, 2, 0.01),
        _bybit("SOL", _SEVEN, 1.0, 0.01, 4, 0.01),
        _bybit("XRP", _SEVEN, 100.0, 0.0002, 5, 0.0001),
        _bybit("DOGE", _SEVEN, 1000.0, 0.00001, 7, 0.00001),
        _usdc(_bybit("BTC", _OLD, 0.01, 5.0, 2, 0.1)),
        _usdc(_bybit("ETH", _OLD, 0.1, 0.1, 2, 0.01)),
    ),
    Manner(latency_ms=100, spread=1.2, gaps=0.05, premium=3e-4, basis_sd=0.5e-4, level_sd=0.002),
)
