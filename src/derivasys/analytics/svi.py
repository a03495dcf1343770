"""Raw SVI slices in total variance: w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)).

`a b rho m sigma` always describe TOTAL variance w = iv**2 tau (Gatheral 2004; Gatheral-Jacquier 2014, eq. 3.1), k is
log-moneyness ln(strike / forward). Rows of a parameter array are in that order. Functions broadcast over k and the
parameters; kernels named `*_at` take scalars and are for other numba code.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]
FloatLike = float | FloatArray
"""A number or an array of them; a list is fine for k."""

PUBLISHED_DIGITS = 9
"""Significant decimal digits of published parameters; certificates are about the rounded values."""
_POWERS = 10.0 ** np.arange(23)


class SviJw(NamedTuple):
    """Jump-wings parameters (Gatheral-Jacquier 2014, eq. 3.5), annualised: v and v_tilde are variances per year."""

    v: float  # ATM variance w(0) / tau
    psi: float  # ATM skew, w'(0) / (2 sqrt(w(0)))
    p: float  # slope of the put wing, b (1 - rho) / sqrt(w(0))
    c: float  # slope of the call wing, b (1 + rho) / sqrt(w(0))
    v_tilde: float  # minimum variance per year


@njit(cache=True, error_model="numpy")
def w_at(k: float, a: float, b: float, rho: float, m: float, sigma: float) -> float:
    """Return w(k)."""
    y = k - m
    return a + b * (rho * y + math.sqrt(y * y + sigma * sigma))


@njit(cache=True, error_model="numpy")
def w_and_derivatives_at(
    k: float, a: float, b: float, rho: float, m: float, sigma: float
) -> tuple[float, float, float]:
    """Return (w, w', w'') at k.

    w' = b (rho + y/R), written as b (rho +- 1 -+ sigma**2 / (R (R + |y|))) so that nothing cancels in a wing that is
    almost flat; w'' = b sigma**2 / R**3 with y = k - m, R = sqrt(y**2 + sigma**2).
    """
    y = k - m
    s2 = sigma * sigma
    r = math.sqrt(y * y + s2)
    tail = s2 / (r * (r + abs(y)))
    w1 = b * ((rho + 1.0) - tail) if y >= 0.0 else b * ((rho - 1.0) + tail)
    return a + b * (rho * y + r), w1, b * s2 / (r * r * r)


@njit(cache=True, error_model="numpy")
def g_at(k: float, a: float, b: float, rho: float, m: float, sigma: float) -> float:
    """Return g(k), Durrleman's density factor; NaN where w(k) <= 0."""
    w, w1, w2 = w_and_derivatives_at(k, a, b, rho, m, sigma)
    if not w > 0.0:
        return np.nan
    half = 1.0 - 0.5 * k * w1 / w
    return half * half - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2


def total_variance(
    k: npt.ArrayLike,
    *,
    a: FloatLike,
    b: FloatLike,
    rho: FloatLike,
    m: FloatLike,
    sigma: FloatLike,
) -> FloatArray:
    """Return w(k) = a + b (rho (k - m) + sqrt((k - m)**2 + sigma**2)), dimensionless; all arguments broadcast."""
    y = np.asarray(k, dtype=np.float64) - m
    return np.asarray(a + np.asarray(b) * (np.asarray(rho) * y + np.hypot(y, sigma)))


def iv(
    k: npt.ArrayLike,
    tau: FloatLike,
    *,
    a: FloatLike,
    b: FloatLike,
    rho: FloatLike,
    m: FloatLike,
    sigma: FloatLike,
) -> FloatArray:
    """Return the Black volatility sqrt(w(k) / tau), decimal; NaN where w(k) < 0 or tau <= 0."""
    w = total_variance(k, a=a, b=b, rho=rho, m=m, sigma=sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = np.where(np.asarray(tau) > 0.0, w / tau, np.nan)
        return np.asarray(np.sqrt(ratio))


def derivatives(
    k: npt.ArrayLike,
    *,
    a: FloatLike,
    b: FloatLike,
    rho: FloatLike,
    m: FloatLike,
    sigma: FloatLike,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (w, w', w'') at k; see `w_and_derivatives_at` for the cancellation-free form of w'."""
    y = np.asarray(k, dtype=np.float64) - m
    s2 = np.asarray(sigma, dtype=np.float64) ** 2
    r = np.sqrt(y * y + s2)
    tail = s2 / (r * (r + np.abs(y)))
    slope = np.where(y >= 0.0, (np.asarray(rho) + 1.0) - tail, (np.asarray(rho) - 1.0) + tail)
    return np.asarray(a + b * (rho * y + r)), np.asarray(b * slope), np.asarray(b * s2 / r**3)


def g(
    k: npt.ArrayLike,
    *,
    a: FloatLike,
    b: FloatLike,
    rho: FloatLike,
    m: FloatLike,
    sigma: FloatLike,
) -> FloatArray:
    """Return Durrleman's g = (1 - k w'/(2w))**2 - (w'**2/4)(1/w + 1/4) + w''/2; NaN where w(k) <= 0.

    The risk-neutral density is g times a positive factor, so g >= 0 on all of R is freedom from butterfly arbitrage
    (with Lee's slope bound; Gatheral-Jacquier 2014, lemma 2.2). `analytics.arbitrage` decides it exactly.
    """
    w, w1, w2 = derivatives(k, a=a, b=b, rho=rho, m=m, sigma=sigma)
    safe = np.where(w > 0.0, w, np.nan)
    half = 1.0 - 0.5 * np.asarray(k) * w1 / safe
    return np.asarray(half * half - 0.25 * w1 * w1 * (1.0 / safe + 0.25) + 0.5 * w2)


def minimum(
    *,
    a: FloatLike,
    b: FloatLike,
    rho: FloatLike,
    m: FloatLike,
    sigma: FloatLike,
) -> tuple[FloatArray, FloatArray]:
    """Return (w_min, k_min): w_min = a + b sigma sqrt(1 - rho**2) at k_min = m - rho sigma / sqrt(1 - rho**2).

    k_min is infinite when |rho| = 1 (the minimum is then the limit of a flat wing).
    """
    root = np.sqrt((1.0 - np.asarray(rho, dtype=np.float64)) * (1.0 + np.asarray(rho)))
    with np.errstate(divide="ignore", invalid="ignore"):
        k_min = m - np.asarray(rho) * sigma / root
    return np.asarray(a + np.asarray(b) * sigma * root), np.asarray(k_min)


def lee_slopes(*, b: FloatLike, rho: FloatLike) -> tuple[FloatArray, FloatArray]:
    """Return the wings' slopes of w (left b (1 - rho), right b (1 + rho)); Lee's bound is 2 for each (Lee 2004)."""
    return np.asarray(b * (1.0 - np.asarray(rho))), np.asarray(b * (1.0 + np.asarray(rho)))


@njit(cache=True, error_model="numpy")
def _round_decimal(values: FloatArray, out: FloatArray) -> bool:
    """Fill out with values at `PUBLISHED_DIGITS` significant digits; False if an exponent is beyond the exact powers.

    An integer below 2**53 over (or times) an exact power of ten is rounded once: the double nearest to the decimal.
    """
    complete = True
    for i in range(values.shape[0]):
        x = values[i]
        out[i] = x
        if x == 0.0 or not math.isfinite(x):
            continue
        places = PUBLISHED_DIGITS - 1 - math.floor(math.log10(abs(x)))
        for _ in range(2):  # the logarithm may be off by one at powers of ten
            if not -6 <= places <= 22:
                complete = False
                break
            scaled = np.rint(x * _POWERS[places]) if places >= 0 else np.rint(x / _POWERS[-places])
            if abs(scaled) < _POWERS[PUBLISHED_DIGITS - 1]:
                places += 1
            elif abs(scaled) >= _POWERS[PUBLISHED_DIGITS]:
                places -= 1
            else:
                out[i] = scaled / _POWERS[places] if places >= 0 else scaled * _POWERS[-places]
                break
    return complete


def round_published(params: npt.ArrayLike) -> FloatArray:
    """Return the parameters rounded to 9 significant decimal digits: each the double nearest to that decimal.

    Any shape; signs, zeros, NaN and infinities pass through. A JSON encoder prints the result with at most nine
    digits, so what a client reads is exactly what was certified. Idempotent.
    """
    values = np.ascontiguousarray(params, dtype=np.float64)
    out = np.empty_like(values)
    if not _round_decimal(values.reshape(-1), out.reshape(-1)):
        decimals = [float(f"{x:.{PUBLISHED_DIGITS - 1}e}") for x in values.ravel().tolist()]
        return np.array(decimals, dtype=np.float64).reshape(values.shape)
    return out


def raw_to_jw(tau: float, *, a: float, b: float, rho: float, m: float, sigma: float) -> SviJw:
    """Return the jump-wings parameters of a raw slice with tau years to expiry (Gatheral-Jacquier 2014, eq. 3.5)."""
    r = math.hypot(m, sigma)
    w = a + b * (r - rho * m)
    root = math.sqrt(w)
    return SviJw(
        v=w / tau,
        psi=0.5 * b / root * (rho - m / r),
        p=b * (1.0 - rho) / root,
        c=b * (1.0 + rho) / root,
        v_tilde=(a + b * sigma * math.sqrt((1.0 - rho) * (1.0 + rho))) / tau,
    )


def jw_to_raw(tau: float, jw: SviJw) -> FloatArray:
    """Return (a, b, rho, m, sigma) of jump-wings parameters (Gatheral-Jacquier 2014, lemma 3.2).

    Raises ValueError when they describe no slice: |beta| > 1 with beta = rho - 2 psi sqrt(w)/b, or v < v_tilde.
    """
    w = jw.v * tau
    root = math.sqrt(w)
    b = 0.5 * root * (jw.c + jw.p)
    rho = 1.0 - jw.p * root / b
    beta = rho - 2.0 * jw.psi * root / b
    if not abs(beta) <= 1.0:
        raise ValueError(f"no SVI slice has these jump-wings: |beta| = {abs(beta)} > 1, change psi, p or c")
    root_rho = math.sqrt((1.0 - rho) * (1.0 + rho))
    if beta == 0.0:
        m = 0.0
        sigma = (jw.v - jw.v_tilde) * tau / (b * (1.0 - root_rho)) if root_rho < 1.0 else 0.0
    else:
        alpha = math.copysign(math.sqrt(1.0 / (beta * beta) - 1.0), beta)
        sign = math.copysign(1.0, alpha)
        m = (jw.v - jw.v_tilde) * tau / (b * (-rho + sign * math.sqrt(1.0 + alpha * alpha) - alpha * root_rho))
        sigma = alpha * m
    if not sigma >= 0.0:
        raise ValueError(f"no SVI slice has these jump-wings parameters: sigma = {sigma} < 0, change v_tilde")
    return np.array([jw.v_tilde * tau - b * sigma * root_rho, b, rho, m, sigma])


def density(k: npt.ArrayLike, *, a: float, b: float, rho: float, m: float, sigma: float) -> FloatArray:
    """Return the risk-neutral density of ln(S/F) at k: g(k) exp(-d2**2/2) / sqrt(2 pi w), d2 = -k/sqrt(w) -
    sqrt(w)/2.

    Per unit of log-moneyness; integrates to 1 on an arbitrage-free slice (Gatheral-Jacquier 2014, eq. 2.1).
    """
    x = np.asarray(k, dtype=np.float64)
    w = total_variance(x, a=a, b=b, rho=rho, m=m, sigma=sigma)
    d2 = -x / np.sqrt(w) - 0.5 * np.sqrt(w)
    return np.asarray(g(x, a=a, b=b, rho=rho, m=m, sigma=sigma) * np.exp(-0.5 * d2 * d2) / np.sqrt(2.0 * np.pi * w))


def cdf(k: npt.ArrayLike, *, a: float, b: float, rho: float, m: float, sigma: float) -> FloatArray:
    """Return the risk-neutral probability of ln(S/F) <= k: 1 + dC/dK = N(-d2) + phi(d2) w' / (2 sqrt(w)).

    Exact derivative of the undiscounted call price in strike, no integration.
    """
    x = np.asarray(k, dtype=np.float64)
    w, w1, _ = derivatives(x, a=a, b=b, rho=rho, m=m, sigma=sigma)
    root = np.sqrt(w)
    d2 = -x / root - 0.5 * root
    lower = np.array([0.5 * math.erfc(z / math.sqrt(2.0)) for z in d2.ravel().tolist()]).reshape(d2.shape)
    return np.asarray(lower + np.exp(-0.5 * d2 * d2) / math.sqrt(2.0 * math.pi) * w1 / (2.0 * root))
