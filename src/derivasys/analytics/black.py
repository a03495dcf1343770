"""Black-76 prices and greeks, undiscounted, in the units their names say."""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.normal import (
    SQRT_2PI,
    SQRT_HALF,
    Z_MIN,
    log_forward_strike,
    scaled_difference,
)

FloatArray = npt.NDArray[np.float64]


class Greeks(NamedTuple):
    """Sensitivities of an undiscounted Black-76 option; every field has the broadcast shape of the inputs.

    With d1, d2 = (ln(F/K) +- w/2) / sqrt(w), w = iv**2 tau, phi the normal density:
    """

    delta_forward: FloatArray  # N(d1) for a call, N(d1) - 1 for a put; per unit of forward
    delta_premium_adjusted: FloatArray  # delta_forward - price / forward: hedge when the premium is paid in coin
    gamma: FloatArray  # d delta_forward / d forward = phi(d1) / (F sqrt(w)); per unit of forward
    vega: FloatArray  # d price / d iv = F phi(d1) sqrt(tau); per 1.00 of iv, divide by 100 for a vol point
    theta: FloatArray  # -d price / d tau = -F phi(d1) iv / (2 sqrt(tau)); per year, divide by 365 for a day
    vanna: FloatArray  # d delta_forward / d iv = -phi(d1) d2 / iv; per 1.00 of iv
    volga: FloatArray  # d vega / d iv = vega d1 d2 / iv; per 1.00 of iv squared


@njit(cache=True, error_model="numpy")
def price_at(forward: float, strike: float, tau: float, iv: float, is_call: bool) -> float:
    """Return one undiscounted price; NaN unless forward, strike > 0 and tau, iv >= 0."""
    if not (forward > 0.0 and strike > 0.0 and tau >= 0.0 and iv >= 0.0):
        return np.nan
    intrinsic = max(forward - strike if is_call else strike - forward, 0.0)
    s = iv * math.sqrt(tau)
    if s == 0.0:
        return intrinsic
    x = abs(log_forward_strike(forward, strike))
    h = x / s
    t = 0.5 * s
    if (h - t) * SQRT_HALF > Z_MIN:
        time_value = (
            math.exp(-0.5 * (h * h + t * t)) * t * scaled_difference(h, s) * math.sqrt(forward) * math.sqrt(strike)
        )
    else:
        time_value = min(forward, strike) * 0.5 * math.erfc((h - t) * SQRT_HALF) - max(
            forward, strike
        ) * 0.5 * math.erfc((h + t) * SQRT_HALF)
    return intrinsic + time_value


@njit(cache=True, error_model="numpy")
def _price_into(
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    iv: FloatArray,
    is_call: npt.NDArray[np.bool_],
    out: FloatArray,
) -> None:
    for i in range(out.shape[0]):
        out[i] = price_at(forward[i], strike[i], tau[i], iv[i], is_call[i])


@njit(cache=True, error_model="numpy")
def _greeks_into(
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    iv: FloatArray,
    is_call: npt.NDArray[np.bool_],
    out: FloatArray,
) -> None:
    for i in range(forward.shape[0]):
        f = forward[i]
        s = iv[i] * math.sqrt(tau[i])
        if not (f > 0.0 and strike[i] > 0.0 and s > 0.0):
            out[:, i] = np.nan
            continue
        d1 = log_forward_strike(f, strike[i]) / s + 0.5 * s
        d2 = d1 - s
        phi = math.exp(-0.5 * d1 * d1) / SQRT_2PI
        sign = 1.0 if is_call[i] else -1.0
        out[0, i] = sign * 0.5 * math.erfc(-sign * d1 * SQRT_HALF)
        out[1, i] = sign * strike[i] / f * 0.5 * math.erfc(-sign * d2 * SQRT_HALF)
        out[2, i] = phi / (f * s)
        vega = f * phi * math.sqrt(tau[i])
        out[3, i] = vega
        out[4, i] = -0.5 * f * phi * iv[i] / math.sqrt(tau[i])
        out[5, i] = -phi * d2 / iv[i]
        out[6, i] = vega * d1 * d2 / iv[i]


def _flat(
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    tau: npt.ArrayLike,
    iv: npt.ArrayLike,
    is_call: npt.ArrayLike,
) -> tuple[tuple[int, ...], list[FloatArray], npt.NDArray[np.bool_]]:
    """Return (shape, the four float inputs, the flags), broadcast and flattened."""
    *floats, flags = np.broadcast_arrays(forward, strike, tau, iv, is_call)
    flat = [np.ascontiguousarray(x, dtype=np.float64).reshape(-1) for x in floats]
    return flags.shape, flat, np.ascontiguousarray(flags, dtype=np.bool_).reshape(-1)


def black_price(
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    tau: npt.ArrayLike,
    iv: npt.ArrayLike,
    is_call: npt.ArrayLike,
) -> FloatArray:
    """Return undiscounted Black-76 prices in the unit of `forward`: F N(d1) - K N(d2) for a call.

    Inputs broadcast; tau in years, iv decimal. The time value keeps full relative precision down to 1e-300 of the
    forward (no subtraction of nearly equal terms). NaN where forward or strike is not positive or tau or iv negative.
    """
    shape, (f, k, t, v), flags = _flat(forward, strike, tau, iv, is_call)
    out = np.empty(flags.shape[0])
    _price_into(f, k, t, v, flags, out)
    return out.reshape(shape)


def greeks(
    forward: npt.ArrayLike,
    strike: npt.ArrayLike,
    tau: npt.ArrayLike,
    iv: npt.ArrayLike,
    is_call: npt.ArrayLike,
) -> Greeks:
    """Return the `Greeks` of undiscounted Black-76 options; units beside each field of `Greeks`.

    Inputs broadcast; tau in years, iv decimal, both positive, otherwise NaN.
    """
    shape, (f, k, t, v), flags = _flat(forward, strike, tau, iv, is_call)
    out = np.empty((7, flags.shape[0]))
    _greeks_into(f, k, t, v, flags, out)
    return Greeks(*(row.reshape(shape) for row in out))
