"""Messages in the compact form: state as maps, changes as RFC 7396 merge patches at the level of cells."""

from __future__ import annotations

from typing import Any

from derivasys.wire import table
from derivasys.wire.messages import Channel
from derivasys.wire.patch_json import patch_json, table_json
from derivasys.wire.published import BRANCH, State

KIND: dict[Channel, str] = {
    "surface": "svi_surface",
    "levels": "smile_levels",
    "tenors": "svi_tenor",
    "through": "svi_through",
}
"""Message types less `_snapshot` or `_patch`."""


def snapshot(channel: Channel, state: State) -> dict[str, Any]:
    """Return the whole state of a channel, less the envelope."""
    body: dict[str, Any] = {"type": f"{KIND[channel]}_snapshot", BRANCH[channel]: table_json(state.tables[channel])}
    if channel == "surface":
        body |= {"conventions": state.conventions, **state.head}
    return body


def patch(channel: Channel, before: State, after: State) -> dict[str, Any] | None:
    """Return the merge patch between two states of a channel, less the envelope; None when they are equal."""
    body: dict[str, Any] = {}
    if channel == "surface":
        body |= _heads(before, after)
    change = patch_json(before.tables[channel], after.tables[channel])
    if change is not None:
        body[BRANCH[channel]] = change
    return {"type": f"{KIND[channel]}_patch", **body} if body else None


def _heads(before: State, after: State) -> dict[str, Any]:
    """Return what changed of the fields that belong to no smile; null where one is gone."""
    body: dict[str, Any] = {}
    if before.conventions != after.conventions:
        body["conventions"] = table.merge_diff(before.conventions, after.conventions)
    if before.head != after.head:
        body |= table.merge_diff(before.head, after.head) or {}
    return body
