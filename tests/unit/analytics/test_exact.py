"""Rational decisions on cases that doubles cannot tell apart."""

from fractions import Fraction

import numpy as np
import pytest

from derivasys.analytics import exact
from derivasys.analytics.svi import g


def test_the_polynomial_is_g_times_its_denominator() -> None:
    row = [-0.041, 0.1331, 0.306, 0.3586, 0.4153]
    a, b, rho, m, sigma = row
    p = [float(c) for c in exact.butterfly_polynomial(row)]
    for t in (0.1, 0.7, 1.0, 3.0, 20.0):
        k = m + 0.5 * sigma * (t - 1 / t)
        width = 0.5 * b * sigma * (1 - rho) + a * t + 0.5 * b * sigma * (1 + rho) * t * t
        expected = 16 * width**2 * (t * t + 1) ** 3 * float(g(k, a=a, b=b, rho=rho, m=m, sigma=sigma))
        assert np.polyval(p[::-1], t) == pytest.approx(expected, rel=1e-11)


def test_lee_at_the_bound_and_one_ulp_beyond() -> None:
    assert exact.lee([0.0, 2.0, 0.0, 0.0, 1.0])
    assert not exact.lee([0.0, np.nextafter(2.0, 3.0), 0.0, 0.0, 1.0])


def test_positivity_is_strict() -> None:
    assert not exact.positive([-0.1, 0.5, 0.0, 0.0, 0.2])
    assert exact.positive([np.nextafter(-0.1, 0.0), 0.5, 0.0, 0.0, 0.2])
    assert exact.positive([0.01, 0.0, 0.0, 0.0, 0.2])
    assert not exact.positive([0.0, 0.5, 1.0, 0.0, 0.2])


def test_a_double_root_is_not_a_sign_change() -> None:
    square = exact._multiply([Fraction(-1), Fraction(1)], [Fraction(-1), Fraction(1)])
    assert exact._odd_part(square) == [1]
    cubic = exact._multiply(square, [Fraction(-2), Fraction(1)])
    assert exact._odd_part(cubic) == [-2, 1]


@pytest.mark.parametrize("lift", [0.0, 5e-324, 1e-18, -1e-18])
def test_parallel_slices_are_ordered_by_their_level(lift: float) -> None:
    first = [0.0, 0.1, -0.3, 0.01, 0.2]
    assert exact.calendar(first, [lift, *first[1:]]) == (lift >= 0)


def test_flat_slices_and_slices_that_cross_twice() -> None:
    flat = [0.04, 0.0, 0.0, 0.0, 0.1]
    assert exact.calendar(flat, [0.05, 0.0, 0.0, 0.0, 0.1])
    assert not exact.calendar(flat, [0.03, 0.0, 0.0, 0.0, 0.1])
    assert not exact.calendar(flat, [0.0, 0.1, 0.0, 0.0, 0.1])  # dips below between two crossings
    assert exact.calendar(flat, [0.03, 0.1, 0.0, 0.0, 0.2])
