"""The combination of forwards on random boards."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.boards import NOW_NS, WEEK_MS, smile_board

from derivasys.estimate.chain import Chain
from derivasys.estimate.forward import STDERR_BP_MIN, estimate
from derivasys.messages import Contract, Forward, Quote

FUTURE = Contract("deribit", "BTC-21MAR26", "BTC", "future", "quote", WEEK_MS)


def chain_of(events) -> Chain:
    chain = Chain("BTC")
    for event in events:
        chain.apply(event)
    chain.take_dirty(NOW_NS)
    return chain


@settings(max_examples=150, deadline=None)
@given(
    venue_bp=st.floats(-30, 30),
    future_bp=st.floats(-30, 30),
    future_width_bp=st.floats(0.1, 30),
    width=st.floats(0.0005, 0.05),
    unit=st.sampled_from(["coin", "quote"]),
)
def test_the_combination_lies_among_its_sources_and_is_never_less_sure(
    venue_bp, future_bp, future_width_bp, width, unit
):
    parity, own, mid = 100.0, 100.0 * (1 + 1e-4 * venue_bp), 100.0 * (1 + 1e-4 * future_bp)
    half = 0.5e-4 * future_width_bp * mid
    events = [
        Forward("deribit", "BTC-FUT", "BTC", WEEK_MS, NOW_NS, NOW_NS, own) if isinstance(e, Forward) else e
        for e in smile_board(forward=parity, width=width, unit=unit)
    ]
    found = estimate(
        chain_of([*events, Quote(FUTURE, NOW_NS, NOW_NS, mid - half, mid + half, 1.0, 1.0)]), "deribit", 0, NOW_NS
    )
    assert min(parity, own, mid) * (1 - 1e-12) <= found.price <= max(parity, own, mid) * (1 + 1e-12)
    assert STDERR_BP_MIN <= found.stderr_bp <= max(0.5, found.parity_stderr_bp)
    assert found.is_disputed or abs(found.parity_gap_bp) <= 3.0 * math.hypot(0.5, found.parity_stderr_bp) + 1e-9
    assert found.source in ("venue", "future", "parity")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["coin", "quote"]), st.floats(0.1, 5000))
def test_parity_is_the_same_in_any_unit_of_money(seed, unit, scale):
    # The same board with all prices in another currency: gap, error and pairs are those of the first.
    found = []
    for forward in (100.0, 100.0 * scale):
        rng = np.random.default_rng(seed)
        events = []
        for event in smile_board(forward=forward, unit=unit):
            if isinstance(event, Quote):
                nudge = rng.normal(0, 0.1) * (event.ask - event.bid)
                events.append(Quote(event.contract, NOW_NS, NOW_NS, event.bid + nudge, event.ask + nudge, 1.0, 1.0))
            else:
                events.append(event)
        found.append(estimate(chain_of(events), "deribit", 0, NOW_NS))
    one, other = found
    assert one.parity_gap_bp == pytest.approx(other.parity_gap_bp, abs=0.02), "strikes are rounded to 1e-6"
    assert one.parity_stderr_bp == pytest.approx(other.parity_stderr_bp, rel=1e-2)
    assert one.parity_pairs == other.parity_pairs


def test_the_error_of_parity_is_what_it_says():
    # Mids uniformly distributed in their bands, as the error assumes: z has the quantiles of a normal deviate.
    rng = np.random.default_rng(7)
    near = tuple(0.01 * step for step in range(-6, 7))
    quotes = [e for e in smile_board(forward=100.0, log_strikes=near) if not isinstance(e, Forward)]
    z = []
    for _ in range(400):
        events = []
        for event in quotes:
            if isinstance(event, Quote):
                nudge = rng.uniform(-0.5, 0.5) * (event.ask - event.bid)
                events.append(Quote(event.contract, NOW_NS, NOW_NS, event.bid + nudge, event.ask + nudge, 1.0, 1.0))
            else:
                events.append(event)
        found = estimate(chain_of(events), "deribit", 0, NOW_NS)
        z.append(1e4 * (found.price / 100.0 - 1.0) / found.stderr_bp)
    assert np.median(np.abs(z)) == pytest.approx(0.67, abs=0.15)
    assert np.percentile(np.abs(z), 95) < 2.6
