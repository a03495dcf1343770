"""Deribit as far as a market-data client can see it, served on this machine.

Protocol: JSON-RPC 2.0 over WebSocket and REST, https://docs.deribit.com (sections named in the code
by method or channel). The markets behind it are recorded ones, repeated or simulated onwards.
"""

from derivasys.testing.deribit.faults import Faults
from derivasys.testing.deribit.server import DeribitServer
from derivasys.testing.deribit.venue import Venue

__all__ = ["DeribitServer", "Faults", "Venue"]
