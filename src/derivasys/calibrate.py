"""One cycle of one currency: chain → forwards → implied vols → smiles → certificate → nodes → Surface.

Only the expiries asked for are calibrated; what the last surface says of the others is carried over unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.svi import round_published
from derivasys.analytics.year_fraction import NS_PER_YEAR
from derivasys.estimate.chain import Chain
from derivasys.estimate.forward import NONE, ForwardEstimate, estimate
from derivasys.fit.board import Quotes, Reading, read
from derivasys.fit.quotes import QuoteReason, QuoteRules, group_by_expiry, twin_rows
from derivasys.fit.smile import FitStatus, SmileFits, fit_smiles
from derivasys.nodes import deltas, tenors
from derivasys.surface import (
    CERTIFIED,
    FITTED,
    HELD,
    REJECTED,
    UNCHECKED,
    VIOLATED,
    Board,
    Surface,
)

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


class Grid:
    """What of a chain changes only with its listing: pairs of call and put, cells of strike and venue."""

    def __init__(self, chain: Chain) -> None:
        self.layout = chain.layout
        n = len(chain)
        key = chain.slot * max(1, len(chain.venues)) + chain.venue
        self.twin = twin_rows(key, chain.strike, chain.is_call)
        first = np.flatnonzero(self.twin < 0)
        calls = np.flatnonzero((self.twin >= 0) & chain.is_call)
        lone_call = np.where(chain.is_call[first], first, -1)
        lone_put = np.where(chain.is_call[first], -1, first)
        cells = np.concatenate(
            (np.stack((calls, self.twin[calls]), 1), np.stack((lone_call, lone_put), 1))
        )
        self.cells: Ints = cells[np.argsort(cells.max(axis=1), kind="stable")].astype(np.int64)
        self.symbols = tuple(of.symbol for of in chain.contracts)
        self.slot = chain.slot[:n].copy()


def calibrate(
    chain: Chain,
    grid: Grid,
    slots: Sequence[int],
    last: Surface | None,
    now_ns: int,
    rules: Rules,
    stopwatch: Stopwatch | None = None,
) -> Surface:
    """Return the next surface: the expiries at `slots` calibrated at `now_ns`, the others as in `last`.

    `grid` belongs to the chain's present layout; `last` may be of an older one: smiles are matched by expiry.
    """
    laps = _Laps(stopwatch)
    where = np.asarray(slots, np.int64)
    count = len(where)
    rows = np.concatenate(
        [np.arange(chain.starts[s], chain.starts[s + 1]) for s in slots] or [np.zeros(0, np.int64)]
    )
    tau = (np.array(chain.expiries, np.int64)[where] * 1_000_000 - now_ns) / NS_PER_YEAR
    best, by_venue = _forwards(chain, slots, now_ns)
    laps.lap("forward")

    sizes = chain.starts[where + 1] - chain.starts[where]
    local_slot = np.repeat(np.arange(count), sizes)
    reading = _read(chain, grid, rows, local_slot, tau, by_venue, now_ns, rules.quotes)
    laps.lap("implied_vol")

    offsets, used = group_by_expiry(reading.selection, local_slot, reading.k, count)
    chosen = reading.selection
    start = _start(chain, slots, last)
    fits = fit_smiles(
        offsets, reading.k[used], chosen.w[used], chosen.weight[used],
        chosen.w_bid[used], chosen.w_ask[used], tau, start,
    )  # fmt: skip
    params = round_published(fits.params)
    laps.lap("fit")

    new = _Smiles(chain, slots, last, now_ns, tau, best, fits, params, chosen.reason, local_slot)
    new.decide(rules, now_ns)
    age_s = (now_ns - chain.recv_ns[rows][used]) / 1e9
    nodes = deltas.solve(
        new.params, new.tau, offsets, reading.k[used],
        reading.bid_iv[used], reading.ask_iv[used], age_s,
    )  # fmt: skip
    laps.lap("nodes")
    surface = _assemble(chain, grid, where, rows, reading, new, nodes, last, now_ns)
    laps.lap("assemble")
    return msgspec.structs.replace(surface, stages_ms=laps.times_ms)


def _forwards(
    chain: Chain, slots: Sequence[int], now_ns: int
) -> tuple[list[ForwardEstimate], Floats]:
    """Return each slot's best forward, and all prices by (slot, venue)."""
    best: list[ForwardEstimate] = []
    prices = np.full((len(slots), max(1, len(chain.venues))), np.nan)
    for at, slot in enumerate(slots):
        estimates = [estimate(chain, venue, slot, now_ns) for venue in chain.venues]
        for venue, one in enumerate(estimates):
            prices[at, venue] = one.price
        known = [one for one in estimates if one.price > 0]
        best.append(min(known, key=lambda one: one.stderr_bp) if known else NONE)
    return best, prices


