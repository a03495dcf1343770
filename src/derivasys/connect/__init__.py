"""Venue sockets → raw frames with their receive time. A venue's rules are sans I/O, one file a venue."""

from derivasys.connect.binance import BINANCE
from derivasys.connect.bybit import BYBIT
from derivasys.connect.deribit import DERIBIT
from derivasys.connect.derive import DERIVE
from derivasys.connect.okx import OKX
from derivasys.connect.session import Venue

VENUES: dict[str, Venue] = {venue.name: venue for venue in (DERIBIT, OKX, BYBIT, BINANCE, DERIVE)}
