"""Messages in the expanded form, for readers that cannot evaluate SVI or merge maps.

Lists instead of maps, curves drawn on a stated axis, and patches that carry the whole object of each expiry (or tenor)
that changed, with the keys of those that are gone in `removed`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derivasys.analytics import svi
from derivasys.expiry import expiry_label
from derivasys.wire.compact import KIND
from derivasys.wire.messages import Channel
from derivasys.wire.published import State
from derivasys.wire.table import Table, Tree

Floats = NDArray[np.float64]

AXIS = np.round(np.arange(-40, 41) * 0.05, 2)
"""Log-moneyness of the curves."""
LIST = {"surface": "smiles", "levels": "levels", "tenors": "rows", "through": "cells"}
_AXIS_JSON = {"kind": "log_moneyness", "values": AXIS.tolist()}
_LEVEL_NAMES = {
    "bid_vol": "best_bid_iv",
    "ask_vol": "best_ask_iv",
    "last_vol": "last_trade_iv",
    "last_ts": "last_trade_ts",
    "mark_vol": "mark_iv",
    "bid": "best_bid",
    "ask": "best_ask",
    "bid_size": "best_bid_size",
    "ask_size": "best_ask_size",
}


def snapshot(channel: Channel, state: State) -> dict[str, Any]:
    """Return the whole state of a channel, less the envelope."""
    table = state.tables[channel]
    body: dict[str, Any] = {"type": f"{KIND[channel]}_snapshot", "form": "expanded"}
    if channel == "surface":
        body |= {"conventions": state.conventions, **state.head}
    return body | {LIST[channel]: items(channel, state, _keys(table))}


def patch(channel: Channel, before: State, after: State) -> dict[str, Any] | None:
    """Return what turns one state of a channel into another, less the envelope; None when they are equal."""
    old, new = before.tables[channel], after.tables[channel]
    changed, removed = _changes(old, new)
    if channel in {"levels", "through"}:
        # Log-moneyness is against the forward as published, so it moves with that.
        was, now = (_forwards(state.tables["surface"]) for state in (before, after))
        changed = [key for key in _keys(new) if key in changed or was.get(key) != now.get(key)]
    body: dict[str, Any] = {}
    if channel == "surface" and before.conventions != after.conventions:
        body["conventions"] = after.conventions
    if channel == "surface" and before.head != after.head:
        body |= dict.fromkeys(before.head) | after.head
    if changed:
        body[LIST[channel]] = items(channel, after, changed)
    if removed:
        body["removed"] = [key if channel == "tenors" else int(key) for key in removed]
    return {"type": f"{KIND[channel]}_patch", "form": "expanded", **body} if body else None


def items(channel: Channel, state: State, keys: Iterable[str]) -> list[Tree]:
    """Return the objects of a channel's expiries (ms, as text) or tenor labels, in the table's order."""
    table, wanted = state.tables[channel], set(keys)
    if channel == "surface":
        return [_smile(table.row(at)) for at, key in enumerate(table.keys) if key[0] in wanted]
    if channel == "tenors":
        return [table.row(at) for at, key in enumerate(table.keys) if key[0] in wanted]
    rows: dict[str, list[int]] = {key: [] for key in _keys(table) if key in wanted}
    for at, key in enumerate(table.keys):
        if key[0] in wanted:
            rows[key[0]].append(at)
    forwards = _forwards(state.tables["surface"])
    return [_points(channel, table, expiry, at, forwards.get(expiry)) for expiry, at in rows.items()]


def _keys(table: Table) -> list[str]:
    return list(dict.fromkeys(key[0] for key in table.keys))


def _changes(old: Table, new: Table) -> tuple[list[str], list[str]]:
    """Return the keys of the objects that differ or are new, and of those that are gone."""
    before = {key: at for at, key in enumerate(old.keys)}
    rows = np.array([before.get(key, -1) for key in new.keys], np.int64)
    changed = {key[0] for key, was in zip(new.keys, rows.tolist(), strict=True) if was < 0}
    kept = np.flatnonzero(rows >= 0)
    was, now = old.values[rows[kept]], new.values[kept]
    differs = ((was != now) & ~(np.isnan(was) & np.isnan(now))).any(axis=1)
    for place, at in enumerate(kept.tolist()):
        is_other = bool(differs[place])
        for side_old, side_new in ((old.fixed, new.fixed), (old.notes, new.notes)):
            is_other = is_other or (bool(side_new) and side_old[int(rows[at])] != side_new[at])
        if is_other:
            changed.add(new.keys[at][0])
    here = set(_keys(new))
    alive = set(new.keys)
    changed |= {key[0] for key in old.keys if key not in alive and key[0] in here}
    return [key for key in _keys(new) if key in changed], [key for key in _keys(old) if key not in here]


def _smile(smile: Tree) -> Tree:
    """Return a smile with its curves, and its nodes also as a list."""
    params = smile.get("params")
    if params is not None:
        smile["x_axis"] = _AXIS_JSON
        w = svi.total_variance(AXIS, **params)
        curves = {"var": (w, 9), "vol": (100.0 * np.sqrt(w / smile["tau"]), 3), "g_test": (svi.g(AXIS, **params), 6)}
        smile |= {
            name: np.round(curve, decimals).tolist()
            for name, (curve, decimals) in curves.items()
            if np.isfinite(curve).all()
        }
    nodes = smile.get("nodes")
    if nodes is not None:
        smile["risk_reversal_node_points"] = [{"label": label, **node} for label, node in nodes.items()]
    return smile


def _forwards(smiles: Table) -> dict[str, float]:
    prices = smiles.values[:, smiles.layout.column["forward", "price"]].tolist()
    return {key[0]: price for key, price in zip(smiles.keys, prices, strict=True) if price == price}


def _points(channel: Channel, table: Table, expiry: str, rows: list[int], forward: float | None) -> Tree:
    """Return one expiry's levels or through cells as a list in order of strike, levels also by exchange."""
    assert table.layout.is_flat
    fields = [(_LEVEL_NAMES.get(name, name), codes, is_int) for _, name, codes, is_int in table.layout.cells]
    points = []
    for at in sorted(rows, key=lambda row: float(table.keys[row][1])):
        _, strike, exchange = table.keys[at]
        point: Tree = {"strike": float(strike), "exchange": exchange}
        if forward is not None:
            point["log_moneyness"] = round(math.log(float(strike) / forward), 5)
        for (name, codes, is_int), value in zip(fields, table.values[at].tolist(), strict=True):
            if value == value:
                point[name] = codes[int(value)] if codes is not None else int(value) if is_int else value
        points.append(point)
    whole: Tree = {"expiry": int(expiry), "label": expiry_label(int(expiry)), "points": points}
    if channel == "levels":
        by_exchange: Tree = {}
        for point in points:
            by_exchange.setdefault(point["exchange"], []).append(point)
        whole["by_exchange"] = by_exchange
    return whole
