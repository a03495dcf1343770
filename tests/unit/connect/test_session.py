import random

import pytest

from derivasys.connect.session import Backoff, Budget, batches

S = 10**9


def test_backoff_doubles_up_to_its_maximum_with_jitter_and_resets():
    backoff = Backoff(random.Random(1), first_s=0.5, max_s=8.0)
    waits = [backoff.next_s() for _ in range(100)]
    for wait, ceiling in zip(waits, [0.5, 1, 2, 4] + [8] * 96, strict=True):
        assert ceiling / 2 <= wait <= ceiling
    assert len(set(waits)) == 100
    backoff.reset()
    assert backoff.next_s() <= 0.5


def test_a_budget_allows_a_burst_then_the_refill():
    budget = Budget(pool=30_000, refill_per_s=9_000, cost=3_000, now_ns=0)
    assert [budget.take(0) for _ in range(11)] == [True] * 10 + [False]
    assert not budget.take(S // 4)
    assert [budget.take(S) for _ in range(3)] == [True, True, True]
    assert not budget.take(S)


@pytest.mark.parametrize(("count_max", "bytes_max"), [(3, 10**6), (100, 40)])
def test_batches_keep_order_and_limits(count_max, bytes_max):
    names = [f"ticker.{number:03}" for number in range(20)]
    runs = batches(names, count_max, bytes_max)
    assert [name for run in runs for name in run] == names
    assert all(len(run) <= count_max for run in runs)
    assert all(sum(len(name) + 3 for name in run) <= bytes_max for run in runs)
    assert batches([], 3, 10) == []
