"""What Derive lists and how it differs, as far as its documentation and listings of 2026 tell; else plausible.

Sizes, prices and ticks are by coin (see `market.family.Family`), whatever the venue prints.
"""

from __future__ import annotations

from derivasys.testing.market.family import Family
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.manner import Manner, VenueTerms
from derivasys.testing.market.ticks import Ticks


def _derive(ccy: str, min_size: float, tick: float, digits: int) -> Family:
    return Family(
        venue="derive", ccy=ccy, name=ccy, quote="USDC", settle="USDC", ticks=Ticks(tick), min_size=min_size,
        index_digits=digits, mark_digits=digits + 2, iv_digits=3, is_discounted=True, ladder=Ladder(3, 3, 2, 3),
        z_max=2.5, has_dated_futures=False,
    )  # fmt: skip


TERMS = VenueTerms(
    "derive",
    (
        _derive("BTC", 0.01, 1.0, 2),
        _derive("ETH", 0.1, 0.1, 2),
        _derive("SOL", 1.0, 0.01, 4),
        _derive("XRP", 10.0, 0.0001, 5),
        _derive("HYPE", 1.0, 0.01, 4),
    ),
    Manner(latency_ms=100, spread=2.0, gaps=0.3, basis_sd=1e-4, level_sd=0.004),
    is_discounted=True,
)
