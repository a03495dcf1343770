"""Made-up and recorded boards that several tests start from."""

from __future__ import annotations

import json
import math
from pathlib import Path

from derivasys.analytics.black import black_price
from derivasys.messages import Contract, Event, Forward, Instrument, OptionType, PriceUnit, Quote

ROOT = Path(__file__).parents[1]
FIXTURES = ROOT / "fixtures" / "deribit"
BTC_SUMMARY = FIXTURES / "chains" / "deribit-btc-2026-03-13.book-summary.json"
ETH_SUMMARY = FIXTURES / "chains" / "deribit-eth-2024-01-08.book-summary.csv"
CAPTURES = sorted((FIXTURES / "captures").glob("deribit-*"))

NOW_NS = 1_773_428_416_000_000_000
DAY_MS = 86_400_000
WEEK_MS = 1_774_051_200_000
"""An expiry a week after NOW_NS: 2026-03-21 00:00 UTC."""


def option(
    strike: float, kind: OptionType = "C", *, expiry: int = WEEK_MS, ccy: str = "BTC", venue: str = "deribit",
    unit: PriceUnit = "quote",
) -> Contract:  # fmt: skip
    return Contract(venue, f"{ccy}-{expiry}-{strike:g}-{kind}", ccy, "option", unit, expiry, strike, kind)


def smile_board(
    *, forward: float = 100.0, expiry: int = WEEK_MS, now_ns: int = NOW_NS, ccy: str = "BTC", venue: str = "deribit",
    unit: PriceUnit = "quote", width: float = 0.01, level: float = 0.6, log_strikes: tuple[float, ...] = (),
) -> list[Event]:  # fmt: skip
    """Listings, a forward and quotes `width` of iv apart around the smile level·(1 − 0.3k + 2k²)."""
    tau = (expiry * 10**6 - now_ns) / (365 * 86400 * 10**9)
    events: list[Event] = []
    spread = log_strikes or tuple(0.05 * step for step in range(-6, 7))
    for k in spread:
        strike = round(forward * math.exp(k), 6)
        true_k = math.log(strike / forward)
        iv = level * (1 - 0.3 * true_k + 2 * true_k**2)
        for kind in ("C", "P"):
            of = option(strike, kind, expiry=expiry, ccy=ccy, venue=venue, unit=unit)
            bid, ask = (float(black_price(forward, strike, tau, vol, kind == "C")) for vol in (iv - width, iv + width))
            scale = forward if unit == "coin" else 1.0
            events.append(Instrument(of, now_ns, tick_size=1e-6))
            events.append(Quote(of, now_ns, now_ns, bid / scale, ask / scale, 1.0, 2.0))
    events.append(Forward(venue, f"{ccy}-FUT", ccy, expiry, now_ns, now_ns, forward))
    return events


def summary_rows() -> list[dict]:
    return json.loads(BTC_SUMMARY.read_bytes())["result"]
