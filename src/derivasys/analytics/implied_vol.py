"""Implied volatility: Black-76 inverted, every input answered with a value or a typed status."""

import math
from enum import IntEnum

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.normal import (
    SQRT_2PI,
    SQRT_HALF,
    SQRT_HALF_PI,
    Z_MIN,
    log_fast,
    log_forward_strike,
    scaled_difference,
    scaled_difference_short,
)

FloatArray = npt.NDArray[np.float64]


class IvStatus(IntEnum):
    """Why an implied volatility is, or is not, a number."""

    OK = 0
    NO_TIME_VALUE = 1  # the price is zero or exactly at intrinsic value: volatility zero, not a quote
    BELOW_INTRINSIC = 2  # negative, or less than max(forward - strike, 0) for a call
    ABOVE_BOUND = 3  # at or above the forward for a call, the strike for a put
    NOT_A_NUMBER = 4  # an input is NaN or infinite, or forward or strike is not positive
    EXPIRED = 5  # tau is not positive


_FALLBACK = 255
_BETA_MIN = 1e-300
_S_MAX_FAST = 3.0


@njit(cache=True, error_model="numpy")
def _log_price_and_slope(x: float, s: float, upper: bool) -> tuple[float, float]:
    """Return (ln y, d ln y / ds), y the normalised price, or its distance to the upper bound when `upper`."""
    h = x / s
    t = 0.5 * s
    if upper:
        low = 0.5 * math.erfc((t - h) * SQRT_HALF)
        gap = math.exp(-0.5 * x) * low + math.exp(0.5 * x) * 0.5 * math.erfc((h + t) * SQRT_HALF)
        if gap <= 0.0:
            return -np.inf, -t
        return math.log(gap), -math.exp(-0.5 * (h * h + t * t)) / (SQRT_2PI * gap)
    if (h - t) * SQRT_HALF > Z_MIN:
        difference = scaled_difference(h, s)
        return (
            math.log(0.5 * s * difference) - 0.5 * (h * h + t * t),
            1.0 / (SQRT_HALF_PI * s * difference),
        )
    price = math.exp(-0.5 * x) * 0.5 * math.erfc((h - t) * SQRT_HALF) - math.exp(0.5 * x) * 0.5 * math.erfc(
        (h + t) * SQRT_HALF
    )
    return math.log(price), math.exp(-0.5 * (h * h + t * t)) / (SQRT_2PI * price)


@njit(cache=True, error_model="numpy")
def _solve_slow(x: float, beta: float, gap: float) -> float:
    """Return s = iv sqrt(tau) of the normalised price beta, |ln(F/K)| = x, gap = exp(-x/2) - beta > 0.

    Newton on the logarithm of the smaller of beta and gap, inside a bracket that only shrinks; for the corners the
    fast kernel does not cover.
    """
    upper = gap < beta
    target = math.log(gap) if upper else math.log(beta)
    sign = -1.0 if upper else 1.0
    low, high = 0.0, 1.0
    while high < 128.0 and sign * (_log_price_and_slope(x, high, upper)[0] - target) < 0.0:
        low = high
        high *= 2.0
    s = 0.5 * (low + high)
    for _ in range(200):
        value, slope = _log_price_and_slope(x, s, upper)
        error = value - target
        if sign * error > 0.0:
            high = s
        else:
            low = s
        step = s - error / slope
        if not low < step < high:
            step = 0.5 * (low + high)
        if abs(step - s) <= 2.3e-16 * s or not low < high:
            return step
        s = step
    return s


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _householder(error: float, h: float, s: float, vega_over_price: float) -> float:
    """Return the Householder(3) step for ln price - ln target = error; vega_over_price = d ln price / ds."""
    newton = -error / vega_over_price
    c = (h * h - 0.25 * s * s) / s
    gamma = c - vega_over_price
    h_over_s = h / s
    delta = c * (c - 3.0 * vega_over_price) + 2.0 * vega_over_price * vega_over_price
    delta = delta - 3.0 * h_over_s * h_over_s - 0.25
    return newton * (1.0 + 0.5 * gamma * newton) / (1.0 + newton * (gamma + delta * newton / 6.0))


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _seed(x: float, beta: float) -> float:
    """Return s to about 1 %: the Bachelier inverse by a rational function, corrected for s up to 3.

    With n(d) = phi(d) - d N(-d) and beta/x = n(d)/d, the ratio (v/d)**2 of v = ln(1 + x/beta) is smooth from 2 pi at
    the money to v/2 far out; fitted to 0.12 %. The correction is fitted in (s*s, 1/(1 + d)).
    """
    xi = x / beta
    v = log_fast(1.0 + xi)
    ratio = (2.0 * math.pi + v * (0.9289728546369874 + v * (0.1273389725024231 + v * 0.005441593308398683))) / (
        1.0 + v * (0.15066398779312634 + v * 0.010834819464276583)
    )
    root = math.sqrt(ratio)
    s0 = beta * root * (1.0 if xi < 1e-8 else xi / v)
    q = root / (root + v)
    s2 = s0 * s0
    c1 = -0.006951511741000372 + q * (0.08219223356144328 + q * (-0.06714182297299089 + q * 0.018779616279656776))
    c2 = 0.0009365535549091263 + q * (-0.01533990884656875 + q * (0.06228557694127884 - q * 0.039155672904208814))
    y = s2 * (c1 + s2 * c2)
    return s0 * (1.0 + y * (1.0 + y * (0.5 + y * (1.0 / 6.0))))


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _fast_s(x: float, beta: float) -> tuple[float, float]:
    """Return (s, last relative step) for x = |ln(F/K)| and the normalised price beta; two Householder(3) steps."""
    target = log_fast(beta)
    s = _seed(x, beta)
    h = x / s
    difference = scaled_difference_short(h, s)
    error = log_fast(0.5 * s * difference) - 0.5 * (h * h + 0.25 * s * s) - target
    s = s + _householder(error, h, s, 1.0 / (SQRT_HALF_PI * s * difference))
    h = x / s
    difference = scaled_difference(h, s)
    error = log_fast(0.5 * s * difference) - 0.5 * (h * h + 0.25 * s * s) - target
    step = _householder(error, h, s, 1.0 / (SQRT_HALF_PI * s * difference))
    return s + step, abs(step) / s


