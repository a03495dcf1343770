import math

import numpy as np
import pytest

from derivasys.wire.table import Field, Layout, Table, merge, merge_diff, patch

LAYOUT = Layout(
    [
        Field(("a",), 2),
        Field(("n", "count"), 0),
        Field(("n", "flag"), codes=(False, True)),
        Field(("n", "name"), codes=("x", "y")),
        Field(("free",)),
    ]
)
NAN = math.nan


def table(*rows, keys=None, fixed=(), notes=()) -> Table:
    values = LAYOUT.rounded(np.array(rows, np.float64).reshape(len(rows), 5))
    return Table(LAYOUT, tuple(keys or ((f"r{at}",) for at in range(len(rows)))), values, fixed, notes)


ROW = [1.234, 3, 1, 0, 0.1 + 0.2]


def test_rounding_gives_the_shortest_decimals_and_no_negative_zero():
    rounded = LAYOUT.rounded(np.array([[1.005, 2.5, 0, 0, 0.1 + 0.2], [-0.001, -0.4, 1, 1, -0.0]]))
    assert rounded[0].tolist() == [1.0, 2.0, 0, 0, 0.1 + 0.2]
    assert math.copysign(1, rounded[1, 0]) == 1


def test_a_tree_leaves_missing_values_out():
    assert table(ROW).tree() == {"r0": {"a": 1.23, "n": {"count": 3, "flag": True, "name": "x"}, "free": 0.1 + 0.2}}
    assert table([NAN] * 5).tree() == {"r0": {}}
    assert isinstance(table(ROW).tree()["r0"]["n"]["count"], int)


def test_equal_tables_have_no_patch():
    assert patch(table(ROW), table(ROW)) is None


def test_a_patch_holds_what_changed_at_published_precision():
    assert patch(table(ROW), table([1.2349, 3, 1, 0, 0.1 + 0.2])) is None
    assert patch(table(ROW), table([1.24, 3, 0, 0, 0.1 + 0.2])) == {"r0": {"a": 1.24, "n": {"flag": False}}}


def test_a_vanished_value_is_null_and_takes_empty_parents_with_it():
    assert patch(table(ROW), table([NAN, 3, 1, 0, 0.1 + 0.2])) == {"r0": {"a": None}}
    gone = patch(table(ROW), table([1.234, NAN, NAN, NAN, 0.1 + 0.2]))
    assert gone == {"r0": {"n": None}}


def test_rows_come_and_go_at_the_highest_branch():
    old = table(ROW, ROW, ROW, keys=[("e1", "s1"), ("e1", "s2"), ("e2", "s1")])
    new = table(ROW, ROW, keys=[("e1", "s2"), ("e3", "s1")])
    assert patch(old, new) == {"e1": {"s1": None}, "e2": None, "e3": {"s1": new.row(1)}}


def test_notes_and_fixed_parts():
    old = table(ROW, fixed=({"label": "A"},), notes=({("fit", "reasons"): []},))
    new = table(ROW, fixed=({"label": "A"},), notes=({("fit", "reasons"): ["sparse"]},))
    assert old.tree()["r0"]["label"] == "A"
    assert patch(old, new) == {"r0": {"fit": {"reasons": ["sparse"]}}}
    relabelled = table(ROW, fixed=({"label": "B"},), notes=({("fit", "reasons"): []},))
    assert patch(old, relabelled) == {"r0": {"label": "B"}}


@pytest.mark.parametrize(
    ("state", "change", "result"),
    [
        # The examples of RFC 7396, appendix A.
        ({"a": "b"}, {"a": "c"}, {"a": "c"}), ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}), ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}), ({"a": ["b"]}, {"a": "c"}, {"a": "c"}), ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}), ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]), ({"a": "b"}, ["c"], ["c"]), ({"a": "foo"}, None, None), ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}), ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)  # fmt: skip
def test_merge_follows_rfc_7396(state, change, result):
    assert merge(state, change) == result


def test_merge_diff_is_the_inverse_of_merge():
    old = {"a": 1, "b": {"c": 2, "d": 3}, "e": {"f": 1}}
    new = {"a": 1, "b": {"c": 5}, "g": [1]}
    change = merge_diff(old, new)
    assert change == {"b": {"c": 5, "d": None}, "e": None, "g": [1]}
    assert merge(old, change) == new
