"""Black-76 prices and greeks: parity, precision far out, finite differences."""

import mpmath as mp
import numpy as np
import pytest

from derivasys.analytics.black import black_price, greeks


def _cdf(d: mp.mpf) -> mp.mpf:
    return mp.erfc(-d / mp.sqrt(2)) / 2


def test_call_minus_put_is_forward_minus_strike() -> None:
    strike = np.linspace(20.0, 400.0, 50)
    gap = black_price(100.0, strike, 0.7, 0.9, True) - black_price(100.0, strike, 0.7, 0.9, False)
    assert gap == pytest.approx(100.0 - strike, abs=1e-12)


@pytest.mark.parametrize("h", [0.0, 0.5, 3.0, 12.0, 30.0])
@pytest.mark.parametrize("s", [1e-4, 0.05, 1.0, 3.5, 6.0])
def test_time_value_keeps_relative_precision(h: float, s: float) -> None:
    strike = 100.0 * float(np.exp(h * s))
    with mp.workdps(50):
        x = mp.log(mp.mpf(100) / mp.mpf(strike))
        exact = 100 * _cdf(x / s + mp.mpf(s) / 2) - mp.mpf(strike) * _cdf(x / s - mp.mpf(s) / 2)
    # rounding the strike moves the price by h/s ulps per ulp: that is the problem's condition, not the code's
    assert float(black_price(100.0, strike, 1.0, s, True) / exact - 1) == pytest.approx(0.0, abs=2e-13)


def test_degenerate_inputs_are_intrinsic_or_nan() -> None:
    assert black_price(110.0, 100.0, 0.0, 0.5, True) == 10.0
    assert black_price(110.0, 100.0, 1.0, 0.0, False) == 0.0
    assert np.isnan(black_price([-1.0, 1.0, 1.0], 1.0, [1.0, -1.0, 1.0], [1.0, 1.0, -1.0], True)).all()
    assert np.isnan(greeks(100.0, 100.0, 0.0, 0.5, True).vega)


@pytest.mark.parametrize("is_call", [True, False])
def test_greeks_match_finite_differences(is_call: bool) -> None:
    f, strike, tau, iv = 100.0, 90.0, 0.1, 0.5
    got = greeks(f, strike, tau, iv, is_call)

    def price(f: float = f, tau: float = tau, iv: float = iv) -> float:
        return float(black_price(f, strike, tau, iv, is_call))

    e = 1e-4
    assert got.delta_forward == pytest.approx((price(f + e) - price(f - e)) / (2 * e), rel=1e-7)
    assert got.vega == pytest.approx((price(iv=iv + e) - price(iv=iv - e)) / (2 * e), rel=1e-6)
    assert got.theta == pytest.approx(-(price(tau=tau + e) - price(tau=tau - e)) / (2 * e), rel=1e-5)
    assert got.delta_premium_adjusted == pytest.approx(got.delta_forward - price() / f, rel=1e-12)
    up, down = greeks(f, strike, tau, iv + e, is_call), greeks(f, strike, tau, iv - e, is_call)
    assert got.vanna == pytest.approx((up.delta_forward - down.delta_forward) / (2 * e), rel=1e-6)
    assert got.volga == pytest.approx((up.vega - down.vega) / (2 * e), rel=1e-5)
    higher, lower = greeks(f + e, strike, tau, iv, is_call), greeks(f - e, strike, tau, iv, is_call)
    assert got.gamma == pytest.approx((higher.delta_forward - lower.delta_forward) / (2 * e), rel=1e-6)


@pytest.mark.parametrize("is_call", [True, False])
@pytest.mark.parametrize(
    ("strike", "tau", "iv"), [(90.0, 0.1, 0.5), (100.0, 1 / 8760, 1.2), (180.0, 0.02, 0.9), (40.0, 2.0, 2.5)]
)
def test_greeks_match_derivatives_in_40_digits(is_call: bool, strike: float, tau: float, iv: float) -> None:
    sign = 1 if is_call else -1

    def price(f: mp.mpf, t: mp.mpf, v: mp.mpf) -> mp.mpf:
        s = v * mp.sqrt(t)
        d1 = mp.log(f / strike) / s + s / 2
        return sign * (f * _cdf(sign * d1) - strike * _cdf(sign * (d1 - s)))

    def derivative(*orders: int) -> float:
        return float(mp.diff(price, (mp.mpf(100), mp.mpf(tau), mp.mpf(iv)), orders))

    with mp.workdps(40):
        got = greeks(100.0, strike, tau, iv, is_call)
        delta = derivative(1, 0, 0)
        exact = {
            "delta_forward": delta,
            "delta_premium_adjusted": delta - float(price(mp.mpf(100), mp.mpf(tau), mp.mpf(iv))) / 100,
            "gamma": derivative(2, 0, 0), "vega": derivative(0, 0, 1), "theta": -derivative(0, 1, 0),
            "vanna": derivative(1, 0, 1), "volga": derivative(0, 0, 2),
        }  # fmt: skip
    for name, value in exact.items():
        assert float(getattr(got, name)) == pytest.approx(value, rel=1e-11, abs=1e-290), name
