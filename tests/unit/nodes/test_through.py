"""Quotes through the fit: sides, excesses, fees and how long."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, option, smile_board

from derivasys.analytics.black import black_price
from derivasys.analytics.implied_vol import implied_vol
from derivasys.decode import DECODERS, UNKNOWN_FEE, taker_fee
from derivasys.messages import Instrument, Quote
from derivasys.nodes.through import ASK, BID, Quotes, solve
from derivasys.pipeline import Pipeline

S = 10**9
TAU = 0.1
FLAT = np.array([[0.25 * TAU, 0.0, 0.0, 0.0, 0.1]])
"""50 vol points at every strike."""
FORWARD = 100.0


def judge(*, strike=110.0, is_call=True, bid=math.nan, ask=math.nan, size=2.0, tradable=True, judge=True, params=FLAT,
          rate=0.0003, cap=0.125, per_order=0.0):  # fmt: skip
    """One option's quote against one smile."""
    bid_iv, _ = implied_vol([bid], FORWARD, strike, TAU, is_call)
    ask_iv, _ = implied_vol([ask], FORWARD, strike, TAU, is_call)
    one = np.ones(1)
    quotes = Quotes(
        np.zeros(1, np.int64), np.log(one * strike / FORWARD), one * strike, np.array([is_call]), one * bid, one * ask,
        one * size, one * size, bid_iv, ask_iv, np.array([tradable]), one * rate, one * cap, one * per_order,
    )  # fmt: skip
    return solve(params, np.array([TAU]), np.array([TAU]), np.array([judge]), quotes, NOW_NS)


def price(iv, strike=110.0, is_call=True):
    return float(black_price(FORWARD, strike, TAU, iv, is_call))


@settings(max_examples=100, deadline=None)
@given(st.floats(0.2, 0.8), st.floats(0.001, 0.1), st.floats(80, 125), st.booleans())
def test_a_quote_is_through_when_its_vol_is_beyond_the_fit(iv, half, strike, is_call):  # [W47]
    bid, ask = price(iv - half, strike, is_call), price(iv + half, strike, is_call)
    found = judge(strike=strike, is_call=is_call, bid=bid, ask=ask)
    fit = price(0.5, strike, is_call)
    if bid > fit:
        assert found.side.tolist() == [BID]
        assert found.excess[0] == pytest.approx(bid - fit)
        assert found.excess_vol[0] == pytest.approx(iv - half - 0.5, abs=1e-7)
    elif ask < fit:
        assert found.side.tolist() == [ASK]
        assert found.excess[0] == pytest.approx(fit - ask)
        assert found.excess_vol[0] == pytest.approx(0.5 - iv - half, abs=1e-7)
    else:
        assert not len(found.row)
    for excess, net, vol, net_vol in zip(found.excess, found.net, found.excess_vol, found.net_vol, strict=True):
        assert net < excess
        assert math.isnan(net_vol) or net_vol < vol


def test_the_fee_is_a_share_of_the_underlying_up_to_a_share_of_the_premium():  # [W48]
    dear = judge(bid=price(0.6))
    assert dear.excess[0] - dear.net[0] == pytest.approx(0.0003 * FORWARD)
    cheap = judge(strike=150.0, bid=0.1)
    assert cheap.excess[0] - cheap.net[0] == pytest.approx(0.125 * 0.1)


def test_a_fee_per_order_is_spread_over_the_size():
    found = judge(bid=price(0.6), size=4.0, per_order=0.5)
    assert found.excess[0] - found.net[0] == pytest.approx(0.0003 * FORWARD + 0.125)
    unsized = judge(bid=price(0.6), size=math.nan, per_order=0.5, cap=1.0)
    assert unsized.excess[0] - unsized.net[0] == pytest.approx(0.0003 * FORWARD + 0.5)


def test_the_net_vol_is_that_of_what_the_taker_gets():
    found = judge(ask=price(0.4))
    paid, _ = implied_vol([price(0.4) + 0.03], FORWARD, 110.0, TAU, True)
    assert found.net_vol[0] == pytest.approx(0.5 - paid[0])


