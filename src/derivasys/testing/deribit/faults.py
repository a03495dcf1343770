"""Switches that make the local venue misbehave the ways the real one does."""

from __future__ import annotations

from msgspec import field

from derivasys.testing.text import Losses, is_named

__all__ = ["Faults", "is_named"]


class Faults(Losses):
    """All off by default; set at any time. Channels are named by prefix: "ticker." means all."""

    refused: set[str] = field(default_factory=set)
    """Channels left out of acknowledgements, without an error."""
    maintenance: bool = False
    """Every method but public/test and public/status answers 11051."""
    is_settling: bool = False
    """The same methods answer 10041, as for a moment at 08:00 UTC."""
    locked: set[str] = field(default_factory=set)
    """Indices whose contracts are locked: public/status and platform_state say so."""
    rate_limited: bool = False
    """Every subscribe call answers 10028 and closes."""
