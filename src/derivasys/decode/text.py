"""Numbers that a venue writes as strings: types that msgspec reads and bounds in its one pass.

Decoders of such venues are made with `strict=False`, which reads "0.5" where a float is asked for.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from derivasys.messages import DecodeError, RejectReason

Millis = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]
"""Milliseconds since 1970, up to the year 2255: as nanoseconds they fit 64 bits."""
Positive = Annotated[float, Meta(ge=0.0, le=1e18)]
"""A price, size or vol: neither negative nor infinite nor NaN."""
Amount = Positive | Literal[""]
"""The same, or "" for none."""
IV_CAP = 5.0
"""Venues that write vols as strings write 5 (500 %) for one that they could not compute; "" and 0 stand for none."""


def failed(error: Exception) -> DecodeError:
    """Return the DecodeError for what msgspec raised."""
    text = str(error)
    if isinstance(error, msgspec.ValidationError):
        # "Expected `float` >= 0.0": of the right type, but out of bounds.
        is_bound = "` >= " in text or "` <= " in text
        return DecodeError(RejectReason.BAD_VALUE if is_bound else RejectReason.BAD_SHAPE, text)
    if isinstance(error, RecursionError):
        return DecodeError(RejectReason.NOT_JSON, "nested too deeply")
    return DecodeError(RejectReason.NOT_JSON, text)


def number(text: str) -> float | None:
    """Return a finite number, or None for "", "∞" and whatever else stands for none.

    For fields that come by the hundred in one message, where one odd value must not cost the others.
    """
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def implied_vol(value: float | None) -> float | None:
    """Return an implied vol in (0, 5), else None: 0 stands for none and 5 is a cap, not a vol."""
    return value if value is not None and 0.0 < value < IV_CAP else None
