import math

import msgspec
import numpy as np
import pytest
from tests.boards import NOW_NS, WEEK_MS, smile_board

from derivasys.estimate.chain import Chain
from derivasys.estimate.forward import (
    AGE_S_MAX,
    FUTURE_AGE_S_MAX,
    PARITY_AGE_S_MAX,
    VENUE_STDERR_BP_MIN,
    estimate,
    estimate_all,
)
from derivasys.messages import Contract, Forward, Index, Quote
from derivasys.pipeline import Pipeline

FUTURE = Contract("deribit", "BTC-21MAR26", "BTC", "future", "quote", WEEK_MS)
LATER_NS = NOW_NS + int((AGE_S_MAX + 1) * 1e9)


def chain_of(events) -> Chain:
    chain = Chain("BTC")
    for event in events:
        chain.apply(event)
    chain.take_dirty(NOW_NS)
    return chain


def without_forward(**options) -> list:
    return [event for event in smile_board(**options) if not isinstance(event, Forward)]


def without_puts(**options) -> list:
    """Listings, quotes of calls and the forward: nothing that parity could be read from."""
    return [e for e in smile_board(**options) if isinstance(e, Forward) or e.contract.type == "C"]


def future(bid: float, ask: float) -> Quote:
    return Quote(FUTURE, NOW_NS, NOW_NS, bid, ask, 1.0, 1.0)


def test_the_venue_alone():
    found = estimate(chain_of(without_puts(forward=100.0)), "deribit", 0, NOW_NS)
    assert (found.price, found.source, found.recv_ns) == (100.0, "venue", NOW_NS)
    assert found.stderr_bp == VENUE_STDERR_BP_MIN
    assert math.isnan(found.parity_gap_bp)


def test_venue_and_parity_are_combined_by_inverse_variance():
    chain = chain_of(smile_board(forward=100.0))
    chain.apply(Forward("deribit", "BTC-FUT", "BTC", WEEK_MS, NOW_NS, NOW_NS, 100.01))
    found = estimate(chain, "deribit", 0, NOW_NS)
    step_bp = 1.0  # the venue's last step, of which one observation is remembered
    weights = np.array([step_bp**-2, found.parity_stderr_bp**-2])
    assert found.price == pytest.approx(np.average([100.01, 100.0], weights=weights), rel=1e-6)
    assert found.stderr_bp == pytest.approx(weights.sum() ** -0.5, rel=1e-2)
    assert found.parity_gap_bp == pytest.approx(-1.0, abs=0.01)
    assert found.parity_pairs == 13
    assert not found.is_disputed
    assert found.source == ("venue" if found.parity_stderr_bp > step_bp else "parity"), "that of most weight"


def test_parity_that_disagrees_is_left_out_and_said():
    chain = chain_of(smile_board(forward=100.0, width=0.001))
    own = next(e for e in without_puts() if isinstance(e, Forward))
    chain.forwards.clear()
    chain.apply(msgspec.structs.replace(own, price=100.5))
    found = estimate(chain, "deribit", 0, NOW_NS)
    assert found.is_disputed
    assert found.parity_gap_bp == pytest.approx(-49.75, abs=0.1)
    assert found.price in (100.5, pytest.approx(100.0, rel=1e-6)), "one or the other, nothing between"


def test_rows_of_one_expiry_that_disagree_widen_the_error():
    chain = chain_of(without_puts())
    for price in (100.0, 100.1, 100.0, 100.1):
        chain.apply(Forward("deribit", "BTC-FUT", "BTC", WEEK_MS, NOW_NS, NOW_NS, price))
    assert estimate(chain, "deribit", 0, NOW_NS).stderr_bp == pytest.approx(10.0, rel=0.02)


def test_a_fresh_tight_future_counts_and_a_stale_one_does_not():
    calls = [e for e in without_forward() if e.contract.type == "C"]
    found = estimate(chain_of([*calls, future(99.999, 100.001)]), "deribit", 0, NOW_NS)
    assert (found.price, found.source) == (pytest.approx(100.0), "future")
    with_venue = estimate(chain_of([*without_puts(forward=100.001), future(99.999, 100.001)]), "deribit", 0, NOW_NS)
    assert with_venue.source == "future", "of the lesser error"
    assert 100.0 < with_venue.price < 100.001
    stale_ns = NOW_NS + int((FUTURE_AGE_S_MAX + 1) * 1e9)
    assert estimate(chain_of([*without_forward(), future(99.999, 100.001)]), "deribit", 0, stale_ns).source == "parity"


