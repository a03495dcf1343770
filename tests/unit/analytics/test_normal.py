"""Straight-line kernels against libm and 40 digits."""

import math

import mpmath as mp
import numpy as np
import pytest

from derivasys.analytics.normal import (
    Z_MIN,
    log_fast,
    log_forward_strike,
    norm_pdf,
    scaled_difference,
    scaled_difference_short,
    split_exponent,
)


@pytest.mark.parametrize(
    "x", [1e-300, 1e-10, 0.5, 0.70710678, 0.7071068, 1.0, 1.0 + 1e-9, 1.41421356, 1.4142136, 3.7, 1e300]
)
def test_log_is_good_to_an_ulp(x: float) -> None:
    assert log_fast(x) == pytest.approx(math.log(x), rel=4e-16, abs=1e-18)
    mantissa, exponent = split_exponent(x)
    assert 0.7071 < mantissa < 1.4143
    assert mantissa * 2.0**exponent == pytest.approx(x, rel=1e-15)


@pytest.mark.parametrize("strike", [100.0 * (1 + e) for e in (1e-15, -1e-12, 1e-6, -0.01, 0.4, 0.5, -0.9, 1e6)])
def test_log_moneyness_keeps_relative_precision_near_the_money(strike: float) -> None:
    with mp.workdps(40):
        exact = float(mp.log(mp.mpf(100) / mp.mpf(strike)))
    assert log_forward_strike(100.0, strike) == pytest.approx(exact, rel=1e-15)


@pytest.mark.parametrize("s", [1e-8, 1e-4, 0.1, 1.0, 2.9])
@pytest.mark.parametrize("h", [0.0, 1e-3, 0.5, 2.0, 10.0, 36.0])
def test_scaled_difference_does_not_cancel(h: float, s: float) -> None:
    if (h - 0.5 * s) / math.sqrt(2) < Z_MIN:
        pytest.skip("outside the polynomial's domain")
    with mp.workdps(60):
        low, high = ((mp.mpf(h) + side * mp.mpf(s) / 2) / mp.sqrt(2) for side in (-1, 1))
        exact = (mp.exp(low**2) * mp.erfc(low) - mp.exp(high**2) * mp.erfc(high)) / mp.mpf(s)
    assert scaled_difference(h, s) == pytest.approx(float(exact), rel=6e-15)
    assert scaled_difference_short(h, s) == pytest.approx(float(exact), rel=2e-6)


def test_density_integrates_to_one() -> None:
    x = np.linspace(-9.0, 9.0, 2001)
    assert np.trapezoid([norm_pdf(value) for value in x], x) == pytest.approx(1.0, abs=1e-12)
