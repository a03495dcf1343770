"""What is published of one currency at one version, before it becomes bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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


class Tables(Mapping[str, Table]):
    """The tables of one version, each made when it is first asked for: most cycles publish two of four."""

    def __init__(self, make: Mapping[str, Callable[[], Table]]) -> None:
        self._make = dict(make)
        self._made: dict[str, Table] = {}

    def __getitem__(self, channel: str) -> Table:
        made = self._made.get(channel)
        if made is None:
            made = self._made[channel] = self._make[channel]()
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)


class State(Struct, frozen=True):
    """Everything published of one currency at one version."""

    ccy: str
    version: int
    ts: int
    conventions: dict[str, str]
    tables: Mapping[str, Table]
    """By channel: TABLES."""
    fit: dict[str, Any]
    """The body of `surface_fit_status`."""
    head: dict[str, Any] = {}
    """What the channel `surface` says of the whole surface: `vol_index_30d`."""
