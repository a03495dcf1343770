"""The socket around a session, against a local venue: what failures of HTTP do to it."""

import asyncio
import random

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.bybit import LISTING
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.testing.bybit import BybitServer
from derivasys.testing.bybit.payloads import BybitNames
from derivasys.testing.bybit.terms import TERMS
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped


def run(scenario) -> None:
    async def main() -> None:
        world = World([load_shipped("BTC")], seed=1)
        clock = RecordedClock(world.start_ns)
        server = BybitServer(world.venue(TERMS, BybitNames(), ("DOGE",), 100.0), clock)
        await server.start()
        sessions = []

        def session(now_ns):
            sessions.append(VENUES["bybit"].sessions(("DOGE",), now_ns)[0])
            return sessions[-1]

        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        connector = Connector("bybit", endpoint, session, clock, lambda *frame: None, random.Random(1))
        task = asyncio.create_task(connector.run())
        try:
            async with asyncio.timeout(30.0):
                await scenario(server, connector, sessions)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.stop()

    asyncio.run(main())


def test_a_venue_that_answers_403_is_left_alone():
    """Bybit asks for ten minutes of quiet: the usual backoff would have come back within half a second."""

    async def scenario(server, connector, sessions):
        server.venue.faults.is_banned = True
        while "403" not in connector.detail:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        assert connector.reconnects == 0
        assert connector.state == "down"

    run(scenario)


def test_a_listing_that_cannot_be_fetched_does_not_end_a_live_connection():
    async def scenario(server, connector, sessions):
        while connector.state != "live":
            await asyncio.sleep(0.05)
        server.venue.faults.is_banned = True
        path = f"{LISTING}?category=option&baseCoin=DOGE&limit=1000"
        sessions[0].relisting.append(path)
        await asyncio.sleep(0.5)
        before = connector.messages
        await asyncio.sleep(0.5)
        assert connector.messages > before
        assert (connector.reconnects, len(sessions)) == (0, 1)
        assert sessions[0].relisting == [path], "to be tried again"

    run(scenario)
