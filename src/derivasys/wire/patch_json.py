"""Tables as JSON text, written by a compiled loop over the cells that changed: no object is made of any of them.

`patch_json` says what `table.patch` says, `table_json` what `Table.tree` says, in a quarter of the time of a tree that
is then encoded (`derivasys bench publish`). It knows only tables whose rows stand in one `Listing`; what is rare (a row
with fixed parts that comes or goes, another listing) goes through the tree.

A cell's path is its row's path, then its field's. Cells come in the order of both, so an object is open from the first
of its cells to the last: each cell closes what it has not in common with the one before and opens the rest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import orjson
from msgspec import Struct, structs
from numba import njit, types
from numpy.typing import NDArray

from derivasys.wire.table import Layout, Path, Table, Tree, patch

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

_NUMBER, _WHOLE, _CODE, _NOTE = range(4)
_CACHED_MAX = 64
_HOLES_MAX = 1024
"""Numbers of more than fifteen digits in one text: they are written by orjson, one at a time."""


class _Paths(Struct, frozen=True):
    """Paths in tree order, as the loop reads them. `part` numbers their beginnings: equal where paths share one."""

    part: Ints
    """(n, depth): which beginning of so many parts a path has; -1 beyond its end."""
    at: Ints
    """(n, depth): where the text `"part":` begins in `pool` …"""
    size: Ints
    pool: Bytes


def _paths(paths: Sequence[Path]) -> _Paths | None:
    """Return paths for the loop; None where those that share a beginning do not stand together."""
    depth = max((len(path) for path in paths), default=0)
    part, at, size = (np.full((len(paths), depth), -1, np.int64) for _ in range(3))
    numbers: dict[Path, int] = {}
    texts: dict[str, tuple[int, int]] = {}
    pool = bytearray()
    last: Path = ()
    for row, path in enumerate(paths):
        for to in range(1, len(path) + 1):
            beginning = path[:to]
            if beginning in numbers and beginning != last[:to]:
                return None
            part[row, to - 1] = numbers.setdefault(beginning, len(numbers))
            name = path[to - 1]
            if name not in texts:
                text = orjson.dumps(name) + b":"
                texts[name] = len(pool), len(text)
                pool += text
            at[row, to - 1], size[row, to - 1] = texts[name]
        last = path
    return _Paths(part, at, size, np.frombuffer(bytes(pool), np.uint8))


class Listing:
    """Row paths of which a table holds all or some, those that share a beginning together."""

    def __init__(self, keys: tuple[Path, ...]) -> None:
        self.keys = keys
        self.paths = _paths(keys) if len({len(key) for key in keys}) == 1 else None
        """None where the rows are not in tree order, or not all as deep."""


class _Fields:
    """A layout's fields and notes in tree order, as the loop reads them."""

    def __init__(self, layout: Layout, notes: tuple[Path, ...]) -> None:
        kinds = [
            _CODE if field.codes is not None else _WHOLE if field.decimals == 0 else _NUMBER for field in layout.fields
        ]
        decimals = [-1 if field.decimals is None else field.decimals for field in layout.fields]
        all_paths = [*(field.path for field in layout.fields), *notes]
        order = _tree_order(all_paths)
        paths = _paths([all_paths[at] for at in order])
        assert paths is not None, "they are in tree order"
        self.paths = paths
        self.column = np.array([at if at < len(kinds) else at - len(kinds) for at in order], np.int64)
        self.kind = np.array([kinds[at] if at < len(kinds) else _NOTE for at in order], np.int64)
        self.decimals = np.array([decimals[at] if at < len(kinds) else -1 for at in order], np.int64)
        self.depth = np.array([len(all_paths[at]) for at in order], np.int64)
        self.code_from = np.zeros(len(order), np.int64)
        """By field: its first code in `code_at`."""
        starts, sizes, pool = [0], [0], bytearray()
        for slot, at in enumerate(order):
            codes = layout.fields[at].codes if at < len(kinds) else None
            if codes is not None:
                self.code_from[slot] = len(starts)
                for code in codes:
                    text = orjson.dumps(code)
                    starts.append(len(pool))
                    sizes.append(len(text))
                    pool += text
        self.code_at, self.code_size = np.array(starts, np.int64), np.array(sizes, np.int64)
        self.code_pool = np.frombuffer(bytes(pool) or b"\0", np.uint8)


