"""The local venue servers, by the venue's name: one line for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from derivasys.clock import Clock
from derivasys.testing.binance.server import local_binance
from derivasys.testing.bybit.server import local_bybit
from derivasys.testing.deribit.server import local_deribit
from derivasys.testing.derive.server import local_derive
from derivasys.testing.market import World
from derivasys.testing.okx.server import local_okx


class LocalVenue(Protocol):
    """A venue server of our own, on loopback."""

    address: str
    """host:port once started."""

    async def start(self, port: int = 0) -> None: ...
    async def stop(self) -> None: ...


SERVERS: dict[str, Callable[[World, Clock, Sequence[str], float], LocalVenue]] = {
    "deribit": local_deribit,
    "okx": local_okx,
    "bybit": local_bybit,
    "binance": local_binance,
    "derive": local_derive,
}
"""Venue → (world, clock, currencies, option tickers a second) → its server, not yet started."""
