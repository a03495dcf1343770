"""Which expiries and strikes are listed: the recorded ladder is reproduced, and what is listed is orderly."""

from datetime import UTC, datetime

import numpy as np
import pytest

from derivasys.testing.deribit_names import expiry_name
from derivasys.testing.market.coin import EVERY_DATE
from derivasys.testing.market.ladder import Ladder, expiry_dates, last_eight_ms, strike_grid
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import TERMS

DAY_MS = 86_400_000


def test_the_ladder_of_deribit_is_the_recorded_one() -> None:
    chain = load_shipped("BTC")
    recorded = sorted({row.expiry for row in chain.rows})
    assert expiry_dates(chain.instant_ns // 1_000_000, Ladder()) == recorded


@pytest.mark.parametrize("start", ["2026-03-13 19:00", "2026-01-01 07:59", "2026-12-31 08:00", "2028-02-29 12:00"])
def test_every_venues_dates_are_among_those_that_a_coin_has(start: str) -> None:
    start_ms = int(datetime.fromisoformat(start).replace(tzinfo=UTC).timestamp() * 1000)
    for hours in range(0, 24 * 60, 5):
        now_ms = start_ms + hours * 3_600_000
        every = set(expiry_dates(now_ms, EVERY_DATE))
        for terms in TERMS.values():
            for family in terms.families:
                dates = expiry_dates(now_ms, family.ladder)
                assert set(dates) <= every
                assert dates == sorted(set(dates))
                assert all(ms > now_ms and ms % DAY_MS == 8 * 3_600_000 for ms in dates)


def test_far_expiries_are_last_fridays_of_their_months() -> None:
    now_ms = load_shipped("BTC").instant_ns // 1_000_000
    names = [expiry_name(ms) for ms in expiry_dates(now_ms, Ladder(days=0, weeks=0, months=3, quarters=4))]
    assert names == ["27MAR26", "24APR26", "29MAY26", "26JUN26", "25SEP26", "25DEC26"]


def test_the_day_begins_at_eight() -> None:
    assert last_eight_ms(8 * 3_600_000) == 8 * 3_600_000
    assert last_eight_ms(8 * 3_600_000 - 1) == 8 * 3_600_000 - DAY_MS


@pytest.mark.parametrize("forward", [71_048.7, 2222.19, 88.0, 1.4, 0.095])
@pytest.mark.parametrize("sd", [0.02, 0.1, 0.4, 0.9])
def test_strikes_are_round_and_reach_both_wings(forward: float, sd: float) -> None:
    strikes = strike_grid(forward, sd)
    assert (np.diff(strikes) > 0.0).all()
    assert 12 <= len(strikes) <= 120
    assert strikes[0] < forward < strikes[-1]
    log = np.log(strikes / forward)
    assert np.abs(log).min() <= 0.6 * max(0.2 * sd, 0.006)
    assert all(len(repr(float(strike)).rstrip("0")) <= 9 for strike in strikes)
