"""What must hold in every run: all the time, and again soon after the last fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from derivasys.calibrate import Rules
from derivasys.estimate.chain import Chain
from derivasys.surface import CERTIFIED, FITTED, REJECTED, Surface
from derivasys.testing.market import MarketView
from derivasys.testing.market.board import OPEN
from derivasys.testing.servers import TERMS
from derivasys.testing.simulation.faults import S
from derivasys.testing.simulation.venue_side import markets_of

STALE_S = Rules().quotes.staleness_s_max
"""The limit as it is stated: a run that is given other rules is still held to it."""
ANNOUNCED_S = 30.0
UNANNOUNCED_S = 620.0
"""A listing nobody announces is seen at the next fetch, ten minutes later at most."""
STILL_S = 2.5
"""A quote that has not changed for so long has had time to arrive."""
PRINTED, DISCOUNTED = 1e-9, 2e-3
"""Relative accuracy of a price: of most venues, and of those whose printed discount factor has three decimals."""
SLACK_S = 5.0
"""For what is on its way, and for the pause between two checks."""
SETTLING_S = 31 * 60.0
STRIKES_MIN, Z_MAX = 4, 1.5
"""An expiry with so many strikes quoted on both sides within so many standard deviations must be fitted."""
GRID = np.linspace(-0.6, 0.6, 41)


class Broken(AssertionError):  # noqa: N818 - what it says of an invariant
    """An invariant that does not hold."""


class Truth:
    """What the venues have quoted: of every option each bid and ask with its time."""

    def __init__(self, servers: Mapping[str, Any]) -> None:
        self._servers = servers
        self._past: dict[tuple[str, str], list[tuple[int, float, float]]] = {}
        """(ms, bid, ask), undiscounted, in order, by venue and symbol."""
        self._followed: dict[tuple[str, str, str], int] = {}
        """How far a follower has got: it holds this quote of an option, or a later one."""
        self._seen: dict[int, np.ndarray[Any, Any]] = {}

    def observe(self) -> None:
        """Take note of what the boards say now; call after every tick."""
        for name, market in self._markets():
            board = market.board
            times, before = board.ticker["time_ms"], self._seen.get(id(market))
            if before is None or len(before) != len(times):
                grown = np.full(len(times), -1, np.int64)
                grown[: 0 if before is None else len(before)] = () if before is None else before
                before = grown
            changed = np.flatnonzero(times != before)
            if not len(changed):
                continue
            bid, ask = _undiscounted(market, changed)
            now_ms = market.now_ms()
            for row, *pair in zip(changed.tolist(), bid.tolist(), ask.tolist(), strict=True):
                self._past.setdefault((name, board.symbols[row]), []).append((now_ms, *pair))
            self._seen[id(market)] = times.copy()

    def place(self, follower: str, venue: str, symbol: str, bid: float, ask: float) -> int | None:
        """Return when the pair of bid and ask that a follower holds was replaced at the venue, ms; 0 when it was not.

        None when there never was such a pair, or only before one that the follower has held already (by more than the
        venue leaves open: `VenueTerms.undated_ms`).
        """
        past = self._past.get((venue, symbol))
        if past is None:
            return None
        followed = self._followed.setdefault((follower, venue, symbol), 0)
        since_ms = past[followed][0] - TERMS[venue].undated_ms
        while followed and past[followed][0] > since_ms:
            followed -= 1
        tolerance = tolerance_of(venue)
        for at in range(followed, len(past)):
            _, was_bid, was_ask = past[at]
            if close(bid, was_bid, tolerance) and close(ask, was_ask, tolerance):
                self._followed[follower, venue, symbol] = at
                return self._replaced(past, at, bid, ask, tolerance)
        return None

    def _replaced(self, past: list[tuple[int, float, float]], at: int, bid: float, ask: float, tolerance: float) -> int:
        """Return when the pair was last replaced, after the place where it stood: a venue may come back to it."""
        ms = 0
        for was_ms, was_bid, was_ask in reversed(past[at:]):
            if close(bid, was_bid, tolerance) and close(ask, was_ask, tolerance):
                return ms
            ms = was_ms
        return ms

    def now(self, ccy: str, now_ns: int) -> Iterable[tuple[str, str, float, float, int, int]]:
        """Yield (venue, symbol, bid, ask, changed ms, listed ms) of every open option that has been still a while."""
        for name, market in self._markets():
            board = market.board
            if market.family.ccy != ccy:
                continue
            still = board.ticker["time_ms"] * 1_000_000 < now_ns - int(STILL_S * S)
            rows = np.flatnonzero(still & (board.state == OPEN))
            bid, ask = _undiscounted(market, rows)
            for at, row in enumerate(rows.tolist()):
                yield (
                    name, board.symbols[row], float(bid[at]), float(ask[at]), int(board.ticker["time_ms"][row]),
                    int(board.listed_ms[row]),
                )  # fmt: skip

    def fittable(self, ccy: str, now_ns: int) -> set[int]:
        """Return the expiries (ms) that are quoted well enough to be fitted, by what a client can know of by now."""
        strikes: dict[int, set[float]] = {}
        for name, market in self._markets():
            board = market.board
            if market.family.ccy != ccy:
                continue
            known_ms = now_ns // 1_000_000 - int(1000 * _known_s(name))
            t = board.ticker
            tau = (board.expiry_ms - now_ns / 1e6) / 31_536_000_000.0
            with np.errstate(invalid="ignore", divide="ignore"):
                z = np.abs(np.log(board.strike / t["forward"])) / (
                    t["mark_iv"] / 100.0 * np.sqrt(np.maximum(tau, 1e-9))
                )
                good = (board.state == OPEN) & (t["bid"] > 0) & (t["ask"] > t["bid"]) & (z < Z_MAX)
            # Those of the start are known from the first listing.
            first_ms = market.start_ns // 1_000_000
            good &= (board.listed_ms <= known_ms) | (board.listed_ms <= first_ms)
            good &= board.expiry_ms > now_ns / 1e6 + 1000 * SETTLING_S
            for row in np.flatnonzero(good).tolist():
                strikes.setdefault(int(board.expiry_ms[row]), set()).add(float(board.strike[row]))
        return {expiry for expiry, found in strikes.items() if len(found) >= STRIKES_MIN}

    def _markets(self) -> Iterable[tuple[str, MarketView]]:
        for name, server in self._servers.items():
            for market in markets_of(server):
                yield name, market


def tolerance_of(venue: str) -> float:
    """Return the relative accuracy of a venue's undiscounted prices."""
    return DISCOUNTED if TERMS[venue].is_discounted else PRINTED


