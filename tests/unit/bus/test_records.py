"""States and events as records: what is read is what was written, whole or by what changed."""

import numpy as np
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, smile_board

from derivasys.bus import records, trace
from derivasys.bus.records import About, BadRecord, Stamp, Times
from derivasys.messages import Forward, Gap, Instrument, Mark, Quote, Status, Trade
from derivasys.pipeline import Pipeline
from derivasys.wire.state import state_of

TIMES = Times(1, 2, 3, 4)


class Record:
    def __init__(self, value, headers=(), key=b"k"):
        self._value, self._headers, self._key = value, list(headers), key

    def value(self):
        return self._value

    def key(self):
        return self._key

    def headers(self):
        return self._headers


def record(value, *more):
    return Record(value, records.headers(trace.start().header(), *more))


def states(count=6):
    """Return the states of a board whose quotes move, and whose listing changes on the way."""
    pipeline = Pipeline()
    made = []
    for at in range(count):
        for event in smile_board(level=0.6 + 0.01 * at, now_ns=NOW_NS + at * 10**9):
            pipeline.apply(event)
        if at == 3:
            for event in smile_board(expiry=WEEK_MS + 7 * DAY_MS, now_ns=NOW_NS + at * 10**9):
                pipeline.apply(event)
        made += [state_of(surface) for surface in pipeline.drain(NOW_NS + at * 10**9)]
    assert len(made) == count
    return made


def trees(state):
    return {name: table.tree() for name, table in state.tables.items()}


def read(encoded, before=None):
    return records.state_from(records.decode_state(record(encoded)), before)


def test_whole_states_and_what_changed_give_the_states_again():
    held, last, sizes = None, None, []
    for state in states():
        encoded = records.encode_state(state, 7, TIMES, last)
        decoded = records.decode_state(record(encoded))
        assert (decoded.epoch, decoded.version, decoded.times) == (7, state.version, TIMES)
        held = records.state_from(decoded, held)
        assert trees(held) == trees(state)
        for name in state.__struct_fields__:
            if name != "tables":
                assert getattr(held, name) == getattr(state, name), name
        for name, table in state.tables.items():
            assert np.array_equal(held.tables[name].values, table.values, equal_nan=True)
        last = state
        sizes.append(len(encoded))
    assert max(sizes[1:3]) < sizes[0], "a change is smaller than the whole"
    assert trees(read(records.encode_state(last, 7, None))) == trees(last)


def test_a_change_of_another_state_is_not_applied():
    one, two, three = states(3)
    change = records.encode_state(three, 7, TIMES, two)
    assert read(change, None) is None
    assert read(change, read(records.encode_state(one, 7, None))) is None
    assert trees(read(change, read(records.encode_state(two, 7, None)))) == trees(three)


def test_readers_share_the_layout_of_equal_tables():
    one, two = (read(records.encode_state(state, 7, None)) for state in states(2))
    assert one.tables["surface"].layout is two.tables["surface"].layout


def test_events_come_back():
    for event in smile_board():
        assert records.decode_event(record(records.encode_event(event))) == event


def test_a_gap_takes_the_place_of_the_quote_that_it_voids():
    events = {type(event): event for event in smile_board()}
    of = events[Quote].contract
    gap = Gap(of.venue, of.symbol, of.ccy, 1, None, None, None)
    assert records.event_key(gap) == records.event_key(events[Quote])
    others = [
        events[Instrument],
        Mark(of, 1, None, 1.0),
        Trade(of, 1, None, 1.0, 1.0, "buy", "t"),
        Status(of.venue, of.symbol, of.ccy, 1, None, "closed"),
    ]
    assert len({records.event_key(event) for event in (gap, *others)}) == 5


@pytest.mark.parametrize(("bad", "why"), [
    (Record(b"x"), "no schema version in the headers"),
    (Record(b"x", [("schema", b"7")]), "schema version 7 is not known here"),
    (Record(None, [("schema", b"1")]), "no value"),
    (Record(b"\xff\xff", [("schema", b"1")]), "no event: "),
])  # fmt: skip
def test_what_cannot_be_read_says_why(bad, why):
    with pytest.raises(BadRecord, match=why):
        records.decode_event(bad)


def test_states_that_cannot_be_read_say_why():
    for value in (b"", b"\x80", b"\xc1"):
        with pytest.raises(BadRecord, match="no state: "):
            records.decode_state(record(value))
    strange = records.decode_state(record(records.encode_state(states(1)[0], 7, None)))
    strange.fields["of_tomorrow"] = 1
    with pytest.raises(BadRecord, match="no state: "):
        records.state_from(strange, None)


def test_stamps_order_by_epoch_then_version():
    assert sorted([Stamp(2, 1), Stamp(1, 9), Stamp(1, 2)]) == [Stamp(1, 2), Stamp(1, 9), Stamp(2, 1)]
    at = Stamp(2**40, 5)
    assert records.stamp(Record(b"", [("stamp", at.pack(is_full=True))])) == (at, True)
    with pytest.raises(BadRecord, match="no header `stamp`"):
        records.stamp(Record(b"", [("stamp", b"short")]))


def test_raw_frames_say_what_they_are():
    about = About(1, 2, 3, 1)
    assert records.about(Record(b"", [("about", about.pack())])) == about
    with pytest.raises(BadRecord, match="no header `about`"):
        records.about(Record(b""))


def test_the_forwards_of_two_series_do_not_replace_each_other():
    keys = {records.event_key(Forward("bybit", "x", "BTC", 7, 1, 1, 100.0, series)) for series in ("USDC", "USDT")}
    assert len(keys) == 2
