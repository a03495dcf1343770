"""Recorded boards for benchmarks: Deribit's whole option list of BTC and ETH, some seventy snapshots of two periods.

They carry no licence to ship, so they are read from the folder that DERIVASYS_DATA names; without it the two shipped
chains stand in. Each board is a list of events, as a venue would have sent them at one moment.
"""

from __future__ import annotations

import csv
import gzip
import io
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from derivasys.estimate.chain import Chain
from derivasys.messages import Contract, Event, Forward, Instrument, Mark, Quote
from derivasys.testing.recordings import CHAINS, fixtures_dir, load_chain

PERIODS = {"January 2026": "deribit-january-2026", "crash week": "deribit-crash-week-2026"}
CCYS = ("BTC", "ETH")
TICK = {"BTC": 0.0001, "ETH": 0.0001}
DAY_NS = 86_400_000_000_000


@dataclass(frozen=True)
class RecordedBoard:
    """All options of one currency at one moment."""

    period: str
    name: str
    ccy: str
    now_ns: int
    events: list[Event]

    def chain(self) -> Chain:
        """Return a chain that holds the board."""
        chain = Chain(self.ccy)
        for event in self.events:
            chain.apply(event)
        chain.take_dirty(self.now_ns)
        return chain


def note() -> str:
    """Return which boards are read, and why."""
    if data_dir() is None:
        return "DERIVASYS_DATA names no folder with recorded boards: only the two shipped chains are measured."
    return "Boards: Deribit, all BTC and ETH options, January 2026 and 2–9 February 2026 (the crash week)."


def data_dir() -> Path | None:
    """Return the folder of recorded boards, None where there is none."""
    given = os.environ.get("DERIVASYS_DATA")
    if not given:
        return None
    folder = Path(given)
    return folder if any((folder / name).is_dir() for name in PERIODS.values()) else None


def boards(every: int = 1) -> Iterator[RecordedBoard]:
    """Yield the boards in order of time, BTC before ETH; every n-th snapshot only where that is asked for."""
    folder = data_dir()
    if folder is None:
        yield from _shipped()
        return
    for period, name in PERIODS.items():
        for path in sorted((folder / name).glob("*.csv.gz"))[::every]:
            yield from _snapshot(period, path)


def _shipped() -> Iterator[RecordedBoard]:
    for ccy, name in CHAINS.items():
        recorded = load_chain(fixtures_dir() / name)
        rows = [
            _Row(
                row.symbol, row.expiry, row.strike, row.type, row.bid, row.ask, row.mark,
                None if row.mark_iv is None else row.mark_iv / 100.0, row.underlying_price, row.underlying_index,
            )
            for row in recorded.rows
        ]  # fmt: skip
        yield RecordedBoard(
            "shipped", recorded.label, ccy, recorded.instant_ns, _events(ccy, rows, recorded.instant_ns)
        )


@dataclass(frozen=True)
class _Row:
    symbol: str
    expiry: int
    strike: float
    kind: str
    bid: float | None
    ask: float | None
    mark: float | None
    mark_iv: float | None
    forward: float
    forward_name: str


def _snapshot(period: str, path: Path) -> Iterator[RecordedBoard]:
    with gzip.open(path) as packed:
        table = csv.DictReader(io.StringIO(packed.read().decode()))
        by_ccy: dict[str, list[_Row]] = defaultdict(list)
        stamp = ""
        for row in table:
            stamp = row["timestamp"]
            by_ccy[row["currency"]].append(
                _Row(
                    row["instrument_name"],
                    round(datetime.fromisoformat(row["expiry_datetime"]).timestamp() * 1000),
                    float(row["strike"]),
                    "C" if row["option_type"] == "call" else "P",
                    float(row["bid_price"] or 0) or None,
                    float(row["ask_price"] or 0) or None,
                    float(row["mark_price"] or 0) or None,
                    float(row["implied_volatility"] or 0) or None,
                    float(row["futures_price"]),
                    row["futures_instrument_name"],
                )
            )
    now_ns = round(datetime.fromisoformat(stamp).timestamp() * 1000) * 1_000_000
    for ccy in CCYS:
        if by_ccy[ccy]:
            yield RecordedBoard(period, path.name.partition(".")[0], ccy, now_ns, _events(ccy, by_ccy[ccy], now_ns))


def _events(ccy: str, rows: list[_Row], now_ns: int) -> list[Event]:
    events: list[Event] = []
    forwards: dict[int, list[float]] = defaultdict(list)
    names: dict[int, str] = {}
    for row in rows:
        of = Contract("deribit", row.symbol, ccy, "option", "coin", row.expiry, row.strike, row.kind)
        events.append(Instrument(of, now_ns, tick_size=TICK[ccy]))
        events.append(Quote(of, now_ns, now_ns, row.bid, row.ask, None, None))
        events.append(Mark(of, now_ns, now_ns, row.mark, row.mark_iv))
        forwards[row.expiry].append(row.forward)
        names[row.expiry] = row.forward_name
    for expiry, prices in forwards.items():
        # Rows of one expiry are not simultaneous and state several forwards: their median stands last.
        events += [
            Forward("deribit", names[expiry], ccy, expiry, now_ns, now_ns, price) for price in (*prices, median(prices))
        ]
    return events
