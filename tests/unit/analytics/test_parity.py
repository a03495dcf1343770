"""Parity forwards: exact on clean boards, robust against stale legs, nothing on empty ones."""

import numpy as np
import pytest

from derivasys.analytics.black import black_price
from derivasys.analytics.parity import parity_forward

STRIKE = np.linspace(8e4, 1.2e5, 15)


def _legs(coin: bool) -> tuple[np.ndarray, np.ndarray]:
    unit = 1e5 if coin else 1.0
    call = black_price(1e5, STRIKE, 0.1, 0.5, True) / unit
    put = black_price(1e5, STRIKE, 0.1, 0.5, False) / unit
    return call, put


@pytest.mark.parametrize("coin", [True, False])
def test_a_clean_board_gives_the_forward(coin: bool) -> None:
    call, put = _legs(coin)
    half = 3e-4 if coin else 30.0
    got = parity_forward(STRIKE, call - half, call + half, put - half, put + half, coin)
    assert got.forward == pytest.approx(1e5, rel=1e-12)
    assert got.pairs == 15
    assert 5.0 < got.standard_error < 50.0


def test_a_stale_leg_hardly_moves_it() -> None:
    call, put = _legs(coin=True)
    call[4] += 0.02
    got = parity_forward(STRIKE, call - 3e-4, call + 3e-4, put - 3e-4, put + 3e-4, True)
    assert got.forward == pytest.approx(1e5, rel=2e-4)


def test_unusable_pairs_are_left_out() -> None:
    call, put = _legs(coin=True)
    bid = call - 3e-4
    bid[0], bid[1], bid[2] = np.nan, 0.0, call[2] + 1.0
    assert parity_forward(STRIKE, bid, call + 3e-4, put - 3e-4, put + 3e-4, True).pairs == 12
    empty = parity_forward(STRIKE, np.full(15, np.nan), call, put, put, True)
    assert np.isnan(empty.forward)
    assert np.isnan(empty.standard_error)
    assert empty.pairs == 0
