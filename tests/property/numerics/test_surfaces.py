"""Whole boards of hostile quotes: what is published, the independent judge finds free of arbitrage, and the reverse."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.property.numerics import examples, independent

from derivasys.analytics import ssvi, svi
from derivasys.fit.constrained import BoardFit, FitReason, FitState, fit_board

LIMITS = settings(
    max_examples=examples(12), deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
KINDS = ("fair", "sparse", "arbitrageable", "moved")
HALF_SPREAD = 0.006
"""Of an implied vol, decimal."""


def board(kind: str, seed: int) -> dict[str, np.ndarray]:
    """Return the fit's inputs: quotes of a surface free of arbitrage, spoilt as `kind` says.

    Sparse: up to 8 quotes an expiry, some none. Arbitrageable: vols off by up to a quarter. Moved: every quote of another
    moment of the last half a minute, read against one forward (a log-moneyness error of 10 bp).
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    tau = np.sort(10 ** rng.uniform(-2.6, 0.2, n))
    w_atm = np.cumsum(rng.uniform(0.3, 1.1, n) ** 2 * np.diff(tau, prepend=0.0))
    rho, phi = rng.uniform(-0.6, 0.4), rng.uniform(0.6, 1.3)
    counts = rng.integers(0, 9, n) if kind == "sparse" else rng.integers(10, 40, n)
    counts[0] = max(counts[0], 2)
    columns = []
    for level, t, count in zip(w_atm, tau, counts.tolist(), strict=True):
        k = np.sort(rng.uniform(-2.3, 2.0, count)) * level**0.5
        iv = np.sqrt(ssvi.total_variance(k, w_atm=level, psi=phi * level**0.5, rho=rho) / t)
        iv *= 1 + (rng.uniform(-0.25, 0.25, count) if kind == "arbitrageable" else rng.uniform(-0.004, 0.004, count))
        k += rng.normal(0.0, 1e-3, count) if kind == "moved" else 0.0
        order = np.argsort(k)
        columns.append(np.stack((k[order], iv[order], np.full(count, t))))
    k, iv, t = np.concatenate(columns, axis=1)
    return {
        "offsets": np.concatenate(([0], np.cumsum(counts))), "k": k, "w": iv * iv * t,
        "weight": (4 * iv * t * HALF_SPREAD) ** -2.0, "w_bid": (iv - HALF_SPREAD) ** 2 * t,
        "w_ask": (iv + HALF_SPREAD) ** 2 * t, "tau": tau,
    }  # fmt: skip


def judge(params: np.ndarray) -> tuple[float, float]:
    """Return the least g and the least calendar gap that the independent judge finds."""
    rows = params[np.isfinite(params).all(axis=1)]
    gaps = [independent.least_gap(first, second) for first, second in pairwise(rows)]
    return float(min(independent.least_g(row) for row in rows)), float(min(gaps, default=0.0))


def published(quotes: dict[str, np.ndarray], **start: np.ndarray) -> BoardFit:
    """Return the fit, having seen that what it publishes is certified and free of arbitrage."""
    fit = fit_board(**quotes, **start)
    is_published = fit.state != FitState.REJECTED
    assert is_published[np.diff(quotes["offsets"]) > 0].all()
    assert fit.certificate.ok[is_published].all()
    assert svi.round_published(fit.params).tobytes() == fit.params.tobytes()
    least_g, least_gap = judge(fit.params)
    assert least_g >= 0.0
    assert least_gap >= 0.0
    return fit


@pytest.mark.parametrize("kind", KINDS)
@given(seed=st.integers(0, 2**32))
@LIMITS
def test_whatever_the_quotes_the_judge_finds_no_arbitrage_in_what_is_published(kind: str, seed: int) -> None:
    quotes = board(kind, seed)
    cold = published(quotes)
    rng = np.random.default_rng(seed)
    moved = {**quotes, "w": quotes["w"] + 0.1 * rng.uniform(-1, 1, quotes["w"].size) / np.sqrt(quotes["weight"])}
    published(moved, start=cold.params, free_start=cold.free.start)


@given(seed=st.integers(0, 2**32))
@LIMITS
def test_no_smile_is_replaced_that_the_judge_finds_free_of_arbitrage(seed: int) -> None:
    fit = fit_board(**board("fair", seed))
    free = svi.round_published(fit.free.params)
    if fit.reasons[0] & FitReason.UNCONSTRAINED:
        assert fit.params.tobytes() == free.tobytes()
    else:
        assert min(judge(free)) < 0.0