def _tree_order(paths: Sequence[Path]) -> list[int]:
    """Return the order in which paths that share a beginning stand where the first of them did."""
    first: dict[Path, int] = {}
    for at, path in enumerate(paths):
        for to in range(1, len(path) + 1):
            first.setdefault(path[:to], at)
    return sorted(range(len(paths)), key=lambda at: [first[paths[at][:to]] for to in range(1, len(paths[at]) + 1)])


_LISTINGS: dict[int, Listing] = {}
_FIELDS: dict[tuple[int, tuple[Path, ...]], tuple[Layout, _Fields]] = {}


def listing_of(keys: tuple[Path, ...]) -> Listing:
    """Return the listing of these very keys, which stay the same for long: it is made once."""
    listing = _LISTINGS.get(id(keys))
    if listing is None or listing.keys is not keys:
        while len(_LISTINGS) >= _CACHED_MAX:
            del _LISTINGS[next(iter(_LISTINGS))]
        listing = _LISTINGS[id(keys)] = Listing(keys)
    return listing


def _fields_of(table: Table) -> _Fields:
    notes = tuple(table.notes[0]) if table.notes else ()
    key = id(table.layout), notes
    known = _FIELDS.get(key)
    if known is None or known[0] is not table.layout:
        while len(_FIELDS) >= _CACHED_MAX:
            del _FIELDS[next(iter(_FIELDS))]
        known = _FIELDS[key] = table.layout, _Fields(table.layout, notes)
    return known[1]


def patch_json(old: Table, new: Table) -> orjson.Fragment | Tree | None:
    """Return the merge patch from `old.tree()` to `new.tree()`, for orjson to embed; None when they are equal."""
    places = _union(old, new)
    if places is None:
        return patch(old, new)
    text = _written(old, new, *places)
    if text is None:
        return patch(old, new)
    return orjson.Fragment(text) if len(text) > len("{}") else None


def table_json(table: Table) -> orjson.Fragment | Tree:
    """Return `table.tree()`, for orjson to embed."""
    if table.fixed or table.notes or not table.keys:
        return table.tree()
    rows = np.arange(len(table.keys))
    nothing = structs.replace(table, keys=(), values=table.values[:0])
    text = _written(nothing, table, np.full(len(rows), -1), rows, rows if table.at is None else table.at)
    return table.tree() if text is None else orjson.Fragment(text)


def _union(old: Table, new: Table) -> tuple[Ints, Ints, Ints] | None:
    """Return the rows of either table: their places in the old one and in the new (-1: not there), and in the listing.

    None where the tables are not comparable cell by cell, or a row with fixed parts comes or goes.
    """
    if old.layout is not new.layout or old.listing is not new.listing or old.fixed != new.fixed:
        return None
    if old.at is not None and new.at is not None:
        if np.array_equal(old.at, new.at):
            rows = np.arange(len(new.at))
            return rows, rows, new.at
        if new.fixed:
            return None
        both = np.union1d(old.at, new.at)
        return _places(old.at, both), _places(new.at, both), both
    if old.at is new.at and (old.keys is new.keys or old.keys == new.keys):
        rows = np.arange(len(new.keys))
        return rows, rows, rows
    return None


def _places(at: Ints, both: Ints) -> Ints:
    places = np.full(len(both), -1, np.int64)
    places[np.searchsorted(both, at)] = np.arange(len(at))
    return places


