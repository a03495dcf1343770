"""Markets behind the local venue servers: recordings repeated, or simulated onwards."""

from derivasys.testing.market.board import Board
from derivasys.testing.market.events import LifeEvent, Market, MarketUpdate, Print
from derivasys.testing.market.recorded import ReplayMarket
from derivasys.testing.market.simulated import SimulatedMarket

__all__ = [
    "Board",
    "LifeEvent",
    "Market",
    "MarketUpdate",
    "Print",
    "ReplayMarket",
    "SimulatedMarket",
]
