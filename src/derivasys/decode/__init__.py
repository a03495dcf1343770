"""Bytes of a venue → canonical events. One file a venue; no clock, no I/O, no knowledge of other venues.

A file of this folder is a venue's when it has a `Decoder`, for the venue named `VENUE`. It is found by that: nothing
lists the venues. Its `FEES` are what takers of its options pay, by unit of price. Its `COIN`, where it has one, matches
the beginning of frames that are about one coin alone, and finds its name.
"""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from derivasys.messages import Event, PriceUnit, TakerFee


class Decoder(Protocol):
    """Decodes one venue's messages; may keep state between them (order books)."""

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one message; raises DecodeError and nothing else."""


_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

DECODERS: dict[str, Callable[[], Decoder]] = {
    module.VENUE: module.Decoder for module in _MODULES if hasattr(module, "Decoder")
}

_FEES: dict[tuple[str, PriceUnit], TakerFee] = {
    (module.VENUE, unit): fee for module in _MODULES if hasattr(module, "FEES") for unit, fee in module.FEES.items()
}
_COINS: dict[str, re.Pattern[bytes]] = {module.VENUE: module.COIN for module in _MODULES if hasattr(module, "COIN")}
UNKNOWN_FEE = TakerFee(0.0005, 0.125)
"""The dearest rate of the known venues, for one that states none."""


def taker_fee(venue: str, unit: PriceUnit) -> TakerFee:
    """Return what the venue publishes for options priced in `unit`: no account's own tier, rebate or exercise fee.

    A rate that a venue states with its listing is better than this one.
    """
    return _FEES.get((venue, unit), UNKNOWN_FEE)


def coin_of(venue: str, payload: bytes) -> bytes | None:
    """Return the coin that a frame is about, as it is spelt there; None if it may be about others too."""
    pattern = _COINS.get(venue)
    found = None if pattern is None else pattern.match(payload)
    return None if found is None else found[1]
