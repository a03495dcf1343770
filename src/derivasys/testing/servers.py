"""The local venue servers, by the venue's name.

A venue's package here has a module `server` with `serve` and `TERMS`, and `replay` where its chains are recorded. It is
found by that: nothing lists the venues.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from importlib import import_module
from types import ModuleType
from typing import Protocol

import derivasys.testing
from derivasys.clock import Clock
from derivasys.testing.market import World
from derivasys.testing.market.manner import VenueTerms
from derivasys.testing.recordings import RecordedChain


class LocalVenue(Protocol):
    """A venue server of our own, on loopback."""

    address: str
    """host:port once started."""

    async def start(self, port: int = 0) -> None: ...
    async def stop(self) -> None: ...


def _servers() -> list[ModuleType]:
    root = derivasys.testing
    # Looked for without importing the packages: some are made of these servers.
    return [
        import_module(f"{root.__name__}.{name}.server")
        for folder in root.__path__
        for name in sorted(found.name for found in pkgutil.iter_modules([folder]) if found.ispkg)
        if any(module.name == "server" for module in pkgutil.iter_modules([f"{folder}/{name}"]))
    ]


_SERVERS = {module.TERMS.venue: module for module in _servers()}

TERMS: dict[str, VenueTerms] = {name: module.TERMS for name, module in _SERVERS.items()}
"""Venue → what it lists in the simulated market, and how."""
SERVERS: dict[str, Callable[[World, Clock, Sequence[str], float], LocalVenue]] = {
    name: module.serve for name, module in _SERVERS.items()
}
"""Venue → (world, clock, currencies, option tickers a second) → its server, not yet started."""
REPLAYS: dict[str, Callable[[Sequence[RecordedChain], Clock, int], LocalVenue]] = {
    name: module.replay for name, module in _SERVERS.items() if hasattr(module, "replay")
}
"""Venue → (recorded chains, clock, seed) → a server that repeats them, not yet started."""
