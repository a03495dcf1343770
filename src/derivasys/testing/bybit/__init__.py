"""Bybit as far as a market-data client can see it, served on this machine.

Protocol: v5 REST and WebSocket, https://bybit-exchange.github.io/docs/v5 (sections named in the code by path or topic).
The markets behind it are simulated, see `testing.market`.
"""

from derivasys.testing.bybit.server import BybitServer
from derivasys.testing.bybit.venue import BybitVenue, Faults

__all__ = ["BybitServer", "BybitVenue", "Faults"]
