"""What one venue lists, and how its view of the market differs from the market."""

from __future__ import annotations

from msgspec import Struct

from derivasys.testing.market.family import Family


class Manner(Struct, frozen=True, kw_only=True):
    """How a venue differs from the market behind it."""

    latency_ms: int = 0
    """It sees the market so late, in whole steps of the grid."""
    spread: float = 1.0
    """Width of its quotes, against the recorded."""
    gaps: float = 0.0
    """Part of the far options that usually has no bid, beyond those of the recording; half as many have no ask."""
    premium: float = 0.0
    """Its index over the market's, relative: a stablecoin is not the dollar."""
    basis_sd: float = 0.0
    """Its forwards' own deviation, relative, for expiries of a day or more."""
    level_sd: float = 0.0
    """Its vols' own deviation, relative, by expiry."""
    prints_per_s: float = 0.5


class VenueTerms(Struct, frozen=True):
    """What one venue lists and how: the `TERMS` of its local server's package."""

    venue: str
    families: tuple[Family, ...]
    manner: Manner
    announces_listings: bool = False
    """Its sockets tell of new and ended contracts; elsewhere only the next fetch of the listing does."""
    undated_ms: int = 0
    """It states best prices twice, on connections of their own, and in one of them does not say of when within so long:
    what a client holds may step back by as much."""
    is_discounted: bool = False
    """Its prices are discounted, so that the undiscounted ones are known less exactly than they are printed."""