def close(mine: float, theirs: float, tolerance: float) -> bool:
    """Return whether two prices are the same; two missing ones are."""
    return abs(mine - theirs) <= tolerance * abs(theirs) or (mine != mine and theirs != theirs)


def _undiscounted(market: MarketView, rows: Any) -> tuple[Any, Any]:
    board = market.board
    growth = np.ones(len(rows))
    if market.family.is_discounted:
        growth = np.array([board.expiries[at].forward for at in board.expiry_of[rows]]) / board.index_price
    return board.ticker["bid"][rows] * growth, board.ticker["ask"][rows] * growth


def _known_s(venue: str) -> float:
    return ANNOUNCED_S if TERMS[venue].announces_listings else UNANNOUNCED_S


def check_surface(surface: Surface) -> None:
    """Check what must hold of every published surface. Raises Broken."""
    shown = surface.state != REJECTED
    for name in ("butterfly", "calendar", "lee"):
        bad = shown & (getattr(surface, name) != CERTIFIED)
        if bad.any():
            raise Broken(f"{surface.ccy}: {name} not certified at {np.flatnonzero(bad)}")
    _check_order(surface, shown)
    board = surface.board
    used = board.selection.used
    read_ns = surface.read_ns[board.slot[used]]
    for what, since in (("arrived", board.recv_ns[used]), ("was quoted", board.as_of_ns[used])):
        age_s = (read_ns - since) / S
        if len(age_s) and age_s.max() > STALE_S:
            raise Broken(f"{surface.ccy}: a quote that {what} {age_s.max():.0f} s ago was fitted to")
    if (surface.params[~shown] == surface.params[~shown]).any():
        raise Broken(f"{surface.ccy}: a rejected smile has parameters")
    silent = [not reasons for reasons, state in zip(surface.reasons, surface.state, strict=True) if state != FITTED]
    if any(silent):
        raise Broken(f"{surface.ccy}: held or rejected without a reason")


