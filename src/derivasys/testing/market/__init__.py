"""Markets behind the local venue servers: recordings repeated, or simulated onwards; one world seen by all venues."""

from derivasys.testing.market.board import Board
from derivasys.testing.market.events import LifeEvent, Market, MarketUpdate, Print
from derivasys.testing.market.family import Family, Names
from derivasys.testing.market.recorded import ReplayMarket
from derivasys.testing.market.simulated import SimulatedMarket
from derivasys.testing.market.view import MarketView
from derivasys.testing.market.world import VenueMarket, World

__all__ = [
    "Board",
    "Family",
    "LifeEvent",
    "Market",
    "MarketUpdate",
    "MarketView",
    "Names",
    "Print",
    "ReplayMarket",
    "SimulatedMarket",
    "VenueMarket",
    "World",
]
