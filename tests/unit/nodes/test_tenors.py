import math

import numpy as np
import pytest
from tests.curves import named

from derivasys.analytics.svi import total_variance
from derivasys.analytics.term import CONVEX, LINEAR, METHODS, SCALED, SHIFTED
from derivasys.nodes import tenors
from derivasys.nodes.deltas import ATM, NODES
from derivasys.surface import CERTIFIED, UNCHECKED

TAU = np.array([5.0, 20.0, 100.0]) / 365
PARAMS = np.array(
    [
        [0.001, 0.03, -0.2, 0.0, 0.06],
        [0.006, 0.07, -0.25, 0.0, 0.11],
        [0.030, 0.13, -0.3, 0.0, 0.24],
    ]
)
FORWARD = np.array([100.0, 101.0, 104.0])
YES = np.ones(3, bool)


def test_between_expiries_total_variance_is_linear_at_constant_k():
    rows = tenors.solve(PARAMS, TAU, FORWARD, YES)
    at = list(tenors.TENORS).index("1M")
    share = (30 - 20) / (100 - 20)
    for node in range(len(NODES)):
        k = rows.k[at, node]
        w = (1 - share) * total_variance(k, **named(PARAMS[1])) + share * total_variance(k, **named(PARAMS[2]))
        assert rows.vol[at, node] ** 2 * 30 / 365 == pytest.approx(float(w), rel=1e-12)
    assert rows.forward[at] == pytest.approx(101.0 ** (1 - share) * 104.0**share)
    assert METHODS[rows.method[at]] == "linear_total_variance"
    assert (rows.butterfly[at], rows.calendar[at]) == (CERTIFIED, CERTIFIED)
    assert not rows.is_extrapolated[at]


def test_before_the_first_expiry_vols_by_delta_are_kept():
    rows = tenors.solve(PARAMS, TAU, FORWARD, YES)
    assert rows.is_extrapolated[:3].all()
    assert (rows.method[:3] == SCALED).all()
    assert rows.forward[0] == 100.0
    # all time before the first listed expiry has its at-the-money vol, and nearly its vols by delta
    assert rows.vol[:3, ATM] == pytest.approx(math.sqrt(float(total_variance(0.0, **named(PARAMS[0]))) / TAU[0]))
    assert np.abs(rows.vol[0] - rows.vol[2]).max() < 0.005


def test_after_the_last_expiry_the_vol_at_the_money_is_kept_and_the_skew_fades():
    rows = tenors.solve(PARAMS, TAU, FORWARD, YES)
    assert (rows.method[-3:] == SHIFTED).all()
    assert rows.is_extrapolated[-3:].all()
    assert rows.vol[-3:, ATM] == pytest.approx(math.sqrt(float(total_variance(0.0, **named(PARAMS[2]))) / TAU[2]))
    skew = rows.vol[:, NODES.index("25C")] - rows.vol[:, NODES.index("25P")]
    assert abs(skew[-1]) < abs(skew[-2]) < abs(skew[-3])


def test_a_row_rests_on_the_certificates_of_its_slices():
    rows = tenors.solve(PARAMS, TAU, FORWARD, np.array([True, True, False]))
    at = list(tenors.TENORS).index("1M")
    assert (rows.butterfly[at], rows.calendar[at]) == (UNCHECKED, UNCHECKED)
    assert rows.butterfly[list(tenors.TENORS).index("1W")] == CERTIFIED


def test_where_the_proof_fails_all_rows_between_two_expiries_are_convex(monkeypatch):
    # A slice that is not free of butterfly arbitrage (Vogt's) makes the linear rows beside it fail.
    vogt = np.array([[0.02, 0.3, 0.3, 0.36, 0.1], [-0.0410 + 0.09, 0.2, 0.3060, 0.3586, 0.4153]])
    tau = np.array([20.0, 400.0]) / 365
    bad = np.array([[-0.0410, 0.1331, 0.3060, 0.3586, 0.4153], [-0.03, 0.1331, 0.3060, 0.3586, 0.4153]])
    rows = tenors.solve(bad, tau, np.array([1.0, 1.0]), np.zeros(2, bool))
    inner = ~rows.is_extrapolated
    assert (rows.method[inner] == CONVEX).all()
    assert (rows.butterfly == UNCHECKED).all(), "nothing rests on slices without certificate"
    good = tenors.solve(vogt[1:], tau[1:], np.ones(1), np.ones(1, bool))
    assert (good.method[:-1] != LINEAR).all()


def test_no_smile_no_rows():
    rows = tenors.solve(np.zeros((0, 5)), np.zeros(0), np.zeros(0), np.zeros(0, bool))
    assert np.isnan(rows.vol).all()
    assert rows.is_extrapolated.all()


def test_the_variance_index_is_linear_in_total_variance_and_never_extrapolated():
    tau = np.array([20.0, 40.0]) / 365
    w = np.array([0.5**2, 0.6**2]) * tau
    assert tenors.variance_index(w, tau) == pytest.approx(math.sqrt((w[0] + w[1]) / 2 / (30 / 365)))
    assert math.isnan(tenors.variance_index(w[:1], tau[:1]))
    assert math.isnan(tenors.variance_index(w, tau + 20 / 365))
    assert math.isnan(tenors.variance_index(np.array([np.nan, w[1]]), tau))
