"""Recorded Deribit boards (not shipped): every surface certified, judged independently, and the cost of certification.

Set DERIVASYS_DATA to a folder with `deribit-january-2026/` and `deribit-crash-week-2026/` (one CSV a snapshot, gzipped:
timestamp, expiry_datetime, strike, option_type, bid_price, ask_price, futures_price, currency). Skipped without it.
"""

import csv
import gzip
import os
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from tests.property.numerics import EXAMPLES, independent

from derivasys.analytics import svi
from derivasys.analytics.implied_vol import implied_vol
from derivasys.fit.constrained import BoardFit, FitState, fit_board
from derivasys.fit.quotes import QuoteSelection, group_by_expiry, select_quotes, twin_rows

DATA = os.getenv("DERIVASYS_DATA", "")
FILES = sorted(Path(DATA).glob("deribit-*-2026/*.csv.gz")) if DATA else []
pytestmark = pytest.mark.skipif(not FILES, reason="DERIVASYS_DATA names no folder with recorded boards")
BOARDS = [(path, ccy) for path in FILES for ccy in ("BTC", "ETH")] or [(Path(), "none")]
JUDGED = BOARDS if EXAMPLES else BOARDS[::12]


def _number(text: str) -> float:
    return float(text) if text else np.nan


class Board:
    """One currency of one snapshot, quotes chosen and inverted."""

    def __init__(self, path: Path, ccy: str) -> None:
        with gzip.open(path, "rt") as lines:
            rows = [row for row in csv.DictReader(lines) if row["currency"] == ccy]
        now = max(datetime.fromisoformat(row["timestamp"]).timestamp() for row in rows)
        expiry = np.array([datetime.fromisoformat(row["expiry_datetime"]).timestamp() for row in rows])
        strike = np.array([float(row["strike"]) for row in rows])
        self.is_call = np.array([row["option_type"] == "call" for row in rows])
        bid, ask, futures = (
            np.array([_number(row[name]) for row in rows]) for name in ("bid_price", "ask_price", "futures_price")
        )
        when, self.slot = np.unique(expiry, return_inverse=True)
        forward = np.array([np.median(futures[self.slot == i]) for i in range(len(when))])[self.slot]
        tau = (expiry - now) / (365 * 86400)
        self.k, self.tau = np.log(strike / forward), (when - now) / (365 * 86400)
        bid_iv, bid_status = implied_vol(bid * forward, forward, strike, tau, self.is_call)
        ask_iv, ask_status = implied_vol(ask * forward, forward, strike, tau, self.is_call)
        self.selection: QuoteSelection = select_quotes(
            k=self.k, tau=tau, is_call=self.is_call, twin=twin_rows(self.slot, strike, self.is_call),
            bid=bid, ask=ask, tick=1e-4, bid_iv=bid_iv, ask_iv=ask_iv, bid_status=bid_status, ask_status=ask_status,
            age_s=0.0,
        )  # fmt: skip
        out = np.where(self.is_call, self.k >= 0.0, self.k < 0.0)
        self.judged = (bid_status == 0) & (ask_status == 0) & (ask >= bid) & out & (tau > 0.0)

    def fit(self) -> BoardFit:
        """Return the certified board."""
        offsets, rows = group_by_expiry(self.selection, self.slot, self.k, len(self.tau))
        s = self.selection
        return fit_board(offsets, self.k[rows], s.w[rows], s.weight[rows], s.w_bid[rows], s.w_ask[rows], self.tau)

    def inside(self, params: np.ndarray) -> float:
        """Return the share of two-sided out-of-the-money quotes whose bid and ask enclose the slice."""
        a, b, rho, m, sigma = params[self.slot].T
        w = svi.total_variance(self.k, a=a, b=b, rho=rho, m=m, sigma=sigma)
        hit = (w >= self.selection.w_bid) & (w <= self.selection.w_ask)
        return float(hit[self.judged].mean())


@pytest.mark.parametrize(("path", "ccy"), BOARDS, ids=lambda x: x.name[:15] if isinstance(x, Path) else x)
def test_every_recorded_surface_is_certified_and_keeps_95_percent(path: Path, ccy: str) -> None:
    board = Board(path, ccy)
    fit = board.fit()
    published = fit.state != FitState.REJECTED
    assert published[fit.free.quotes > 0].all()
    assert fit.certificate.ok[published].all()
    assert board.inside(fit.params) >= 0.95 * board.inside(fit.free.params)


@pytest.mark.parametrize(("path", "ccy"), JUDGED, ids=lambda x: x.name[:15] if isinstance(x, Path) else x)
def test_the_independent_judge_finds_no_arbitrage(path: Path, ccy: str) -> None:
    params = Board(path, ccy).fit().params
    rows = params[np.isfinite(params).all(axis=1)]
    for i, row in enumerate(rows):
        assert independent.least_g(row) >= 0
        if i:
            assert independent.least_gap(rows[i - 1], row) >= 0