def _written(old: Table, new: Table, old_at: Ints, new_at: Ints, rows: Ints) -> bytes | None:
    """Return the JSON text of a patch; None where it cannot be written here."""
    listing = listing_of(new.keys) if new.listing is None else new.listing
    paths, fields = listing.paths, _fields_of(new)
    if paths is None:
        return None
    note_at, note_size, notes = _notes(old, new, old_at, new_at)
    holes_at, holes = np.empty(_HOLES_MAX, np.int64), np.empty(_HOLES_MAX)
    size = 1 << 18
    while True:
        text = np.empty(size, np.uint8)
        end, hole_count = _write(
            text, rows, old_at, new_at, old.values, new.values,
            paths.part, paths.at, paths.size, paths.pool,
            fields.paths.part, fields.paths.at, fields.paths.size, fields.paths.pool,
            fields.column, fields.kind, fields.decimals, fields.depth,
            fields.code_from, fields.code_at, fields.code_size, fields.code_pool,
            note_at, note_size, notes, holes_at, holes,
        )  # fmt: skip
        if end >= 0:
            break
        if hole_count < 0:
            return None
        size *= 4
    if not hole_count:
        return text[:end].tobytes()
    pieces, last = [], 0
    for at, value in zip(holes_at[:hole_count].tolist(), holes[:hole_count].tolist(), strict=True):
        pieces += [text[last:at].tobytes(), orjson.dumps(value)]
        last = at
    return b"".join([*pieces, text[last:end].tobytes()])


_NO_NOTES = np.zeros((0, 0), np.int64), np.zeros((0, 0), np.int64), np.zeros(1, np.uint8)


def _notes(old: Table, new: Table, old_at: Ints, new_at: Ints) -> tuple[Ints, Ints, Bytes]:
    """Return where the text of each row's note begins, how long it is (0: has not changed), and the texts."""
    if not new.notes:
        return _NO_NOTES
    names = list(new.notes[0])
    at, size = np.zeros((len(new_at), len(names)), np.int64), np.zeros((len(new_at), len(names)), np.int64)
    pool = bytearray(b"\0")
    for row, (was, now) in enumerate(zip(old_at.tolist(), new_at.tolist(), strict=True)):
        if now < 0 or (was >= 0 and old.notes[was] is new.notes[now]):
            continue
        for place, (path, value) in enumerate(new.notes[now].items()):
            if was < 0 or old.notes[was].get(path) != value:
                text = orjson.dumps(value)
                at[row, place], size[row, place] = len(pool), len(text)
                pool += text
    return at, size, np.frombuffer(bytes(pool), np.uint8)


# --- the loop ------------------------------------------------------------------------------------
#
# What it calls is inlined before it is compiled: to hand a dozen arrays over costs more than to write a number.

_POWERS = np.array([float(10**at) for at in range(23)])
"""All powers of ten that a double holds exactly: n / 10^d of a whole n below 2^53 is then the double nearest to it."""
_WHOLE_MAX = 2.0**53
_TEN = np.uint64(10)
_TENS = np.array([10**at for at in range(19)], np.uint64)
_OPEN, _CLOSE, _COMMA, _POINT, _MINUS, _ZERO = (ord(sign) for sign in "{},.-0")
_Matrix = types.Array(types.float64, 2, "C", readonly=True)
_Text = types.Array(types.uint8, 1, "C", readonly=True)
_Row, _Rows = types.int64[::1], types.int64[:, ::1]


@njit(inline="always")
def _copy(text: Bytes, end: int, pool: Bytes, at: int, size: int) -> int:
    for byte in range(size):
        text[end + byte] = pool[at + byte]
    return end + size


@njit(inline="always")
def _null(text: Bytes, end: int) -> int:
    text[end], text[end + 1], text[end + 2], text[end + 3] = 110, 117, 108, 108
    return end + 4


@njit(inline="always")
def _integer(text: Bytes, end: int, number: float) -> int:
    """Write a number of at least 0."""
    rest, size = np.uint64(number), 1
    while size < len(_TENS) and rest >= _TENS[size]:
        size += 1
    for place in range(end + size - 1, end - 1, -1):
        tens = rest // _TEN
        text[place] = _ZERO + rest - _TEN * tens
        rest = tens
    return end + size


