"""A simulated venue's board as canonical events, for fits without any venue's protocol."""

from __future__ import annotations

import math

from derivasys.messages import Contract, Event, Forward, Instrument, Quote
from derivasys.testing.market import MarketView


def events_of(market: MarketView) -> list[Event]:
    """Return listings, forwards and quotes of all open options; discounted prices as what they are worth at expiry."""
    board, family, t = market.board, market.family, market.board.ticker
    now_ns = market.now_ms() * 1_000_000
    events: list[Event] = []
    for row in board.open_rows().tolist():
        contract = Contract(
            family.venue, board.symbols[row], family.ccy, "option", family.price_unit, int(board.expiry_ms[row]),
            float(board.strike[row]), "C" if board.is_call[row] else "P",
        )  # fmt: skip
        events.append(Instrument(contract, now_ns, tick_size=family.ticks.base, tick_steps=family.ticks.steps))
        due = float(t["forward"][row] / t["index"][row]) if family.is_discounted else 1.0
        bid, ask = (None if math.isnan(t[side][row]) else due * float(t[side][row]) for side in ("bid", "ask"))
        sizes = (float(t["bid_size"][row]), float(t["ask_size"][row]))
        events.append(Quote(contract, now_ns, now_ns, bid, ask, *sizes))
    for expiry in board.expiries:
        events.append(
            Forward(family.venue, expiry.underlying_index, family.ccy, expiry.ms, now_ns, now_ns, expiry.forward)
        )
    return sorted(events, key=lambda event: (type(event) is not Instrument, type(event) is not Forward))