def _read(
    chain: Chain, grid: Grid, rows: Ints, local_slot: Ints, tau: Floats, by_venue: Floats,
    now_ns: int, rules: QuoteRules,
) -> Reading:  # fmt: skip
    to_local = np.full(len(chain), -1, np.int64)
    to_local[rows] = np.arange(len(rows))
    twin = grid.twin[rows]
    is_open = chain.is_open[rows]
    # A closed contract's last quotes are not a market.
    bid = np.where(is_open, chain.bid[rows], np.nan)
    ask = np.where(is_open, chain.ask[rows], np.nan)
    return read(
        Quotes(
            strike=chain.strike[rows],
            is_call=chain.is_call[rows],
            is_coin=chain.is_coin[rows],
            tick=chain.tick[rows],
            bid=bid,
            ask=ask,
            age_s=(now_ns - chain.recv_ns[rows]) / 1e9,
            tau=tau[local_slot],
            forward=by_venue[local_slot, chain.venue[rows]],
            twin=np.where(twin >= 0, to_local[twin], -1),
        ),
        rules,
    )


def _start(chain: Chain, slots: Sequence[int], last: Surface | None) -> Floats:
    start = np.full((len(slots), 5), np.nan)
    if last is not None:
        before = {expiry: at for at, expiry in enumerate(last.expiries)}
        for at, slot in enumerate(slots):
            was = before.get(chain.expiries[slot])
            if was is not None:
                start[at] = last.params[was]
    return start


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


