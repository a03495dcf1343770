"""What travels in records: events, published states, raw frames; each with its schema version in a header.

Values are MessagePack. A reader that meets a version it does not know gives the record to the dead-letter topic.
"""

from __future__ import annotations

import struct
from typing import Any, Protocol

import msgspec
import numpy as np
from msgspec import Struct

from derivasys.bus.trace import HEADER as TRACEPARENT
from derivasys.messages import Event, Forward, Gap, Index, Instrument, Mark, Quote, Status, Trade
from derivasys.wire.feed import State
from derivasys.wire.table import Field, Layout, Path, Table

SCHEMA = 1
SCHEMA_HEADER, STAMP_HEADER, BUILD_HEADER = "schema", "stamp", "build"
_VERSIONS = {str(SCHEMA).encode()}
Headers = list[tuple[str, bytes]]


class BadRecord(ValueError):  # noqa: N818 - a verdict on bytes, not a fault of ours
    """A record that cannot be read; the message is the reason given with it to dead-letter."""


class Message(Protocol):
    """What is used of confluent_kafka.Message."""

    def value(self) -> bytes | None: ...
    def key(self) -> bytes | None: ...
    def headers(self) -> Any: ...


def headers(traceparent: bytes, *more: tuple[str, bytes]) -> Headers:
    """Return the headers of a record."""
    return [(SCHEMA_HEADER, str(SCHEMA).encode()), (TRACEPARENT, traceparent), *more]


def header(message: Message, name: str) -> bytes | None:
    """Return a header's value, None when it is absent."""
    for key, value in message.headers() or ():
        if key == name:
            return value
    return None


def value_of(message: Message) -> bytes:
    """Return the bytes of a record whose schema version is known here. Raises BadRecord."""
    found = message.headers() or ()
    version = next((value for key, value in found if key == SCHEMA_HEADER), None)
    if version is None:
        raise BadRecord("no schema version in the headers")
    if version not in _VERSIONS:
        raise BadRecord(f"schema version {version[:16].decode('ascii', 'replace')} is not known here (known: {SCHEMA})")
    value = message.value()
    if value is None:
        raise BadRecord("no value")
    return value


# --- events (topic `quotes`) ---------------------------------------------------------------------

_ENCODE = msgspec.msgpack.Encoder().encode
_DECODE_EVENT = msgspec.msgpack.Decoder(Event).decode

encode_event = _ENCODE


def decode_event(message: Message) -> Event:
    """Return the event of a record. Raises BadRecord."""
    value = value_of(message)
    try:
        return _DECODE_EVENT(value)
    except msgspec.DecodeError as error:
        raise BadRecord(f"no event: {error}") from None


def event_key(event: Event) -> str:
    """Return the key by which an event replaces an earlier one: a gap replaces the quote that it voids."""
    match event:
        case Quote():
            return f"quote|{event.contract.venue}|{event.contract.symbol}"
        case Mark():
            return f"mark|{event.contract.venue}|{event.contract.symbol}"
        case Instrument():
            return f"instrument|{event.contract.venue}|{event.contract.symbol}"
        case Trade():
            return f"trade|{event.contract.venue}|{event.contract.symbol}"
        case Forward():
            return f"forward|{event.venue}|{event.ccy}|{event.expiry}|{event.series}"
        case Index():
            return f"index|{event.venue}|{event.ccy}|{event.symbol}"
        case Gap():
            return f"quote|{event.venue}|{event.symbol}"
        case Status():
            return f"status|{event.venue}|{event.ccy}|{event.symbol}"


# --- raw frames (topics `raw.<venue>`) -----------------------------------------------------------

ABOUT_HEADER = "about"
_ABOUT = struct.Struct("<qqqB")


class About(Struct, frozen=True, gc=False):
    """What a raw record is: `kind` is `record.segments.Kind`; a connection is named by its connector and opening."""

    recv_ns: int
    opened_ns: int
    """When its connection was opened: replay starts a connection there."""
    lost: int
    """Frames that this connector could not log since it started."""
    kind: int

    def pack(self) -> bytes:
        return _ABOUT.pack(self.recv_ns, self.opened_ns, self.lost, self.kind)


def about(message: Message) -> About:
    """Return what a raw record's header says. Raises BadRecord."""
    packed = header(message, ABOUT_HEADER)
    if packed is None or len(packed) != _ABOUT.size:
        raise BadRecord("no header `about` of a raw frame")
    return About(*_ABOUT.unpack(packed))


# --- published states (topics `surfaces` and `patches`) ------------------------------------------

_STAMP = struct.Struct("<QQ?")


class Stamp(Struct, frozen=True, order=True, gc=False):
    """Where a record stands in a currency's history: ownership epoch, then version; both only ever grow."""

    epoch: int
    version: int

    def pack(self, *, is_full: bool) -> bytes:
        return _STAMP.pack(self.epoch, self.version, is_full)


def stamp(message: Message) -> tuple[Stamp, bool]:
    """Return a state's stamp and whether it is whole, from its header alone. Raises BadRecord."""
    packed = header(message, STAMP_HEADER)
    if packed is None or len(packed) != _STAMP.size:
        raise BadRecord("no header `stamp` of a state")
    epoch, version, is_full = _STAMP.unpack(packed)
    return Stamp(epoch, version), is_full


