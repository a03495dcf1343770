"""One currency's stream: sequence numbers, patches and snapshots, each encoded once per rate class.

Three rate classes (50, 200, 1000 ms) publish the same states at their own pace; a class's patch is the difference
between its last published state and the present one, so it is the merge of the cycles between. `seq` counts per class
and channel. A class without subscribers costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from msgspec import Struct

from derivasys.wire.messages import SCHEMA, Channel
from derivasys.wire.session import RATES_MS
from derivasys.wire.table import Table, merge_diff, patch

TABLES: tuple[Channel, ...] = ("surface", "levels", "tenors", "through")
_BRANCH = {"surface": "smiles", "levels": "levels", "tenors": "tenors", "through": "cells"}
_SNAPSHOT = {
    "surface": "svi_surface_snapshot",
    "levels": "smile_levels_snapshot",
    "tenors": "svi_tenor_snapshot",
    "through": "svi_through_snapshot",
}
_PATCH = {
    "surface": "svi_surface_patch",
    "levels": "smile_levels_patch",
    "tenors": "svi_tenor_patch",
    "through": "svi_through_patch",
}


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


class _Class:
    """What one rate class has published."""

    def __init__(self, rate_ms: int) -> None:
        self.rate_ms = rate_ms
        self.is_active = False
        self.bucket = -1
        self.state: State | None = None
        self.seq: dict[str, int] = dict.fromkeys((*TABLES, "fit"), 0)
        self.snapshots: dict[str, bytes] = {}


class Feed:
    """The stream of one currency. Each class may be some cycles behind the newest state."""

    def __init__(self, ccy: str, epoch: str) -> None:
        self.ccy = ccy
        self.epoch = epoch
        self._offered: Callable[[], State] | None = None
        self._state: State | None = None
        self._ts = 0
        self._classes = {rate_ms: _Class(rate_ms) for rate_ms in RATES_MS}

    @property
    def has_state(self) -> bool:
        """Whether there is anything to publish."""
        return self._state is not None or self._offered is not None

    @property
    def state(self) -> State | None:
        """The newest state, made now if nobody has needed it before; None before the first."""
        if self._offered is not None:
            self._state, self._offered = self._offered(), None
        return self._state

    def update(self, state: State) -> None:
        """Take the newest state."""
        self.offer(state.ts, lambda: state)

    def offer(self, ts: int, make: Callable[[], State]) -> None:
        """Take the newest state, to be made only if a class is due or somebody asks: most cycles publish nothing."""
        self._ts, self._offered = ts, make

    def activate(self, rate_ms: int) -> None:
        """Start a class: its first subscriber has come. What it published before is forgotten, seq goes on."""
        at = self._classes[rate_ms]
        if not at.is_active:
            at.is_active = True
            self._advance(at)

    def deactivate(self, rate_ms: int) -> None:
        """Stop a class: its last subscriber has gone."""
        self._classes[rate_ms].is_active = False

    def publish(self, rate_ms: int) -> dict[Channel, bytes]:
        """Return the payloads by channel that bring the class's subscribers to the newest state; {} when not due."""
        at = self._classes[rate_ms]
        bucket = self._ts // rate_ms
        if not at.is_active or not self.has_state or (rate_ms > RATES_MS[0] and bucket == at.bucket):
            return {}
        state = self.state
        assert state is not None
        if at.state is state:
            return {}
        at.bucket = bucket
        before, at.state = at.state, state
        at.snapshots.clear()
        if before is None:
            return {channel: self.snapshot(rate_ms, channel) for channel in (*TABLES, "fit")}
        payloads: dict[Channel, bytes] = {}
        for channel in TABLES:
            change = patch(before.tables[channel], state.tables[channel])
            body: dict[str, Any] = {}
            if channel == "surface" and before.conventions != state.conventions:
                body["conventions"] = state.conventions
            if channel == "surface" and before.head != state.head:
                body |= merge_diff(before.head, state.head) or {}
            if change is not None:
                body[_BRANCH[channel]] = change
            if body:
                at.seq[channel] += 1
                payloads[channel] = self._encode(_PATCH[channel], at, channel, state, body)
        if before.fit != state.fit:
            at.seq["fit"] += 1
            payloads["fit"] = self._encode("surface_fit_status", at, "fit", state, state.fit)
        return payloads

    def snapshot(self, rate_ms: int, channel: Channel) -> bytes:
        """Return the class's whole state of a channel, as of what the class has published."""
        at = self._classes[rate_ms]
        if at.state is None or not at.is_active:
            self._advance(at)
        state = at.state
        assert state is not None, "no state yet"
        if channel not in at.snapshots:
            if channel == "fit":
                payload = self._encode("surface_fit_status", at, "fit", state, state.fit)
            else:
                body: dict[str, Any] = {_BRANCH[channel]: state.tables[channel].tree()}
                if channel == "surface":
                    body |= {"conventions": state.conventions, **state.head}
                payload = self._encode(_SNAPSHOT[channel], at, channel, state, body)
            at.snapshots[channel] = payload
        return at.snapshots[channel]

    def _advance(self, at: _Class) -> None:
        if at.state is not self.state:
            at.state = self.state
            at.bucket = -1 if self.state is None else self.state.ts // at.rate_ms
            at.snapshots.clear()
            for channel in at.seq:
                at.seq[channel] += 1

    def _encode(self, kind: str, at: _Class, channel: str, state: State, body: dict[str, Any]) -> bytes:
        return orjson.dumps(
            {
                "type": kind,
                "schema": SCHEMA,
                "ts": state.ts,
                "ccy": self.ccy,
                "epoch": self.epoch,
                "seq": at.seq[channel],
                "version": state.version,
                **body,
            }
        )
