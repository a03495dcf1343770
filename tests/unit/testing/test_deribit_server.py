"""The local Deribit on a real port: one walk through REST and a socket."""

import asyncio
from typing import Any

import httpx
import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from derivasys.clock import RecordedClock, VirtualClock
from derivasys.testing.deribit import DeribitServer
from derivasys.testing.deribit.server import describe
from derivasys.testing.market import SimulatedMarket
from derivasys.testing.recordings import load_shipped

CHANNELS = ["ticker.BTC-14MAR26-71000-C.100ms", "deribit_price_index.btc_usd"]


async def call(socket: Any, method: str, **params: Any) -> list[Any]:
    """Make a call; return all messages up to and with its reply."""
    await socket.send(orjson.dumps({"id": 1, "method": method, "params": params}).decode())
    messages: list[Any] = []
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
        replies: list[Any] = []
        while not replies or "error" not in replies[-1]:  # the pool holds ten calls, and refills
            assert len(replies) < 50
            replies += (await call(socket, "public/subscribe", channels=CHANNELS))[-1:]
        assert replies[-1]["error"]["code"] == 10028
        assert len(replies) >= 9
        await socket.wait_closed()
        assert socket.close_reason == "too_many_requests"
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


class FakeConnection:
    """Takes what a connection of publish.websocket would write."""

    path = "/ws/api/v2"
    query: dict[str, str] = {}

    def __init__(self) -> None:
        self.state: Any = None
        self.is_slow = False
        self.written: list[bytes] = []
        self.ended: list[object] = []

    def write(self, frames: bytes) -> None:
        self.written.append(frames)

    def close(self, code: int, reason: str) -> None:
        self.ended.append((code, reason))

    def abort(self) -> None:
        self.ended.append("cut")


def serve_one() -> tuple[DeribitServer, FakeConnection, VirtualClock]:
    chain = load_shipped("BTC")
    clock = VirtualClock(chain.instant_ns)
    server = DeribitServer(SimulatedMarket(chain, seed=1), clock)
    connection = FakeConnection()
    server.on_open(connection)  # type: ignore[arg-type]
    return server, connection, clock


SUBSCRIBE = orjson.dumps({"id": 1, "method": "public/subscribe", "params": {"channels": CHANNELS}})


def test_all_that_waits_for_a_client_is_written_in_one_piece() -> None:
    server, connection, _ = serve_one()
    server.on_text(connection, SUBSCRIBE)  # type: ignore[arg-type]
    (frames,) = connection.written
    assert frames.count(b'"jsonrpc"') == 3  # the acknowledgement and two first messages
    assert frames[:1] == b"\x81"


def test_a_client_that_does_not_read_is_dropped() -> None:
    server, connection, _ = serve_one()
    connection.is_slow = True
    server.on_text(connection, SUBSCRIBE)  # type: ignore[arg-type]
    assert connection.written == []
    assert connection.ended == ["cut"]


def test_the_venues_close_reaches_the_connection() -> None:
    server, connection, clock = serve_one()
    request = {"id": 1, "method": "public/set_heartbeat", "params": {"interval": 10}}
    server.on_text(connection, orjson.dumps(request))  # type: ignore[arg-type]
    for _ in range(2):
        server.venue.tick(clock.advance(13_000_000_000))
        server.flush()
    assert connection.ended == [(4000, "heartbeat close")]


def test_the_description_says_what_is_shown() -> None:
    server, _, _ = serve_one()
    assert orjson.loads(describe(server)) == {
        "address": "",
        "simulated": True,
        "markets": ["simulated, seed 1, from Deribit BTC 2026-03-13 19:00:16 UTC"],
    }
