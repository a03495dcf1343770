"""Connections over real sockets on loopback, against an independent client."""

import asyncio

import httpx
import pytest
import uvicorn
import websockets
from websockets.asyncio.client import connect

from derivasys.publish.frames import text_frame
from derivasys.publish.websocket import MESSAGE_BYTES_MAX, uvicorn_protocol


class Echo:
    def __init__(self) -> None:
        self.open: list = []
        self.drained = asyncio.Event()

    def on_open(self, connection) -> None:
        self.open.append(connection)
        connection.send_text(f"{connection.path} {sorted(connection.query.items())}".encode())

    def on_text(self, connection, text: bytes) -> None:
        connection.send_text(text)

    def on_drain(self, connection) -> None:
        self.drained.set()

    def on_close(self, connection) -> None:
        self.open.remove(connection)


async def app(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
async def served():
    echo = Echo()
    protocol = uvicorn_protocol(lambda path: echo if path == "/ws" else None)
    config = uvicorn.Config(app, port=0, ws=protocol, lifespan="off", log_config=None, loop="asyncio")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield echo, f"127.0.0.1:{port}"
    server.should_exit = True
    await serving


async def test_text_and_query(served):
    _, address = served
    async with connect(f"ws://{address}/ws?ccy=ETH&ccy=BTC&x=1") as client:
        assert await client.recv() == "/ws [('ccy', 'BTC'), ('x', '1')]"
        for text in ("", "hello", "ä" * 500, "y" * (MESSAGE_BYTES_MAX - 1)):
            await client.send(text)
            assert await client.recv() == text


async def test_fragments_are_joined(served):
    _, address = served
    async with connect(f"ws://{address}/ws") as client:
        await client.recv()
        await client.send(["hel", "lo ", "there"])
        assert await client.recv() == "hello there"


async def test_one_port_serves_http_too(served):
    _, address = served
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"http://{address}/")).text == "ok"


async def test_other_paths_are_refused(served):
    _, address = served
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(f"ws://{address}/other"):
            pass
    assert refused.value.response.status_code == 404


@pytest.mark.parametrize(("message", "code"), [("x" * (MESSAGE_BYTES_MAX + 1), 1009), (b"binary", 1003)])
async def test_what_is_not_accepted_closes_with_its_code(served, message, code):
    echo, address = served
    async with connect(f"ws://{address}/ws") as client:
        await client.recv()
        await client.send(message)
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd.code == code
    await until(lambda: not echo.open)


async def test_a_client_that_does_not_read_is_slow_until_it_drains(served):
    echo, address = served
    async with connect(f"ws://{address}/ws", max_queue=1) as client:
        await client.recv()
        (connection,) = echo.open
        frame = text_frame(b"z" * 60_000)
        while not connection.is_slow:
            connection.write(frame)
        assert connection.unsent_bytes > 0
        drained = asyncio.create_task(echo.drained.wait())
        while not drained.done():
            await asyncio.wait_for(client.recv(), 5)
        assert not connection.is_slow
        client.transport.abort()  # much is still on its way: a closing handshake would wait behind it


async def test_a_client_that_vanishes_is_forgotten(served):
    echo, address = served
    client = await connect(f"ws://{address}/ws")
    await client.recv()
    client.transport.abort()
    await until(lambda: not echo.open)


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_frames_are_what_the_reference_writes(size):
    from websockets.frames import Frame, Opcode

    payload = b"q" * size
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)
