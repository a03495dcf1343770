"""Several series of one venue and expiry: each has its own forward and pairs; of each strike one is published."""

import math

import numpy as np
import pytest
from tests.boards import NOW_NS, WEEK_MS, smile_board

from derivasys.messages import Forward
from derivasys.pipeline import Pipeline
from derivasys.surface import FITTED
from derivasys.wire.state import state_of

FORWARDS = {"USDC": 100.0, "USDT": 100.4}
"""A stablecoin that is not the dollar: 40 basis points."""
STRIKES = {"USDC": range(80, 121, 5), "USDT": range(76, 125, 4)}
SHARED = {80.0, 100.0, 120.0}


def events_of(series, *, stated=True):
    """Return a board's events as those of one series, whose symbols are its own."""
    logs = tuple(math.log(strike / FORWARDS[series]) for strike in STRIKES[series])
    for event in smile_board(forward=FORWARDS[series], venue="bybit", log_strikes=logs):
        fields = {name: getattr(event, name) for name in event.__struct_fields__}
        if isinstance(event, Forward):
            if not stated:
                continue
            fields["series"] = series
        else:
            of = {name: getattr(event.contract, name) for name in event.contract.__struct_fields__}
            of |= {"symbol": f"{event.contract.symbol}-{series}", "series": series}
            fields["contract"] = type(event.contract)(**of)
        yield type(event)(**fields)


def surface_of(order=("USDC", "USDT"), *, stated=True):
    pipeline = Pipeline()
    for series in order:
        for event in events_of(series, stated=stated):
            pipeline.apply(event)
    (surface,) = pipeline.drain(NOW_NS)
    return surface


@pytest.mark.parametrize("stated", [True, False])
@pytest.mark.parametrize("order", [("USDC", "USDT"), ("USDT", "USDC")])
def test_each_quote_is_read_against_the_forward_of_its_series(order, stated):
    surface = surface_of(order, stated=stated)
    board = surface.board
    for series, forward in FORWARDS.items():
        rows = [at for at, symbol in enumerate(board.symbols) if symbol.endswith(series)]
        assert len(rows) == 2 * len(STRIKES[series])
        assert np.allclose(np.exp(-board.k[rows]) * board.strike[rows], forward, rtol=2e-6)
    assert surface.state[0] == FITTED
    # The smiles of both are one in log-moneyness: the fit finds it, and every quote is inside.
    assert surface.rmse[0] < 1e-3
    assert surface.inside[0] == 1.0


def test_a_forward_of_one_series_does_not_touch_the_other():
    pipeline = Pipeline()
    for series in FORWARDS:
        for event in events_of(series):
            pipeline.apply(event)
    pipeline.apply(Forward("bybit", "x", "BTC", WEEK_MS, NOW_NS, NOW_NS, 101.0, "USDT"))
    chain = pipeline.chains["BTC"]
    assert chain.forwards["bybit", "USDC", WEEK_MS].price == 100.0
    assert chain.forwards["bybit", "USDT", WEEK_MS].price == 101.0


def test_calls_and_puts_pair_within_their_series_and_a_strike_is_published_once():
    surface = surface_of()
    board = surface.board
    levels = state_of(surface).tables["levels"]
    assert len(set(levels.keys)) == len(levels.keys)
    strikes = {float(strike) for _, strike, _ in levels.keys}
    assert strikes == {float(strike) for listed in STRIKES.values() for strike in listed}
    assert {venue for _, _, venue in levels.keys} == {"bybit"}
    for call, put in board.cells.tolist():
        assert call >= 0
        assert put >= 0
        assert board.symbols[call].rpartition("-")[2] == board.symbols[put].rpartition("-")[2]
        if float(board.strike[call]) in SHARED:
            assert board.symbols[call].endswith("USDT"), "the series of most contracts is shown"
