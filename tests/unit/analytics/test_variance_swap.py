import math

import numpy as np
import pytest

from derivasys.analytics.black import black_price
from derivasys.analytics.svi import total_variance
from derivasys.analytics.variance_swap import extrapolated_share, variance_swap_all, variance_swap_w


def test_a_flat_smile_is_its_own_variance_swap():
    for w in (1e-6, 0.01, 4.0):
        assert variance_swap_w(np.array([w, 0.0, 0.0, 0.0, math.sqrt(w)])) == pytest.approx(w, rel=1e-12)


def test_no_slice_has_no_variance_swap():
    w_vs, share = np.empty(2), np.empty(2)
    rows = np.array([[np.nan] * 5, [-1.0, 0.1, 0.0, 0.0, 0.1]])
    variance_swap_all(rows, np.zeros(3, np.int64), np.zeros(0), w_vs, share)
    assert np.isnan(w_vs).all()
    assert np.isnan(share).all()


@pytest.mark.parametrize("reach", [0.05, 0.2, 0.5])
def test_the_extrapolated_share_is_that_of_the_strip_outside_the_quotes(reach):
    # the out-of-the-money options' prices over strike squared, summed outside and inside the quoted strikes
    p = np.array([0.01, 0.08, -0.3, 0.02, 0.1])
    k = np.linspace(-6, 6, 240_001)
    w = total_variance(k, a=p[0], b=p[1], rho=p[2], m=p[3], sigma=p[4])
    strip = 2 * np.exp(-k) * black_price(1.0, np.exp(k), 1.0, np.sqrt(w), k > 0)
    outside = np.abs(k) > reach
    w_vs = variance_swap_w(p)
    assert strip.sum() * (k[1] - k[0]) == pytest.approx(w_vs, rel=1e-6)
    assert extrapolated_share(p, w_vs, -reach, reach) == pytest.approx(strip[outside].sum() / strip.sum(), rel=0.02)
    assert extrapolated_share(p, w_vs, 0.1, 0.2) == 1.0, "no quotes around the money"
