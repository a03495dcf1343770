"""Straight-line kernels of the normal distribution and the logarithm that LLVM can vectorise.

Nothing here calls libm, branches or loops, so a caller's loop over an array becomes SIMD code on any machine. The key
is `scaled_difference`: Black's price needs erfcx(z1) - erfcx(z2) for z2 - z1 small, which loses all digits when
subtracted; here both values come from one polynomial by a divided difference, so the result keeps full relative
precision however close z1 and z2 are.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

SQRT_HALF = math.sqrt(0.5)
SQRT_2PI = math.sqrt(2.0 * math.pi)
SQRT_HALF_PI = math.sqrt(0.5 * math.pi)
LN2_HI = 6.93147180369123816490e-01
LN2_LO = 1.90821492927058770002e-10
Z_MIN = -1.1
"""Smallest argument for which the erfcx polynomial below holds."""

# erfcx(z) = u * P(v), u = 1 / (z + 4), v = V_SCALE * u - 1 in [-1, 1] for z >= -1.1; Chebyshev interpolation in
# 40-digit arithmetic. The short one is good to 4e-7 and serves the first step of an iteration, the long one to 2e-15.
V_SCALE = 5.8


@intrinsic
def _float_bits(typingctx: Any, x: Any) -> Any:  # noqa: ARG001 # pragma: no cover - runs inside the compiler
    """Return the bits of a float64 as int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def _bits_float(typingctx: Any, x: Any) -> Any:  # noqa: ARG001 # pragma: no cover - runs inside the compiler
    """Return the float64 whose bits are the int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def split_exponent(x: float) -> tuple[float, float]:
    """Return (mantissa in [sqrt(1/2), sqrt(2)), exponent as a float) of a positive normal x."""
    bits: int = _float_bits(x)  # type: ignore[call-arg]
    # adding the distance of sqrt(2) to 2 carries into the exponent exactly when the mantissa is above sqrt(2)
    shifted = bits + (0x3FF0000000000000 - 0x3FE6A09E667F3BCD)
    field = (shifted >> 52) & 0x7FF
    exponent = _bits_float(field | 0x4330000000000000) - 4503599627371519.0  # 2**52 + 1023
    mantissa = _bits_float(bits - ((field - 1023) << 52))
    return mantissa, exponent


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def log_ratio_series(y: float) -> float:
    """Return 2 atanh(y) = ln((1 + y) / (1 - y)) for |y| <= 0.172, relative error below 3e-16."""
    y2 = y * y
    q = 0.07321814300957179
    q = q * y2 + 0.07664750377101866
    q = q * y2 + 0.09091478304031737
    q = q * y2 + 0.11111105099632106
    q = q * y2 + 0.14285714315882167
    q = q * y2 + 0.19999999999943308
    q = q * y2 + 0.3333333333333335
    return 2.0 * y + 2.0 * y * (y2 * q)


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def log_fast(x: float) -> float:
    """Return ln(x) of a positive normal x, to about 1 ulp, without a branch."""
    mantissa, exponent = split_exponent(x)
    tail = log_ratio_series((mantissa - 1.0) / (mantissa + 1.0))
    return exponent * LN2_HI + (tail + exponent * LN2_LO)


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def log_forward_strike(forward: float, strike: float) -> float:
    """Return ln(forward / strike) with full relative precision near the money as well.

    Within a factor sqrt(2) it is 2 atanh((F - K) / (F + K)), whose argument is exact to an ulp; otherwise the ratio
    is reduced to mantissa and exponent first.
    """
    mantissa, exponent = split_exponent(forward / strike)
    near = (forward - strike) / (forward + strike)
    y = near if exponent == 0.0 else (mantissa - 1.0) / (mantissa + 1.0)
    return exponent * LN2_HI + (log_ratio_series(y) + exponent * LN2_LO)


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _pair_short(v1: float, v2: float) -> tuple[float, float]:
    """Return (P(v1), (P(v1) - P(v2)) / (v1 - v2)), relative error about 4e-7."""
    p = 0.0024485897224034857
    d = 0.0
    d = d * v2 + p
    p = p * v1 + 0.0024243598769374554
    d = d * v2 + p
    p = p * v1 - 0.019703773312473305
    d = d * v2 + p
    p = p * v1 - 0.04700929802971202
    d = d * v2 + p
    p = p * v1 + 0.03404252748467311
    d = d * v2 + p
    p = p * v1 + 0.40181153882465487
    d = d * v2 + p
    p = p * v1 + 1.169217714481136
    d = d * v2 + p
    p = p * v1 + 2.2255130804725427
    d = d * v2 + p
    p = p * v1 + 3.2026975947424776
    d = d * v2 + p
    p = p * v1 + 3.6694773426573404
    d = d * v2 + p
    p = p * v1 + 3.4203400061681433
    d = d * v2 + p
    p = p * v1 + 2.608284493171651
    d = d * v2 + p
    p = p * v1 + 1.6156485037636161
    return p, d


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def _pair_long(v1: float, v2: float) -> tuple[float, float]:
    """Return (P(v1), (P(v1) - P(v2)) / (v1 - v2)), relative error about 2e-15."""
    p = -3.931055406385194e-09
    d = 0.0
    d = d * v2 + p
    p = p * v1 + 1.5091437110752225e-07
    d = d * v2 + p
    p = p * v1 - 4.379132646017069e-08
    d = d * v2 + p
    p = p * v1 - 1.5311278026993128e-06
    d = d * v2 + p
    p = p * v1 + 8.802854506903223e-07
    d = d * v2 + p
    p = p * v1 + 8.510889717474125e-06
    d = d * v2 + p
    p = p * v1 - 6.966020692681356e-06
    d = d * v2 + p
    p = p * v1 - 3.7893830331039614e-05
    d = d * v2 + p
    p = p * v1 + 3.851194692578092e-05
    d = d * v2 + p
    p = p * v1 + 0.0001673816772285886
    d = d * v2 + p
    p = p * v1 - 0.00016756074014194388
    d = d * v2 + p
    p = p * v1 - 0.0008208068611982574
    d = d * v2 + p
    p = p * v1 + 0.0004664114010818527
    d = d * v2 + p
    p = p * v1 + 0.004422538860469194
    d = d * v2 + p
    p = p * v1 + 0.0016881221415742762
    d = d * v2 + p
    p = p * v1 - 0.02207307874796946
    d = d * v2 + p
    p = p * v1 - 0.04635702795553032
    d = d * v2 + p
    p = p * v1 + 0.03555238211882544
    d = d * v2 + p
    p = p * v1 + 0.40149143885115135
    d = d * v2 + p
    p = p * v1 + 1.168709914930635
    d = d * v2 + p
    p = p * v1 + 2.2255949555088907
    d = d * v2 + p
    p = p * v1 + 3.202780045893438
    d = d * v2 + p
    p = p * v1 + 3.6694680105525967
    d = d * v2 + p
    p = p * v1 + 3.420334946834406
    d = d * v2 + p
    p = p * v1 + 2.6082848044464497
    d = d * v2 + p
    p = p * v1 + 1.6156485546913426
    return p, d


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def scaled_difference_short(h: float, s: float) -> float:
    """Return (erfcx((h - s/2)/sqrt2) - erfcx((h + s/2)/sqrt2)) / s to about 4e-7; see `scaled_difference`."""
    e1 = (h - 0.5 * s) * SQRT_HALF + 4.0
    e2 = (h + 0.5 * s) * SQRT_HALF + 4.0
    inverse = 1.0 / (e1 * e2)
    u2 = e1 * inverse
    p, d = _pair_short(V_SCALE * (e2 * inverse) - 1.0, V_SCALE * u2 - 1.0)
    return SQRT_HALF * inverse * (p + V_SCALE * u2 * d)


@njit(forceinline=True, error_model="numpy", fastmath={"contract"})
def scaled_difference(h: float, s: float) -> float:
    """Return (erfcx((h - s/2)/sqrt2) - erfcx((h + s/2)/sqrt2)) / s, relative error about 2e-15 at any s > 0.

    Needs (h - s/2)/sqrt2 >= Z_MIN. Black's out-of-the-money price over sqrt(forward * strike) is
    exp(-(h*h + s*s/4)/2) * (s/2) * this, with h = |ln(F/K)| / s, and price / vega is sqrt(pi/2) * s * this.
    """
    e1 = (h - 0.5 * s) * SQRT_HALF + 4.0
    e2 = (h + 0.5 * s) * SQRT_HALF + 4.0
    inverse = 1.0 / (e1 * e2)
    u2 = e1 * inverse
    p, d = _pair_long(V_SCALE * (e2 * inverse) - 1.0, V_SCALE * u2 - 1.0)
    return SQRT_HALF * inverse * (p + V_SCALE * u2 * d)


@njit(cache=True, error_model="numpy")
def norm_cdf(x: float) -> float:
    """Return N(x), the standard normal distribution function, with full relative precision in the lower tail."""
    return 0.5 * math.erfc(-x * SQRT_HALF)


@njit(cache=True, error_model="numpy")
def norm_pdf(x: float) -> float:
    """Return the standard normal density at x."""
    return math.exp(-0.5 * x * x) / SQRT_2PI


@njit(cache=True, error_model="numpy")
def norm_inv(p: float) -> float:
    """Return x with N(x) = p for 0 < p < 1 (relative error about 1e-15); infinite at 0 and 1.

    Acklam's rational start (1.15e-9) and one Halley step; lower half by symmetry of the complement.
    """
    if not 0.0 < p < 1.0:
        if p == 0.0:
            return -np.inf
        return np.inf if p == 1.0 else np.nan
    q = min(p, 1.0 - p)
    if q < 0.02425:
        r = math.sqrt(-2.0 * math.log(q))
        x = (
            (
                (((-7.784894002430293e-03 * r - 3.223964580411365e-01) * r - 2.400758277161838) * r - 2.549732539343734)
                * r
                + 4.374664141464968
            )
            * r
            + 2.938163982698783
        ) / (
            (((7.784695709041462e-03 * r + 3.224671290700398e-01) * r + 2.445134137142996) * r + 3.754408661907416) * r
            + 1.0
        )
    else:
        y = q - 0.5
        r = y * y
        x = (
            (
                (
                    (
                        ((-3.969683028665376e01 * r + 2.209460984245205e02) * r - 2.759285104469687e02) * r
                        + 1.383577518672690e02
                    )
                    * r
                    - 3.066479806614716e01
                )
                * r
                + 2.506628277459239
            )
            * y
            / (
                (
                    (
                        ((-5.447609879822406e01 * r + 1.615858368580409e02) * r - 1.556989798598866e02) * r
                        + 6.680131188771972e01
                    )
                    * r
                    - 1.328068155288572e01
                )
                * r
                + 1.0
            )
        )
    error = (0.5 * math.erfc(-x * SQRT_HALF) - q) * SQRT_2PI * math.exp(0.5 * x * x)
    x -= error / (1.0 + 0.5 * x * error)
    return x if p < 0.5 else -x
