"""The local Deribit on a real port: one walk through REST and a socket."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from derivasys.clock import RecordedClock
from derivasys.testing.deribit import DeribitServer
from derivasys.testing.market import SimulatedMarket
from derivasys.testing.recordings import load_shipped

CHANNELS = ["ticker.BTC-14MAR26-71000-C.100ms", "deribit_price_index.btc_usd"]


async def call(socket: Any, method: str, **params: Any) -> list[Any]:
    """Make a call; return all messages up to and with its reply."""
    await socket.send(orjson.dumps({"id": 1, "method": method, "params": params}).decode())
    messages = []
    while not messages or messages[-1].get("id") != 1:
        messages.append(orjson.loads(await socket.recv()))
    return messages


async def walk(server: DeribitServer) -> None:
    root = f"http://{server.address}/api/v2"
    async with httpx.AsyncClient(trust_env=False) as http:
        reply = await http.get(f"{root}/public/get_instruments?currency=BTC&kind=option")
        assert reply.status_code == 200
        assert len(reply.json()["result"]) == 964
        reply = await http.post(root, json={"id": 7, "method": "public/get_time", "params": {}})
        assert (reply.json()["id"], type(reply.json()["result"])) == (7, int)
        assert (await http.get(f"{root}/public/nonsense")).json()["error"]["code"] == -32601
        assert (await http.post(root, content=b"{")).json()["error"]["code"] == 11050
    async with connect(f"ws://{server.address}/ws/api/v2", proxy=None) as socket:
        *_, reply = await call(socket, "public/subscribe", channels=[*CHANNELS, "nonsense"])
        assert sorted(reply["result"]) == sorted(CHANNELS)
        seen: dict[str, int] = {}
        while seen.get(CHANNELS[0], 0) < 5 or CHANNELS[1] not in seen:
            channel = orjson.loads(await socket.recv())["params"]["channel"]
            seen[channel] = seen.get(channel, 0) + 1
        for _ in range(9):
            await call(socket, "public/subscribe", channels=CHANNELS)
        *_, reply = await call(socket, "public/subscribe", channels=CHANNELS)
        assert reply["error"]["code"] == 10028
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.reason == "too_many_requests"
    async with connect(f"ws://{server.address}/ws/api/v2", proxy=None) as socket:
        await call(socket, "public/test")
        server.cut_connections()
        with pytest.raises(ConnectionClosed):
            await socket.recv()


def test_rest_and_socket_on_one_port() -> None:
    async def main() -> None:
        chain = load_shipped("BTC")
        market = SimulatedMarket(chain, seed=1, rate=10_000.0)
        server = DeribitServer(market, RecordedClock(chain.instant_ns), seed=1)
        await server.start()
        try:
            async with asyncio.timeout(30.0):
                await walk(server)
        finally:
            await server.stop()
        await server.stop()  # a second time does nothing

    asyncio.run(main())
