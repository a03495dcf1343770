"""A whole chain from one file: a venue's REST reply, or a table in CSV or Parquet.

Deribit's `get_book_summary_by_currency` is read as the whole reply, as the bare list, or as a CSV of its fields
(`instrument_name`, `bid_price`, …). Other tables have the columns of `COLUMNS`; only `REQUIRED` must be there, an empty
cell is none. `expiry` and `ts` are ISO 8601 (a date alone means 08:00 UTC, no zone means UTC) or epoch ms; `mark_iv` is
a decimal; `price_unit` is coin or quote, and quote where it is not given.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Raw, Struct

from derivasys.decode import deribit
from derivasys.expiry import EXPIRY_HOUR_UTC, expiry_label
from derivasys.messages import (
    Contract,
    DecodeError,
    Event,
    Forward,
    Instrument,
    Mark,
    OptionType,
    PriceUnit,
    Quote,
)

COLUMNS = (
    "venue", "ccy", "expiry", "strike", "type", "bid", "ask", "bid_size", "ask_size",
    "mark", "mark_iv", "forward", "price_unit", "ts",
)  # fmt: skip
REQUIRED = ("expiry", "strike", "type", "bid", "ask")
ROWS_MAX = 1_000_000
FILE_BYTES_MAX = 1 << 30
_SUMMARY = ("instrument_name", "bid_price", "ask_price")
_SUMMARY_NUMBERS = ("bid_price", "ask_price", "mark_price", "mark_iv", "last", "open_interest", "underlying_price")
_EXCESS = "\0excess"
_INVERSE_TICK = 0.0001
"""Deribit's tick for coin-priced options; book summaries do not carry it."""


class ChainFileError(ValueError):
    """A file that is no chain; the message names the place and the mend."""


class ChainFile(Struct, frozen=True):
    """Events of one moment: listings, quotes, marks, forwards."""

    events: list[Event]
    now_ns: int
    """When the file speaks: the latest time in it, or the one given."""
    ccys: tuple[str, ...]


def read(path: Path, ts: str | None = None, ccy: str | None = None) -> ChainFile:
    """Return the chain in a file. `ts` is the moment, for tables without one; `ccy` names the coin for such tables.

    Raises ChainFileError.
    """
    now_ns = None if ts is None else time_ms(ts, "--ts") * 1_000_000
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            raise ChainFileError(f"{path}: larger than {FILE_BYTES_MAX >> 20} MiB")
        content = path.read_bytes()
    except OSError as error:
        raise ChainFileError(f"{path}: {error.strerror}") from None
    if path.suffix == ".parquet" or content[:4] == b"PAR1":
        events = _table(_parquet_rows(path, content), now_ns, ccy)
    elif content.lstrip()[:1] in (b"{", b"["):
        events = _summary_json(content)
    else:
        header, rows = _csv_rows(content)
        if all(column in header for column in _SUMMARY):
            events = _summary_csv(rows)
        else:
            _check_columns(header)
            events = _table(rows, now_ns, ccy)
    if not events:
        raise ChainFileError(f"{path}: no option rows")
    times = [event.event_ns for event in events if isinstance(event, Quote) and event.event_ns]
    if now_ns is None and not times:
        raise ChainFileError(f"{path}: no time in it; give the moment of the quotes with --ts")
    moment = now_ns if now_ns is not None else max(times)
    ccys = dict.fromkeys(e.contract.ccy for e in events if isinstance(e, Instrument))
    return ChainFile(events, moment, tuple(ccys))


# --- Deribit's book summary ----------------------------------------------------------------------


def _summary_json(content: bytes) -> list[Event]:
    try:
        if content.lstrip()[:1] == b"{":
            reply = msgspec.json.decode(content, type=_Reply)
            if reply.error is not None:
                raise ChainFileError(f"the reply is an error: {reply.error}")
            if reply.result is None:
                raise ChainFileError("no `result` in the reply: not a Deribit book summary")
            rows = reply.result
        else:
            rows = msgspec.json.decode(content, type=list[Raw])
    except msgspec.DecodeError as error:
        raise ChainFileError(f"not a Deribit book summary: {error}") from None
    return _summary_events(enumerate(rows, start=1))


class _Reply(Struct):
    result: list[Raw] | None = None
    error: Any = None


