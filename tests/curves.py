"""Made-up slices free of static arbitrage that several tests start from."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from derivasys.analytics import ssvi
from derivasys.analytics.arbitrage import certify
from derivasys.analytics.svi import round_published
from derivasys.analytics.term import WIDTH


@st.composite
def boards(draw, least: int = 2, most: int = 5):
    """(tau, params) of certified slices: eSSVI with at-the-money variance and wings that grow with time."""
    count = draw(st.integers(least, most))
    tau = np.cumsum([draw(st.floats(0.005, 0.4)) for _ in range(count)])
    rows, w_atm, psi = [], 0.0, 0.0
    for at in range(count):
        step = tau[at] - (tau[at - 1] if at else 0.0)
        w_atm += draw(st.floats(0.1, 1.2)) ** 2 * step
        rho = draw(st.floats(-0.8, 0.8))
        share = draw(st.floats(0.1, 0.98))
        psi = max(psi * 1.01, share * ssvi.psi_bound(w_atm, rho))
        rows.append(ssvi.to_raw(w_atm=w_atm, psi=psi, rho=rho))
    params = round_published(np.array(rows))
    assume(bool(certify(params).ok.all()))
    return tau, params


def named(params) -> dict[str, float]:
    """A row of parameters by name, for the functions of `analytics.svi`."""
    return dict(zip(("a", "b", "rho", "m", "sigma"), params, strict=True))


def slice_curve(params) -> np.ndarray:
    curve = np.zeros(WIDTH)
    curve[:5] = curve[5:10] = params
    curve[10] = 1.0
    return curve


def linear_curve(p, q, share: float) -> np.ndarray:
    curve = np.zeros(WIDTH)
    curve[:5], curve[5:10], curve[10], curve[11] = p, q, 1.0 - share, share
    return curve