@njit(cache=True, error_model="numpy", fastmath={"contract"})
def _implied_vol_fast(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    is_call: npt.NDArray[np.bool_],
    iv: FloatArray,
    status: npt.NDArray[np.uint8],
) -> None:
    """Fill iv and status; status 255 marks what `_implied_vol_rest` must finish. The loop body is straight-line."""
    for i in range(price.shape[0]):
        f = forward[i]
        strike_i = strike[i]
        difference = f - strike_i if is_call[i] else strike_i - f
        intrinsic = max(difference, 0.0)
        time_value = price[i] - intrinsic
        bound = min(f, strike_i)
        beta = time_value / math.sqrt(f * strike_i)
        x = abs(log_forward_strike(f, strike_i))
        s, step = _fast_s(x, beta)
        good = (step < 1e-3) & (s < _S_MAX_FAST) & (beta > _BETA_MIN)
        code = 0 if good else _FALLBACK
        code = 3 if time_value >= bound else code
        code = 1 if time_value == 0.0 else code
        code = 2 if time_value < 0.0 else code
        code = 5 if tau[i] <= 0.0 else code
        total = price[i] + tau[i] + f + strike_i
        finite = (total - total == 0.0) & (f > 0.0) & (strike_i > 0.0)
        code = code if finite else 4
        iv[i] = s / math.sqrt(tau[i]) if code == 0 else np.nan
        status[i] = code


@njit(cache=True, error_model="numpy")
def _implied_vol_rest(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    is_call: npt.NDArray[np.bool_],
    iv: FloatArray,
    status: npt.NDArray[np.uint8],
) -> None:
    """Finish the entries that the fast kernel left at status 255."""
    for i in range(status.shape[0]):
        if status[i] == _FALLBACK:
            f = forward[i]
            strike_i = strike[i]
            time_value = price[i] - max(f - strike_i if is_call[i] else strike_i - f, 0.0)
            root = math.sqrt(f) * math.sqrt(strike_i)
            x = (
                abs(math.log(f / strike_i))
                if abs(f - strike_i) > 0.4 * f
                else abs(math.log1p((f - strike_i) / strike_i))
            )
            s = _solve_slow(x, time_value / root, (min(f, strike_i) - time_value) / root)
            iv[i] = s / math.sqrt(tau[i])
            status[i] = 0


def implied_vol(
    price: npt.ArrayLike,
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    tau: npt.ArrayLike,
    is_call: npt.ArrayLike,
) -> tuple[FloatArray, npt.NDArray[np.uint8]]:
    """Return (iv, status) of undiscounted option prices; iv is NaN exactly where status is not IvStatus.OK.

    `price`, `forward` and `strike` share one unit (a coin-settled premium must be multiplied by its forward first),
    `tau` is in years, `is_call` is boolean; all broadcast. iv is float64, status uint8 (`IvStatus`). Nothing is
    clamped. The price is reduced to the out-of-the-money option by parity; the logarithm of that price is solved
    by a Bachelier seed and two Householder(3) steps, with a bracketed Newton fallback above iv sqrt(tau) = 3 and in
    wings beyond 1e-300. Relative error is at most 1e-12 times the condition number d ln iv / d ln price (or 1).
    """
    arrays = [np.asarray(x, dtype=np.float64) for x in (price, forward, strike, tau)]
    flags = np.asarray(is_call, dtype=np.bool_)
    shape = flags.shape
    if not all(x.shape == shape for x in arrays):
        shape = np.broadcast_shapes(flags.shape, *(x.shape for x in arrays))
        arrays = [np.broadcast_to(x, shape) for x in arrays]
        flags = np.broadcast_to(flags, shape)
    p, f, s, t = (np.ascontiguousarray(x).reshape(-1) for x in arrays)
    flags = np.ascontiguousarray(flags).reshape(-1)
    iv = np.empty(flags.shape[0])
    status = np.empty(flags.shape[0], dtype=np.uint8)
    _implied_vol_fast(p, f, s, t, flags, iv, status)
    if status.size and int(status.max()) == _FALLBACK:
        _implied_vol_rest(p, f, s, t, flags, iv, status)
    return iv.reshape(shape), status.reshape(shape)
