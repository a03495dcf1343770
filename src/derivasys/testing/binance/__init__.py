"""Binance European options as far as a market-data client can see them, served on this machine.

Protocol: developers.binance.com/docs/derivatives/options-trading, as of December 2025, and behaviour seen since (named
in the code). The markets behind it are simulated ones.
"""

from derivasys.testing.binance.server import BinanceServer
from derivasys.testing.binance.venue import Venue

__all__ = ["BinanceServer", "Venue"]
