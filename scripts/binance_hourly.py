"""Binance's end-of-hour summaries of options → a chain table that `derivasys fit` reads, for one hour.

    python scripts/binance_hourly.py binance-btc-2023-10-23.hourly.csv 12 > chain.csv && derivasys fit chain.csv

Source: data.binance.vision, `EOHSummary`. Of its columns `strike` reads 231229-34000, zero stands for none, and a row
is of the end of its hour. There is no forward: put-call parity gives it.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

COLUMNS = ("venue", "ccy", "expiry", "strike", "type", "bid", "ask", "bid_size", "ask_size", "mark", "mark_iv", "ts")


def convert(path: Path, hour: int) -> Iterator[dict[str, str]]:
    """Yield the rows of one hour."""
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            if int(row["hour"]) != hour:
                continue
            date, _, strike = row["strike"].partition("-")
            ended = datetime.fromisoformat(row["date"]).replace(tzinfo=UTC) + timedelta(hours=hour + 1)
            yield {
                "venue": "binance",
                "ccy": row["symbol"].partition("-")[0],
                "expiry": f"20{date[:2]}-{date[2:4]}-{date[4:]}",
                "strike": strike,
                "type": row["type"],
                "bid": _cell(row["best_bid_price"]),
                "ask": _cell(row["best_ask_price"]),
                "bid_size": _cell(row["best_bid_qty"]),
                "ask_size": _cell(row["best_ask_qty"]),
                "mark": _cell(row["mark_price"]),
                "mark_iv": _cell(row["mark_iv"]),
                "ts": ended.isoformat(),
            }


def _cell(number: str) -> str:
    value = float(number or 0)
    return repr(value) if value > 0 else ""


def main() -> None:
    """Write one hour as CSV to standard output."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("hour", type=int)
    options = parser.parse_args()
    writer = csv.DictWriter(sys.stdout, COLUMNS)
    writer.writeheader()
    writer.writerows(convert(options.file, options.hour))


if __name__ == "__main__":
    main()