def _summary_csv(rows: Iterator[tuple[int, dict[str, str]]]) -> list[Event]:
    return _summary_events((number, _summary_row(number, row)) for number, row in rows)


def _summary_row(number: int, row: dict[str, str]) -> Raw:
    body: dict[str, Any] = {
        "instrument_name": row["instrument_name"],
        "underlying_index": row.get("underlying_index") or None,
        "creation_timestamp": _integer(row.get("creation_timestamp", ""), number, "creation_timestamp"),
    }
    for column in _SUMMARY_NUMBERS:
        body[column] = _number(row.get(column, ""), number, column)
    return Raw(msgspec.json.encode(body))


def _summary_events(rows: Iterator[tuple[int, Raw]]) -> list[Event]:
    decoder = deribit.Decoder()
    events: list[Event] = []
    for number, row in rows:
        try:
            shape = msgspec.json.decode(row, type=_SummaryShape)
            recv_ns = shape.creation_timestamp * 1_000_000
            found = decoder.decode(b'{"result":[' + bytes(row) + b"]}", recv_ns)
        except DecodeError as error:
            raise ChainFileError(f"row {number}: {error.detail}") from None
        except msgspec.ValidationError as error:
            raise ChainFileError(f"row {number}: {error}") from None
        except msgspec.DecodeError as error:
            raise ChainFileError(f"row {number}: not JSON: {error}") from None
        for event in found:
            if isinstance(event, Quote) and event.contract.kind == "option":
                events.append(Instrument(event.contract, recv_ns, tick_size=_INVERSE_TICK))
        events += found
    return [e for e in events if not isinstance(e, Instrument | Quote | Mark) or e.contract.kind == "option"]


class _SummaryShape(Struct):
    instrument_name: str
    creation_timestamp: int


# --- tables --------------------------------------------------------------------------------------


def _csv_rows(content: bytes) -> tuple[list[str], Iterator[tuple[int, dict[str, str]]]]:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ChainFileError(f"byte {error.start}: not UTF-8; save the table as UTF-8 CSV") from None
    reader = csv.DictReader(io.StringIO(text), restkey=_EXCESS, restval="")
    try:
        header = [name.strip() for name in reader.fieldnames or []]
    except csv.Error as error:
        raise ChainFileError(f"line 1: {error}") from None
    if not header:
        raise ChainFileError("the file is empty: a header line and rows are needed")
    reader.fieldnames = header
    return header, _numbered(reader)


