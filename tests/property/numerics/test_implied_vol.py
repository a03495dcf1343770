"""Round trips and order of implied volatility over the whole plane of inputs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from derivasys.analytics.black import black_price
from derivasys.analytics.implied_vol import IvStatus, implied_vol

WIDE = settings(max_examples=300, deadline=None, derandomize=True)
FORWARD = st.floats(1e-6, 1e9)
TAU = st.floats(1 / 8760, 3.0)


@given(FORWARD, st.floats(-6.0, 6.0), TAU, st.floats(0.01, 5.0), st.booleans())
@WIDE
def test_price_then_volatility_is_the_identity_up_to_conditioning(
    forward: float, h: float, tau: float, iv: float, is_call: bool
) -> None:
    strike = forward * float(np.exp(h * iv * tau**0.5))
    price = float(black_price(forward, strike, tau, iv, is_call))
    got, status = implied_vol(price, forward, strike, tau, is_call)
    bump = float(black_price(forward, strike, tau, iv * (1 + 1e-6), is_call)) - price
    if bump < 1e-9 * price:  # the price hardly depends on the volatility: nothing to recover
        assert status in (IvStatus.OK, IvStatus.ABOVE_BOUND, IvStatus.NO_TIME_VALUE)
        return
    assert status == IvStatus.OK
    # an ulp of the price moves the volatility by ulp / (d price / d ln iv)
    assert abs(float(got) / iv - 1) <= 4e-12 + 4 * np.spacing(max(price, forward, strike)) * 1e-6 / bump


@given(FORWARD, st.floats(-3.0, 3.0), TAU, st.floats(-0.5, 2.0), st.booleans())
@WIDE
def test_every_price_is_answered(forward: float, k: float, tau: float, share: float, is_call: bool) -> None:
    strike = forward * float(np.exp(k))
    price = share * (forward if is_call else strike)
    got, status = implied_vol(price, forward, strike, tau, is_call)
    assert np.isfinite(got) == (status == IvStatus.OK)
    if status == IvStatus.OK:
        assert got > 0.0
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    if price < intrinsic * (1 - 1e-12) - 1e-300:
        assert status == IvStatus.BELOW_INTRINSIC
    if share >= 1.0 + 1e-12:
        assert status == IvStatus.ABOVE_BOUND


@given(st.floats(-2.0, 2.0), TAU, st.floats(0.05, 2.0))
@WIDE
def test_a_call_and_its_put_have_one_volatility(k: float, tau: float, iv: float) -> None:
    strike = 100.0 * float(np.exp(k * iv * tau**0.5))
    call = black_price(100.0, strike, tau, iv, True)
    put = black_price(100.0, strike, tau, iv, False)
    (one, two), status = implied_vol([call, put], 100.0, strike, tau, [True, False])
    assert (status == IvStatus.OK).all()
    assert abs(one / two - 1) < 1e-8
