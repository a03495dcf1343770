"""Curves between and beyond expiries, on random certified boards: no static arbitrage, by an independent check."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from tests.curves import boards, linear_curve, named, slice_curve

from derivasys.analytics.arbitrage import YES
from derivasys.analytics.black import black_price
from derivasys.analytics.svi import total_variance
from derivasys.analytics.term import (
    CONVEX,
    LINEAR,
    SCALED,
    SHIFTED,
    SLICE,
    WIDTH,
    curve_slope,
    curve_w,
    distribution_at,
    make_convex,
    place,
)
from derivasys.analytics.term_delta import delta_goal, delta_root
from derivasys.analytics.term_proof import curve_butterfly, linear_butterfly
from derivasys.nodes import tenors

FEW = settings(max_examples=60, deadline=None)


def w_of(k, curve, kind):
    return np.array([curve_w(float(x), curve, kind) for x in np.atleast_1d(k)])


def grid(params, reach=8.0, count=801):
    scale = np.sqrt(total_variance(0.0, **named(params[-1])))
    return float(scale) * np.sinh(np.linspace(-np.arcsinh(reach * 5), np.arcsinh(reach * 5), count)) / 5


def g_of(curve, k):
    """g by its definition, from w, w' and w'' summed here (not the code of the package)."""
    w = w1 = w2 = 0.0
    for weight, (a, b, rho, m, sigma) in ((curve[10], curve[:5]), (curve[11], curve[5:10])):
        r = np.sqrt((k - m) ** 2 + sigma**2)
        w = w + weight * (a + b * (rho * (k - m) + r))
        w1 = w1 + weight * b * (rho + (k - m) / r)
        w2 = w2 + weight * b * sigma**2 / r**3
    return (1 - k * w1 / (2 * w)) ** 2 - w1**2 / 4 * (1 / w + 0.25) + w2 / 2


@FEW
@given(boards())
def test_tenor_rows_are_in_calendar_order_with_one_another_and_with_the_expiries(board):
    tau, params = board
    rows = tenors.solve(params, tau, np.full(len(tau), 100.0), np.ones(len(tau), bool))
    assert (rows.calendar == 0).all()
    k = grid(params)
    times = np.concatenate((tenors.TENOR_TAU, tau))
    w = [w_of(k, c, m) for c, m in zip(rows.curves, rows.method, strict=True)]
    w += [w_of(k, slice_curve(p), SLICE) for p in params]
    order = np.argsort(times, kind="stable")
    for earlier, later in pairwise(order):
        both = np.isfinite(w[earlier]) & np.isfinite(w[later])
        assert (w[later][both] >= w[earlier][both] * (1 - 1e-9)).all()


@FEW
@given(boards())
def test_a_proved_tenor_row_has_no_negative_density(board):
    tau, params = board
    rows = tenors.solve(params, tau, np.full(len(tau), 100.0), np.ones(len(tau), bool))
    k = grid(params, count=4001)
    for curve, kind, verdict in zip(rows.curves, rows.method, rows.butterfly, strict=True):
        if verdict == 0 and kind != CONVEX:
            assert g_of(curve, k).min() >= -1e-10
        assert verdict == 0 or kind == SHIFTED, "only beyond the last expiry can butterfly be in doubt"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.floats(0.01, 0.99), min_size=9, max_size=9), st.floats(0.0, 1.0))
def test_the_proof_agrees_with_a_dense_grid_on_any_pair_of_slices(x, share):
    # Slices with and without butterfly arbitrage of their own; positive by construction.
    slices = []
    for b, tilt, m, sigma in (x[:4], x[4:8]):
        rho = 1.6 * (tilt - 0.5)
        slices.append([0.02 + 0.05 * x[8] - 0.9 * b * sigma * np.sqrt(1 - rho**2) * x[8], b, rho, m - 0.5, sigma])
    curve = linear_curve(*np.array(slices), share)
    k = np.concatenate([m + sigma * np.sinh(np.linspace(-9, 9, 6001)) for _, _, _, m, sigma in slices])
    least = g_of(curve, k).min()
    found = linear_butterfly(curve)
    if found == YES:
        assert least >= -1e-9
    if least > 1e-6 and (1 - abs(curve[2])) > 0:
        assert found == YES
    if least < -1e-6:
        assert found == 0


@FEW
@given(boards(2, 2), st.floats(0.02, 0.98), st.floats(-3, 3))
def test_convex_curves_are_mixtures_of_prices(board, share, z):
    tau, params = board
    curve = np.zeros(WIDTH)
    kind, left, right = place(float(tau[0] + share * (tau[1] - tau[0])), tau, params, curve)
    assert (kind, left, right) == (LINEAR, 0, 1)
    at_money = curve_w(0.0, curve, LINEAR)
    make_convex(curve)
    assert curve_w(0.0, curve, CONVEX) == pytest.approx(at_money, rel=1e-10), "the habit's at-the-money vol"
    assert curve_butterfly(curve, CONVEX) == YES
    k = z * np.sqrt(at_money)
    w = [total_variance(k, **named(p)) for p in params]
    price = sum(u * black_price(1.0, np.exp(k), 1.0, np.sqrt(v), True) for u, v in zip(curve[10:], w, strict=True))
    mixed = black_price(1.0, np.exp(k), 1.0, np.sqrt(curve_w(k, curve, CONVEX)), True)
    assert mixed == pytest.approx(price, rel=1e-9, abs=1e-15)


