"""Compiles every kernel, or loads it from numba's cache, before the first market data arrive."""

from __future__ import annotations

from derivasys.calibrate import Rules
from derivasys.clock import VirtualClock
from derivasys.messages import Contract, Forward, Instrument, Quote
from derivasys.pipeline import Pipeline
from derivasys.publish.fanout import send_to_all
from derivasys.testing.market import World
from derivasys.testing.recordings import CHAINS, VENUE, load_shipped
from derivasys.testing.servers import SERVERS
from derivasys.wire.feed import Feed
from derivasys.wire.state import state_of
from derivasys.wire.variant import Variant

_DAY_MS = 86_400_000
_STRIKES = (70.0, 80.0, 90.0, 95.0, 100.0, 105.0, 110.0, 120.0, 130.0)


def warm_up() -> None:
    """Calibrate a small made-up board twice, cold and warm, with well-quoted and sparse expiries, and publish it."""
    pipeline = Pipeline(Rules())
    for days, strikes in ((10, _STRIKES), (40, _STRIKES), (90, _STRIKES[3:6])):
        expiry = days * _DAY_MS
        for strike in strikes:
            for kind in ("C", "P"):
                symbol = f"WARM-{days}-{strike:g}-{kind}"
                of = Contract("warm", symbol, "WARM", "option", "quote", expiry, strike, kind)
                pipeline.apply(Instrument(of, 0, tick_size=0.01))
                intrinsic = max(0.0, 100.0 - strike if kind == "C" else strike - 100.0)
                value = intrinsic + 4.0 * (days / 30.0) ** 0.5 * 0.97 ** abs(strike - 100.0)
                pipeline.apply(Quote(of, 0, 0, value - 0.1, value + 0.1, 1.0, 1.0))
        pipeline.apply(Forward("warm", "given", "WARM", expiry, 0, 0, 100.0))
    feed = Feed("WARM", "warm")
    for now_ns in (1_000_000, 2_000_000_000):
        for surface in pipeline.drain(now_ns):
            feed.update(state_of(surface))
            feed.activate(Variant())
            feed.publish()
    send_to_all((), b"")


def warm_up_simulator() -> None:
    """Let a simulated market take a few steps, so that the first `derivasys up` does not compile either."""
    world = World([load_shipped(ccy) for ccy in CHAINS], seed=1)
    clock = VirtualClock(world.start_ns)
    server = SERVERS[VENUE](world, clock, ("BTC", "ETH"), 1000.0)
    for _ in range(40):
        server.venue.tick(clock.advance(50_000_000))  # type: ignore[attr-defined]


if __name__ == "__main__":
    warm_up()
    warm_up_simulator()
