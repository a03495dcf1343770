"""Year fractions are ACT/365 in exact integer nanoseconds."""

import numpy as np

from derivasys.analytics.year_fraction import NS_PER_YEAR, year_fraction


def test_a_year_of_365_days_is_one() -> None:
    start = 1_773_428_416_000_000_000
    assert year_fraction(start, start + NS_PER_YEAR) == 1.0
    assert year_fraction(start, start - NS_PER_YEAR // 2) == -0.5


def test_one_second_keeps_full_precision_in_arrays() -> None:
    start = 1_773_428_416_000_000_000
    expiry = np.array([start + 1_000_000_000, start], dtype=np.int64)
    assert year_fraction(start, expiry).tolist() == [1 / (365 * 86400), 0.0]
