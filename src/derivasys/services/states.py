"""Surfaces to records: what changed to `patches`, the whole now and then to both topics."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from derivasys.bus import records, trace
from derivasys.bus.records import BUILD_HEADER, STAMP_HEADER, Headers, Stamp, Times
from derivasys.bus.topics import PATCHES, SURFACES
from derivasys.surface import Surface
from derivasys.wire.feed import State
from derivasys.wire.state import state_of

FULL_S = 2.0
"""A whole state goes to `surfaces` so often: what a gateway that starts has to patch up to the present."""
KEYFRAME_S = 30.0
"""… and to `patches` so often, so that its history can be read from any point."""


class Record(Struct, frozen=True):
    """One record to be produced."""

    topic: str
    """Without the installation's prefix."""
    value: bytes
    headers: Headers
    ts_ms: int


class States:
    """The states published by one owner in one epoch."""

    def __init__(self, epoch: int, build: str) -> None:
        self.epoch = epoch
        self.last: dict[str, State] = {}
        self._build = build.encode()
        self._full_s: dict[str, float] = {}
        self._key_s: dict[str, float] = {}

    def forget(self) -> None:
        """Let the next states be whole: the last may not have arrived."""
        self.last.clear()

    def records(self, surface: Surface, now_s: float, span: trace.Trace, times: Times | None) -> Iterator[Record]:
        """Yield what has to be published of a surface, in order. `now_s` only grows."""
        ccy, state = surface.ccy, state_of(surface)
        before = self.last.get(ccy)
        is_key = before is None or now_s - self._key_s[ccy] >= KEYFRAME_S
        yield self._record(PATCHES, state, span, times, None if is_key else before)
        if is_key:
            self._key_s[ccy] = now_s
        if before is None or now_s - self._full_s[ccy] >= FULL_S:
            self._full_s[ccy] = now_s
            yield self._record(SURFACES, state, span, times, None)
        self.last[ccy] = state

    def whole(self) -> Iterator[Record]:
        """Yield the last state of each currency whole, for a successor and for gateways that start."""
        for state in self.last.values():
            yield self._record(SURFACES, state, trace.start(), None, None)

    def _record(
        self, topic: str, state: State, span: trace.Trace, times: Times | None, before: State | None
    ) -> Record:  # fmt: skip
        at = Stamp(self.epoch, state.version).pack(is_full=before is None)
        sent: Any = records.headers(span.header(), (STAMP_HEADER, at), (BUILD_HEADER, self._build))
        return Record(topic, records.encode_state(state, self.epoch, times, before), sent, state.ts)
