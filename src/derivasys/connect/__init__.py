"""Venue sockets → raw frames with their receive time. A venue's rules are sans I/O, one file a venue.

A file of this folder is a venue's when it has an `ENTRY`. It is found by that: nothing lists the venues.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from derivasys.connect.session import Venue

_MODULES = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]

VENUES: dict[str, Venue] = {module.ENTRY.name: module.ENTRY for module in _MODULES if hasattr(module, "ENTRY")}
