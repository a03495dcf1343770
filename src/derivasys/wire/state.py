"""A surface as published: tables of the channels `surface`, `levels`, `tenors`, `through`, and the body of `fit`.

Every number is rounded here, once, to the precision that is sent; risk reversals and flies are formed from node vols
as published, so that what a reader can recompute agrees to the last digit.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derivasys.analytics.svi import round_published
from derivasys.analytics.term import METHODS
from derivasys.estimate.forward import SOURCES
from derivasys.expiry import expiry_label
from derivasys.fit.quotes import QuoteReason
from derivasys.nodes import deltas, through
from derivasys.nodes.tenors import TENOR_TAU, TENORS
from derivasys.surface import FITTED, STATES, VERDICTS, Board, Surface
from derivasys.wire.conventions import (
    FLY,
    PARAMS,
    RR,
    VOL_DECIMALS,
    flies_of,
    node_columns,
    round_to,
    seconds_in_ms,
)
from derivasys.wire.patch_json import listing_of
from derivasys.wire.published import State, Tables
from derivasys.wire.table import Field, Layout, Path, Table, Tree

Floats = NDArray[np.float64]

_CONVENTIONS = {
    "atm": "forward",
    "day_count": "ACT/365",
    "expiry_time": "08:00 UTC",
}
_FALSE_TRUE = (False, True)
_REASONS = tuple(reason.name.lower() for reason in QuoteReason)


def state_of(surface: Surface) -> State:
    """Return what is published of a surface."""
    decimals = price_decimals(surface.forward)
    return State(
        ccy=surface.ccy,
        version=surface.version,
        ts=surface.now_ns // 1_000_000,
        conventions={"delta": surface.conventions.delta, "fly": surface.conventions.fly, **_CONVENTIONS},
        tables=Tables(
            {
                "surface": lambda: _smiles(surface, decimals),
                "levels": lambda: _levels(surface, decimals),
                "tenors": lambda: _tenors(surface, decimals),
                "through": lambda: _through(surface, decimals),
            }
        ),
        fit=fit_body(surface),
        head=_head(surface),
    )


def _head(surface: Surface) -> Tree:
    head: Tree = {}
    _put_number(head, "vol_index_30d", 100.0 * surface.vol_index_30d, VOL_DECIMALS)
    return head


def price_decimals(forward: Floats) -> int:
    """Return the digits after the point of prices: five significant ones of a hundredth of the forward, at least 2."""
    known = forward[np.isfinite(forward)]
    if not len(known):
        return 2
    return min(9, max(2, 5 - math.floor(math.log10(float(known.min())))))


# --- surface -------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _smile_layout(decimals: int) -> Layout:
    fields = [
        Field(("tau",)),
        Field(("days",), 3),
        Field(("forward", "price"), decimals),
        Field(("forward", "source"), codes=SOURCES),
        Field(("forward", "stderr_bp"), 2),
        Field(("forward", "age_ms"), 0),
        Field(("forward", "parity_gap_bp"), 1),
        Field(("forward", "parity_stderr_bp"), 1),
        Field(("atm",), decimals),
        Field(("atm_vol",), VOL_DECIMALS),
        Field(("variance_swap_vol",), VOL_DECIMALS),
        Field(("variance_swap_extrapolated",), 3),
        *(Field(("params", name)) for name in PARAMS),
        Field(("certificate", "butterfly"), codes=VERDICTS),
        Field(("certificate", "calendar"), codes=VERDICTS),
        Field(("certificate", "lee"), codes=VERDICTS),
        Field(("certificate", "min_g"), 6),
        Field(("certificate", "min_g_k"), 4),
        Field(("certificate", "calendar_margin"), 9),
        Field(("fit", "state"), codes=STATES),
        Field(("fit", "rmse"), VOL_DECIMALS),
        Field(("fit", "cost_rmse"), VOL_DECIMALS),
        Field(("fit", "cost_inside"), 4),
        *(Field(("risk_reversals", name), VOL_DECIMALS) for name in RR),
        *(Field(("flies", name), VOL_DECIMALS) for name in FLY),
    ]
    for name in deltas.NODES:
        node = ("nodes", name)
        fields += [
            Field((*node, "option_type"), codes=("P", "C")),
            Field((*node, "target_delta"), 4),
            Field((*node, "delta"), 4),
            Field((*node, "delta_error"), 6),
            Field((*node, "log_moneyness"), 5),
            Field((*node, "strike"), decimals),
            Field((*node, "vol"), VOL_DECIMALS),
            Field((*node, "bid_vol"), VOL_DECIMALS),
            Field((*node, "ask_vol"), VOL_DECIMALS),
            Field((*node, "quotes"), 0),
            Field((*node, "age_ms"), 0),
            Field((*node, "is_extrapolated"), codes=_FALSE_TRUE),
        ]
    return Layout(fields)


def _smiles(surface: Surface, decimals: int) -> Table:
    nodes: deltas.Nodes = surface.delta_nodes
    vol = round_to(100.0 * nodes.vol, VOL_DECIMALS)
    has_params = np.isfinite(surface.params).all(axis=1)
    known = np.isfinite(surface.forward)
    said = [
        (SOURCES.index(one.source), one.stderr_bp, one.recv_ns, one.parity_gap_bp, one.parity_stderr_bp)
        for one in surface.forwards
    ]
    sources, stderrs_bp, recv_ns, gaps_bp, parity_stderrs_bp = zip(*said, strict=True) if said else [()] * 5
    columns: list[Any] = [
        round_published(surface.tau),
        365.0 * surface.tau,
        surface.forward,
        sources,
        stderrs_bp,
        seconds_in_ms((surface.now_ns - np.array(recv_ns, np.int64)) / 1e9),
        gaps_bp,
        parity_stderrs_bp,
        np.where(has_params, surface.forward, np.nan),
        vol[:, deltas.ATM],
        100.0 * surface.variance_swap_vol,
        surface.variance_swap_extrapolated,
        *surface.params.T,
        surface.butterfly,
        surface.calendar,
        surface.lee,
        _finite(surface.min_g),
        _finite(surface.min_g_k),
        _finite(surface.calendar_margin),
        surface.state,
        100.0 * surface.rmse,
        100.0 * surface.cost_rmse,
        surface.cost_inside,
        *deltas.risk_reversals(vol).T,
        *flies_of(vol, surface.conventions.fly, surface.strangles).T,
    ]
    for about_forward in (3, 4, 5, 6, 7):
        columns[about_forward] = np.where(known, columns[about_forward], np.nan)
    layout = _smile_layout(decimals)
    values = np.empty((len(surface.expiries), len(layout.fields)))
    for at, column in enumerate(columns):
        values[:, at] = column
    values[:, len(columns) :] = node_columns(nodes, surface.forward, vol)
    return Table(
        layout=layout,
        keys=_expiry_keys(surface.expiries),
        values=layout.rounded(values),
        fixed=_smile_fixed(surface.expiries),
        notes=tuple({("fit", "reasons"): list(reasons)} for reasons in surface.reasons),
    )


@lru_cache(maxsize=256)
def _expiry_keys(expiries: tuple[int, ...]) -> tuple[Path, ...]:
    return tuple((str(expiry),) for expiry in expiries)


@lru_cache(maxsize=256)
def _smile_fixed(expiries: tuple[int, ...]) -> tuple[Tree, ...]:
    return tuple({"expiry": expiry, "label": expiry_label(expiry)} for expiry in expiries)


# --- levels --------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _level_layout(decimals: int) -> Layout:
    return Layout(
        [
            Field(("option_type",), codes=("P", "C")),
            Field(("bid_vol",), VOL_DECIMALS),
            Field(("ask_vol",), VOL_DECIMALS),
            Field(("last_vol",), VOL_DECIMALS),
            Field(("last_ts",), 0),
            Field(("mark_vol",), VOL_DECIMALS),
            Field(("bid",), decimals),
            Field(("ask",), decimals),
            Field(("bid_size",)),
            Field(("ask_size",)),
            Field(("ts",), 0),
            Field(("used",), codes=_FALSE_TRUE),
            Field(("reason",), codes=_REASONS),
        ]
    )


class _Cells:
    """What of a board changes only with its listing: its cells, one a strike and venue of an expiry."""

    def __init__(self, board: Board, expiries: tuple[int, ...]) -> None:
        self.symbols = board.symbols
        self.call, self.put = board.cells[:, 0], board.cells[:, 1]
        either = np.maximum(self.call, self.put)
        self.strike = board.strike[either]
        self.slot = board.slot[either]

        def keys(rows: NDArray[np.int64]) -> list[Path]:
            columns = (of[rows].tolist() for of in (board.slot, board.strike, board.venue))
            return [
                (str(expiries[slot]), strike_key(strike), board.venues[venue])
                for slot, strike, venue in zip(*columns, strict=True)
            ]

        self.keys = tuple(keys(either))
        self.listing = listing_of(self.keys)
        at = {key: cell for cell, key in enumerate(self.keys)}
        self.of_row = np.array([at[key] for key in keys(np.arange(len(board.slot)))], np.int64)
        """The cell of each option: of a venue's several series of a strike, all have the same."""


