"""Venue sockets → raw frames with their receive time. A venue's rules are sans I/O, one file a venue."""

from derivasys.connect.deribit import DERIBIT
from derivasys.connect.session import Venue

VENUES: dict[str, Venue] = {venue.name: venue for venue in (DERIBIT,)}
