"""Implied volatility: accuracy against 60 digits, and one typed status for every input."""

import mpmath as mp
import numpy as np
import pytest

from derivasys.analytics.black import black_price
from derivasys.analytics.implied_vol import IvStatus, implied_vol


def _cdf(d: mp.mpf) -> mp.mpf:
    return mp.erfc(-d / mp.sqrt(2)) / 2


def _exact(forward: float, strike: float, tau: float, iv: float) -> tuple[mp.mpf, mp.mpf]:
    """Return (out-of-the-money price, condition number d ln iv / d ln price) in 60 digits."""
    with mp.workdps(60):
        s = mp.mpf(iv) * mp.sqrt(mp.mpf(tau))
        x = mp.log(mp.mpf(forward) / mp.mpf(strike))
        d1, d2 = x / s + s / 2, x / s - s / 2
        sign = -1 if forward > strike else 1
        price = sign * (forward * _cdf(sign * d1) - strike * _cdf(sign * d2))
        vega_s = forward * mp.npdf(d1) * s
        return price, price / vega_s


def _grid() -> list[tuple[float, float, float, float]]:
    rows = []
    for tau in (1 / 8760, 1 / 365, 7 / 365, 0.25, 1.0, 2.0):
        for iv in (0.01, 0.05, 0.2, 0.6, 1.2, 2.5, 5.0):
            s = iv * tau**0.5
            for h in (0.0, 1e-9, 1e-3, 0.3, 1.0, 2.5, 6.0, 15.0, 35.0):
                for side in (-1.0, 1.0):
                    rows.append((1e5, 1e5 * float(np.exp(side * h * s)), tau, iv))
    return rows


def test_relative_error_is_below_1e_12_times_the_condition_number_on_the_whole_grid() -> None:
    rows = _grid()
    exact = [_exact(*row) for row in rows]
    kept = [(row, e) for row, e in zip(rows, exact, strict=True) if e[0] > 1e-290 * 1e5]
    forward, strike, tau, iv = np.array([row for row, _ in kept]).T
    price = np.array([float(e[0]) for _, e in kept])
    condition = np.array([float(e[1]) for _, e in kept])
    got, status = implied_vol(price, forward, strike, tau, strike >= forward)
    error = np.abs(got / iv - 1.0) / np.maximum(1.0, condition)
    # near the upper bound the price itself is a rounded number: no volatility can be told apart there
    resolvable = condition < 1e12
    assert (status[resolvable] == IvStatus.OK).all()
    assert error[resolvable].max() < 1e-12
    assert set(status[~resolvable].tolist()) <= {IvStatus.OK, IvStatus.ABOVE_BOUND}


@pytest.mark.parametrize(
    ("price", "forward", "strike", "tau", "is_call", "expected"),
    [
        (0.0, 100.0, 110.0, 1.0, True, IvStatus.NO_TIME_VALUE),
        (10.0, 110.0, 100.0, 1.0, True, IvStatus.NO_TIME_VALUE),
        (9.99, 110.0, 100.0, 1.0, True, IvStatus.BELOW_INTRINSIC),
        (-1e-9, 100.0, 110.0, 1.0, True, IvStatus.BELOW_INTRINSIC),
        (100.0, 100.0, 110.0, 1.0, True, IvStatus.ABOVE_BOUND),
        (110.0, 100.0, 110.0, 1.0, False, IvStatus.ABOVE_BOUND),
        (np.nan, 100.0, 110.0, 1.0, True, IvStatus.NOT_A_NUMBER),
        (np.inf, 100.0, 110.0, 1.0, True, IvStatus.NOT_A_NUMBER),
        (1.0, np.nan, 110.0, 1.0, True, IvStatus.NOT_A_NUMBER),
        (1.0, 100.0, 0.0, 1.0, True, IvStatus.NOT_A_NUMBER),
        (1.0, -100.0, 110.0, 1.0, True, IvStatus.NOT_A_NUMBER),
        (1.0, 100.0, 110.0, 0.0, True, IvStatus.EXPIRED),
        (1.0, 100.0, 110.0, -1.0, True, IvStatus.EXPIRED),
        (1.0, 100.0, 110.0, np.nan, True, IvStatus.NOT_A_NUMBER),
    ],
)
def test_every_unusable_input_has_its_own_status(
    price: float, forward: float, strike: float, tau: float, is_call: bool, expected: IvStatus
) -> None:
    iv, status = implied_vol(price, forward, strike, tau, is_call)
    assert status == expected
    assert np.isnan(iv)


def test_broadcasts_and_keeps_shape() -> None:
    strike = np.array([[90.0, 100.0, 110.0]])
    iv = np.array([[0.2], [0.8]])
    price = black_price(100.0, strike, 0.5, iv, True)
    got, status = implied_vol(price, 100.0, strike, 0.5, True)
    assert got.shape == status.shape == (2, 3)
    assert got == pytest.approx(np.broadcast_to(iv, (2, 3)), rel=1e-12)


def test_empty_input_gives_empty_output() -> None:
    iv, status = implied_vol([], [], [], [], [])
    assert iv.shape == status.shape == (0,)


def test_the_fallback_covers_volatility_beyond_the_fast_kernel() -> None:
    strike = np.array([20.0, 100.0, 500.0])
    price = black_price(100.0, strike, 1.0, 4.5, strike >= 100.0)
    got, status = implied_vol(price, 100.0, strike, 1.0, strike >= 100.0)
    assert (status == IvStatus.OK).all()
    assert got == pytest.approx([4.5] * 3, rel=1e-12)
