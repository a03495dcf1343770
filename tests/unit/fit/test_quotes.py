"""Quote selection: one reason per row, the out-of-the-money side preferred, parity twins used when it is missing."""

import numpy as np
import pytest

from derivasys.fit.quotes import (
    QuoteReason,
    QuoteRules,
    group_by_expiry,
    mark_outliers,
    select_quotes,
    twin_rows,
)


def _row(**changes: float) -> dict[str, float]:
    base = {
        "k": 0.1, "tau": 0.1, "is_call": True, "twin": -1, "bid": 0.01, "ask": 0.011, "tick": 0.0001,
        "bid_iv": 0.5, "ask_iv": 0.52, "bid_status": 0, "ask_status": 0, "age_s": 1.0,
    }  # fmt: skip
    return {**base, **changes}


def _select(*rows: dict[str, float], rules: QuoteRules | None = None) -> "np.ndarray":
    columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return select_quotes(**columns, rules=rules)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, QuoteReason.USED),
        ({"tau": 0.0}, QuoteReason.EXPIRED),
        ({"tau": np.nan}, QuoteReason.EXPIRED),
        ({"tau": 1799 / 31536000}, QuoteReason.SETTLEMENT_WINDOW),
        ({"k": np.nan, "bid_status": 4, "ask_status": 4}, QuoteReason.BAD_NUMBER),
        ({"bid": np.nan, "ask": np.nan, "bid_status": 4, "ask_status": 4}, QuoteReason.NO_QUOTE),
        ({"bid": 0.0, "ask": 0.0, "bid_status": 1, "ask_status": 1}, QuoteReason.NO_QUOTE),
        ({"bid": np.nan, "bid_iv": np.nan, "bid_status": 4}, QuoteReason.ONE_SIDED),
        ({"ask": 0.0, "ask_iv": np.nan, "ask_status": 1}, QuoteReason.ONE_SIDED),
        ({"bid": 0.012, "bid_iv": 0.54}, QuoteReason.CROSSED),
        ({"age_s": 121.0}, QuoteReason.STALE),
        ({"age_s": np.nan}, QuoteReason.STALE),
        ({"bid_iv": np.nan, "bid_status": 2}, QuoteReason.BELOW_INTRINSIC),
        ({"ask_iv": np.nan, "ask_status": 3}, QuoteReason.ABOVE_BOUND),
        ({"tick": 0.05}, QuoteReason.BELOW_TICK),
        ({"ask_iv": 1.8}, QuoteReason.WIDE),
        ({"k": -0.1}, QuoteReason.USED),  # in the money, but there is no twin to prefer
    ],
)
def test_each_row_has_its_reason(changes: dict[str, float], reason: QuoteReason) -> None:
    got = _select(_row(**changes))
    assert got.reason[0] == reason
    assert got.used[0] == (reason == QuoteReason.USED)


def test_the_out_of_the_money_twin_is_preferred_when_usable() -> None:
    put = _row(is_call=False, twin=1)  # k > 0: this put is in the money
    call = _row(twin=0)
    assert _select(put, call).reason.tolist() == [QuoteReason.IN_THE_MONEY, QuoteReason.USED]
    stale = _row(twin=0, age_s=999.0)
    assert _select(put, stale).reason.tolist() == [QuoteReason.USED, QuoteReason.STALE]


def test_weight_is_the_precision_of_total_variance() -> None:
    got = _select(_row())
    assert got.mid_iv[0] == pytest.approx(0.51)
    assert got.w[0] == pytest.approx(0.51**2 * 0.1)
    assert got.weight[0] == pytest.approx(1 / (2 * 0.51 * 0.1 * 0.02) ** 2)
    locked = _select(_row(ask=0.01, ask_iv=0.5))
    assert locked.used[0]
    assert np.isfinite(locked.weight[0])


def test_twins_are_the_two_types_of_one_strike_and_expiry() -> None:
    expiry = [1, 1, 1, 2, 2, 2, 2]
    strike = [10.0, 20.0, 10.0, 10.0, 30.0, 30.0, 30.0]
    is_call = [True, True, False, False, True, False, True]
    assert twin_rows(expiry, strike, is_call).tolist() == [2, -1, 0, -1, -1, -1, -1]
    assert twin_rows([], [], []).tolist() == []


def test_rows_are_grouped_by_expiry_then_log_moneyness() -> None:
    rows = [_row(k=0.2), _row(k=0.1), _row(k=0.3, age_s=999.0), _row(k=0.05)]
    selection = _select(*rows)
    offsets, order = group_by_expiry(selection, np.array([1, 1, 1, 3]), np.array([row["k"] for row in rows]), 4)
    assert offsets.tolist() == [0, 0, 2, 2, 3]
    assert order.tolist() == [1, 0, 3]


def test_outliers_are_marked_after_a_fit() -> None:
    selection = _select(_row(), _row(k=0.2))
    marked = mark_outliers(selection, np.array([0.51, 0.9]))
    assert marked.reason.tolist() == [QuoteReason.USED, QuoteReason.OUTLIER]
    assert marked.used.tolist() == [True, False]
