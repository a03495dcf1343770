"""Bytes of a venue → canonical events. One file a venue; no clock, no I/O, no knowledge of other venues.

A file of this folder is a venue's when it has a `Decoder`, for the venue named `VENUE`. It is found by that: nothing
lists the venues.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

from derivasys.messages import Event


class Decoder(Protocol):
    """Decodes one venue's messages; may keep state between them (order books)."""

    def decode(self, payload: bytes, recv_ns: int) -> list[Event]:
        """Return the events of one message; raises DecodeError and nothing else."""


_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

DECODERS: dict[str, Callable[[], Decoder]] = {
    module.VENUE: module.Decoder for module in _MODULES if hasattr(module, "Decoder")
}
