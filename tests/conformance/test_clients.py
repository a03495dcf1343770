"""Independent clients against the real gateway: the websockets package and Node's ws, plain and compressed."""

import asyncio
import json
import shutil

import numpy as np
import pytest
from isal import isal_zlib
from websockets.asyncio.client import connect

from derivasys.config import ROOT
from derivasys.publish.gateway import Gateway
from derivasys.wire.feed import TABLES, State
from derivasys.wire.table import Field, Layout, Table, merge
from tests.conformance.wire import served

WS = ROOT / "dashboard" / "node_modules" / "ws" / "wrapper.mjs"
LAYOUT = Layout([Field(("vol",), 3)])
KEYS = tuple((f"row {at}",) for at in range(60))
LAST = 40
NODE = """
import { WebSocket } from '%s'
const client = new WebSocket(process.argv[1], { perMessageDeflate: process.argv[2] === 'deflate' })
client.on('message', (data, isBinary) => {
  if (isBinary) throw new Error('binary')
  console.log(data.toString())
  if (JSON.parse(data).version === %d) client.close(1000, 'enough')
})
client.on('close', (code, reason) => console.log(JSON.stringify({ type: 'closed', code, reason: String(reason), extensions: client.extensions })))
"""


def state(version: int) -> State:
    values = np.random.default_rng(version).uniform(10, 90, (len(KEYS), 1))
    table = Table(LAYOUT, KEYS, LAYOUT.rounded(values))
    still = Table(LAYOUT, KEYS, np.ones((len(KEYS), 1)))
    tables = {channel: table if channel == "surface" else still for channel in TABLES}
    return State("BTC", version, version * 1000, {}, tables, {})


async def publish(gateway: Gateway) -> None:
    """A version as soon as the last has been taken, once there is somebody."""
    while not gateway.clients:
        await asyncio.sleep(0.005)
    for version in range(2, LAST + 1):
        gateway.publish(state(version))
        await asyncio.sleep(0.002)


def fresh() -> Gateway:
    gateway = Gateway(lambda: 0.0, lambda: 7)
    gateway.add_feed("BTC", "e")
    gateway.publish(state(1))
    return gateway


def check(messages: list[dict]) -> None:
    """The surface put together from what arrived is the published one."""
    held: dict = {}
    for message in messages:
        if message["type"] == "svi_surface_snapshot":
            held = message
        elif message["type"] == "svi_surface_patch":
            assert message["seq"] == held["seq"] + 1
            held = merge(held, message)
    assert held["version"] == LAST
    assert held["smiles"] == state(LAST).tables["surface"].tree()


@pytest.mark.parametrize("compression", [None, "deflate"])
async def test_the_websockets_package(compression):
    gateway = fresh()
    async with served(handler=gateway) as running:
        publishing = asyncio.create_task(publish(gateway))
        messages = []
        async with asyncio.timeout(30), connect(f"ws://127.0.0.1:{running.port}/ws", compression=compression) as client:
            assert bool(client.protocol.extensions) == bool(compression)
            async for text in client:
                messages.append(json.loads(text))
                if messages[-1].get("version") == LAST:
                    break
        await publishing
        check(messages)


@pytest.mark.parametrize("compression", ["plain", "deflate"])
async def test_nodes_ws(compression):
    if shutil.which("node") is None or not WS.exists():
        pytest.skip("Node's ws is not here: `make setup` installs it")
    gateway = fresh()
    async with served(handler=gateway) as running:
        publishing = asyncio.create_task(publish(gateway))
        script = NODE % (WS.as_uri(), LAST)
        command = ["node", "--input-type=module", "-e", script, f"ws://127.0.0.1:{running.port}/ws", compression]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        async with asyncio.timeout(30):
            out, _ = await process.communicate()
        await publishing
        *messages, closed = [json.loads(line) for line in out.splitlines()]
        assert (closed["code"], closed["reason"]) == (1000, "enough")
        assert ("permessage-deflate" in closed["extensions"]) == (compression == "deflate")
        check(messages)


async def test_one_compression_serves_every_client(monkeypatch):
    """The same bytes go to all: a second subscriber costs no second compression."""
    made = []
    real = isal_zlib.compressobj
    gateway = fresh()
    async with served(handler=gateway) as running:
        url = f"ws://127.0.0.1:{running.port}/ws"
        async with connect(url, compression="deflate") as one, connect(url, compression="deflate") as two:
            for client in (one, two):
                for _ in (*TABLES, "fit"):
                    await client.recv()
            monkeypatch.setattr(isal_zlib, "compressobj", lambda *a, **k: made.append(1) or real(*a, **k))
            gateway.publish(state(2))
            assert await one.recv() == await two.recv()
            assert len(made) == 1
