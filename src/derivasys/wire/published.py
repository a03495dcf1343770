"""What is published of one currency at one version, before it becomes bytes."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from derivasys.wire.messages import Channel
from derivasys.wire.table import Table

TABLES: tuple[Channel, ...] = ("surface", "levels", "tenors", "through")
"""Channels whose state is a table and travels as patches."""
STREAMED: tuple[Channel, ...] = (*TABLES, "fit")
"""Channels of one currency."""
WITH_NODES: frozenset[Channel] = frozenset({"surface", "tenors"})
"""Channels that read otherwise in other conventions."""
BRANCH = {"surface": "smiles", "levels": "levels", "tenors": "tenors", "through": "cells"}
"""Where a channel's table stands in its messages."""


class State(Struct, frozen=True):
    """Everything published of one currency at one version."""

    ccy: str
    version: int
    ts: int
    conventions: dict[str, str]
    tables: dict[str, Table]
    """By channel: TABLES."""
    fit: dict[str, Any]
    """The body of `surface_fit_status`."""
    head: dict[str, Any] = {}
    """What the channel `surface` says of the whole surface: `vol_index_30d`."""