@FEW
@given(boards(2, 3), st.floats(0.3, 2.0), st.floats(-2, 2), st.booleans())
def test_slopes_and_probabilities_are_the_derivatives(board, where, z, is_convex):
    tau, params = board
    curve = np.zeros(WIDTH)
    kind, _, _ = place(float(where * tau[-1]), tau, params, curve)
    if kind == LINEAR and is_convex:
        make_convex(curve)
        kind = CONVEX
    k = z * np.sqrt(curve_w(0.0, curve, kind))
    h = 1e-4 * np.sqrt(curve_w(0.0, curve, kind))
    slope = (curve_w(k + h, curve, kind) - curve_w(k - h, curve, kind)) / (2 * h)
    assert curve_slope(k, curve, kind)[1] == pytest.approx(slope, rel=1e-4, abs=1e-6)

    def call(at):
        return float(black_price(1.0, np.exp(at), 1.0, np.sqrt(curve_w(at, curve, kind)), True))

    cdf, density = distribution_at(k, curve, kind)
    digital = -(call(k + h) - call(k - h)) / (np.exp(k + h) - np.exp(k - h))
    assert cdf == pytest.approx(1.0 - digital, abs=2e-5), "P(S > K) is the digital call"
    rise = (distribution_at(k + h, curve, kind)[0] - distribution_at(k - h, curve, kind)[0]) / (2 * h)
    assert density == pytest.approx(rise, rel=1e-3, abs=1e-5)


def weighted_density(k, curve, kind, moment):
    return distribution_at(k, curve, kind)[1] * np.exp(moment * k)


@settings(max_examples=20, deadline=None)
@given(boards(2, 3), st.floats(0.2, 1.5))
def test_the_density_integrates_to_one_and_to_the_forward(board, where):
    tau, params = board
    curve = np.zeros(WIDTH)
    kind, _, _ = place(float(where * tau[-1]), tau, params, curve)
    if curve_butterfly(curve, kind) != YES:
        return
    scale = np.sqrt(curve_w(0.0, curve, kind))
    points = scale * np.array([-60, -20, -8, -3, -1, 0, 1, 3, 8, 20, 60])
    for moment in (0, 1):
        parts = [
            quad(weighted_density, a, b, args=(curve, kind, moment), epsabs=1e-10, limit=200)[0]
            for a, b in pairwise(points)
        ]
        # What lies beyond: read off the distribution itself, for the probability.
        below = distribution_at(points[0], curve, kind)[0] if moment == 0 else 0.0
        above = 1.0 - distribution_at(points[-1], curve, kind)[0] if moment == 0 else 0.0
        assert sum(parts) + below + above == pytest.approx(1.0, abs=1e-7 if moment == 0 else 2e-2)
    cdf = [distribution_at(k, curve, kind)[0] for k in np.linspace(points[0], points[-1], 401)]
    assert (np.diff(cdf) >= -1e-13).all()
    assert 0.0 <= cdf[0] <= cdf[-1] <= 1.0 + 1e-13


@FEW
@given(boards(2, 3), st.floats(0.2, 1.5), st.sampled_from([0.05, 0.1, 0.25, 0.4]), st.booleans(), st.booleans())
def test_a_node_has_the_delta_asked_for(board, where, delta, is_call, adjusted):
    tau, params = board
    curve = np.zeros(WIDTH)
    kind, _, _ = place(float(where * tau[-1]), tau, params, curve)
    goal, which = delta_goal(delta if is_call else -delta, adjusted)
    k = delta_root(goal, which, curve, kind)
    if not adjusted or not is_call:
        assert np.isfinite(k)
    if np.isfinite(k):
        from scipy.stats import norm

        s = np.sqrt(curve_w(k, curve, kind))
        sign = 1.0 if is_call else -1.0
        reached = norm.cdf(sign * (-k / s + s / 2)) if not adjusted else np.exp(k) * norm.cdf(sign * (-k / s - s / 2))
        assert reached == pytest.approx(delta, rel=1e-9)


def test_kinds_outside_the_listing():
    tau = np.array([0.1, 0.2])
    params = np.array([[0.005, 0.05, -0.3, 0.0, 0.1], [0.012, 0.08, -0.3, 0.0, 0.12]])
    curve = np.zeros(WIDTH)
    found = [place(target, tau, params, curve)[0] for target in (0.05, 0.1, 0.15, 0.2, 0.3)]
    assert found == [SCALED, SLICE, LINEAR, SLICE, SHIFTED]