@njit(inline="always")
def _decimal(text: Bytes, end: int, value: float, decimals: int) -> int:
    """Write the shortest decimal that reads as `value`, first trying `decimals` places; -1 where it is a long one."""
    size, places = abs(value), decimals
    number = np.rint(size * _POWERS[places])
    if not (number < _WHOLE_MAX and number / _POWERS[places] == size):
        for places in range(len(_POWERS)):
            number = np.rint(size * _POWERS[places])
            if not number < _WHOLE_MAX:
                return -1
            if number / _POWERS[places] == size:
                break
        else:
            return -1
    if math.copysign(1.0, value) < 0:
        text[end] = _MINUS
        end += 1
    rest = np.uint64(number)
    tens = rest // _TEN
    while places > 1 and tens * _TEN == rest:
        rest = tens
        tens = rest // _TEN
        places -= 1
    if places == 0:
        rest, places = rest * _TEN, 1
    digits = places + 1
    while digits < len(_TENS) and rest >= _TENS[digits]:
        digits += 1
    end += digits + 1
    for place in range(end - 1, end - 1 - places, -1):
        tens = rest // _TEN
        text[place] = _ZERO + rest - _TEN * tens
        rest = tens
    text[end - 1 - places] = _POINT
    for place in range(end - 2 - places, end - 2 - digits, -1):
        tens = rest // _TEN
        text[place] = _ZERO + rest - _TEN * tens
        rest = tens
    return end


@njit(inline="always")
def _shared(part: Ints, one: int, other: int) -> int:
    """Return how many parts two paths have in common at their beginning."""
    depth = part.shape[1]
    for at in range(depth):
        if part[one, at] != part[other, at]:
            return at
    return depth


@njit(inline="always")
def _go(
    text: Bytes,
    end: int,
    opened: int,
    last_row: int,
    last_field: int,
    row: int,
    field: int,
    want: int,
    row_part: Ints,
    row_at: Ints,
    row_size: Ints,
    row_pool: Bytes,
    field_part: Ints,
    field_at: Ints,
    field_size: Ints,
    field_pool: Bytes,
) -> int:
    """Close and open objects until those of the first `want` parts of a cell's path are open; put the comma."""
    keys = row_part.shape[1]
    if opened == 0:
        shared = 0
    elif row != last_row:
        shared = min(opened, want, _shared(row_part, row, last_row))
    else:
        shared = min(opened, want, keys)
        while shared >= keys and shared < min(opened, want) and (
            field_part[field, shared - keys] == field_part[last_field, shared - keys]
        ):  # fmt: skip
            shared += 1
    for _ in range(opened - shared):
        text[end] = _CLOSE
        end += 1
    if text[end - 1] != _OPEN:
        text[end] = _COMMA
        end += 1
    for at in range(shared, want):
        if at < keys:
            end = _copy(text, end, row_pool, row_at[row, at], row_size[row, at])
        else:
            end = _copy(text, end, field_pool, field_at[field, at - keys], field_size[field, at - keys])
        text[end] = _OPEN
        end += 1
    return end


