"""Price ticks: rounding and the next price, across the step, without digits of binary fractions."""

import numpy as np
import pytest

from derivasys.testing.market.ticks import Ticks
from derivasys.testing.servers import TERMS

COIN = Ticks(0.0001, ((0.005, 0.0005),))
ALL = {family.ticks for terms in TERMS.values() for family in terms.families}


def test_the_coarse_tick_begins_above_its_step() -> None:
    prices = COIN.round(np.array([0.00004, 0.00496, 0.005, 0.00512, 0.00531, np.nan]))
    assert prices[:-1].tolist() == [0.0, 0.005, 0.005, 0.005, 0.0055]
    assert np.isnan(prices[-1])
    assert COIN.next(np.array([0.0, 0.0049, 0.005, 0.0055])).tolist() == [0.0001, 0.005, 0.0055, 0.006]


@pytest.mark.parametrize("ticks", sorted(ALL, key=repr), ids=repr)
def test_prices_print_short_and_rise(ticks: Ticks) -> None:
    price = np.array([0.0])
    for _ in range(3000):
        after = ticks.next(price)
        assert after > price
        assert ticks.round(after) == after
        assert len(repr(float(after[0]))) <= 12
        price = after
