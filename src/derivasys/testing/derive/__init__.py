"""Derive as far as a market-data client can see it, served on this machine.

Protocol: docs.derive.xyz, API v3, autumn 2026: JSON-RPC over a socket and HTTP POST. The markets behind it are
simulated.
"""

from derivasys.testing.derive.server import DeriveServer
from derivasys.testing.derive.venue import Venue

__all__ = ["DeriveServer", "Venue"]
