"""SSVI and eSSVI slices: three parameters (w_atm, psi, rho) that never carry butterfly arbitrage inside simple
bounds.

w(k) = (w_atm + rho psi k + sqrt((psi k + rho w_atm)**2 + w_atm**2 (1 - rho**2))) / 2, with w_atm = theta the
at-the-money total variance and psi = theta phi (Gatheral-Jacquier 2014, eq. 4.1; Hendriks-Martini 2019 for one rho
per slice).
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

FloatArray = npt.NDArray[np.float64]


@njit(cache=True, error_model="numpy")
def raw_from_ssvi(w_atm: float, psi: float, rho: float) -> tuple[float, float, float, float, float]:
    """Return raw (a, b, rho, m, sigma): a = theta (1 - rho**2)/2, b = psi/2, m = -rho/phi, sigma =
    sqrt(1-rho**2)/phi.

    phi = psi / w_atm; psi must be positive (Gatheral-Jacquier 2014, section 4).
    """
    complement = (1.0 - rho) * (1.0 + rho)
    scale = w_atm / psi
    return 0.5 * w_atm * complement, 0.5 * psi, rho, -rho * scale, math.sqrt(complement) * scale


@njit(cache=True, error_model="numpy")
def ssvi_at(k: float, w_atm: float, psi: float, rho: float) -> float:
    """Return w(k) of one slice; psi = 0 gives the flat slice w_atm."""
    y = psi * k + rho * w_atm
    return 0.5 * (w_atm + rho * psi * k + math.sqrt(y * y + w_atm * w_atm * (1.0 - rho) * (1.0 + rho)))


@njit(cache=True, error_model="numpy")
def psi_bound(w_atm: float, rho: float) -> float:
    """Return the largest psi free of butterfly arbitrage by the sufficient conditions at this w_atm and rho.

    psi (1 + |rho|) < 4 and psi**2 (1 + |rho|) <= 4 w_atm (Gatheral-Jacquier 2014, theorem 4.2); Lee's bound of 2 on
    the slope psi (1 + |rho|) / 2 is the first of them.
    """
    one = 1.0 + abs(rho)
    return min(4.0 / one, 2.0 * math.sqrt(w_atm / one))


def total_variance(k: npt.ArrayLike, *, w_atm: npt.ArrayLike, psi: npt.ArrayLike, rho: npt.ArrayLike) -> FloatArray:
    """Return w(k), dimensionless; all arguments broadcast."""
    x = np.asarray(k, dtype=np.float64)
    theta = np.asarray(w_atm, dtype=np.float64)
    r = np.asarray(rho, dtype=np.float64)
    y = np.asarray(psi) * x
    return np.asarray(0.5 * (theta + r * y + np.sqrt((y + r * theta) ** 2 + theta * theta * (1.0 - r) * (1.0 + r))))


def to_raw(*, w_atm: float, psi: float, rho: float) -> FloatArray:
    """Return the raw SVI parameters (a, b, rho, m, sigma) of the slice; psi must be positive."""
    assert psi > 0.0, psi
    return np.array(raw_from_ssvi(float(w_atm), float(psi), float(rho)))


def butterfly_free(*, w_atm: float, psi: float, rho: float) -> bool:
    """Return whether the sufficient butterfly conditions hold (w_atm > 0, |rho| < 1, 0 <= psi <= `psi_bound`)."""
    return bool(w_atm > 0.0 and abs(rho) < 1.0 and 0.0 <= psi <= psi_bound(float(w_atm), float(rho)))


def calendar_free(*, w_atm_1: float, psi_1: float, rho_1: float, w_atm_2: float, psi_2: float, rho_2: float) -> bool:
    """Return whether a sufficient condition for w_2(k) >= w_1(k) on all of R holds, slice 2 the later.

    theta_2 >= theta_1, |rho_2 psi_2 - rho_1 psi_1| <= psi_2 - psi_1 and psi_2/theta_2 <= psi_1/theta_1: the
    condition of Hendriks-Martini 2019 alone (without the last) lets slices cross; with it no violation is known
    (see Pasquazzi 2023).
    """
    order = w_atm_2 >= w_atm_1 and psi_2 * w_atm_1 <= psi_1 * w_atm_2
    return bool(order and abs(rho_2 * psi_2 - rho_1 * psi_1) <= psi_2 - psi_1)
