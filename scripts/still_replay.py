"""A seeded market, recorded on a virtual clock, replayed, and served by the gateway as it stood at the last moment.

    python scripts/still_replay.py      # prints `Open http://…`, serves until SIGTERM

The same bytes of surface data every time, whatever the machine: what `make screenshots` and the visual test look at.
Only `surface_fit_status` goes on, and says the same, so that the page is live. Nothing is measured: no latency is told.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import structs
from prometheus_client import CollectorRegistry

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench._traffic import record_traffic

from derivasys.calibrate import Rules
from derivasys.config import SITE
from derivasys.pipeline import Pipeline
from derivasys.publish.access import AccessRules
from derivasys.publish.binding import Binding
from derivasys.publish.gateway import Gateway
from derivasys.publish.rest import Rest
from derivasys.publish.server import GatewayServer, address_of, listen, open_access
from derivasys.record.replayer import Replay, replay
from derivasys.record.segments import Kind, Record, read
from derivasys.wire import messages as m
from derivasys.wire.feed import State
from derivasys.wire.state import state_of

CCYS = ("BTC", "ETH")
SECONDS, RATE = 15.0, 3000.0
CYCLE_NS = 1_000_000_000
"""Surfaces start from the one before: a second apart is near enough, and soon made."""
EVERY_S = 0.2
BUILD = "seeded replay"


class Moment:
    """The last states of the recording, and the status that goes with them."""

    def __init__(self, folder: Path) -> None:
        record_traffic(folder, SECONDS, RATE, CCYS)
        replaying = Replay(lambda ccys: Pipeline(Rules(), ccys))
        frames: Counter[str] = Counter()

        def counted() -> Iterator[Record]:
            for record in read(folder):
                if record.kind is Kind.RECEIVED:
                    frames[replaying.connections[record.connection].venue] += 1
                yield record

        self.states: dict[str, State] = {}
        for surface in replay(counted(), replaying, CYCLE_NS):
            self.states[surface.ccy] = state_of(surface)
        self.status = m.StatusMessage(
            schema=m.SCHEMA,
            ts=max(state.ts for state in self.states.values()),
            available_ccys=list(self.states),
            source=m.SourceStatus(
                kind="replay",
                label="A simulated market, recorded and replayed; held at its last moment",
                recorded={ccy: state.ts for ccy, state in self.states.items()},
            ),
            venues=[
                m.VenueStatus(
                    venue=venue, state="live", rate=round(count / SECONDS, 1), messages=count,
                    reconnects=0, gaps=0, drops=0, rejects={}, ccys=list(CCYS),
                )
                for venue, count in frames.items()
            ],
            latency_ms={},
            clients=1,
            build=BUILD,
        )  # fmt: skip


async def serve(moment: Moment) -> None:
    gateway = Gateway(time.monotonic, lambda: time.time_ns() // 1_000_000)
    for ccy in moment.states:
        gateway.add_feed(ccy, "still")
    rest = Rest(gateway, source="replay", build=BUILD, health=list, metrics=CollectorRegistry(), site=SITE)
    binding = Binding(port=0)
    server = GatewayServer(rest.app(), gateway, binding, open_access(AccessRules(), binding))
    with listen(binding) as listener:
        telling = asyncio.create_task(tell(gateway, moment))
        print(f"Open {address_of(binding, listener)}", flush=True)
        await server.serve([listener])
        telling.cancel()


async def tell(gateway: Gateway, moment: Moment) -> None:
    """Offer the same states again and again; a fit is sent when it differs, here by an empty field there or not."""
    status = msgspec.json.encode(moment.status)
    turn = 0
    while True:
        for ccy, state in moment.states.items():
            fit = state.fit | ({"waterfall_ms": {}} if turn % 2 else {})
            said = structs.replace(state, fit=fit)
            gateway.offer(ccy, state.ts + 200 * turn, lambda said=said: said)
        if turn % 5 == 0:
            gateway.publish_status(status)
        turn += 1
        await asyncio.sleep(EVERY_S)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        moment = Moment(Path(folder))
    asyncio.run(serve(moment))


if __name__ == "__main__":
    main()