def _check_order(surface: Surface, shown: Any) -> None:
    """Check on a grid, not by the certificate's own means, that total variance is positive and grows with time."""
    a, b, rho, m, sigma = surface.params[shown].T[:, :, None]
    x = GRID[None, :] - m
    w = a + b * (rho * x + np.sqrt(x * x + sigma * sigma))
    if not (w > 0).all():
        raise Broken(f"{surface.ccy}: total variance not above zero")
    if len(w) > 1 and (np.diff(w, axis=0) < -1e-12).any():
        raise Broken(f"{surface.ccy}: total variance falls with time")


def check_quotes(chain: Chain, truth: Truth, follower: str, excused: set[tuple[str, int]]) -> None:
    """Check that each row holds a pair of bid and ask that its venue had, and none older than one held before.

    `excused` are (venue, receive time) of corrupt messages that could still be read. Raises Broken.
    """
    for row, of in enumerate(chain.contracts):
        bid, ask, recv_ns = float(chain.bid[row]), float(chain.ask[row]), int(chain.recv_ns[row])
        if (bid != bid and ask != ask) or (of.venue, recv_ns) in excused:
            continue
        if truth.place(follower, of.venue, of.symbol, bid, ask) is None:
            raise Broken(f"{of.venue} {of.symbol}: {bid} / {ask} was never quoted, or before what was held already")


def check_used(surface: Surface, chain: Chain, truth: Truth, excused: set[tuple[str, int]]) -> None:
    """Check by the venues' own history that nothing is fitted to a quote replaced longer ago than the limit.

    Call at a surface's own cycle, after `check_quotes`. Raises Broken.
    """
    oldest_ms = surface.now_ns // 1_000_000 - int(1000 * (STALE_S + SLACK_S))
    for row in np.flatnonzero(surface.board.selection.used).tolist():
        of = chain.contracts[row]
        if (of.venue, int(chain.recv_ns[row])) in excused:
            continue
        replaced_ms = truth.place("pipeline", of.venue, of.symbol, float(chain.bid[row]), float(chain.ask[row]))
        if replaced_ms is not None and 0 < replaced_ms < oldest_ms:
            age_s = surface.now_ns / S - replaced_ms / 1e3
            raise Broken(f"{of.venue} {of.symbol}: fitted to a quote that was replaced {age_s:.0f} s ago")


def disagreements(chain: Chain, truth: Truth, now_ns: int, since_ms: int, only: set[str] | None = None) -> list[str]:
    """Return the options whose row is not what the venue says, though it has had time to arrive.

    A row may lag when it is old enough to be stale and the venue has not quoted since `since_ms`. `only` limits the
    comparison to symbols that are followed.
    """
    wrong = []
    now_ms = now_ns // 1_000_000
    for venue, symbol, bid, ask, changed_ms, listed_ms in truth.now(chain.ccy, now_ns):
        if only is not None and symbol not in only:
            continue
        row = chain._row.get((venue, symbol))  # noqa: SLF001
        is_new = now_ms - listed_ms < 1000 * _known_s(venue)
        if row is None or not chain.recv_ns[row]:
            if not is_new and changed_ms > since_ms:
                wrong.append(f"{venue} {symbol} unknown")
            continue
        if changed_ms <= since_ms and now_ns - chain.as_of_ns[row] > STALE_S * S:
            continue
        tolerance = tolerance_of(venue)
        if not (close(float(chain.bid[row]), bid, tolerance) and close(float(chain.ask[row]), ask, tolerance)):
            wrong.append(f"{venue} {symbol}: {chain.bid[row]} / {chain.ask[row]}, not {bid} / {ask}")
    return wrong
