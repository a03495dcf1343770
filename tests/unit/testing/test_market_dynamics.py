"""The factors that move a simulated market: their start, their spread, and steps of any length."""

import numpy as np
import pytest

from derivasys.testing.market import dynamics

HOUR_S = 3600.0


def test_a_market_starts_as_recorded() -> None:
    moves = dynamics.still(3)
    level, skew, curvature = dynamics.smile_factors(moves, np.array([0.01, 0.1, 1.0]))
    assert level.tolist() == [1.0] * 3
    assert not skew.any()
    assert not curvature.any()
    assert moves.index_log == 0.0


def test_a_step_of_no_time_moves_nothing() -> None:
    moves = dynamics.still(2)
    dynamics.step(moves, 0.0, 0.5, np.random.default_rng(1))
    assert moves.index_log == 0.0
    assert not moves.common.any()
    assert not moves.basis.any()


@pytest.mark.parametrize("pieces", [1, 10])
def test_an_hour_spreads_the_index_by_its_vol_however_it_is_cut(pieces: int) -> None:
    rng = np.random.default_rng(2)
    ends = []
    for _ in range(2000):
        moves = dynamics.still(1)
        for _ in range(pieces):
            dynamics.step(moves, HOUR_S / pieces, 0.5, rng)
        ends.append(moves.index_log)
    expected = 0.5 * np.sqrt(HOUR_S / dynamics.YEAR_S)
    assert np.std(ends) == pytest.approx(expected, rel=0.06)
    assert np.mean(ends) == pytest.approx(0.0, abs=0.1 * expected)


def test_smile_factors_have_unit_spread_and_expiries_move_together() -> None:
    rng = np.random.default_rng(3)
    moves = dynamics.still(2)
    tau = np.array([0.002, 1.0])
    logs = []
    for _ in range(4000):
        dynamics.step(moves, 3 * dynamics.SMILE_REVERSION_S, 0.5, rng)
        logs.append(np.log(dynamics.smile_factors(moves, tau)[0]))
    spread = np.std(logs, axis=0)
    assert dynamics.LEVEL_SD_LONG * 0.9 < spread[1] < spread[0] < dynamics.LEVEL_SD_SHORT
    correlation = np.corrcoef(np.array(logs).T)[0, 1]
    assert correlation == pytest.approx(dynamics.COMMON_SHARE, abs=0.03)


def test_a_new_expiry_starts_at_rest() -> None:
    moves = dynamics.still(1)
    dynamics.step(moves, 60.0, 0.5, np.random.default_rng(4))
    dynamics.grow(moves)
    assert moves.own.shape == (3, 2)
    assert moves.basis.shape == (2,)
    assert moves.basis[1] == 0.0
