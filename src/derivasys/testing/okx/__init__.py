"""OKX as far as a market-data client can see it, served on this machine.

Protocol: v5 REST and WebSocket, https://www.okx.com/docs-v5 (sections named in the code by path or channel). The
markets behind it are simulated, see `testing.market`.
"""

from derivasys.testing.okx.server import OkxServer
from derivasys.testing.okx.venue import Faults, OkxVenue

__all__ = ["Faults", "OkxServer", "OkxVenue"]
