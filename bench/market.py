"""The simulated market behind the local venues: CPU a second of simulated time, all four venues together, no encoding."""

from __future__ import annotations

import time

from derivasys.testing.market import World
from derivasys.testing.market.recorded import DeribitNames
from derivasys.testing.market.world import CCYS
from derivasys.testing.recordings import CHAINS, load_shipped
from derivasys.testing.servers import TERMS

RATES = (1_000, 5_000, 20_000, 50_000)
SECONDS = 20.0
STEP_NS = 50_000_000


def run() -> dict:
    started = time.perf_counter()
    world = World([load_shipped(ccy) for ccy in CHAINS], seed=1)
    venues = [world.venue(terms, DeribitNames(), CCYS) for terms in TERMS.values()]
    built_s = time.perf_counter() - started
    now_ns = world.start_ns
    for venue in venues:
        venue.advance(now_ns + STEP_NS)
    rates = []
    for rate in RATES:
        now_ns += STEP_NS
        for venue in venues:
            venue.set_rate(rate / len(venues))
        sent, started = 0, time.process_time()
        for _ in range(int(SECONDS * 1e9) // STEP_NS):
            now_ns += STEP_NS
            sent += sum(len(update.rows) for venue in venues for _, update in venue.advance(now_ns))
        rates.append({"asked": rate, "sent": sent / SECONDS, "cpu": (time.process_time() - started) / SECONDS})
    options = sum(len(market.board.symbols) for venue in venues for market in venue.markets)
    return {"built_s": built_s, "options": options, "rates": rates}


def render(result: dict) -> str:
    lines = [f"{result['options']} options on {len(TERMS)} venues, built in {result['built_s']:.1f} s"]
    lines += [
        f"{rate['asked']:>7,} tickers a second asked, {rate['sent']:>9,.0f} sent: {100 * rate['cpu']:5.1f} % of a core"
        for rate in result["rates"]
    ]
    return "\n".join(lines)
