"""What Deribit lists and how it differs, as far as its documentation and listings of 2026 tell; else plausible.

Sizes, prices and ticks are by coin (see `market.family.Family`), whatever the venue prints.
"""

from __future__ import annotations

from derivasys.testing.market.family import Family
from derivasys.testing.market.ladder import Ladder
from derivasys.testing.market.manner import Manner, VenueTerms
from derivasys.testing.market.recorded import recorded_family
from derivasys.testing.market.ticks import Ticks


def _deribit_linear(
    ccy: str, size: float, ticks: Ticks, min_size: float, digits: int, future_tick: float, weight: float = 1.0
) -> Family:
    return Family(
        venue="deribit", ccy=ccy, name=f"{ccy}_USDC", quote="USDC", settle="USDC", premium=2e-4, contract_size=size,
        ticks=ticks, min_size=min_size, index_digits=digits, mark_digits=digits + 2, greek_digits=8,
        future_tick=future_tick, future_lot=min_size, ladder=Ladder(3, 2, 2, 2), z_max=3.0, weight=weight,
    )  # fmt: skip


TERMS = VenueTerms(
    "deribit",
    (
        recorded_family("BTC"),
        recorded_family("ETH"),
        _deribit_linear("BTC", 1.0, Ticks(5.0, ((1000.0, 20.0),)), 0.01, 2, 0.5, 0.3),
        _deribit_linear("ETH", 1.0, Ticks(0.2, ((50.0, 1.0),)), 0.1, 2, 0.05, 0.3),
        _deribit_linear("SOL", 10.0, Ticks(0.02, ((5.0, 0.1),)), 10.0, 4, 0.01),
        _deribit_linear("XRP", 1000.0, Ticks(0.0002, ((0.05, 0.001),)), 1000.0, 5, 0.0001),
        _deribit_linear("AVAX", 100.0, Ticks(0.005, ((0.5, 0.02),)), 100.0, 4, 0.001),
        _deribit_linear("TRX", 10_000.0, Ticks(0.00005), 10_000.0, 6, 0.00001),
        _deribit_linear("HYPE", 10.0, Ticks(0.01, ((2.0, 0.05),)), 10.0, 4, 0.001),
    ),
    Manner(),
    announces_listings=True,
)
