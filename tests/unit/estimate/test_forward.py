import pytest
from tests.boards import NOW_NS, WEEK_MS, smile_board

from derivasys.estimate.chain import Chain
from derivasys.estimate.forward import AGE_S_MAX, FUTURE_AGE_S_MAX, estimate
from derivasys.messages import Contract, Forward, Index, Quote

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


def test_the_venue_comes_first():
    found = estimate(chain_of(smile_board(forward=100.0)), "deribit", 0, NOW_NS)
    assert (found.price, found.source, found.recv_ns) == (100.0, "venue", NOW_NS)


def test_rows_of_one_expiry_that_disagree_widen_the_error():
    chain = chain_of(smile_board())
    for price in (100.0, 100.1, 100.0, 100.1):
        chain.apply(Forward("deribit", "BTC-FUT", "BTC", WEEK_MS, NOW_NS, NOW_NS, price))
    assert estimate(chain, "deribit", 0, NOW_NS).stderr_bp == pytest.approx(10.0, rel=0.02)


def test_a_fresh_tight_future_follows():
    chain = chain_of([*without_forward(), Quote(FUTURE, NOW_NS, NOW_NS, 99.99, 100.01, 1.0, 1.0)])
    found = estimate(chain, "deribit", 0, NOW_NS)
    assert (found.price, found.source) == (pytest.approx(100.0), "future")
    stale_ns = NOW_NS + int((FUTURE_AGE_S_MAX + 1) * 1e9)
    assert estimate(chain, "deribit", 0, stale_ns).source == "parity"


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
    chain = chain_of(without_forward())
    chain.apply(Forward("deribit", "index_price", "BTC", WEEK_MS, NOW_NS, NOW_NS, 100.0))
    assert estimate(chain, "deribit", 0, NOW_NS).source == "index"


def test_an_old_statement_gives_way_to_parity():
    chain = chain_of(smile_board())
    assert estimate(chain, "deribit", 0, LATER_NS).source == "parity"


def test_nothing_is_no_forward():
    calls = [e for e in without_forward() if e.contract.type == "C"]
    found = estimate(chain_of(calls), "deribit", 0, NOW_NS)
    assert not found.price > 0
