"""One cycle of one currency: chain → forwards → implied vols → certified smiles → nodes → Surface.

Only the expiries asked for are read again; the others keep what was read of them. The smiles of all expiries are then
solved jointly, because the calendar condition ties each to its neighbours; an expiry that was not read again starts at
its solution and moves only as far as its neighbours need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, TypeVar, cast

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.arbitrage import Certificate
from derivasys.analytics.variance_swap import variance_swap_all
from derivasys.analytics.year_fraction import NS_PER_YEAR
from derivasys.decode import taker_fee
from derivasys.estimate import forward as forward_of
from derivasys.estimate.chain import Chain
from derivasys.estimate.forward import NONE, ForwardEstimate
from derivasys.fit.board import Quotes, Reading, read
from derivasys.fit.constrained import BoardFit, FitReason, FitState, certify_published, fit_board
from derivasys.fit.quotes import QuoteReason, QuoteRules, QuoteSelection, group_by_expiry, twin_rows
from derivasys.nodes import deltas, tenors, through
from derivasys.smiles import NodeConventions
from derivasys.surface import CERTIFIED, FITTED, HELD, REJECTED, UNCHECKED, VIOLATED, Board, Surface

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
A = TypeVar("A", bound=NDArray[Any])
T = TypeVar("T")
Stopwatch = Callable[[], int]
"""Nanoseconds that only ever grow."""

HELD_S_MAX = 600.0
"""A smile without usable quotes is held for so long, then rejected."""
RMSE_MAX = 0.15
"""A smile further than 15 vol points from its quotes is no description of them …"""
INSIDE_MIN = 0.3
"""… unless this share of them contains it (a few wild wings do not condemn a smile)."""


class Rules(Struct, frozen=True, kw_only=True):
    """What may be set about calibration."""

    quotes: QuoteRules = QuoteRules()
    held_s_max: float = HELD_S_MAX
    nodes: NodeConventions = NodeConventions()


class Grid:
    """What of a chain changes only with its listing: pairs of call and put, cells of strike and venue."""

    def __init__(self, chain: Chain) -> None:
        self.layout = chain.layout
        n = len(chain)
        key = chain.slot * max(1, len(chain.all_series)) + chain.series
        self.twin = twin_rows(key, chain.strike, chain.is_call)
        first = np.flatnonzero(self.twin < 0)
        calls = np.flatnonzero((self.twin >= 0) & chain.is_call)
        lone_call = np.where(chain.is_call[first], first, -1)
        lone_put = np.where(chain.is_call[first], -1, first)
        cells = np.concatenate((np.stack((calls, self.twin[calls]), 1), np.stack((lone_call, lone_put), 1)))
        self.cells: Ints = _one_a_venue(chain, cells)
        self.symbols = tuple(of.symbol for of in chain.contracts)
        self.slot = chain.slot[:n].copy()
        self.rows = {(of.venue, of.symbol): row for row, of in enumerate(chain.contracts)}
        fees = [taker_fee(of.venue, of.price_unit) for of in chain.contracts]
        stated = chain.fee_rate[:n]
        self.fee_rate = np.where(np.isnan(stated), np.array([fee.rate for fee in fees]), stated)
        self.fee_cap = np.array([fee.cap for fee in fees])
        self.fee_per_order = np.array([fee.per_order for fee in fees])


def _one_a_venue(chain: Chain, cells: Ints) -> Ints:
    """Return the cells in order of expiry, strike and venue: of a venue's several series the one of most contracts.

    The others are fitted to as well, but a strike of a venue is published once.
    """
    at = cells.max(axis=1)
    contracts = np.bincount(chain.series, minlength=1)[chain.series[at]]
    order = np.lexsort((at, -contracts, chain.venue[at], chain.strike[at], chain.slot[at]))
    at = at[order]
    is_first = np.ones(len(at), np.bool_)
    of = np.stack((chain.slot[at], chain.strike[at], chain.venue[at]))
    is_first[1:] = (of[:, 1:] != of[:, :-1]).any(axis=0)
    return cells[order][is_first].astype(np.int64)


def calibrate(
    chain: Chain,
    grid: Grid,
    slots: Sequence[int],
    last: Surface | None,
    now_ns: int,
    rules: Rules,
    stopwatch: Stopwatch | None = None,
) -> Surface:
    """Return the next surface: the expiries at `slots` read again at `now_ns`, the others as in `last`.

    `grid` belongs to the chain's present layout; `last` may be of an older one (then `slots` must be all): smiles are
    matched by expiry.
    """
    laps = _Laps(stopwatch)
    where = np.asarray(slots, np.int64)
    carry = _Carry(chain, where, last)
    estimates = forward_of.estimate_all(chain, slots, now_ns)
    best, by_series = estimates.bests(), estimates.price
    laps.lap("forward")

    tau_read = carry.join("tau_read", (np.array(chain.expiries, np.int64)[where] * 1_000_000 - now_ns) / NS_PER_YEAR)
    board = _read(chain, grid, where, tau_read, by_series, last, now_ns, rules.quotes)
    laps.lap("implied_vol")

    n = len(chain.expiries)
    offsets, used = group_by_expiry(board.selection, board.slot, board.k, n)
    chosen = board.selection
    fit = fit_board(
        offsets, board.k[used], chosen.w[used], chosen.weight[used], chosen.w_bid[used], chosen.w_ask[used],
        tau_read, _start(carry, now_ns, rules), carry.matched("free_start", 6),
    )  # fmt: skip
    laps.lap("fit")

    smiles = _Smiles(carry, board, fit, carry.join_items("forwards", best, NONE), tau_read)
    read_ns = carry.join("read_ns", np.full(len(where), now_ns, np.int64))
    is_held = smiles.state == HELD
    tau = np.where(is_held, carry.matched("tau"), tau_read)
    age_s = (now_ns - board.as_of_ns[used]) / 1e9
    forward = np.array([one.price for one in smiles.forwards])
    derived = _derive(smiles, tau, forward, rules.nodes, (
        offsets, board.k[used], board.bid_iv[used], board.ask_iv[used], age_s,
    ))  # fmt: skip
    certificate = smiles.certificate
    judged = through.solve(
        smiles.params, tau, tau_read, (smiles.state == FITTED) & certificate.ok, _tradable(board, grid, now_ns, rules),
        now_ns,
    )  # fmt: skip
    if last is not None:
        judged = through.keep_since(judged, last.through, _rows_before(grid, board, last))
    butterfly, calendar, lee = _verdicts(certificate, smiles.params)
    laps.lap("nodes")
    return Surface(
        ccy=chain.ccy,
        version=1 if last is None else last.version + 1,
        now_ns=now_ns,
        expiries=tuple(chain.expiries),
        read_ns=read_ns,
        fitted_ns=np.where(is_held, carry.matched("fitted_ns"), read_ns).astype(np.int64),
        tau=tau,
        tau_read=tau_read,
        forwards=smiles.forwards,
        forward=forward,
        params=smiles.params,
        free_start=fit.free.start,
        state=smiles.state,
        reasons=tuple(smiles.reasons),
        objective=fit.objective,
        rmse=smiles.rmse,
        inside=smiles.inside,
        cost_rmse=smiles.rmse - fit.free.rmse_iv,
        cost_inside=fit.free.inside_share - smiles.inside,
        quotes=smiles.quotes,
        used=smiles.used,
        rejected=smiles.rejected,
        butterfly=butterfly,
        calendar=calendar,
        lee=lee,
        min_g=certificate.min_g,
        min_g_k=certificate.min_g_k,
        calendar_margin=certificate.calendar_margin,
        conventions=rules.nodes,
        **derived,
        board=board,
        through=judged,
        stages_ms=laps.times_ms,
    )


def _derive(
    smiles: _Smiles, tau: Floats, forward: Floats, conventions: NodeConventions,
    quotes: tuple[Ints, Floats, Floats, Floats, Floats],
) -> dict[str, Any]:  # fmt: skip
    """Return the fields of the surface that follow from its smiles: nodes, tenors, variance swaps."""
    params, certificate = smiles.params, smiles.certificate
    usable = np.flatnonzero((smiles.state != REJECTED) & (forward > 0))
    solve_tenors = cache(
        partial(tenors.solve, params[usable], tau[usable], forward[usable], certificate.ok[usable], conventions.delta)
    )
    w_vs, share = np.empty(len(tau)), np.empty(len(tau))
    variance_swap_all(params, quotes[0], quotes[1], w_vs, share)
    derived = {
        "delta_nodes": deltas.solve(params, tau, *quotes, conventions.delta),
        "solve_tenors": solve_tenors,
        "variance_swap_w": w_vs,
        "variance_swap_extrapolated": share,
        "vol_index_30d": tenors.variance_index(w_vs[usable], tau[usable]),
    }
    if conventions.fly == "market_strangle":
        derived["strangles"] = deltas.strangles(params, tau, conventions.delta)
        rows = solve_tenors()
        derived["tenor_strangles"] = deltas.strangle_vols(rows.curves, rows.method, tenors.TENOR_TAU, conventions.delta)
    return derived


_UNTRADABLE = np.zeros(len(QuoteReason), np.bool_)
_UNTRADABLE[
    [
        QuoteReason.EXPIRED, QuoteReason.SETTLEMENT_WINDOW, QuoteReason.BAD_NUMBER, QuoteReason.NO_QUOTE,
        QuoteReason.CROSSED, QuoteReason.STALE,
    ]
] = True  # fmt: skip


def _tradable(board: Board, grid: Grid, now_ns: int, rules: Rules) -> through.Quotes:
    """Return the board as `nodes.through` reads it."""
    is_fresh = now_ns - board.recv_ns <= rules.quotes.staleness_s_max * 1e9
    return through.Quotes(
        slot=board.slot,
        k=board.k,
        strike=board.strike,
        is_call=board.is_call,
        bid=board.bid,
        ask=board.ask,
        bid_size=board.bid_size,
        ask_size=board.ask_size,
        bid_iv=board.bid_iv,
        ask_iv=board.ask_iv,
        is_tradable=is_fresh & ~_UNTRADABLE[board.selection.reason],
        fee_rate=grid.fee_rate,
        fee_cap=grid.fee_cap,
        fee_per_order=grid.fee_per_order,
    )


def _rows_before(grid: Grid, board: Board, last: Surface) -> Ints:
    """Return each row's place on the last board, -1 for a new listing."""
    old = last.board
    if old.symbols is board.symbols:
        return np.arange(len(board.slot))
    to_old = np.full(len(board.slot), -1, np.int64)
    for row in last.through.row.tolist():
        now = grid.rows.get((old.venues[old.venue[row]], old.symbols[row]))
        if now is not None:
            to_old[now] = row
    return to_old


