"""Constraint values and gradients against finite differences, and the scans that propose points."""

import numpy as np
import pytest

from derivasys.analytics import svi
from derivasys.fit.constraints import (
    GRID_BEND,
    GRID_WIDE,
    g_gradient,
    g_minima,
    g_value,
    gap_and_slope,
    gap_grid,
    gap_minima,
    w_gradient,
    w_value,
)
from derivasys.fit.slice import from_raw, to_raw

VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])


def _x(raw: np.ndarray) -> np.ndarray:
    out = np.empty(5)
    from_raw(raw, out)
    return out


def test_raw_parameters_survive_the_round_trip() -> None:
    back = np.empty(5)
    to_raw(_x(VOGT), back)
    assert back == pytest.approx(VOGT, rel=1e-14)


@pytest.mark.parametrize("k", [-1.5, 0.0, 0.3586, 0.9])
def test_gradients_match_finite_differences(k: float) -> None:
    x = _x(VOGT)
    got = np.empty(5)
    for gradient, value in (
        (w_gradient, w_value),
        (g_gradient, lambda at, z: g_value(at, z, np.exp(2 * z[4]))),
    ):
        level = gradient(k, x, got)
        assert level == pytest.approx(value(k, x), rel=1e-13)
        for c in range(5):
            e = 1e-6
            up, down = x.copy(), x.copy()
            up[c] += e
            down[c] -= e
            assert got[c] == pytest.approx((value(k, up) - value(k, down)) / (2 * e), rel=1e-5, abs=1e-7)


def test_values_agree_with_the_analytics() -> None:
    a, b, rho, m, sigma = VOGT
    for k in (-2.0, 0.1, 1.0):
        assert w_value(k, _x(VOGT)) == pytest.approx(float(svi.total_variance(k, a=a, b=b, rho=rho, m=m, sigma=sigma)))
        assert g_value(k, _x(VOGT), sigma**2) == pytest.approx(float(svi.g(k, a=a, b=b, rho=rho, m=m, sigma=sigma)))
    assert g_value(0.0, _x(np.array([-1.0, 0.1, 0.0, 0.0, 0.1])), 0.01) < -100.0


def test_the_minimum_of_vogts_g_is_found() -> None:
    points, values = np.empty(5), np.empty(5)
    count = g_minima(_x(VOGT), 0.1, points, values)
    best = int(np.argmin(values[:count]))
    assert values[best] == pytest.approx(-0.0328635, abs=1e-5)
    assert points[best] == pytest.approx(0.879, abs=0.01)


def test_the_narrow_minimum_of_a_gap_is_found() -> None:
    lower = _x(np.array([0.0, 0.1, 0.0, 0.0, 0.2]))
    upper = _x(np.array([0.0195, 0.1, 0.0, 0.3, 0.002]))  # a sharp bend that dips towards the lower slice
    grid = np.empty(len(GRID_BEND) + len(GRID_WIDE))
    gap_grid(lower, upper, grid)
    assert (np.diff(grid) >= 0).all()
    points, values = np.empty(5), np.empty(5)
    count = gap_minima(lower, upper, grid, 10.0, points, values)
    dense = np.linspace(-1.0, 1.0, 200_001)
    gap = np.array([w_value(k, upper) - w_value(k, lower) for k in dense[::20]])
    assert count >= 1
    assert values[:count].min() <= gap.min() + 1e-9
    at = points[int(np.argmin(values[:count]))]
    _, slope = gap_and_slope(at, lower, upper, np.exp(2 * lower[4]), np.exp(2 * upper[4]))
    assert abs(slope) < 1e-6