@njit(
    types.UniTuple(types.int64, 2)(  # type: ignore[no-untyped-call]
        types.uint8[::1], _Row, _Row, _Row, _Matrix, _Matrix, _Rows, _Rows, _Rows, _Text, _Rows, _Rows, _Rows, _Text,
        _Row, _Row, _Row, _Row, _Row, _Row, _Row, _Text, _Rows, _Rows, _Text, _Row, types.float64[::1],
    ),
    cache=True,
)  # fmt: skip
def _write(
    text: Bytes,
    rows: Ints,
    old_at: Ints,
    new_at: Ints,
    before: Floats,
    after: Floats,
    row_part: Ints,
    row_at: Ints,
    row_size: Ints,
    row_pool: Bytes,
    field_part: Ints,
    field_at: Ints,
    field_size: Ints,
    field_pool: Bytes,
    column: Ints,
    kind: Ints,
    decimals: Ints,
    depth: Ints,
    code_from: Ints,
    code_at: Ints,
    code_size: Ints,
    code_pool: Bytes,
    note_at: Ints,
    note_size: Ints,
    notes: Bytes,
    holes_at: Ints,
    holes: Floats,
) -> tuple[int, int]:
    """Write the patch into `text`; return its length (-1: does not fit) and the number of holes (-1: too many)."""
    count, keys, fields = len(rows), row_part.shape[1], len(column)
    # The most that one cell takes: closing and opening everything, its name, and a number or a code.
    room = 64 + code_size.max()
    for at in range(keys):
        room += 2 + row_size[:, at].max()
    for at in range(field_part.shape[1]):
        room += 2 + field_size[:, at].max()
    is_nested = depth.max() > 1
    is_alive = np.zeros(field_part.max() + 1, np.bool_)
    next_there = np.full(count, -1, np.int64)
    for at in range(count - 2, -1, -1):
        next_there[at] = at + 1 if new_at[at + 1] >= 0 else next_there[at + 1]
    hole_count = 0
    text[0] = _OPEN
    end, opened, last_row, last_field = 1, 0, -1, -1
    last_there, last_gone = -1, -1
    for at in range(count):
        row, was, now = rows[at], old_at[at], new_at[at]
        if end + room > len(text):
            return -1, 0
        if now < 0:
            # The row is gone, and with it every beginning of its path that no row has any more.
            kept = 0
            if last_there >= 0:
                kept = _shared(row_part, row, rows[last_there])
            if next_there[at] >= 0:
                kept = max(kept, _shared(row_part, row, rows[next_there[at]]))
            if last_gone < 0 or _shared(row_part, row, rows[last_gone]) <= kept:
                end = _go(text, end, opened, last_row, last_field, row, 0, kept, row_part, row_at, row_size, row_pool,
                          field_part, field_at, field_size, field_pool)  # fmt: skip
                end = _null(text, _copy(text, end, row_pool, row_at[row, kept], row_size[row, kept]))
                opened, last_row, last_field = kept, row, 0
            last_gone = at
            continue
        last_there = at
        if was < 0:
            end = _go(text, end, opened, last_row, last_field, row, 0, keys, row_part, row_at, row_size, row_pool,
                      field_part, field_at, field_size, field_pool)  # fmt: skip
            opened, last_row, last_field = keys, row, 0
        elif is_nested:
            has_vanished = False
            for field in range(fields):
                if kind[field] != _NOTE and np.isnan(after[now, column[field]]):
                    has_vanished |= not np.isnan(before[was, column[field]])
            if has_vanished:
                is_alive[:] = False
                for field in range(fields):
                    if kind[field] == _NOTE or not np.isnan(after[now, column[field]]):
                        for part in range(depth[field]):
                            is_alive[field_part[field, part]] = True
        dead = -1
        for field in range(fields):
            parents, place = depth[field] - 1, column[field]
            value = 0.0
            if kind[field] == _NOTE:
                if note_size[at, place] == 0:
                    continue
                if end + room + note_size[at, place] > len(text):
                    return -1, 0
            else:
                value = after[now, place]
                if np.isnan(value):
                    if was < 0 or np.isnan(before[was, place]):
                        continue
                    # The value is gone, and with it every parent that has nothing left.
                    while parents > 0 and not is_alive[field_part[field, parents - 1]]:
                        parents -= 1
                    if parents < depth[field] - 1:
                        if field_part[field, parents] == dead:
                            continue
                        dead = field_part[field, parents]
                elif was >= 0 and before[was, place] == value:
                    continue
                if end + room > len(text):
                    return -1, 0
            want = keys + parents
            if (
                row == last_row and opened == want and text[end - 1] != _OPEN
                and (parents == 0 or field_part[field, parents - 1] == field_part[last_field, parents - 1])
            ):  # fmt: skip
                text[end] = _COMMA  # most often it stands beside the one before
                end += 1
            else:
                end = _go(text, end, opened, last_row, last_field, row, field, want, row_part, row_at, row_size,
                          row_pool, field_part, field_at, field_size, field_pool)  # fmt: skip
            opened, last_row, last_field = want, row, field
            end = _copy(text, end, field_pool, field_at[field, parents], field_size[field, parents])
            if kind[field] == _NOTE:
                end = _copy(text, end, notes, note_at[at, place], note_size[at, place])
            elif np.isnan(value):
                end = _null(text, end)
            elif kind[field] == _CODE:
                code = code_from[field] + np.int64(value)
                end = _copy(text, end, code_pool, code_at[code], code_size[code])
            elif kind[field] == _WHOLE and abs(value) < _POWERS[len(_TENS) - 1]:
                if value < 0:
                    text[end] = _MINUS
                    end += 1
                end = _integer(text, end, abs(value))
            else:
                written = _decimal(text, end, value, max(0, decimals[field]))
                if written < 0:
                    if hole_count == len(holes):
                        return -1, -1
                    holes_at[hole_count], holes[hole_count] = end, value
                    hole_count += 1
                else:
                    end = written
    for _ in range(opened + 1):
        text[end] = _CLOSE
        end += 1
    return end, hole_count