class _Laps:
    """Milliseconds by stage, when there is a stopwatch."""

    def __init__(self, stopwatch: Stopwatch | None) -> None:
        self._stopwatch = stopwatch
        self.times_ms: dict[str, float] | None = None
        if stopwatch is not None:
            self.times_ms = {}
            self._last = stopwatch()

    def lap(self, stage: str) -> None:
        if self._stopwatch is not None and self.times_ms is not None:
            now = self._stopwatch()
            self.times_ms[stage] = (now - self._last) / 1e6
            self._last = now


class _Carry:
    """Matches the last surface's expiries with those of the chain."""

    def __init__(self, chain: Chain, where: Ints, last: Surface | None) -> None:
        self.last = last
        self.expiries = chain.expiries
        self._where = where
        before = {} if last is None else {expiry: at for at, expiry in enumerate(last.expiries)}
        pairs = [(at, before[expiry]) for at, expiry in enumerate(chain.expiries) if expiry in before]
        self._now = np.array([now for now, _ in pairs], np.int64)
        self._was = np.array([was for _, was in pairs], np.int64)

    def matched(self, name: str, *width: int) -> Floats:
        """Return the last surface's field by the chain's expiries; NaN for those that it did not have."""
        values = np.full((len(self.expiries), *width), np.nan)
        if self.last is not None and len(self._now):
            values[self._now] = getattr(self.last, name)[self._was]
        return values

    def join(self, name: str, values: A) -> A:
        """Return a field over all expiries: `values` for those read now, the last surface's for the others."""
        joined = np.zeros((len(self.expiries), *values.shape[1:]), values.dtype)
        if self.last is not None and len(self._now):
            joined[self._now] = getattr(self.last, name)[self._was]
        joined[self._where] = values
        return cast("A", joined)

    def join_items(self, name: str, values: Sequence[T], empty: T) -> tuple[T, ...]:
        """Return the same of a field that is a tuple."""
        joined = [empty] * len(self.expiries)
        for now, was in zip(self._now.tolist(), self._was.tolist(), strict=True):
            joined[now] = getattr(self.last, name)[was]
        for at, value in zip(self._where.tolist(), values, strict=True):
            joined[at] = value
        return tuple(joined)