class Times(Struct, frozen=True, array_like=True):
    """Where the newest quote behind a state was when, ns since the epoch by the clocks of the services."""

    recv_ns: int
    """Taken from the venue by the connector."""
    sent_ns: int
    """Given to Kafka (its timestamp: whole milliseconds)."""
    taken_ns: int
    """Taken from Kafka by the calibrator."""
    made_ns: int
    """Given to Kafka as part of a surface."""


class Columns(Struct, frozen=True, tag="columns"):
    """A layout's fields, column by column, and a table's rows: self-describing, so that a gateway knows no layout."""

    paths: list[Path]
    decimals: list[int | None]
    codes: list[tuple[Any, ...] | None]
    keys: list[Path]
    values: bytes
    """float64, row by row."""
    fixed: list[dict[str, Any]]
    notes: list[list[tuple[Path, Any]]]


class Cells(Struct, frozen=True, tag="cells"):
    """What changed in a table whose rows stayed."""

    at: bytes
    """uint32 positions in `values`."""
    values: bytes
    """float64."""
    notes: dict[int, list[tuple[Path, Any]]]


class StateRecord(Struct, frozen=True):
    """A state, whole (`before` is 0 and every table is given by columns), or what changed since version `before`."""

    ccy: str
    epoch: int
    version: int
    before: int
    fields: dict[str, Any]
    """The state's other fields as they are."""
    tables: dict[str, Columns | Cells]
    times: Times | None = None


_DECODE_STATE = msgspec.msgpack.Decoder(StateRecord).decode


def encode_state(state: State, epoch: int, times: Times | None, before: State | None = None) -> bytes:
    """Return a state whole, or, with the state `before` it of the same epoch, what changed."""
    tables = {
        name: _columns(table) if before is None else _change(before.tables.get(name), table)
        for name, table in state.tables.items()
    }
    fields = {name: getattr(state, name) for name in state.__struct_fields__ if name != "tables"}
    return _ENCODE(
        StateRecord(state.ccy, epoch, state.version, 0 if before is None else before.version, fields, tables, times)
    )


def decode_state(message: Message) -> StateRecord:
    """Return the record. Raises BadRecord."""
    value = value_of(message)
    try:
        return _DECODE_STATE(value)
    except msgspec.DecodeError as error:
        raise BadRecord(f"no state: {error}") from None


def state_from(record: StateRecord, before: State | None) -> State | None:
    """Return the state of a record, given the state before it; None when that is not the one that it changes.

    Raises BadRecord.
    """
    if record.before and (before is None or before.version != record.before):
        return None
    tables: dict[str, Table] = {}
    for name, change in record.tables.items():
        if isinstance(change, Columns):
            tables[name] = _table(change)
            continue
        old = None if before is None else before.tables.get(name)
        if old is None:
            return None
        tables[name] = _changed(old, change)
    try:
        return State(tables=tables, **record.fields)
    except TypeError as error:
        raise BadRecord(f"no state: {error}") from None


def _columns(table: Table) -> Columns:
    fields = table.layout.fields
    return Columns(
        paths=[field.path for field in fields],
        decimals=[field.decimals for field in fields],
        codes=[field.codes for field in fields],
        keys=list(table.keys),
        values=np.ascontiguousarray(table.values, "<f8").tobytes(),
        fixed=list(table.fixed),
        notes=[list(row.items()) for row in table.notes],
    )


def _change(old: Table | None, new: Table) -> Columns | Cells:
    if old is None or old.layout is not new.layout or old.keys != new.keys or old.fixed != new.fixed:
        return _columns(new)
    before, after = old.values.ravel(), new.values.ravel()
    changed = np.flatnonzero((before != after) & ~(np.isnan(before) & np.isnan(after)))
    notes = {
        at: list(now.items()) for at, (was, now) in enumerate(zip(old.notes, new.notes, strict=True)) if was != now
    }
    return Cells(changed.astype("<u4").tobytes(), after[changed].astype("<f8").tobytes(), notes)


_LAYOUTS: dict[tuple[Any, ...], Layout] = {}
"""Layouts met so far, so that states of one layout share it; a handful, but bounded all the same."""
_LAYOUTS_MAX = 256


def _layout(columns: Columns) -> Layout:
    key = (tuple(columns.paths), tuple(columns.decimals), tuple(columns.codes))
    if key not in _LAYOUTS:
        if len(_LAYOUTS) >= _LAYOUTS_MAX:
            _LAYOUTS.clear()
        _LAYOUTS[key] = Layout([Field(*each) for each in zip(*key, strict=True)])
    return _LAYOUTS[key]


def _table(columns: Columns) -> Table:
    layout = _layout(columns)
    return Table(
        layout=layout,
        keys=tuple(columns.keys),
        values=np.frombuffer(columns.values, "<f8").reshape(len(columns.keys), len(layout.fields)),
        fixed=tuple(columns.fixed),
        notes=tuple(dict(row) for row in columns.notes),
    )


def _changed(old: Table, cells: Cells) -> Table:
    values = old.values.copy()
    values.reshape(-1)[np.frombuffer(cells.at, "<u4")] = np.frombuffer(cells.values, "<f8")
    notes = old.notes
    if cells.notes:
        rows = list(notes)
        for at, row in cells.notes.items():
            rows[at] = dict(row)
        notes = tuple(rows)
    return Table(old.layout, old.keys, values, old.fixed, notes)
