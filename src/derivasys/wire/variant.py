"""What a client may choose of a stream: its pace, its form, and the conventions of nodes and flies."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from derivasys.smiles import DeltaConvention, FlyConvention

RATES_MS = (50, 200, 1000)
RATE_MS_DEFAULT = 200
Form = Literal["compact", "expanded"]


class Variant(Struct, frozen=True, kw_only=True):
    """One choice. All clients of equal variants get the same bytes, so there are only so many: 3 · 2 · 3 · 4."""

    rate_ms: int = RATE_MS_DEFAULT
    form: Form = "compact"
    delta: DeltaConvention | None = None
    """None is the server's own convention; so it is of `fly`."""
    fly: FlyConvention | None = None