def _read(
    chain: Chain, grid: Grid, where: Ints, tau: Floats, by_series: Floats, last: Surface | None, now_ns: int,
    rules: QuoteRules,
) -> Board:  # fmt: skip
    """Return the board with the rows of the expiries `where` read now, the others as they were."""
    rows: slice | Ints = slice(0, len(chain))  # most often all of them: columns are then read in place
    twin, to_expiry = grid.twin, np.arange(len(chain.expiries))
    if len(where) < len(chain.expiries):
        rows = np.concatenate([np.arange(chain.starts[slot], chain.starts[slot + 1]) for slot in where.tolist()])
        to_local = np.full(len(chain), -1, np.int64)
        to_local[rows] = np.arange(len(rows))
        twin = np.where(grid.twin[rows] >= 0, to_local[grid.twin[rows]], -1)
        to_expiry = np.zeros(len(chain.expiries), np.int64)
        to_expiry[where] = np.arange(len(where))
    is_open = chain.is_open[rows]
    slot = grid.slot[rows]
    reading = read(
        Quotes(
            strike=chain.strike[rows],
            is_call=chain.is_call[rows],
            is_coin=chain.is_coin[rows],
            tick=chain.tick[rows],
            # A closed contract's last quotes are not a market.
            bid=np.where(is_open, chain.bid[rows], np.nan),
            ask=np.where(is_open, chain.ask[rows], np.nan),
            age_s=(now_ns - chain.as_of_ns[rows]) / 1e9,
            tau=tau[slot],
            forward=by_series[to_expiry[slot], chain.series[rows]],
            twin=twin,
        ),
        rules,
    )
    return _board(chain, grid, rows, reading, last)


