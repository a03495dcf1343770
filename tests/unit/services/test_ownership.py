"""A partition's chains from a compacted log, where a listing may stand behind the quotes of its contract."""

import random

import pytest
from tests.boards import NOW_NS, smile_board
from tests.unit.bus.test_records import Record

from derivasys.bus import records, trace
from derivasys.bus.records import BadRecord
from derivasys.messages import Instrument, Quote, Status
from derivasys.pipeline import Pipeline
from derivasys.services.ownership import Claim, Owned


class Clients:
    def topic(self, name):
        return name


class Logged(Record):
    def __init__(self, event, offset):
        super().__init__(
            records.encode_event(event), records.headers(trace.start().header()), records.event_key(event).encode()
        )
        self._offset = offset

    def offset(self):
        return self._offset

    def timestamp(self):
        return 1, NOW_NS // 1_000_000


def owned_from(events):
    owned = Owned(0, Clients(), Pipeline, "test")
    for offset, event in enumerate(events):
        owned.take(Logged(event, offset), NOW_NS)
    owned.claimed = Claim(None, 1, {}, len(events))
    assert owned.is_whole(-1)
    owned.start()
    return owned.pipeline


def surface(pipeline):
    return pipeline.drain(NOW_NS)[0]


def test_the_order_that_compaction_leaves_does_not_matter():
    """Any order of the newest records of each key gives the chain of the order in which they came."""
    events = smile_board()
    straight = Pipeline()
    for event in events:
        straight.apply(event)
    expected = surface(straight)
    for seed in range(5):
        shuffled = random.Random(seed).sample(events, len(events))
        found = surface(owned_from(shuffled))
        assert found.params.tolist() == expected.params.tolist()
        assert found.board.symbols == expected.board.symbols


def test_a_contract_that_was_closed_stays_closed_and_one_listed_again_is_open():
    events = smile_board()
    of = next(event for event in events if isinstance(event, Instrument)).contract
    closed = Status(of.venue, of.symbol, of.ccy, NOW_NS, None, "closed")
    assert of.symbol not in surface(owned_from([*events, closed])).board.symbols
    again = [event for event in events if not (isinstance(event, Instrument) and event.contract == of)]
    assert of.symbol in surface(owned_from([*again, closed, Instrument(of, NOW_NS, tick_size=1e-6)])).board.symbols


def test_it_is_whole_only_when_the_log_of_the_claim_has_been_read():
    owned = Owned(0, Clients(), Pipeline, "test")
    assert not owned.is_whole(5), "nothing is whole before the fence"
    owned.claimed = Claim(None, 1, {}, 3)
    for offset, event in enumerate(smile_board()[:3]):
        assert not owned.is_whole(-1)
        owned.take(Logged(event, offset), NOW_NS)
    assert owned.is_whole(-1)
    assert owned.is_rebuilding


def test_what_cannot_be_read_is_told_and_changes_nothing():
    owned = Owned(0, Clients(), Pipeline, "test")
    bad = Logged(next(event for event in smile_board() if isinstance(event, Quote)), 0)
    bad._headers = [("schema", b"9")]
    with pytest.raises(BadRecord, match="schema version 9"):
        owned.take(bad, NOW_NS)
    assert not owned.is_rebuilding