class _Smiles:
    """The smiles of one cycle, before they join the others."""

    def __init__(
        self, chain: Chain, slots: Sequence[int], last: Surface | None, now_ns: int, tau: Floats,
        best: list[ForwardEstimate], fits: SmileFits, params: Floats,
        reason: NDArray[np.uint8], local_slot: Ints,
    ) -> None:  # fmt: skip
        count = len(slots)
        self.expiries = [chain.expiries[slot] for slot in slots]
        self.last = last
        self.tau = tau.copy()
        self.params = params
        self.fitted_ns = np.full(count, now_ns, np.int64)
        self.best = best
        self.fits = fits
        self.state = np.full(count, FITTED, np.int64)
        self.reasons: list[tuple[str, ...]] = [()] * count
        self.rmse, self.inside = fits.rmse_iv.copy(), fits.inside_share.copy()
        self.rejected = np.zeros((count, len(QuoteReason)), np.int64)
        np.add.at(self.rejected, (local_slot, reason.astype(np.int64)), 1)
        self.used = self.rejected[:, QuoteReason.USED].copy()
        self.quotes = self.rejected.sum(axis=1)
        self.rejected[:, QuoteReason.USED] = 0

    def decide(self, rules: Rules, now_ns: int) -> None:
        """Say of each smile whether it is fitted, held from the last surface, or rejected, and why."""
        for at in range(len(self.expiries)):
            reasons = self._faults(at)
            if reasons:
                self._hold_or_reject(at, reasons, rules, now_ns)
            elif self.fits.status[at] in (FitStatus.SPARSE_NEIGHBOUR, FitStatus.SPARSE_DEFAULT):
                self.reasons[at] = (f"sparse: {self.used[at]} quotes, shape from elsewhere",)
            elif self.fits.status[at] == FitStatus.NOT_CONVERGED:
                self.reasons[at] = ("not converged",)

    def _faults(self, at: int) -> list[str]:
        if not self.tau[at] > 0:
            return ["expired"]
        if not self.best[at].price > 0:
            return ["no forward"]
        if self.used[at] == 0:
            counts = self.rejected[at]
            worst = QuoteReason(int(counts.argmax())) if counts.any() else None
            return ["no usable quote" + (f": mostly {worst.name.lower()}" if worst else "")]
        if not np.isfinite(self.params[at]).all():
            return ["no fit"]
        if self.fits.rmse_iv[at] > RMSE_MAX and not self.fits.inside_share[at] >= INSIDE_MIN:
            return [f"poor fit: rmse {100 * self.fits.rmse_iv[at]:.1f} vol points"]
        return []

    def _hold_or_reject(self, at: int, reasons: list[str], rules: Rules, now_ns: int) -> None:
        self.rmse[at] = self.inside[at] = np.nan
        last = self.last
        if last is not None and self.tau[at] > 0 and self.expiries[at] in last.expiries:
            was = last.expiries.index(self.expiries[at])
            held_s = (now_ns - last.fitted_ns[was]) / 1e9
            if last.state[was] != REJECTED and held_s <= rules.held_s_max:
                self.state[at] = HELD
                self.params[at] = last.params[was]
                self.tau[at] = last.tau[was]
                self.fitted_ns[at] = last.fitted_ns[was]
                self.reasons[at] = tuple(reasons)
                return
        self.state[at] = REJECTED
        self.params[at] = np.nan
        self.reasons[at] = tuple(reasons)


class _Carry:
    """Joins an array over the expiries calibrated now with what the last surface says of the others."""

    def __init__(self, chain: Chain, where: Ints, last: Surface | None) -> None:
        self.last = last
        self.source: dict[int, int] = {}
        """Position in the last surface, by position, of each expiry not calibrated now."""
        self._n = len(chain.expiries)
        self._where = where
        if last is not None:
            fresh = set(where.tolist())
            before = {expiry: at for at, expiry in enumerate(last.expiries)}
            self.source = {
                at: before[expiry]
                for at, expiry in enumerate(chain.expiries)
                if at not in fresh and expiry in before
            }

    def join(self, name: str, values: A) -> A:
        """Return the whole of the surface's field `name`."""
        return self.join_arrays(getattr(self.last, name, None), values)

    def join_arrays(self, old: A | None, values: A) -> A:
        empty = np.nan if values.dtype.kind == "f" else 0
        joined = np.full((self._n, *values.shape[1:]), empty, values.dtype)
        if old is not None and self.source:
            joined[list(self.source)] = old[list(self.source.values())]
        joined[self._where] = values
        return cast("A", joined)

    def join_items(self, name: str, values: Sequence[T], empty: T) -> tuple[T, ...]:
        """Return the whole of a field that is a tuple."""
        joined = [empty] * self._n
        old = getattr(self.last, name, ())
        for at, was in self.source.items():
            joined[at] = old[was]
        for at, value in zip(self._where.tolist(), values, strict=True):
            joined[at] = value
        return tuple(joined)


