"""How many connections the local venues take, as the venues do; and what the connector does when it is one too many."""

import asyncio
import random
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS


def serving(venue: str, scenario) -> None:
    async def main() -> None:
        world = World([load_shipped("ETH")], seed=1)
        server = SERVERS[venue](world, RecordedClock(world.start_ns), ("ETH",), 100.0)
        await server.start()
        try:
            async with asyncio.timeout(60.0):
                await scenario(server)
        finally:
            await server.stop()

    asyncio.run(main())


@pytest.mark.parametrize(("venue", "path", "most"), [("deribit", "/ws/api/v2", 32), ("okx", "/ws/v5/public", 3)])
def test_one_connection_too_many_is_refused(venue, path, most):
    async def scenario(server):
        async with AsyncExitStack() as stack:
            for _ in range(most):
                await stack.enter_async_context(connect(f"ws://{server.address}{path}"))
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{server.address}{path}")
            assert refused.value.response.status_code == 429

    serving(venue, scenario)


def test_a_closed_connection_makes_room_for_another():
    async def scenario(server):
        url = f"ws://{server.address}/ws/api/v2"
        async with AsyncExitStack() as stack:
            first, *_ = [await stack.enter_async_context(connect(url)) for _ in range(32)]
            await first.close()
            await stack.enter_async_context(connect(url))

    serving("deribit", scenario)


def test_a_connector_that_is_refused_for_connecting_too_often_stays_away(monkeypatch):
    async def scenario(server):
        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        connector = Connector(
            "okx", endpoint, lambda now_ns: VENUES["okx"].sessions(("ETH",), now_ns)[0], server._clock,
            lambda *frame: (), random.Random(1),
        )  # fmt: skip
        task = asyncio.create_task(connector.run())
        try:
            while connector.state != "live":
                await asyncio.sleep(0.02)
            server.cut_connections()
            while "429" not in connector.detail:
                await asyncio.sleep(0.02)
            assert connector.detail == "handshake refused with HTTP 429"
            before = connector.reconnects
            await asyncio.sleep(1.5)  # the usual backoff would have come back within half a second
            assert (connector.reconnects, connector.state) == (before, "down")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    module = SERVERS["okx"].__globals__
    monkeypatch.setattr(module["OkxServer"], "doors", (0, 1, 3600.0))
    serving("okx", scenario)
