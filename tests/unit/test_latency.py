import numpy as np
import pytest

from derivasys.latency import WINDOW_S, Latency


def test_quantiles_are_within_a_bin():
    latency = Latency()
    sample = np.random.default_rng(1).lognormal(1.0, 1.0, 20_000)
    latency.add_many("x", sample)
    for share, found in zip((0.1, 0.5, 0.99), latency.quantiles(0.1, 0.5, 0.99)["x"], strict=True):
        assert found == pytest.approx(np.quantile(sample, share), rel=0.03)


def test_what_is_old_is_forgotten_and_what_is_new_kept():
    latency = Latency()
    latency.add("x", 5.0)
    for _ in range(WINDOW_S - 1):
        latency.tick()
    latency.add("y", 7.0)
    assert latency.quantiles(0.5).keys() == {"x", "y"}
    latency.tick()
    assert latency.quantiles(0.5).keys() == {"y"}
    latency.clear()
    assert latency.quantiles(0.5) == {}


def test_nothing_and_less_than_nothing_is_zero_and_no_stage_without_samples():
    latency = Latency()
    latency.add("x", -3.0, 0.0)
    latency.add("none")
    assert latency.quantiles(0.5, 0.99) == {"x": [0.0, 0.0]}
    latency.add("long", 1e12)
    assert latency.quantiles(0.5)["long"][0] > 4e5