def test_an_ask_below_intrinsic_value_is_through_without_a_vol():
    found = judge(strike=80.0, ask=19.5)
    assert found.side.tolist() == [ASK]
    assert math.isnan(found.excess_vol[0])
    assert found.excess[0] == pytest.approx(price(0.5, 80.0) - 19.5)


@pytest.mark.parametrize(
    "said",
    [{"tradable": False}, {"judge": False}, {"params": np.full((1, 5), np.nan)}],
    ids=["not tradable", "not certified", "no smile"],
)
def test_what_cannot_be_judged_is_not_through(said):
    assert len(judge(bid=price(0.9), **said).row) == 0


def test_every_venue_states_its_fees():
    for venue in DECODERS:
        fees = [fee for unit in ("coin", "quote") if (fee := taker_fee(venue, unit)) is not UNKNOWN_FEE]
        assert fees, venue
        for fee in fees:
            assert 0 < fee.rate <= UNKNOWN_FEE.rate < 0.001
            assert 0.05 < fee.cap < 0.2
    assert taker_fee("nobody", "quote") is UNKNOWN_FEE


# --- through the pipeline --------------------------------------------------------------------------

CALL = option(105.127110, "C")


def fed(bid_iv: float) -> Pipeline:
    """A board whose call at k = 0.05 has a lone bid at `bid_iv`."""
    pipeline = Pipeline()
    for event in smile_board():
        pipeline.apply(event)
    requote(pipeline, bid_iv, NOW_NS)
    return pipeline


def requote(pipeline, bid_iv, now_ns):
    tau = (WEEK_MS * 10**6 - now_ns) / (365 * 86400 * S)
    bid = float(black_price(100.0, CALL.strike, tau, bid_iv, True))
    pipeline.apply(Quote(CALL, now_ns, now_ns, bid, None, 3.0, None))


def cells(surface):
    return {surface.board.symbols[row]: at for at, row in enumerate(surface.through.row.tolist())}


def test_a_lone_bid_above_the_certified_smile_is_a_cell():
    (surface,) = fed(0.75).drain(NOW_NS)
    at = cells(surface)[CALL.symbol]
    through = surface.through
    fit = float(surface.vol(WEEK_MS, strike=CALL.strike))
    assert through.side[at] == BID
    assert through.excess_vol[at] == pytest.approx(0.75 - fit, abs=1e-6)
    assert through.size[at] == 3.0
    assert through.since_ns[at] == NOW_NS
    assert through.excess[at] > through.net[at] > 0


def test_since_is_kept_while_it_is_through_and_starts_anew_after_a_break():  # [W49]
    pipeline = fed(0.75)
    pipeline.drain(NOW_NS)
    later = [NOW_NS + step * S for step in (2, 4, 6)]
    requote(pipeline, 0.8, later[0])
    (still,) = pipeline.drain(later[0])
    assert still.through.since_ns[cells(still)[CALL.symbol]] == NOW_NS
    requote(pipeline, 0.2, later[1])
    (gone,) = pipeline.drain(later[1])
    assert CALL.symbol not in cells(gone)
    requote(pipeline, 0.75, later[2])
    (back,) = pipeline.drain(later[2])
    assert back.through.since_ns[cells(back)[CALL.symbol]] == later[2]


def test_since_survives_a_new_listing():
    pipeline = fed(0.75)
    pipeline.drain(NOW_NS)
    pipeline.apply(Instrument(option(90.5, expiry=WEEK_MS - DAY_MS), NOW_NS + S, tick_size=1e-6))
    requote(pipeline, 0.75, NOW_NS + S)
    (surface,) = pipeline.drain(NOW_NS + S)
    assert len(surface) == 2
    assert surface.through.since_ns[cells(surface)[CALL.symbol]] == NOW_NS


def test_a_stale_quote_is_not_through():
    pipeline = fed(0.75)
    pipeline.drain(NOW_NS)
    late = NOW_NS + 121 * S
    for event in smile_board(now_ns=late):
        if not (isinstance(event, Quote) and event.contract.symbol == CALL.symbol) and not isinstance(
            event, Instrument
        ):
            pipeline.apply(event)
    (surface,) = pipeline.drain(late)
    assert CALL.symbol not in cells(surface)
