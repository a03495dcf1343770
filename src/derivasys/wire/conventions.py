"""A published state in other conventions of delta and fly, without a fit: from its parameters and levels alone.

Whoever holds a state can do this, a gateway far from the calibrator as well. What a node rests on (band, quotes, age)
is read from the levels marked used, at ln(strike / forward of the expiry).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from derivasys.nodes import deltas, tenors
from derivasys.smiles import DeltaConvention, FlyConvention
from derivasys.surface import STATES, VERDICTS
from derivasys.wire.published import State
from derivasys.wire.table import Layout, Path, Table

Floats = NDArray[np.float64]
VOL_DECIMALS = 3
"""Vol points."""
PARAMS = ("a", "b", "rho", "m", "sigma")
RR = tuple(f"RR{delta:02d}" for delta in deltas.DELTAS)
FLY = tuple(f"FLY{delta:02d}" for delta in deltas.DELTAS)


def restate(state: State, delta: DeltaConvention, fly: FlyConvention) -> State:
    """Return the state with the nodes, risk reversals and flies of `surface` and `tenors` in these conventions."""
    if (state.conventions["delta"], state.conventions["fly"]) == (delta, fly):
        return state
    return structs.replace(
        state,
        conventions={**state.conventions, "delta": delta, "fly": fly},
        tables={**state.tables, "surface": _smiles(state, delta, fly), "tenors": _tenors(state, delta, fly)},
    )


def column(table: Table, *path: str) -> Floats:
    """Return a field of every row; codes for text."""
    return table.values[:, table.layout.column[path]]


def params_of(table: Table) -> Floats:
    """Return the (n, 5) SVI parameters of a table of smiles, NaN where there are none."""
    return np.ascontiguousarray(np.stack([column(table, "params", name) for name in PARAMS], axis=1))


def flies_of(vol: Floats, fly: FlyConvention, strangles: Floats | None) -> Floats:
    """Return the flies of vols as published, vol points; `strangles` (n, 8) decimal for the market strangle."""
    published = None if strangles is None else round_to(100.0 * strangles, VOL_DECIMALS)
    return deltas.flies(vol, fly, published)


def round_to(values: Floats, decimals: int) -> Floats:
    """Return the doubles nearest to the decimals."""
    scale = 10.0**decimals
    return np.asarray(np.rint(values * scale) / scale)


def seconds_in_ms(age_s: Floats) -> Floats:
    """Return ages in ms by whole seconds: an age that only runs on is not worth a patch each cycle."""
    return np.asarray(np.floor(age_s) * 1000.0)


def node_columns(nodes: deltas.Nodes, forward: Floats, vol: Floats) -> Floats:
    """Return (n, 17 · 12): the fields of `nodes` in the order of the layout, NaN where a node is not reached.

    `vol` (n, 17) in vol points as published.
    """
    columns = (
        deltas.IS_CALL, nodes.delta - nodes.delta_error, nodes.delta, nodes.delta_error, nodes.k,
        forward[:, None] * np.exp(nodes.k), vol, 100.0 * nodes.bid_vol, 100.0 * nodes.ask_vol, nodes.quotes,
        seconds_in_ms(nodes.age_s), nodes.is_extrapolated,
    )  # fmt: skip
    body = np.empty((*vol.shape, len(columns)))
    for at, column in enumerate(columns):
        body[:, :, at] = column
    body[~np.isfinite(vol)] = np.nan
    return body.reshape(len(vol), -1)


def _smiles(state: State, delta: DeltaConvention, fly: FlyConvention) -> Table:
    table = state.tables["surface"]
    params, tau, forward = params_of(table), column(table, "tau"), column(table, "forward", "price")
    nodes = deltas.solve(params, tau, *_used(state, forward), convention=delta)
    vol = round_to(100.0 * nodes.vol, VOL_DECIMALS)
    strangles = deltas.strangles(params, tau, delta) if fly == "market_strangle" else None
    columns: list[tuple[Path, Floats]] = [
        *zip((("risk_reversals", name) for name in RR), deltas.risk_reversals(vol).T, strict=True),
        *zip((("flies", name) for name in FLY), flies_of(vol, fly, strangles).T, strict=True),
    ]
    names = [field.path for field in table.layout.fields if field.path[0] == "nodes"]
    columns += zip(names, node_columns(nodes, forward, vol).T, strict=True)
    return _with(table, columns)


def _tenors(state: State, delta: DeltaConvention, fly: FlyConvention) -> Table:
    smiles, table = state.tables["surface"], state.tables["tenors"]
    params, tau, forward = params_of(smiles), column(smiles, "tau"), column(smiles, "forward", "price")
    usable = (column(smiles, "fit", "state") != STATES.index("rejected")) & (forward > 0)
    usable &= np.isfinite(params).all(axis=1)
    certified = VERDICTS.index("certified")
    verdicts = np.stack([column(smiles, "certificate", name) for name in ("butterfly", "calendar", "lee")])
    rows = tenors.solve(
        params[usable], tau[usable], forward[usable], (verdicts == certified).all(axis=0)[usable], delta
    )
    listed = [rows.labels.index(key[0]) for key in table.keys]
    vol = round_to(100.0 * rows.vol[listed], VOL_DECIMALS)
    strangles = None
    if fly == "market_strangle":
        strangles = deltas.strangle_vols(rows.curves, rows.method, rows.tau, delta)[listed]
    return _with(
        table,
        [
            *zip((("risk_reversals", name) for name in RR), deltas.risk_reversals(vol).T, strict=True),
            *zip((("flies", name) for name in FLY), flies_of(vol, fly, strangles).T, strict=True),
            *zip((("vols", name) for name in deltas.NODES), vol.T, strict=True),
        ],
    )


def _with(table: Table, columns: Sequence[tuple[Path, Floats]]) -> Table:
    """Return the table with some of its columns replaced."""
    layout: Layout = table.layout
    values = table.values.copy()
    for path, column_values in columns:
        values[:, layout.column[path]] = column_values
    return structs.replace(table, values=layout.rounded(values))


def _used(state: State, forward: Floats) -> tuple[Any, Floats, Floats, Floats, Floats]:
    """Return the used quotes as `nodes.deltas.solve` takes them: offsets, k, bid and ask vol (decimal), age in s."""
    levels = state.tables["levels"]
    slots = {key[0]: at for at, key in enumerate(state.tables["surface"].keys)}
    rows = np.flatnonzero(column(levels, "used") == 1.0)
    slot = np.array([slots[levels.keys[row][0]] for row in rows.tolist()], np.int64)
    strike = np.array([float(levels.keys[row][1]) for row in rows.tolist()])
    k = np.log(strike / forward[slot])
    order = np.lexsort((k, slot))
    rows = rows[order]
    return (
        np.searchsorted(slot[order], np.arange(len(slots) + 1)).astype(np.int64),
        k[order],
        column(levels, "bid_vol")[rows] / 100.0,
        column(levels, "ask_vol")[rows] / 100.0,
        (state.ts - column(levels, "ts")[rows]) / 1000.0,
    )