_CELLS: dict[str, _Cells] = {}
"""The last listing's cells by currency: one entry a currency, replaced when its listing changes."""


def _cells_of(surface: Surface) -> _Cells:
    cells = _CELLS.get(surface.ccy)
    if cells is None or cells.symbols is not surface.board.symbols:
        cells = _CELLS[surface.ccy] = _Cells(surface.board, surface.expiries)
    return cells


def _levels(surface: Surface, decimals: int) -> Table:
    cells, board = _cells_of(surface), surface.board
    # The out-of-the-money option speaks for a strike, unless only the other one is listed or usable.
    is_call = cells.strike >= surface.forward[cells.slot]
    row = np.where(is_call, cells.call, cells.put)
    other = np.where(is_call, cells.put, cells.call)
    reason = board.selection.reason
    swap = (row < 0) | ((other >= 0) & (reason[row] != 0) & (reason[other] == 0))
    row = np.where(swap, other, row)
    used = reason[row] == QuoteReason.USED
    layout = _level_layout(decimals)
    values = np.empty((len(row), len(layout.fields)))
    columns = (
        board.is_call[row], 100.0 * board.bid_iv[row], 100.0 * board.ask_iv[row], 100.0 * board.last_iv[row],
        np.where(board.last_ns[row] > 0, board.last_ns[row] // 1_000_000, np.nan),
        100.0 * board.mark_iv[row], board.bid[row], board.ask[row], board.bid_size[row], board.ask_size[row],
        np.where(board.recv_ns[row] > 0, board.recv_ns[row] // 1_000_000, np.nan),
        used, np.where(used, np.nan, reason[row]),
    )  # fmt: skip
    for at, column in enumerate(columns):
        values[:, at] = column
    return Table(layout=layout, keys=cells.keys, values=layout.rounded(values))


def strike_key(strike: float) -> str:
    """Return a strike as a map key: the shortest decimal, without a point when whole."""
    return str(int(strike)) if strike == int(strike) else repr(strike)


# --- tenors --------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _tenor_layout(decimals: int) -> Layout:
    return Layout(
        [
            Field(("forward",), decimals),
            Field(("is_extrapolated",), codes=_FALSE_TRUE),
            Field(("method",), codes=METHODS),
            Field(("butterfly",), codes=VERDICTS),
            Field(("calendar",), codes=VERDICTS),
            Field(("atm_vol",), VOL_DECIMALS),
            *(Field(("risk_reversals", name), VOL_DECIMALS) for name in RR),
            *(Field(("flies", name), VOL_DECIMALS) for name in FLY),
            *(Field(("vols", name), VOL_DECIMALS) for name in deltas.NODES),
        ]
    )


_TENOR_KEYS: tuple[Path, ...] = tuple((label,) for label in TENORS)
_TENOR_FIXED: tuple[Tree, ...] = tuple(
    {"label": label, "days": float(days), "tau": tau}
    for (label, days), tau in zip(TENORS.items(), round_published(TENOR_TAU).tolist(), strict=True)
)


def _tenors(surface: Surface, decimals: int) -> Table:
    rows = surface.tenor_nodes
    vol = round_to(100.0 * rows.vol, VOL_DECIMALS)
    values = np.concatenate(
        (
            rows.forward[:, None],
            np.stack([rows.is_extrapolated, rows.method, rows.butterfly, rows.calendar], axis=1).astype(np.float64),
            vol[:, deltas.ATM : deltas.ATM + 1],
            deltas.risk_reversals(vol),
            flies_of(vol, surface.conventions.fly, surface.tenor_strangles),
            vol,
        ),
        axis=1,
    )
    layout = _tenor_layout(decimals)
    return Table(layout=layout, keys=_TENOR_KEYS, values=layout.rounded(values), fixed=_TENOR_FIXED)


# --- through -------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
def _through_layout(decimals: int) -> Layout:
    return Layout(
        [
            Field(("side",), codes=through.SIDES),
            Field(("option_type",), codes=("P", "C")),
            Field(("excess_vol",), VOL_DECIMALS),
            Field(("excess",), decimals),
            Field(("net_vol",), VOL_DECIMALS),
            Field(("net",), decimals),
            Field(("size",)),
            Field(("since",), 0),
        ]
    )


def _through(surface: Surface, decimals: int) -> Table:
    at: through.Through = surface.through
    cells, board = _cells_of(surface), surface.board
    layout = _through_layout(decimals)
    values = np.stack(
        [
            at.side.astype(np.float64), board.is_call[at.row].astype(np.float64), 100.0 * at.excess_vol, at.excess,
            100.0 * at.net_vol, at.net, at.size, (at.since_ns // 1_000_000).astype(np.float64),
        ],
        axis=1,
    )  # fmt: skip
    # Of a cell with several quotes through the fit the one that earns most.
    of_quote = cells.of_row[at.row]
    order = np.lexsort((-at.net, of_quote))
    cell = of_quote[order]
    is_best = np.ones(len(cell), np.bool_)
    is_best[1:] = cell[1:] != cell[:-1]
    cell = cell[is_best]
    return Table(
        layout=layout,
        keys=tuple([cells.keys[one] for one in cell.tolist()]),
        values=layout.rounded(values[order[is_best]].reshape(-1, len(layout.fields))),
        listing=cells.listing,
        at=cell,
    )


# --- fit -----------------------------------------------------------------------------------------


def fit_body(surface: Surface) -> Tree:
    """Return the fit diagnostics: of the whole surface, weighted by used quotes, and by expiry."""
    expiries = []
    rows = zip(
        surface.expiries, surface.state.tolist(), surface.reasons,
        round_to(100.0 * surface.rmse, VOL_DECIMALS).tolist(), round_to(surface.inside, 4).tolist(),
        surface.quotes.tolist(), surface.used.tolist(), surface.rejected.tolist(),
        strict=True,
    )  # fmt: skip
    for expiry, state, reasons, rmse, inside, quotes, used, rejected in rows:
        one: Tree = {"expiry": expiry, "label": expiry_label(expiry), "state": STATES[state], "reasons": list(reasons)}
        _put_number(one, "rmse", rmse)
        _put_number(one, "inside", inside)
        one["quotes"] = quotes
        one["used"] = used
        one["rejected"] = {_REASONS[reason]: count for reason, count in enumerate(rejected) if count}
        expiries.append(one)
    fitted = (surface.state == FITTED) & np.isfinite(surface.rmse) & (surface.used > 0)
    body: Tree = {}
    if fitted.any():
        used = surface.used[fitted].astype(np.float64)
        total = float(used.sum())
        _put_number(body, "objective", float(surface.objective[fitted].sum()), 3)
        mean_square = float((used * surface.rmse[fitted] ** 2).sum()) / total
        _put_number(body, "rmse", 100.0 * math.sqrt(mean_square), VOL_DECIMALS)
        _put_number(body, "inside", float((used * surface.inside[fitted]).sum()) / total, 4)
    if surface.stages_ms is not None:
        body["stages_ms"] = {stage: round(ms, 3) for stage, ms in surface.stages_ms.items()}
        body["elapsed_ms"] = round(sum(surface.stages_ms.values()), 3)
    body["expiries"] = expiries
    return body


def _put_number(into: Tree, name: str, value: float, decimals: int | None = None) -> None:
    """Put a number that there is, rounded unless it is already."""
    if math.isfinite(value):
        into[name] = value if decimals is None else round(value, decimals)


def _finite(values: Floats) -> Floats:
    """Return infinities (a limit in a wing, tails that cross) as missing: JSON has no word for them."""
    return np.where(np.isfinite(values), values, np.nan)
