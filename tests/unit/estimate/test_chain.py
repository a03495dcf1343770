import math

import numpy as np
import pytest
from msgspec import structs
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, option

from derivasys.estimate.chain import Chain
from derivasys.messages import Contract, Forward, Gap, Index, Instrument, Mark, Quote, Status, Trade


def listed(*contracts) -> Chain:
    chain = Chain("BTC")
    for of in contracts:
        chain.apply(Instrument(of, NOW_NS, tick_size=0.1))
    return chain


def quote(of, bid=1.0, ask=2.0, event_ns=NOW_NS, recv_ns=NOW_NS) -> Quote:
    return Quote(of, recv_ns, event_ns, bid, ask, 3.0, 4.0)


def test_rows_are_in_order_of_expiry_strike_and_type():
    later = WEEK_MS + DAY_MS
    chain = listed(option(110, "P"), option(100, "P", expiry=later), option(110, "C"), option(90, "C"))
    assert chain.take_dirty(NOW_NS) == [WEEK_MS, later]
    assert [(of.strike, of.type) for of in chain.contracts] == [(90, "C"), (110, "C"), (110, "P"), (100, "P")]
    assert chain.starts.tolist() == [0, 3, 4]
    assert chain.slot.tolist() == [0, 0, 0, 1]


def test_a_quote_marks_the_expiry_that_is_listed_whatever_its_own_contract_says():
    listing = option(100)
    chain = listed(listing)
    chain.take_dirty(NOW_NS)
    named = structs.replace(listing, expiry=WEEK_MS + 3_600_000)
    chain.apply(quote(named))
    assert chain.take_dirty(NOW_NS) == [WEEK_MS]
    chain.apply(Trade(named, NOW_NS, NOW_NS, 1.0, 1.0, "buy", "1", 0.5))
    assert chain.take_dirty(NOW_NS) == [WEEK_MS]


def test_a_quote_writes_its_row_and_marks_its_expiry():
    of = option(100)
    chain = listed(option(90), of)
    chain.take_dirty(NOW_NS)
    chain.apply(quote(of, bid=None))
    assert chain.take_dirty(NOW_NS) == [WEEK_MS]
    assert math.isnan(chain.bid[1])
    assert (chain.ask[1], chain.bid_size[1], chain.ask_size[1], chain.recv_ns[1]) == (2.0, 3.0, 4.0, NOW_NS)
    assert chain.take_dirty(NOW_NS) == []


def test_a_quote_between_listing_and_layout_is_not_lost():
    of = option(100)
    chain = listed(option(110), option(90), of)
    chain.apply(quote(of))
    chain.take_dirty(NOW_NS)
    row = chain.contracts.index(of)
    assert chain.bid[row] == 1.0


def test_terms_are_those_of_the_last_listing():
    of = option(100)
    chain = listed(of)
    chain.apply(quote(of))
    chain.take_dirty(NOW_NS)
    chain.apply(Instrument(of, NOW_NS, tick_size=0.5, state="halted"))
    assert (chain.tick[0], chain.is_open[0], chain.bid[0]) == (0.5, False, 1.0)


def test_a_contract_listed_with_another_strike_gets_another_place():
    of, corrected = option(100), Contract("deribit", option(100).symbol, "BTC", "option", "quote", WEEK_MS, 130.0, "C")
    chain = listed(of, option(110))
    chain.take_dirty(NOW_NS)
    chain.apply(Instrument(corrected, NOW_NS))
    chain.take_dirty(NOW_NS)
    assert chain.strike.tolist() == [110.0, 130.0]
    assert chain.contracts[1] == corrected


def test_relisting_keeps_quotes():
    of = option(100)
    chain = listed(of)
    chain.apply(quote(of))
    chain.take_dirty(NOW_NS)
    chain.apply(Instrument(option(90), NOW_NS))
    chain.apply(Instrument(of, NOW_NS))
    chain.take_dirty(NOW_NS)
    assert chain.bid[chain.contracts.index(of)] == 1.0


def test_older_events_do_not_overwrite_newer_ones():
    of = option(100)
    chain = listed(of)
    chain.apply(quote(of, bid=1.0, event_ns=NOW_NS))
    chain.apply(quote(of, bid=9.0, event_ns=NOW_NS - 1))
    assert chain.bid[0] == 1.0
    assert chain.ignored["deribit", "out_of_order"] == 1