def _board(chain: Chain, grid: Grid, rows: slice | Ints, reading: Reading, last: Surface | None) -> Board:
    old = None if last is None or isinstance(rows, slice) else last.board

    def fill(old_column: A | None, values: A) -> A:
        if old_column is None:
            return values
        joined: A = old_column.copy()
        joined[rows] = values
        return joined

    def column(name: str, values: A) -> A:
        return fill(getattr(old, name, None), values)

    def live(name: str) -> Any:
        # What messages write is copied: a surface does not change.
        return column(name, getattr(chain, name)[rows].copy())

    before = [None] * len(reading.selection) if old is None else old.selection
    return Board(
        venues=tuple(chain.venues),
        symbols=grid.symbols,
        slot=grid.slot,
        venue=chain.venue,
        strike=chain.strike,
        is_call=chain.is_call,
        cells=grid.cells,
        k=column("k", reading.k),
        bid=column("bid", reading.bid),
        ask=column("ask", reading.ask),
        bid_size=live("bid_size"),
        ask_size=live("ask_size"),
        bid_iv=column("bid_iv", reading.bid_iv),
        ask_iv=column("ask_iv", reading.ask_iv),
        last_iv=live("last_iv"),
        last_ns=live("last_ns"),
        mark_iv=live("mark_iv"),
        recv_ns=live("recv_ns"),
        as_of_ns=live("as_of_ns"),
        selection=QuoteSelection(*(fill(was, now) for was, now in zip(before, reading.selection, strict=True))),
    )


