"""Delta nodes against reference values, and quantities of nodes against 40-digit arithmetic.

The two sets of strikes come from one earlier implementation of this project's authors (not independent): forward 1e5,
tau 30/365, SSVI with theta = 0.36 tau, rho = -0.3, phi = 1.2 / sqrt(theta). They are checked here against mpmath, which
makes them independent.
"""

import math

import mpmath as mp
import numpy as np
import pytest

from derivasys.analytics import ssvi
from derivasys.analytics.arbitrage import certify
from derivasys.analytics.term import SLICE, WIDTH
from derivasys.analytics.term_delta import delta_goal, delta_root
from derivasys.analytics.variance_swap import variance_swap_w
from derivasys.nodes import deltas

FORWARD, TAU = 1e5, 30 / 365
THETA, RHO = 0.36 * TAU, -0.3
PSI = 1.2 * math.sqrt(THETA)
PARAMS = ssvi.to_raw(w_atm=THETA, psi=PSI, rho=RHO)
STRIKES = {
    ("forward", "25P"): 89156.5941,
    ("forward", "25C"): 113350.5632,
    ("premium_adjusted", "25P"): 87190.3546,
    ("premium_adjusted", "25C"): 111810.2237,
}


def mp_w(k):
    theta, psi = mp.mpf(36) / 100 * 30 / 365, mp.mpf(12) / 10 * mp.sqrt(mp.mpf(36) / 100 * 30 / 365)
    rho = mp.mpf(-3) / 10
    return (theta + rho * psi * k + mp.sqrt((psi * k + rho * theta) ** 2 + theta**2 * (1 - rho**2))) / 2


def mp_delta(k, is_call, adjusted):
    s = mp.sqrt(mp_w(k))
    d = -k / s + (-s / 2 if adjusted else s / 2)
    value = mp.ncdf(d) if is_call else -mp.ncdf(-d)
    return value * mp.exp(k) if adjusted else value


@pytest.mark.parametrize(("convention", "name"), STRIKES)
def test_strikes_of_both_conventions(convention, name):
    none = np.zeros(0)
    nodes = deltas.solve(PARAMS[None, :], np.array([TAU]), np.zeros(2, np.int64), none, none, none, none, convention)
    at = deltas.NODES.index(name)
    assert FORWARD * math.exp(nodes.k[0, at]) == pytest.approx(STRIKES[convention, name], abs=6e-5)
    with mp.workdps(40):
        sign = 1 if name[-1] == "C" else -1
        k = mp.findroot(
            lambda x: mp_delta(x, sign > 0, convention == "premium_adjusted") - sign * mp.mpf(25) / 100,
            math.log(STRIKES[convention, name] / FORWARD),
        )
    assert nodes.k[0, at] == pytest.approx(float(k), rel=1e-10)
    assert nodes.delta[0, at] == pytest.approx(sign * 0.25, abs=1e-12)
    assert nodes.quotes[0, at] == 0
    assert nodes.is_extrapolated[0, at] == 1.0


@pytest.mark.parametrize("convention", ["forward", "premium_adjusted"])
def test_the_two_delta_solvers_agree(convention):
    curve = np.zeros(WIDTH)
    curve[:5] = curve[5:10] = PARAMS
    curve[10] = 1.0
    none = np.zeros(0)
    nodes = deltas.solve(PARAMS[None, :], np.array([TAU]), np.zeros(2, np.int64), none, none, none, none, convention)
    for at, target in enumerate(deltas.TARGETS.tolist()):
        if at != deltas.ATM:
            root = delta_root(*delta_goal(target, convention == "premium_adjusted"), curve, SLICE)
            assert nodes.k[0, at] == pytest.approx(root, abs=1e-11)


@pytest.mark.parametrize(
    "params",
    [
        PARAMS,
        # Gatheral-Jacquier 2014, section 5: the optimal repair of Vogt's slice (least g 0.008)
        [-0.03051990507, 0.1027167896, 0.1007176103, 0.2723442051, 0.4123980571],
        # a kink much narrower than the smile, and a steep put wing
        [0.01, 0.05, -0.4, 0.01, 0.004],
        [0.05, 0.5, -0.6, 0.0, 0.6],
    ],
    ids=["ssvi", "gatheral-jacquier", "kink", "steep"],
)
def test_variance_swaps_match_the_replicating_strip_of_options(params):
    assert certify(params).ok.all()
    # E[-2 ln(S/F)] = 2 ∫ (out-of-the-money price) / K² dK: another formula than the package's, in 25 digits.
    with mp.workdps(25):
        a, b, rho, m, sigma = (mp.mpf(float(x)) for x in params)

        def strip(k):
            s = mp.sqrt(a + b * (rho * (k - m) + mp.sqrt((k - m) ** 2 + sigma**2)))
            d1, d2 = -k / s + s / 2, -k / s - s / 2
            if k >= 0:
                return 2 * mp.exp(-k) * (mp.ncdf(d1) - mp.exp(k) * mp.ncdf(d2))
            return 2 * mp.exp(-k) * (mp.exp(k) * mp.ncdf(-d2) - mp.ncdf(-d1))

        at_money = mp.sqrt(a + b * (-rho * m + mp.sqrt(m**2 + sigma**2)))
        ends = [x * at_money for x in (1, 2, 5, 10, 20, 50, 100, 300, 1000)]
        points = sorted({*(-x for x in ends), *ends, m, m - sigma, m + sigma, mp.mpf(0)})
        expected = float(mp.quad(strip, points))
    assert variance_swap_w(np.array(params, np.float64)) == pytest.approx(expected, rel=1e-7)
