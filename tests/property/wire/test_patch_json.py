"""The compiled writer says what the tree says: for any two tables, to the last digit and type."""

import json
import math

import numpy as np
import orjson
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from derivasys.wire.patch_json import listing_of, patch_json, table_json
from derivasys.wire.table import Field, Layout, Table, patch

LAYOUT = Layout(
    [
        Field(("price",), 2),
        Field(("nodes", "5P", "vol"), 3),
        Field(("nodes", "5P", "quotes"), 0),
        Field(("fit", "state"), codes=("fitted", "held", 'odd "one"')),
        Field(("nodes", "5C", "vol"), 3),
        Field(("nodes", "5C", "is_out"), codes=(False, True)),
        Field(("tau",)),
    ]
)  # nodes of two branches, and a field between them that stands elsewhere
FLAT = Layout([Field(("bid",), 1), Field(("size",)), Field(("ts",), 0)])
KEYS = tuple((expiry, strike, venue) for expiry in ("e1", "e2") for strike in ("9", "10", '"') for venue in ("a", "b"))
LISTING = listing_of(KEYS)


def canonical(tree) -> bytes:
    return orjson.dumps(tree, option=orjson.OPT_SORT_KEYS)


def said(fragment) -> bytes:
    """What a message would carry, without two members of one name."""

    def once(pairs):
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    return canonical(json.loads(orjson.dumps(fragment), object_pairs_hook=once))


def check(old: Table, new: Table) -> None:
    expected, found = patch(old, new), patch_json(old, new)
    if expected is None:
        assert found is None
    else:
        assert isinstance(found, orjson.Fragment), "written by the loop"
        assert said(found) == canonical(expected)


CELL = st.sampled_from([math.nan, 0.0, 1.0, 2.0]) | st.sampled_from([math.nan, 1.5, -0.25])
ROW = st.tuples(
    CELL, CELL, CELL, st.sampled_from([math.nan, 0.0, 1.0, 2.0]), CELL, st.sampled_from([math.nan, 0.0, 1.0]), CELL
)
NOTE = st.fixed_dictionaries({("fit", "reasons"): st.lists(st.sampled_from(["sparse", "ü"]), max_size=2)})


@st.composite
def pairs(draw):
    """Two versions of a table with the same rows."""
    keys = tuple((key,) for key in ("1", "2", "3")[: draw(st.integers(1, 3))])
    made = []
    with_notes = draw(st.booleans())
    for _ in range(2):
        values = LAYOUT.rounded(np.array([draw(ROW) for _ in keys], np.float64))
        notes = tuple(draw(NOTE) for _ in keys) if with_notes else ()
        made.append(Table(LAYOUT, keys, values, ({"label": "x"},) * len(keys), notes))
    return made


@settings(max_examples=400, deadline=None)
@given(pairs())
def test_tables_of_the_same_rows(pair):
    check(*pair)


@st.composite
def parts(draw):
    """Two tables of some rows of one listing."""
    made = []
    for _ in range(2):
        at = np.array(sorted(draw(st.sets(st.integers(0, len(KEYS) - 1)))), np.int64)
        rows = [draw(st.tuples(CELL, CELL, CELL)) for _ in at]
        values = FLAT.rounded(np.array(rows, np.float64).reshape(len(at), 3))
        made.append(Table(FLAT, tuple(KEYS[one] for one in at), values, listing=LISTING, at=at))
    return made


@settings(max_examples=400, deadline=None)
@given(parts())
def test_tables_whose_rows_come_and_go(pair):
    check(*pair)
    for table in pair:
        assert said(table_json(table)) == canonical(table.tree())


def numbers(layout: Layout, values) -> None:
    """Write each value alone and read it back."""
    values = np.array(values, np.float64).reshape(-1, 1)
    keys = tuple((str(at),) for at in range(len(values)))
    table = Table(layout, keys, layout.rounded(values))
    assert said(table_json(table)) == canonical(table.tree())


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=50))
@example([0.1 + 0.2, 1e-7, 123456789.123456789, 5e-324, 1.7976931348623157e308, -0.0, 0.0, 2.0**53, 1e22, math.inf])
def test_any_number_reads_as_itself(values):
    numbers(Layout([Field(("x",))]), values)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 9), st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=50))
def test_published_decimals_read_as_themselves(decimals, values):
    numbers(Layout([Field(("x",), decimals)]), values)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(-(10**17), 10**17).map(float), min_size=1, max_size=50))
def test_whole_numbers_have_no_point(values):
    numbers(Layout([Field(("x",), 0)]), values)


@pytest.mark.parametrize("long", [100, 5000])
def test_long_texts_and_many_long_numbers_are_written_all_the_same(long):
    keys = tuple((f"{row:05d}",) for row in range(20_000))
    values = np.full((len(keys), 1), 1.5)
    values[:long] = 0.1 + 0.2
    table = Table(Layout([Field(("a field of some length",))]), keys, values)
    assert said(table_json(table)) == canonical(table.tree())


def test_rows_out_of_tree_order_go_through_the_tree():
    keys = (("e1", "a"), ("e2", "a"), ("e1", "b"))
    old = Table(FLAT, keys, np.zeros((3, 3)))
    new = Table(FLAT, keys, np.ones((3, 3)))
    assert patch_json(old, new) == patch(old, new)