def _assemble(
    chain: Chain, grid: Grid, where: Ints, rows: Ints, reading: Reading, new: _Smiles,
    nodes: deltas.Nodes, last: Surface | None, now_ns: int,
) -> Surface:  # fmt: skip
    """Join the new smiles with those carried over, and derive what spans expiries."""
    carry = _Carry(chain, where, last)
    n = len(chain.expiries)
    params = carry.join("params", new.params)
    tau = carry.join("tau", new.tau)
    forward = carry.join("forward", np.array([one.price for one in new.best]))
    state = carry.join("state", new.state)
    usable = np.flatnonzero((state != REJECTED) & np.isfinite(params).all(axis=1) & (forward > 0))
    age_s = np.array([(now_ns - one.recv_ns) / 1e9 for one in new.best])
    old_nodes = last.nodes if last is not None else [None] * len(nodes)
    return Surface(
        ccy=chain.ccy,
        version=1 if last is None else last.version + 1,
        now_ns=now_ns,
        expiries=tuple(chain.expiries),
        calibrated_ns=carry.join("calibrated_ns", np.full(len(where), now_ns, np.int64)),
        fitted_ns=carry.join("fitted_ns", new.fitted_ns),
        tau=tau,
        forward=forward,
        forward_source=carry.join_items("forward_source", [one.source for one in new.best], "index"),
        forward_stderr_bp=carry.join("forward_stderr_bp", np.array([one.stderr_bp for one in new.best])),
        forward_age_s=carry.join("forward_age_s", age_s),
        params=params,
        state=state,
        reasons=carry.join_items("reasons", new.reasons, ()),
        objective=carry.join("objective", new.fits.objective),
        rmse=carry.join("rmse", new.rmse),
        inside=carry.join("inside", new.inside),
        quotes=carry.join("quotes", new.quotes),
        used=carry.join("used", new.used),
        rejected=carry.join("rejected", new.rejected),
        butterfly=np.full(n, UNCHECKED, np.int64),
        calendar=np.full(n, UNCHECKED, np.int64),
        lee=carry.join("lee", _lee(new.params)),
        min_g=np.full(n, np.nan),
        min_g_k=np.full(n, np.nan),
        calendar_margin=np.full(n, np.nan),
        nodes=deltas.Nodes(
            *(carry.join_arrays(old, values) for old, values in zip(old_nodes, nodes, strict=True))
        ),
        tenors=tenors.solve(params[usable], tau[usable], forward[usable]),
        board=_board(chain, grid, rows, reading, last),
    )


def _lee(params: Floats) -> Ints:
    """Return Lee's bound b(1 + |rho|) ≤ 2 decided on the published parameters."""
    b, rho = params[:, 1], params[:, 2]
    holds = b * (1.0 + np.abs(rho)) <= 2.0
    known = np.isfinite(b * rho)
    return np.where(known, np.where(holds, CERTIFIED, VIOLATED), UNCHECKED).astype(np.int64)


def _board(chain: Chain, grid: Grid, rows: Ints, reading: Reading, last: Surface | None) -> Board:
    n = len(chain)
    old = last.board if last is not None and last.board.symbols == grid.symbols else None

    def column(name: str, values: A) -> A:
        if len(rows) == n:
            return values
        # Only a whole listing is calibrated first, so that there is an old board to write into.
        joined: A = getattr(old, name).copy()
        joined[rows] = values
        return joined

    chosen = reading.selection
    return Board(
        venues=tuple(chain.venues),
        symbols=grid.symbols,
        slot=grid.slot,
        venue=chain.venue,
        strike=chain.strike,
        is_call=chain.is_call,
        k=column("k", reading.k),
        bid=column("bid", reading.bid),
        ask=column("ask", reading.ask),
        bid_size=column("bid_size", chain.bid_size[rows]),
        ask_size=column("ask_size", chain.ask_size[rows]),
        bid_iv=column("bid_iv", reading.bid_iv),
        ask_iv=column("ask_iv", reading.ask_iv),
        last_iv=column("last_iv", chain.last_iv[rows]),
        last_ns=column("last_ns", chain.last_ns[rows]),
        mark_iv=column("mark_iv", chain.mark_iv[rows]),
        recv_ns=column("recv_ns", chain.recv_ns[rows]),
        reason=column("reason", chosen.reason),
        cells=grid.cells,
    )
