"""What taking an option's bid or ask costs: the venues' published taker fees without any discount tier.

    fee per coin = min(rate · underlying + per order / size, cap · premium)

Every venue charges a share of the underlying and caps it at a share of the premium. Rates and caps are facts of the
pages named below, read in 2026; a rate that a venue states with its listing is taken instead of the one here. An
account's own tier, rebates and exercise fees are not known here.
"""

from __future__ import annotations

from msgspec import Struct

from derivasys.messages import PriceUnit


class TakerFee(Struct, frozen=True):
    """One venue's fee of options in one unit."""

    rate: float
    """Fraction of the underlying."""
    cap: float
    """… but never more than this fraction of the premium."""
    per_order: float
    """Quote currency, whatever the size."""
    source: str


TAKER_FEES: dict[tuple[str, PriceUnit], TakerFee] = {
    ("deribit", "coin"): TakerFee(0.0003, 0.125, 0.0, "support.deribit.com, Fees: BTC and ETH options"),
    ("deribit", "quote"): TakerFee(0.0005, 0.125, 0.0, "support.deribit.com, Fees: USDC linear options"),
    ("okx", "coin"): TakerFee(0.0003, 0.07, 0.0, "okx.com, Trading Fee Rules FAQ, as of 2025-05-15"),
    ("okx", "quote"): TakerFee(0.0003, 0.07, 0.0, "okx.com, Trading Fee Rules FAQ, as of 2025-05-15"),
    ("bybit", "quote"): TakerFee(0.0003, 0.07, 0.0, "bybit.com, Bybit Option Fees Explained"),
    ("binance", "quote"): TakerFee(0.0003, 0.10, 0.0, "binance.com, FAQ: Options Trading Fees"),
    ("derive", "quote"): TakerFee(0.0004, 0.125, 0.5, "help.derive.xyz, What are the fees?"),
}
UNKNOWN = TakerFee(0.0005, 0.125, 0.0, "no published fee known: the dearest rate of the known venues")


def taker_fee(venue: str, unit: PriceUnit) -> TakerFee:
    """Return the venue's fee of options priced in `unit`; `UNKNOWN` for a venue without an entry."""
    return TAKER_FEES.get((venue, unit), UNKNOWN)
