"""What a Deribit connector would receive, as a list: for replay tests and benchmarks.

No socket and no clock: the venue's sans-I/O core is driven from one recorded moment onwards, so the
same arguments give the same bytes.
"""

from __future__ import annotations

import itertools

import orjson

from derivasys.testing.deribit.venue import Venue
from derivasys.testing.market import Market, ReplayMarket, SimulatedMarket
from derivasys.testing.recordings import RecordedChain

TICK_NS = 20_000_000
CHANNELS_PER_CALL = 400
"""Keeps a subscribe call within the venue's 32 kB."""
HEARTBEAT_S = 30


def record_session(
    chain: RecordedChain,
    seed: int = 1,
    seconds: float = 10.0,
    rate: float = 500.0,
    *,
    is_simulated: bool = True,
) -> list[tuple[int, bytes]]:
    """Return (recv_ns, payload) of every message of one session, in order of arrival.

    The session lists all options, sets a heartbeat, subscribes to every option's ticker, to the
    index, the prints and the lives of contracts, and answers the venue's test requests. `rate` is
    option tickers per second; not simulated means that the chain is repeated as recorded.
    """
    market: Market = SimulatedMarket(chain, seed, rate)
    if not is_simulated:
        market = ReplayMarket(chain, rate)
    venue = Venue([market], seed)
    now_ns = chain.instant_ns
    session = venue.connect(now_ns)
    numbers = itertools.count(1)

    def call(method: str, **params: object) -> None:
        request = {"jsonrpc": "2.0", "id": next(numbers), "method": method, "params": params}
        venue.receive(session, orjson.dumps(request), now_ns)

    ccy = chain.ccy
    call("public/set_heartbeat", interval=HEARTBEAT_S)
    call("public/get_instruments", currency=ccy, kind="option", expired=False)
    channels = [
        f"deribit_price_index.{ccy.lower()}_usd",
        f"trades.option.{ccy}.100ms",
        f"instrument.state.option.{ccy}",
        f"instrument.creation.option.{ccy}",
        *(f"ticker.{symbol}.100ms" for symbol in market.board.symbols),
    ]
    for first in range(0, len(channels), CHANNELS_PER_CALL):
        call("public/subscribe", channels=channels[first : first + CHANNELS_PER_CALL])
    messages = [(now_ns, payload) for payload in session.take()]
    while now_ns < chain.instant_ns + int(seconds * 1e9):
        now_ns += TICK_NS
        venue.tick(now_ns)
        for payload in session.take():
            messages.append((now_ns, payload))
            if b'"test_request"' in payload:
                call("public/test")
    return messages