def _numbered(reader: csv.DictReader[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        for number, row in enumerate(reader, start=1):
            if number > ROWS_MAX:
                raise ChainFileError(f"more than {ROWS_MAX} rows")
            if row.pop(_EXCESS, None):
                raise ChainFileError(f"row {number}: more cells than the header has columns")
            yield number, {name: (cell or "").strip() for name, cell in row.items()}
    except csv.Error as error:
        raise ChainFileError(f"line {reader.line_num}: {error}") from None


def _parquet_rows(path: Path, content: bytes) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:  # the services' image has none
        raise ChainFileError(f"{path}: a Parquet file, and pyarrow is not installed here") from None
    try:
        table = pq.read_table(pa.BufferReader(content))
    except pa.ArrowException as error:
        raise ChainFileError(f"{path}: not a Parquet file: {error}") from None
    if table.num_rows > ROWS_MAX:
        raise ChainFileError(f"more than {ROWS_MAX} rows")
    _check_columns(table.column_names)
    for number, row in enumerate(table.to_pylist(), start=1):
        yield number, {name: _cell(cell) for name, cell in row.items()}


def _cell(cell: Any) -> str:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return cell.isoformat() if isinstance(cell, datetime) else str(cell)


def _check_columns(header: list[str]) -> None:
    missing = [column for column in REQUIRED if column not in header]
    if missing:
        raise ChainFileError(
            f"missing column{'s' * (len(missing) > 1)} {', '.join(missing)}; "
            f"found {', '.join(header)[:200]}; required are {', '.join(REQUIRED)}"
        )


def _table(rows: Iterator[tuple[int, dict[str, str]]], now_ns: int | None, ccy: str | None) -> list[Event]:
    events: list[Event] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in rows:
        of = _contract(number, row, ccy)
        first = seen.setdefault((of.venue, of.symbol), number)
        if first != number:
            raise ChainFileError(f"row {number}: the same option as row {first} ({of.symbol})")
        stated = row.get("ts", "")
        time_ns = time_ms(stated, f"row {number}, column ts") * 1_000_000 if stated else now_ns
        if time_ns is None:
            raise ChainFileError(f"row {number}, column ts: no time; fill the column or give --ts for all rows")
        events += _row_events(number, row, of, time_ns)
    return events


def _contract(number: int, row: Mapping[str, str], ccy: str | None) -> Contract:
    expiry = time_ms(row["expiry"], f"row {number}, column expiry")
    strike = _number(row["strike"], number, "strike")
    if strike is None or not strike > 0:
        raise ChainFileError(f"row {number}, column strike: {row['strike']!r} is not above zero")
    kind = row["type"]
    if kind not in ("C", "P"):
        raise ChainFileError(f"row {number}, column type: {kind!r} is not C or P")
    unit = row.get("price_unit", "") or "quote"
    if unit not in ("coin", "quote"):
        raise ChainFileError(f"row {number}, column price_unit: {unit!r} is not coin or quote")
    coin = row.get("ccy", "") or ccy or "UNKNOWN"
    venue = row.get("venue", "") or "file"
    label = expiry_label(expiry) if expiry % 86_400_000 == EXPIRY_HOUR_UTC * 3_600_000 else str(expiry)
    option: OptionType = "C" if kind == "C" else "P"
    price_unit: PriceUnit = "coin" if unit == "coin" else "quote"
    symbol = f"{coin}-{label}-{strike:.12g}-{option}"
    return Contract(venue, symbol, coin, "option", price_unit, expiry, strike, option)


def _row_events(number: int, row: Mapping[str, str], of: Contract, time_ns: int) -> list[Event]:
    def price(column: str) -> float | None:
        value = _number(row.get(column, ""), number, column)
        if value is not None and value < 0:
            raise ChainFileError(f"row {number}, column {column}: {value:g} is negative")
        return value or None

    iv = price("mark_iv")
    if iv is not None and iv > 10:
        raise ChainFileError(f"row {number}, column mark_iv: {iv:g} looks like percent; write 63 % as 0.63")
    tick = _INVERSE_TICK if of.price_unit == "coin" else None
    events: list[Event] = [
        Instrument(of, time_ns, tick_size=tick),
        Quote(of, time_ns, time_ns, price("bid"), price("ask"), price("bid_size"), price("ask_size")),
        Mark(of, time_ns, time_ns, price("mark"), iv),
    ]
    forward = price("forward")
    if forward is not None and of.expiry is not None:
        events.append(Forward(of.venue, "given", of.ccy, of.expiry, time_ns, time_ns, forward))
    return events


# --- cells ---------------------------------------------------------------------------------------


def _number(text: str, row: int, column: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        raise ChainFileError(f"row {row}, column {column}: {text!r} is not a number") from None
    if not math.isfinite(value):
        raise ChainFileError(f"row {row}, column {column}: {text!r} is not finite")
    return value


def _integer(text: str, row: int, column: str) -> int:
    value = _number(text, row, column)
    if value is None or value != int(value):
        raise ChainFileError(f"row {row}, column {column}: {text!r} is not a whole number")
    return int(value)


def time_ms(text: str, place: str) -> int:
    """Return ms UTC of ISO 8601 or epoch ms."""
    try:
        if text.replace(".", "", 1).isdigit() and "-" not in text:
            value = int(float(text))
            # 2000 to 2100: outside it the number is in seconds or nanoseconds, which must not be guessed at.
            if not 946_684_800_000 <= value < 4_102_444_800_000:
                raise ChainFileError(f"{place}: {text!r} is not epoch milliseconds of this century")
            return value
        stamp = datetime.fromisoformat(text)
    except ValueError as error:
        if isinstance(error, ChainFileError):
            raise
        raise ChainFileError(f"{place}: {text!r} is not ISO 8601 or epoch ms") from None
    if len(text) == len("2026-03-27"):
        stamp = stamp.replace(hour=EXPIRY_HOUR_UTC)
    if stamp.tzinfo is None:
        stamp = stamp.replace(tzinfo=UTC)
    return round(stamp.timestamp() * 1000)