def test_a_quote_dated_ahead_does_not_shut_out_the_others():
    of = option(100)
    chain = listed(of)
    chain.apply(quote(of, bid=9.0, event_ns=NOW_NS + 10**12))
    chain.apply(quote(of, bid=1.0, event_ns=NOW_NS + 1))
    assert chain.bid[0] == 1.0
    assert chain.ignored["deribit", "time_ahead"] == 1


def test_quotes_of_unlisted_contracts_are_counted():
    chain = listed(option(100))
    chain.apply(quote(option(101)))
    assert chain.ignored["deribit", "unlisted"] == 1


def test_expired_contracts_leave():
    chain = listed(option(100), option(100, expiry=WEEK_MS + DAY_MS))
    chain.take_dirty(NOW_NS)
    chain.take_dirty(WEEK_MS * 10**6)
    assert chain.expiries == [WEEK_MS + DAY_MS]
    assert len(chain) == 1


@pytest.mark.parametrize("state", ["delivered", "closed", "terminated", "archivized", "settled"])
def test_delivered_contracts_leave(state):
    of = option(100)
    chain = listed(of, option(110))
    chain.take_dirty(NOW_NS)
    chain.apply(Status("deribit", of.symbol, "BTC", NOW_NS, NOW_NS, state))
    assert chain.take_dirty(NOW_NS) == [WEEK_MS]
    assert of not in chain.contracts


@pytest.mark.parametrize(
    ("state", "is_open"), [("open", True), ("settlement", False), ("halted", False), ("locked", False)]
)
def test_a_contract_that_is_not_open_says_so(state, is_open):
    of = option(100)
    chain = listed(of)
    chain.apply(Status("deribit", of.symbol, "BTC", NOW_NS, NOW_NS, state))
    assert bool(chain.is_open[0]) is is_open


def test_a_listing_that_could_not_be_read_is_counted():
    chain = listed(option(100))
    chain.apply(Status("deribit", "BTC-UP-C", "BTC", NOW_NS, NOW_NS, "unreadable"))
    assert chain.ignored["deribit", "unreadable"] == 1
    assert chain.is_open[0]


def test_a_gap_empties_the_row():
    of = option(100)
    chain = listed(of)
    chain.apply(quote(of))
    chain.apply(Gap("deribit", of.symbol, "BTC", NOW_NS, NOW_NS, 1, 2))
    assert np.isnan([chain.bid[0], chain.ask[0], chain.bid_size[0], chain.ask_size[0]]).all()


def test_marks_forwards_index_and_trades_are_kept():
    of = option(100)
    chain = listed(of)
    chain.apply(Mark(of, NOW_NS, NOW_NS, 1.5, 0.6))
    chain.apply(Forward("deribit", "BTC-FUT", "BTC", WEEK_MS, NOW_NS, NOW_NS, 101.0))
    chain.apply(Index("deribit", "btc_usd", "BTC", NOW_NS, NOW_NS, 100.5))
    chain.apply(Trade(of, NOW_NS, NOW_NS - 7, 1.4, 2.0, "buy", "1", 0.55))
    assert (chain.mark[0], chain.mark_iv[0], chain.last_iv[0], chain.last_ns[0]) == (1.5, 0.6, 0.55, NOW_NS - 7)
    assert chain.forwards["deribit", "", WEEK_MS].price == 101.0
    assert chain.index["deribit"] == (100.5, NOW_NS)


@pytest.mark.parametrize("marker", [{"is_block": True}, {"combo_id": "BTC-CS-1"}])
def test_block_and_combo_prints_are_no_last_trade(marker):
    of = option(100)
    chain = listed(of)
    chain.apply(Trade(of, NOW_NS, NOW_NS, 1.4, 2.0, "buy", "1", 0.55, **marker))
    assert math.isnan(chain.last_iv[0])


def test_the_chain_is_bounded(monkeypatch):
    monkeypatch.setattr("derivasys.estimate.chain.ROWS_MAX", 2)
    chain = listed(option(90), option(100), option(110))
    assert chain.ignored["deribit", "chain_full"] == 1
    chain.take_dirty(NOW_NS)
    assert len(chain) == 2


def test_many_rows_grow_the_columns():
    contracts = [option(float(strike)) for strike in range(1, 1200)]
    chain = listed(*contracts)
    for of in contracts:
        chain.apply(quote(of, bid=of.strike))
    chain.take_dirty(NOW_NS)
    assert chain.bid.tolist() == chain.strike.tolist()