def _start(carry: _Carry, now_ns: int, rules: Rules) -> Floats:
    """Return the last published parameters, NaN for smiles that have been held long enough."""
    start = carry.matched("params", 5)
    held_s = (now_ns - carry.matched("fitted_ns")) / 1e9
    start[held_s > rules.held_s_max] = np.nan
    return start


# As plain integers: to ask a flag costs a microsecond.
_NO_QUOTES, _SPARSE = int(FitReason.NO_QUOTES), int(FitReason.SPARSE)
_REMARKS = {
    int(FitReason.ESSVI): "three-parameter fallback",
    int(FitReason.NOT_CONVERGED): "not converged",
    int(FitReason.BUTTERFLY): "butterfly arbitrage in the quotes",
    int(FitReason.CALENDAR): "calendar arbitrage in the quotes",
}


class _Smiles:
    """What is said of each smile: state, reasons, counts; smiles too far from their quotes are rejected here."""

    def __init__(
        self, carry: _Carry, board: Board, fit: BoardFit, forwards: tuple[ForwardEstimate, ...], tau: Floats
    ) -> None:
        n = len(carry.expiries)
        self.forwards = forwards
        self.params = fit.params
        self.state = fit.state.astype(np.int64)
        self.rmse, self.inside = fit.rmse_iv, fit.inside_share
        self.certificate = fit.certificate
        reasons = len(QuoteReason)
        counts = np.bincount(board.slot * reasons + board.selection.reason, minlength=n * reasons)
        self.rejected = counts.astype(np.int64).reshape(n, reasons)
        self.used = self.rejected[:, QuoteReason.USED].copy()
        self.quotes = self.rejected.sum(axis=1)
        self.rejected[:, QuoteReason.USED] = 0
        self._fit = fit
        self.reasons = [self._reasons(at, float(tau[at])) for at in range(n)]
        self._reject_poor()

    def _reasons(self, at: int, tau: float) -> tuple[str, ...]:
        bits = int(self._fit.reasons[at])
        reasons = []
        if not tau > 0:
            reasons.append("expired")
        elif not self.forwards[at].price > 0:
            reasons.append("no forward")
        elif bits & _NO_QUOTES:
            worst = QuoteReason(int(self.rejected[at].argmax()))
            reasons.append(f"no usable quote: mostly {worst.name.lower()}")
        elif bits & _SPARSE:
            reasons.append(f"sparse: {self.used[at]} quotes, shape from elsewhere")
        reasons += [text for bit, text in _REMARKS.items() if bits & bit]
        forward = self.forwards[at]
        if forward.is_disputed:
            gap, error = abs(forward.parity_gap_bp), forward.parity_stderr_bp
            reasons.append(f"parity disagrees by {gap:.1f} bp (error {error:.1f})")
        return tuple(reasons)

    def _reject_poor(self) -> None:
        with np.errstate(invalid="ignore"):
            is_poor = (self.state == FitState.FITTED) & (self.rmse > RMSE_MAX) & ~(self.inside >= INSIDE_MIN)
        if not is_poor.any():
            return
        for at in np.flatnonzero(is_poor).tolist():
            self.reasons[at] += (f"poor fit: rmse {100 * self.rmse[at]:.1f} vol points",)
        self.params = np.where(is_poor[:, None], np.nan, self.params)
        self.state[is_poor] = REJECTED
        # Order between neighbours is transitive, so what remains is still certified; its margins are new.
        self.certificate = certify_published(self.params)


def _verdicts(certificate: Certificate, params: Floats) -> Ints:
    """Return (3, n): what is said of each smile's butterflies, its calendar spreads and its wings."""
    known = np.isfinite(params).all(axis=1)
    holds = np.stack((certificate.butterfly_ok, certificate.calendar_ok, certificate.lee_ok))
    return np.where(known, np.where(holds, CERTIFIED, VIOLATED), UNCHECKED).astype(np.int64)
