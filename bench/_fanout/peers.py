"""The same broadcast on other servers: `python peers.py NAME PORT RATE BYTES`, in the environment of the peers.

Each sends one text of BYTES to every client RATE times a second, in the way its documentation shows for that, on uvloop.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time

import uvloop

NAME, PORT, RATE, BYTES = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
clients: set = set()


def text() -> str:
    head = f'{{"t":{time.monotonic_ns()},"pad":"'
    return head + "x" * (BYTES - len(head) - 2) + '"}'


async def every(send) -> None:
    """Call `send` with a new text, RATE times a second."""
    due = time.monotonic()
    while True:
        due += 1 / RATE
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await send(text())


async def one_by_one(send_to) -> None:
    """For servers that send by awaiting: a client at a time."""

    async def send(message: str) -> None:
        for client in list(clients):
            with contextlib.suppress(OSError):  # it has gone
                await send_to(client, message)

    await every(send)


async def with_websockets() -> None:
    from websockets.asyncio.server import broadcast, serve

    async def handler(client) -> None:
        clients.add(client)
        try:
            await client.wait_closed()
        finally:
            clients.discard(client)

    async def send(message: str) -> None:
        broadcast(clients, message)

    async with serve(handler, "127.0.0.1", PORT, compression=None, backlog=1024):
        print("ready", flush=True)
        await every(send)


async def with_uvicorn() -> None:
    import uvicorn

    async def app(scope, receive, send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        clients.add(send)
        try:
            while (await receive())["type"] != "websocket.disconnect":
                pass
        finally:
            clients.discard(send)

    config = uvicorn.Config(
        app, port=PORT, lifespan="off", log_level="error", ws_per_message_deflate=False, backlog=1024
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await one_by_one(lambda send, message: send({"type": "websocket.send", "text": message}))
    await serving


async def with_aiohttp() -> None:
    from aiohttp import web

    async def handler(request):
        client = web.WebSocketResponse(compress=False)
        await client.prepare(request)
        clients.add(client)
        try:
            async for _ in client:
                pass
        finally:
            clients.discard(client)
        return client

    app = web.Application()
    app.router.add_get("/ws", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", PORT, backlog=1024).start()
    print("ready", flush=True)
    await one_by_one(lambda client, message: client.send_str(message))


async def with_picows() -> None:
    from picows import WSListener, WSMsgType, ws_create_server

    class Client(WSListener):
        def on_ws_connected(self, transport) -> None:
            clients.add(transport)

        def on_ws_disconnected(self, transport) -> None:
            clients.discard(transport)

    async def send(message: str) -> None:
        payload = message.encode()
        for client in clients:
            client.send(WSMsgType.TEXT, payload)

    await ws_create_server(lambda _: Client(), "127.0.0.1", PORT, backlog=1024)
    print("ready", flush=True)
    await every(send)


uvloop.run(globals()[f"with_{NAME}"]())
