"""Recorded smiles as functions: through their points, without humps, tame in the wings."""

import numpy as np
import pytest

from derivasys.testing.market.recorded import recorded_smiles
from derivasys.testing.market.smiles import FADE_X, Smile, join_smiles, make_smile, smile_iv
from derivasys.testing.recordings import load_shipped


def at(smile: Smile, x: np.ndarray) -> np.ndarray:
    return smile_iv(join_smiles([smile]), np.zeros(len(x), np.int64), x)


@pytest.mark.parametrize("ccy", ["BTC", "ETH"])
def test_smiles_pass_through_the_recorded_marks(ccy: str) -> None:
    smiles = recorded_smiles(load_shipped(ccy))
    for smile in smiles:
        assert at(smile, smile.x) == pytest.approx(smile.iv, abs=1e-12)


@pytest.mark.parametrize("ccy", ["BTC", "ETH"])
def test_between_two_strikes_a_smile_stays_between_their_vols(ccy: str) -> None:
    for smile in recorded_smiles(load_shipped(ccy)):
        for share in (0.25, 0.5, 0.75):
            x = smile.x[:-1] + share * np.diff(smile.x)
            low, high = (
                np.minimum(smile.iv[:-1], smile.iv[1:]),
                np.maximum(smile.iv[:-1], smile.iv[1:]),
            )
            iv = at(smile, x)
            assert (iv >= low - 1e-12).all()
            assert (iv <= high + 1e-12).all()


def test_beyond_the_last_strike_the_slope_fades() -> None:
    smile = make_smile(np.array([-1.0, 0.0, 1.0]), np.array([0.8, 0.5, 0.6]))
    right = at(smile, np.array([1.0, 1.0 + 1e-6, 3.0, 1e6]))
    assert right[0] == 0.6
    assert (right[1] - right[0]) / 1e-6 == pytest.approx(smile.slope[-1], rel=1e-4)
    assert right[-1] == pytest.approx(0.6 + smile.slope[-1] * FADE_X)
    assert at(smile, np.array([-1e6]))[0] == pytest.approx(0.8 - smile.slope[0] * FADE_X)


def test_smiles_of_one_and_of_two_points() -> None:
    assert at(make_smile(np.array([0.1]), np.array([0.5])), np.array([-9.0, 0.1, 9.0])).tolist() == [
        0.5,
        0.5,
        0.5,
    ]
    line = make_smile(np.array([1.0, 0.0]), np.array([0.7, 0.5]))
    assert at(line, np.array([0.25]))[0] == pytest.approx(0.55)


def test_equal_points_are_averaged() -> None:
    smile = make_smile(np.array([0.0, 0.0, 1.0]), np.array([0.4, 0.6, 0.7]))
    assert smile.iv.tolist() == [0.5, 0.7]


def test_each_expiry_has_its_own_smile() -> None:
    smiles = recorded_smiles(load_shipped("BTC"))
    joined = join_smiles(smiles)
    numbers = np.arange(len(smiles))
    together = smile_iv(joined, numbers, np.zeros(len(smiles)))
    alone = [at(smile, np.zeros(1))[0] for smile in smiles]
    assert together.tolist() == alone
