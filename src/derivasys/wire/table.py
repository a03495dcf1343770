"""Published state as a table, so that a diff is one comparison of two arrays.

A channel's state is a tree: row path (an expiry; an expiry, a strike and a venue) and below it fields (`atm_vol`,
`nodes.25P.vol`). Here it is a matrix of numbers already rounded to their published precision, NaN where a value is
missing, with fields of text and booleans held as codes. `tree` gives the state, `patch` the RFC 7396 merge patch
between two states of the same layout, at the cost of the cells that changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numba import njit, types
from numpy.typing import NDArray

Path = tuple[str, ...]
Tree = dict[str, Any]
Floats = NDArray[np.float64]


class Field(Struct, frozen=True):
    """One published field: where it stands below its row, and how its numbers become JSON."""

    path: Path
    decimals: int | None = None
    """Digits after the point; 0 gives integers, None leaves a number as it is."""
    codes: tuple[Any, ...] | None = None
    """For a field of text or booleans: the values that codes 0, 1, … stand for."""


class Layout:
    """The fields of a table's rows, in the order of its columns."""

    def __init__(self, fields: Sequence[Field]) -> None:
        self.fields = tuple(fields)
        self.column = {field.path: at for at, field in enumerate(fields)}
        decimals = [0 if f.decimals is None else f.decimals for f in fields]
        self._rounded = np.array([f.decimals is not None and f.decimals > 0 for f in fields])
        self._whole = np.array([f.decimals == 0 and f.codes is None for f in fields])
        self._scale = 10.0 ** np.array(decimals)
        self.is_flat = all(len(field.path) == 1 for field in fields)
        """Whether every field stands directly in its row."""
        parents = {field.path[:-1]: field.path[:-1] for field in fields}
        self.cells = [
            (parents[field.path[:-1]], field.path[-1], field.codes, bool(whole))
            for field, whole in zip(fields, self._whole, strict=True)
        ]
        """By column: parents (one object for all that have the same), name, codes, whether it is an integer; for loops
        over many cells."""

    def rounded(self, values: Floats) -> Floats:
        """Return `values` (rows, fields) at published precision: the doubles nearest to those decimals."""
        rounded = np.empty(values.shape)
        _round(np.ascontiguousarray(values, np.float64), self._scale, self._rounded | self._whole, rounded)
        return rounded


@njit(
    types.void(types.Array(types.float64, 2, "C", readonly=True), types.float64[::1], types.bool_[::1],
               types.float64[:, ::1]),
    cache=True, error_model="numpy",
)  # fmt: skip
def _round(values: Floats, scale: Floats, is_rounded: NDArray[np.bool_], out: Floats) -> None:
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            value = values[row, column]
            if is_rounded[column]:
                value = np.rint(value * scale[column]) / scale[column] + 0.0  # no negative zero
            out[row, column] = value


class Table(Struct, frozen=True):
    """One version of a channel's state.

    `values` is (rows, fields) at published precision. `fixed` holds, per row, what never changes while the row lives
    (a label). `notes` holds, per row, small values that a matrix cannot (lists of reasons), by path; all rows have the
    same paths. `keys` of some rows of a longer listing may say so: they are then those `at` its places, ascending.
    """

    layout: Layout
    keys: tuple[Path, ...]
    values: Floats
    fixed: tuple[Tree, ...] = ()
    notes: tuple[dict[Path, Any], ...] = ()
    listing: Any = None
    """`wire.patch_json.Listing`."""
    at: NDArray[np.int64] | None = None

    def row(self, at: int) -> Tree:
        """Return the whole state of one row."""
        tree = _copy(self.fixed[at]) if self.fixed else {}
        for (parents, name, codes, is_int), value in zip(self.layout.cells, self.values[at].tolist(), strict=True):
            if value == value:
                into = tree
                for parent in parents:
                    into = into.setdefault(parent, {})
                into[name] = codes[int(value)] if codes is not None else int(value) if is_int else value
        if self.notes:
            for path, value in self.notes[at].items():
                _put(tree, path, value)
        return tree

    def tree(self) -> Tree:
        """Return the state: rows below their paths."""
        tree: Tree = {}
        for at, key in enumerate(self.keys):
            _put(tree, key, self.row(at))
        return tree