def test_a_future_that_disagrees_with_the_venue_is_not_averaged():
    found = estimate(chain_of([*without_puts(forward=100.0), future(101.0, 101.001)]), "deribit", 0, NOW_NS)
    assert found.price in (100.0, 101.0005)


def test_old_quotes_and_closed_contracts_are_no_pairs():
    old_ns = NOW_NS + int((PARITY_AGE_S_MAX + 1) * 1e9)
    chain = chain_of(smile_board())
    chain.apply(Forward("deribit", "BTC-FUT", "BTC", WEEK_MS, old_ns, old_ns, 100.0))
    assert estimate(chain, "deribit", 0, old_ns).parity_pairs == 0
    chain = chain_of(smile_board())
    chain.is_open[:] = False
    assert estimate(chain, "deribit", 0, NOW_NS).parity_pairs == 0


def test_each_venue_has_its_own():
    chain = chain_of([*smile_board(forward=100.0), *smile_board(forward=100.2, venue="other")])
    (both,) = estimate_all(chain, [0], NOW_NS).price.tolist()
    prices = dict(zip(chain.venues, both, strict=True))
    assert prices == {"deribit": pytest.approx(100.0), "other": pytest.approx(100.2)}


def test_what_is_given_stays_as_given():
    chain = chain_of(smile_board(forward=100.0))
    chain.apply(Forward("deribit", "given", "BTC", WEEK_MS, NOW_NS, NOW_NS, 100.01))
    found = estimate(chain, "deribit", 0, NOW_NS)
    assert (found.price, found.source) == (100.01, "given")
    assert found.parity_gap_bp == pytest.approx(-1.0, abs=0.01)


def test_a_disagreement_is_a_remark_on_the_smile():
    pipeline = Pipeline()
    for event in smile_board(width=0.001):
        pipeline.apply(msgspec.structs.replace(event, price=100.5) if isinstance(event, Forward) else event)
    (surface,) = pipeline.drain(NOW_NS)
    assert any(reason.startswith("parity disagrees by 49.8 bp (error ") for reason in surface.reasons[0])


def test_a_wide_future_does_not():
    chain = chain_of([*without_forward(), Quote(FUTURE, NOW_NS, NOW_NS, 99.0, 101.0, 1.0, 1.0)])
    assert estimate(chain, "deribit", 0, NOW_NS).source == "parity"


@pytest.mark.parametrize("unit", ["coin", "quote"])
def test_parity_finds_the_forward_of_either_unit(unit):
    found = estimate(chain_of(without_forward(forward=100.0, unit=unit)), "deribit", 0, NOW_NS)
    assert found.source == "parity"
    assert found.price == pytest.approx(100.0, rel=1e-4)
    assert found.stderr_bp < 50


def test_the_index_is_the_last_resort():
    calls = [e for e in without_forward() if e.contract.type == "C"]
    chain = chain_of([*calls, Index("deribit", "btc_usd", "BTC", NOW_NS, NOW_NS, 99.0)])
    found = estimate(chain, "deribit", 0, NOW_NS)
    assert (found.price, found.source) == (99.0, "index")
    assert found.stderr_bp >= 50


def test_a_forward_named_index_price_is_called_what_it_is():
    index = Forward("deribit", "index_price", "BTC", WEEK_MS, NOW_NS, NOW_NS, 99.9)
    calls = [e for e in without_forward() if e.contract.type == "C"]
    assert estimate(chain_of([*calls, index]), "deribit", 0, NOW_NS).source == "index"
    found = estimate(chain_of([*without_forward(forward=100.0), index]), "deribit", 0, NOW_NS)
    assert (found.price, found.source) == (pytest.approx(100.0), "parity"), "no carry in the index"


def test_an_old_statement_gives_way_to_parity():
    chain = chain_of(smile_board())
    assert estimate(chain, "deribit", 0, LATER_NS).source == "parity"


def test_nothing_is_no_forward():
    calls = [e for e in without_forward() if e.contract.type == "C"]
    found = estimate(chain_of(calls), "deribit", 0, NOW_NS)
    assert not found.price > 0
