"""The eSSVI board is certified whatever the quotes say."""

import numpy as np
import pytest

from derivasys.analytics.arbitrage import certify
from derivasys.analytics.svi import round_published
from derivasys.fit.essvi import essvi_board
from derivasys.fit.slice import to_raw


@pytest.mark.parametrize("seed", range(12))
def test_any_quotes_give_a_certified_board(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 13))
    counts = rng.integers(0, 30, n)
    offsets = np.concatenate(([0], np.cumsum(counts)))
    level = np.sort(10 ** rng.uniform(-4, 0, n)) if seed % 2 else 10 ** rng.uniform(-4, 0, n)
    k = np.concatenate([np.sort(rng.normal(0.0, 1.5 * v**0.5, c)) for v, c in zip(level, counts, strict=True)])
    w = np.concatenate(
        [v * (0.5 + rng.uniform(size=c) + rng.uniform(size=c) ** 4) for v, c in zip(level, counts, strict=True)]
    )
    weight = (0.05 * w + 1e-12) ** -2.0
    start = np.stack([0.5 * level, 0.5 * level**0.5, 0.5 * level**0.5, np.zeros(n), 0.5 * np.log(level)], axis=1)
    x = np.empty((n, 5))
    essvi_board(offsets, k, w, weight, start, level, x)
    rows = np.empty((n, 5))
    for i in range(n):
        to_raw(x[i], rows[i])
    certificate = certify(round_published(rows))
    assert certificate.ok.all(), (certificate.min_g, certificate.calendar_margin)