def patch(old: Table, new: Table) -> Tree | None:
    """Return the merge patch that turns `old.tree()` into `new.tree()`; None when they are equal."""
    tree: Tree = {}
    if old.keys == new.keys:
        _patch_rows(tree, old, new, range(len(new.keys)), range(len(new.keys)))
    else:
        before = {key: at for at, key in enumerate(old.keys)}
        kept = [(before[key], at) for at, key in enumerate(new.keys) if key in before]
        _remove(tree, old, new)
        _patch_rows(tree, old, new, [at for at, _ in kept], [at for _, at in kept])
        for at, key in enumerate(new.keys):
            if key not in before:
                _put(tree, key, new.row(at))
    return tree or None


def _patch_rows(tree: Tree, old: Table, new: Table, old_rows: Sequence[int], new_rows: Sequence[int]) -> None:
    if not len(new_rows):
        return
    layout = new.layout
    before, after = old.values[list(old_rows)], new.values[list(new_rows)]
    gone = np.isnan(after)
    changed = (before != after) & ~(np.isnan(before) & gone)
    # A value that vanishes may take its parents with it; such rows are rare and go the general way.
    general = (changed & gone).any(axis=1)
    changed[general] = False
    rows, columns = np.nonzero(changed)
    last, row = -1, tree
    below: Path = ()
    into = tree  # the branch of the cell before, and its parents
    cells = layout.cells
    for at, column, value in zip(rows.tolist(), columns.tolist(), after[changed].tolist(), strict=True):
        if at != last:
            into = row = _at(tree, new.keys[new_rows[at]])
            last, below = at, ()
        parents, name, codes, is_int = cells[column]
        if parents is not below:
            into, below = row, parents
            for parent in parents:
                into = into.setdefault(parent, {})
        into[name] = value if not is_int and codes is None else int(value) if codes is None else codes[int(value)]
    # Rows without labels and lists differ in their numbers only.
    rest = range(len(new_rows)) if new.fixed or new.notes else np.flatnonzero(general).tolist()
    for at in rest:
        _patch_rest(tree, old, new, old_rows[at], new_rows[at], is_general=bool(general[at]))


def _patch_rest(tree: Tree, old: Table, new: Table, was: int, now: int, *, is_general: bool) -> None:
    """Put what the comparison of numbers leaves of a row: values that vanished, labels, lists."""
    if is_general or _differs(old.fixed, was, new.fixed, now):
        change = merge_diff(old.row(was), new.row(now))
        if change is not None:
            _put(tree, new.keys[now], change)
    elif _differs(old.notes, was, new.notes, now):
        row = _at(tree, new.keys[now])
        for path, value in new.notes[now].items():
            if old.notes[was].get(path) != value:
                _put(row, path, value)


def _differs(old: Sequence[Any], was: int, new: Sequence[Any], now: int) -> bool:
    return bool(new) and old[was] is not new[now] and old[was] != new[now]


def _remove(tree: Tree, old: Table, new: Table) -> None:
    """Put null at every old path that is gone, at the highest branch that has nothing left."""
    alive = {key[:depth] for key in new.keys for depth in range(1, len(key) + 1)}
    for key in old.keys:
        for depth in range(1, len(key) + 1):
            if key[:depth] not in alive:
                _put(tree, key[:depth], None)
                break


def merge_diff(old: Tree, new: Tree) -> Tree | None:
    """Return the RFC 7396 merge patch between two trees; None when they are equal."""
    changes: Tree = {}
    for name, value in new.items():
        was = old.get(name)
        if isinstance(value, dict) and isinstance(was, dict):
            below = merge_diff(was, value)
            if below is not None:
                changes[name] = below
        elif value != was or name not in old:
            changes[name] = value
    for name in old:
        if name not in new:
            changes[name] = None
    return changes or None


def merge(state: Any, change: Any) -> Any:
    """Return `state` with a merge patch applied (RFC 7396, section 2)."""
    if not isinstance(change, dict):
        return change
    merged = dict(state) if isinstance(state, dict) else {}
    for name, value in change.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge(merged.get(name), value)
    return merged


def _at(tree: Tree, path: Path) -> Tree:
    for name in path:
        tree = tree.setdefault(name, {})
    return tree


def _put(tree: Tree, path: Path, value: Any) -> None:
    _at(tree, path[:-1])[path[-1]] = value


def _copy(tree: Tree) -> Tree:
    return {name: _copy(at) if isinstance(at, dict) else at for name, at in tree.items()}
