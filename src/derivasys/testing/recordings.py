"""Recorded option chains of a venue, typed: what the local venue servers start from.

Deribit's reply to get_book_summary_by_currency comes in three shapes: the whole JSON-RPC reply, its
bare result list, and a CSV table with the same fields. Prices are in coin per coin of underlying,
forwards and the index in USD, IVs in percent as the venue states them. An absent value is None.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from derivasys.analytics.implied_vol import implied_vol
from derivasys.messages import OptionType
from derivasys.testing.deribit_names import parse_option

VENUE = "deribit"
"""Whose chains are recorded."""
FIXTURES_ENV = "DERIVASYS_FIXTURES"
CHAINS = {
    "BTC": "deribit/chains/deribit-btc-2026-03-13.book-summary.json",
    "ETH": "deribit/chains/deribit-eth-2024-01-08.book-summary.csv",
}
"""The shipped chain of each coin, relative to the fixtures folder."""
YEAR_MS = 365 * 86_400_000
MARK_TIME_VALUE_COIN_MIN = 2e-5
"""ETH marks print to 1e-6 coin: an IV implied by less time value would be mostly rounding."""


class RecordedRow(Struct, frozen=True, gc=False):
    """One option as the venue summed it up at `time_ms`."""

    symbol: str
    expiry: int
    """Milliseconds UTC."""
    strike: float
    type: OptionType
    time_ms: int
    bid: float | None
    ask: float | None
    mark: float
    mark_iv: float | None
    """Percent; inverted from `mark` where the recording has none, None where that has no answer."""
    underlying_price: float
    underlying_index: str
    open_interest: float
    volume: float
    """Coins over 24 h."""
    last: float | None = None
    high: float | None = None
    low: float | None = None
    price_change: float | None = None
    """Percent over 24 h."""
    volume_usd: float | None = None


class RecordedChain(Struct, frozen=True):
    """All options of one coin at one moment; rows in the recording's order."""

    ccy: str
    instant_ns: int
    """When the reply was sent (usOut), else the time of the last row."""
    label: str
    index_price: float
    rows: tuple[RecordedRow, ...]


class RecordingError(ValueError):
    """A file that is no recording of a chain; says the file and what is wrong with it."""


def fixtures_dir() -> Path:
    """Return the folder of recordings: $DERIVASYS_FIXTURES, else `fixtures` of the checkout.

    Raises FileNotFoundError when it is not there (an installed package carries no recordings).
    """
    given = os.environ.get(FIXTURES_ENV)  # noqa: TID251 - where the files lie, for tests and wheels; no setting
    folder = Path(given) if given else Path(__file__).parents[3] / "fixtures"
    if not folder.is_dir():
        raise FileNotFoundError(f"no recordings at {folder}: set {FIXTURES_ENV} to the `fixtures` folder of a checkout")
    return folder


def load_shipped(ccy: str) -> RecordedChain:
    """Return the shipped chain of `ccy` (BTC or ETH)."""
    if ccy not in CHAINS:
        raise RecordingError(f"no recording of {ccy}; there are {', '.join(CHAINS)}")
    return load_chain(fixtures_dir() / CHAINS[ccy])


def load_chain(path: Path) -> RecordedChain:
    """Return the chain in `path`: .json (whole reply or bare list) or .csv."""
    data = path.read_bytes()
    try:
        sent_us, rows = _csv_rows(data) if path.suffix == ".csv" else _json_rows(data)
        return _chain(sent_us, rows)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordingError(f"{path}: {type(error).__name__}: {error}") from error


def _json_rows(data: bytes) -> tuple[int | None, list[Mapping[str, object]]]:
    reply = msgspec.json.decode(data)
    if isinstance(reply, list):
        return None, reply
    return reply.get("usOut"), reply["result"]


def _csv_rows(data: bytes) -> tuple[None, list[Mapping[str, object]]]:
    table = csv.DictReader(io.StringIO(data.decode()))
    return None, [{k: v if v != "" else None for k, v in row.items()} for row in table]


def _chain(sent_us: int | None, rows: list[Mapping[str, object]]) -> RecordedChain:
    if not rows:
        raise ValueError("no rows")
    parsed = _with_mark_iv([_row(row) for row in rows])
    instant_ns = sent_us * 1000 if sent_us else max(row.time_ms for row in parsed) * 1_000_000
    ccy = str(rows[0]["base_currency"])
    moment = datetime.fromtimestamp(instant_ns // 1_000_000_000, tz=UTC)
    return RecordedChain(
        ccy=ccy,
        instant_ns=instant_ns,
        label=f"Deribit {ccy} {moment:%Y-%m-%d %H:%M:%S} UTC",
        index_price=_number(rows[0], "estimated_delivery_price"),
        rows=tuple(parsed),
    )


def _optional(row: Mapping[str, object], field: str) -> float | None:
    value = row.get(field)
    return None if value is None else float(str(value))


def _number(row: Mapping[str, object], field: str) -> float:
    value = _optional(row, field)
    if value is None:
        raise ValueError(f"{row.get('instrument_name')}: no {field}")
    return value


def _row(row: Mapping[str, object]) -> RecordedRow:
    symbol = str(row["instrument_name"])
    name = parse_option(symbol)
    return RecordedRow(
        symbol=symbol,
        expiry=name.expiry,
        strike=name.strike,
        type=name.type,
        time_ms=int(_number(row, "creation_timestamp")),
        # Deribit writes a missing side as null or as 0: a price is never 0.
        bid=_optional(row, "bid_price") or None,
        ask=_optional(row, "ask_price") or None,
        mark=_number(row, "mark_price"),
        mark_iv=_optional(row, "mark_iv"),
        underlying_price=_number(row, "underlying_price"),
        underlying_index=str(row["underlying_index"]),
        open_interest=_number(row, "open_interest"),
        volume=_number(row, "volume"),
        last=_optional(row, "last"),
        high=_optional(row, "high"),
        low=_optional(row, "low"),
        price_change=_optional(row, "price_change"),
        volume_usd=_optional(row, "volume_usd"),
    )


def _with_mark_iv(rows: list[RecordedRow]) -> list[RecordedRow]:
    """Return the rows, each without a mark IV given the one its mark price implies.

    A mark of so few units in its last printed place that its IV is noise stays without.
    """
    if all(row.mark_iv is not None for row in rows):
        return rows
    forward = np.array([row.underlying_price for row in rows])
    strike = np.array([row.strike for row in rows])
    tau = np.array([(row.expiry - row.time_ms) / YEAR_MS for row in rows])
    is_call = np.array([row.type == "C" for row in rows])
    price = np.array([row.mark for row in rows]) * forward
    iv, _ = implied_vol(price, forward, strike, tau, is_call)
    intrinsic = np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)
    known = np.isfinite(iv) & ((price - intrinsic) / forward >= MARK_TIME_VALUE_COIN_MIN)
    return [
        row if row.mark_iv is not None else msgspec.structs.replace(row, mark_iv=percent)
        for row, percent in zip(
            rows,
            (round(100 * v, 2) if k else None for v, k in zip(iv.tolist(), known, strict=True)),
            strict=True,
        )
    ]
