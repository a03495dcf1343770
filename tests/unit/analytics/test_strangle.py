import math

import numpy as np
import pytest
from tests.curves import linear_curve, slice_curve

from derivasys.analytics.black import black_price
from derivasys.analytics.strangle import market_strangle_w
from derivasys.analytics.term import LINEAR, SLICE, curve_w
from derivasys.analytics.term_delta import delta_goal, delta_root

P = np.array([0.01, 0.12, -0.35, 0.02, 0.11])
Q = np.array([0.02, 0.14, -0.30, 0.03, 0.15])


@pytest.mark.parametrize("adjusted", [False, True])
@pytest.mark.parametrize("delta", [0.05, 0.1, 0.25, 0.4])
@pytest.mark.parametrize(("curve", "kind"), [(slice_curve(P), SLICE), (linear_curve(P, Q, 0.4), LINEAR)])
def test_the_strangle_costs_the_same_at_one_vol_and_on_the_smile(curve, kind, delta, adjusted):
    w = market_strangle_w(curve, kind, curve_w(0.0, curve, kind), delta, adjusted)
    flat = slice_curve(np.array([w, 0.0, 0.0, 0.0, 1.0]))
    cost = {"flat": 0.0, "smile": 0.0}
    for sign in (-1, 1):
        k = delta_root(*delta_goal(sign * delta, adjusted), flat, SLICE)
        for name, variance in (("flat", w), ("smile", curve_w(k, curve, kind))):
            cost[name] += float(black_price(1.0, math.exp(k), 1.0, math.sqrt(variance), sign > 0))
    assert cost["flat"] == pytest.approx(cost["smile"], rel=1e-10)
    assert w > curve_w(0.0, curve, kind), "a convex smile"


def test_a_flat_smile_has_its_own_vol():
    flat = slice_curve(np.array([0.04, 0.0, 0.0, 0.0, 1.0]))
    assert market_strangle_w(flat, SLICE, 0.04, 0.25, premium_adjusted=False) == pytest.approx(0.04, rel=1e-12)
