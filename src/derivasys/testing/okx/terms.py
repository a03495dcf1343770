"""What OKX lists and how it differs, as far as its documentation and listings of 2026 tell; else plausible.

Sizes, prices and ticks are by coin (see `market.family.Family`), whatever the venue prints.
"""

from __future__ import annotations

from derivasys.testing.market.family import Family
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.manner import Manner, VenueTerms
from derivasys.testing.market.ticks import Ticks

_COIN_TICKS = Ticks(0.0001, ((0.005, 0.0005),))


def _okx(ccy: str, *, is_inverse: bool, size: float, ticks: Ticks, digits: int, future_tick: float) -> Family:
    return Family(
        venue="okx", ccy=ccy, name=f"{ccy}-USD" if is_inverse else f"{ccy}-USD_UM", quote="USD",
        price_unit="coin" if is_inverse else "quote", settle=ccy if is_inverse else "USD", contract_size=size,
        ticks=ticks, min_size=size, index_digits=digits, mark_digits=10 if is_inverse else digits + 4, iv_digits=8,
        greek_digits=10, future_tick=future_tick, ladder=Ladder(2, 3, 3, 3), z_max=3.5, every=1 if is_inverse else 2,
        weight=1.0 if is_inverse else 0.6,
    )  # fmt: skip


TERMS = VenueTerms(
    "okx",
    (
        _okx("BTC", is_inverse=True, size=0.01, ticks=_COIN_TICKS, digits=2, future_tick=0.1),
        _okx("ETH", is_inverse=True, size=0.1, ticks=_COIN_TICKS, digits=2, future_tick=0.01),
        _okx("BTC", is_inverse=False, size=0.01, ticks=Ticks(5.0), digits=2, future_tick=0.1),
        _okx("ETH", is_inverse=False, size=0.1, ticks=Ticks(0.2), digits=2, future_tick=0.01),
        _okx("SOL", is_inverse=False, size=1.0, ticks=Ticks(0.01), digits=4, future_tick=0.01),
    ),
    Manner(latency_ms=50, spread=1.3, gaps=0.05, basis_sd=0.5e-4, level_sd=0.002),
    announces_listings=True,
)
