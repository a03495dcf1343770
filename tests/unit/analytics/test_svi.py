"""SVI slices: derivatives, extremes, rounding, density."""

import json

import numpy as np
import pytest

from derivasys.analytics import ssvi, svi

SLICE = {"a": 0.01, "b": 0.12, "rho": -0.4, "m": 0.02, "sigma": 0.15}


def test_derivatives_match_finite_differences() -> None:
    k = np.linspace(-2.0, 2.0, 41)
    w, w1, w2 = svi.derivatives(k, **SLICE)
    e = 1e-5
    up, down = svi.total_variance(k + e, **SLICE), svi.total_variance(k - e, **SLICE)
    assert w == pytest.approx(svi.total_variance(k, **SLICE), rel=1e-15)
    assert w1 == pytest.approx((up - down) / (2 * e), abs=1e-9)
    assert w2 == pytest.approx((up - 2 * w + down) / e**2, abs=1e-4)


def test_slope_of_a_flat_wing_does_not_cancel() -> None:
    flat = {**SLICE, "rho": 1.0}
    _, w1, _ = svi.derivatives(-1e6, **flat)
    exact = 0.12 * 0.15**2 / (2 * (1e6 + 0.02) ** 2)  # b sigma**2 / (R (R + |y|))
    assert w1 == pytest.approx(exact, rel=1e-9)


def test_scalar_kernels_agree_with_the_array_functions() -> None:
    values = list(SLICE.values())
    for k in (-1.0, 0.0, 0.3):
        assert svi.w_at(k, *values) == pytest.approx(float(svi.total_variance(k, **SLICE)), rel=1e-15)
        assert svi.w_and_derivatives_at(k, *values) == pytest.approx(
            [float(x) for x in svi.derivatives(k, **SLICE)], rel=1e-14
        )
        assert svi.g_at(k, *values) == pytest.approx(float(svi.g(k, **SLICE)), rel=1e-14)
    assert np.isnan(svi.g_at(0.02, -1.0, 0.1, 0.0, 0.02, 0.1))


def test_minimum_is_below_every_point() -> None:
    w_min, k_min = svi.minimum(**SLICE)
    assert svi.total_variance(k_min, **SLICE) == pytest.approx(w_min, rel=1e-14)
    assert (svi.total_variance(np.linspace(-5, 5, 1001), **SLICE) >= w_min).all()


def test_lee_slopes_are_the_limits_of_w_over_k() -> None:
    left, right = svi.lee_slopes(b=SLICE["b"], rho=SLICE["rho"])
    assert svi.total_variance(-1e7, **SLICE) / 1e7 == pytest.approx(left, rel=1e-6)
    assert svi.total_variance(1e7, **SLICE) / 1e7 == pytest.approx(right, rel=1e-6)


def test_iv_is_nan_where_there_is_no_volatility() -> None:
    assert svi.iv(0.0, 0.25, **SLICE) == pytest.approx((svi.total_variance(0.0, **SLICE) / 0.25) ** 0.5)
    assert np.isnan(svi.iv(0.0, [0.0, -1.0], **SLICE)).all()
    assert np.isnan(svi.iv(0.02, 1.0, a=-1.0, b=0.1, rho=0.0, m=0.0, sigma=0.1))


def test_published_numbers_survive_json_and_rounding_again() -> None:
    values = np.array([1 / 3, -2 / 3e-5, 1e-300, 0.0, 123456789.123, np.nan])
    rounded = svi.round_published(values)
    assert svi.round_published(rounded) == pytest.approx(rounded, rel=0, abs=0, nan_ok=True)
    for x in rounded[:-1].tolist():
        assert json.loads(json.dumps(x)) == x
        assert len(f"{x:.17g}".split("e")[0])
        assert float(f"{x:.9g}") == x
    assert rounded[:-1] == pytest.approx(values[:-1], rel=5.1e-9)


def test_density_is_the_derivative_of_the_cdf_and_integrates_to_one() -> None:
    k = np.linspace(-4.0, 4.0, 80_001)
    density, cdf = svi.density(k, **SLICE), svi.cdf(k, **SLICE)
    assert np.trapezoid(density, k) == pytest.approx(1.0, abs=1e-4)
    assert np.gradient(cdf, k)[1:-1] == pytest.approx(density[1:-1], abs=1e-5)
    assert (np.diff(cdf) >= -1e-15).all()


def test_jump_wings_that_describe_no_slice_are_refused() -> None:
    with pytest.raises(ValueError, match="beta"):
        svi.jw_to_raw(1.0, svi.SviJw(0.04, 5.0, 0.3, 0.3, 0.03))
    with pytest.raises(ValueError, match="sigma"):
        svi.jw_to_raw(1.0, svi.SviJw(0.02, 0.05, 0.3, 0.3, 0.03))


def test_ssvi_formula_equals_its_raw_form_and_bounds_are_butterfly_free() -> None:
    k = np.linspace(-3.0, 3.0, 601)
    for rho in (-0.9, 0.0, 0.5):
        psi = ssvi.psi_bound(0.04, rho)
        a, b, r, m, sigma = ssvi.to_raw(w_atm=0.04, psi=psi, rho=rho)
        raw = {"a": a, "b": b, "rho": r, "m": m, "sigma": sigma}
        assert svi.total_variance(k, **raw) == pytest.approx(
            ssvi.total_variance(k, w_atm=0.04, psi=psi, rho=rho), rel=1e-13
        )
        assert ssvi.ssvi_at(0.3, 0.04, psi, rho) == pytest.approx(float(svi.total_variance(0.3, **raw)))
        assert ssvi.butterfly_free(w_atm=0.04, psi=psi, rho=rho)
        assert svi.g(k, **raw).min() > 0.0
    assert not ssvi.butterfly_free(w_atm=0.04, psi=0.5, rho=0.0)
