"""Delta nodes: round trips in both conventions, and honest refusals."""

import numpy as np
import pytest

from derivasys.analytics import ssvi
from derivasys.analytics.deltas import DeltaStatus, delta_nodes
from derivasys.analytics.normal import norm_cdf, norm_inv

TARGETS = np.arange(0.05, 0.35, 0.05)


def _slices() -> tuple[np.ndarray, np.ndarray]:
    tau = np.array([1 / 365, 30 / 365, 1.0])
    w_atm = 0.5 * tau
    return np.array([ssvi.to_raw(w_atm=w, psi=1.1 * w**0.5, rho=-0.3) for w in w_atm]), tau


@pytest.mark.parametrize("premium_adjusted", [False, True])
@pytest.mark.parametrize("is_call", [False, True])
def test_the_delta_reached_is_the_target(premium_adjusted: bool, is_call: bool) -> None:
    params, tau = _slices()
    nodes = delta_nodes(params, tau, TARGETS, np.full(6, is_call), premium_adjusted)
    assert (nodes.status == DeltaStatus.OK).all()
    sign = 1.0 if is_call else -1.0
    assert nodes.delta == pytest.approx(np.broadcast_to(sign * TARGETS, (3, 6)), rel=1e-9)
    assert (np.diff(nodes.k, axis=1) * sign < 0.0).all()


def test_a_call_delta_above_the_premium_adjusted_maximum_is_not_reached() -> None:
    params, tau = _slices()
    nodes = delta_nodes(params[2:], tau[2:], [0.9], [True], premium_adjusted=True)
    assert nodes.status[0, 0] == DeltaStatus.NOT_REACHED
    assert np.isnan(nodes.k[0, 0])
    assert np.isnan(nodes.delta[0, 0])


def test_unusable_slices_and_targets_say_so() -> None:
    params, tau = _slices()
    params[0] = np.nan
    params[1, 0] = -1.0
    tau[2] = 0.0
    assert (delta_nodes(params, tau, [0.25], [True]).status == DeltaStatus.BAD_SLICE).all()
    params, tau = _slices()
    assert (delta_nodes(params, tau, [0.0, 1.0], [True, False]).status == DeltaStatus.NOT_REACHED).all()


@pytest.mark.parametrize("p", [1e-300, 1e-12, 0.01, 0.3, 0.5, 0.8, 1 - 1e-9])
def test_norm_inv_inverts_norm_cdf(p: float) -> None:
    assert norm_cdf(norm_inv(p)) == pytest.approx(p, rel=1e-12)


def test_norm_inv_at_and_beyond_the_edges() -> None:
    assert norm_inv(0.0) == -np.inf
    assert norm_inv(1.0) == np.inf
    assert np.isnan(norm_inv(1.5))
