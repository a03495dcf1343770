import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.curves import boards

from derivasys.nodes import deltas
from derivasys.nodes.deltas import ATM, DELTAS, NODES

TAU = np.array([0.1])
PARAMS = np.array([[0.01, 0.12, -0.35, 0.02, 0.11]])


def solve(k=(), convention="forward", params=PARAMS, tau=TAU):
    k = np.asarray(k, float)
    width = np.full(len(k), 0.01)
    return deltas.solve(
        params,
        tau,
        np.array([0] + [len(k)] * len(tau)),
        k,
        0.5 - width,
        0.5 + width,
        np.arange(len(k)) * 1.0,
        convention,
    )


@settings(max_examples=60, deadline=None)
@given(boards(1, 3), st.sampled_from(["forward", "premium_adjusted"]))
def test_nodes_ascend_in_k_and_reach_their_deltas(board, convention):
    tau, params = board
    none = np.zeros(0)
    nodes = deltas.solve(params, tau, np.zeros(len(tau) + 1, np.int64), none, none, none, none, convention)
    for at in range(len(tau)):
        calls_reached = np.isfinite(nodes.k[at, ATM + 1 :])
        assert (np.diff(nodes.k[at, :ATM]) > 0).all()
        assert (np.diff(nodes.k[at, ATM + 1 :][calls_reached]) > 0).all()
        assert nodes.k[at, ATM] == 0.0
        reached = np.isfinite(nodes.delta_error[at])
        assert np.abs(nodes.delta_error[at][reached]).max() < 1e-9
    if convention == "forward":
        assert np.isfinite(nodes.k).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0.05, 3.0), min_size=17, max_size=17))
def test_risk_reversals_and_flies_are_what_their_names_say(vols):
    vol = np.array([vols])
    named = dict(zip(NODES, vols, strict=True))
    rr, full, half = deltas.risk_reversals(vol), deltas.flies(vol), deltas.flies(vol, "half")
    for at, delta in enumerate(DELTAS):
        call, put, atm = named[f"{delta}C"], named[f"{delta}P"], named["ATMF"]
        assert rr[0, at] == pytest.approx(call - put)
        assert full[0, at] == pytest.approx(call + put - 2 * atm)
        assert half[0, at] == pytest.approx((call + put) / 2 - atm)
        assert call == pytest.approx(atm + half[0, at] + rr[0, at] / 2), "the smile strangle's identity"
        assert put == pytest.approx(atm + half[0, at] - rr[0, at] / 2)


def test_the_market_strangle_is_a_vol_above_the_money():
    strangle = deltas.strangles(PARAMS, TAU)
    nodes = solve()
    fly = deltas.flies(nodes.vol, "market_strangle", strangle)
    half = deltas.flies(nodes.vol, "half")
    assert fly == pytest.approx(half, rel=0.5), "near the half fly"
    assert (np.diff(fly[0]) < 0).all(), "falls from 5 to 40 delta"


def test_a_node_rests_on_the_quotes_around_it():
    nodes = solve(np.linspace(-0.2, 0.2, 21))
    at = NODES.index("25P")
    assert nodes.is_extrapolated[0, at] == 0.0
    assert nodes.bid_vol[0, at] == pytest.approx(0.49)
    assert nodes.ask_vol[0, at] == pytest.approx(0.51)
    low, high = nodes.k[0, at - 1], nodes.k[0, at + 1]
    k = np.linspace(-0.2, 0.2, 21)
    assert nodes.quotes[0, at] == ((k >= low) & (k <= high)).sum()
    older = np.flatnonzero(k >= nodes.k[0, at])[0]
    assert nodes.age_s[0, at] == older, "the older of the two beside it"
    wide = solve([-0.001, 0.001])
    assert wide.is_extrapolated[0, at] == 1.0
    assert np.isnan(wide.bid_vol[0, at])


def test_the_money_has_the_delta_of_its_convention():
    root = np.sqrt(PARAMS[0, 0] + PARAMS[0, 1] * (0.35 * 0.02 + np.hypot(0.02, 0.11)))
    from scipy.stats import norm

    assert solve().delta[0, ATM] == pytest.approx(norm.cdf(root / 2))
    assert solve(convention="premium_adjusted").delta[0, ATM] == pytest.approx(norm.cdf(-root / 2))


def test_an_unusable_slice_has_no_nodes():
    for convention in ("forward", "premium_adjusted"):
        assert np.isnan(solve(convention=convention, params=np.full((1, 5), np.nan)).vol).all()


def test_a_premium_adjusted_call_above_its_maximum_is_not_reached():
    # total variance 4: e^k N(d2) never gets to 0.40
    nodes = solve(convention="premium_adjusted", params=np.array([[4.0, 0.0, 0.0, 0.0, 1.0]]), tau=np.array([1.0]))
    assert np.isnan(nodes.k[0, NODES.index("40C")])
    assert np.isfinite(nodes.k[0, NODES.index("40P")])
