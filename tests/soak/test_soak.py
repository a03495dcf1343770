"""Minutes of clients that come, go, stall and misbehave: memory stays flat and the feed goes on (`make soak`)."""

import asyncio
import os
import random
import time
from pathlib import Path

import orjson
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.conformance.wire import TEXT, RawClient, frame
from tests.service.conftest import Up

SECONDS = float(os.environ.get("SOAK_S", "0"))
CLIENTS = 60
LIFE_S_MAX = 8.0
GROWTH_MB_MAX = 24.0
"""From a third of the run to its end, medians of a tenth of the run each."""
KINDS = ("follower", "switcher", "stalled", "vanishing", "rude", "http")

pytestmark = pytest.mark.skipif(not SECONDS, reason="`make soak` runs it: SOAK_S names its length")


def resident_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class Crowd:
    """Keeps `CLIENTS` clients busy; every one of them lives some seconds and is followed by another."""

    def __init__(self, up: Up, seed: int) -> None:
        self.up = up
        self.rng = random.Random(seed)
        self.lived = dict.fromkeys(KINDS, 0)
        self.messages = 0
        self.gaps = 0

    async def seat(self, until_s: float) -> None:
        while time.monotonic() < until_s:
            kind = self.rng.choice(KINDS)
            try:
                async with asyncio.timeout(LIFE_S_MAX + 20):
                    await getattr(self, kind)(self.rng.uniform(0.2, LIFE_S_MAX))
            except (OSError, WebSocketException, asyncio.IncompleteReadError, TimeoutError):
                await asyncio.sleep(0.2)
                continue
            self.lived[kind] += 1

    async def follower(self, life_s: float) -> None:
        """Checks that sequence numbers have no gap."""
        await self._listen(life_s, ['{"type":"subscribe","rate_ms":50}'])

    async def switcher(self, life_s: float) -> None:
        await self._listen(
            life_s, ['{"type":"select_currency","ccy":"ETH"}', '{"type":"resync","channel":"levels","ccy":"ETH"}']
        )

    async def _listen(self, life_s: float, wishes: list[str]) -> None:
        last: dict[tuple, int] = {}
        compression = self.rng.choice([None, "deflate"])
        async with connect(self.up.ws, max_size=None, compression=compression) as client:
            for wish in wishes:
                await client.send(wish)
            end_s = time.monotonic() + life_s
            while time.monotonic() < end_s:
                message = orjson.loads(await client.recv())
                self.messages += 1
                if message["type"].endswith("_snapshot"):
                    last[message["type"][:-9], message["ccy"]] = message["seq"]
                elif message["type"].endswith("_patch"):
                    key = (message["type"][:-6], message["ccy"])
                    self.gaps += last.get(key) != message["seq"] - 1
                    last[key] = message["seq"]

    async def stalled(self, life_s: float) -> None:
        client = await (await RawClient.dial(self.up.port)).open()
        client.send(frame(TEXT, b'{"type":"subscribe","rate_ms":50}'))
        client.writer.transport.pause_reading()
        await asyncio.sleep(life_s)
        client.cut()

    async def vanishing(self, life_s: float) -> None:
        client = await (await RawClient.dial(self.up.port)).open()
        await asyncio.sleep(life_s / 10)
        client.cut()

    async def rude(self, life_s: float) -> None:
        client = await (await RawClient.dial(self.up.port)).open()
        client.send(frame(self.rng.randrange(16), self.rng.randbytes(40), rsv=self.rng.choice([0, 4])))
        await asyncio.sleep(life_s / 10)
        client.cut()

    async def http(self, life_s: float) -> None:
        client = await RawClient.dial(self.up.port)
        path = self.rng.choice(["/surface/latest?ccy=BTC", "/status", "/metrics", "/", "/nowhere", "/levels"])
        client.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        await client.at_end()
        client.cut()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
async def test_memory_stays_flat_while_clients_come_and_go():
    up = Up("--source", "simulated", "--venue", "deribit", "--ccy", "BTC", "--ccy", "ETH")
    try:
        up.until(lambda: all(up.get(f"/surface/latest?ccy={ccy}").status_code == 200 for ccy in ("BTC", "ETH")), 120)
        crowd, samples = Crowd(up, seed=1), []
        until_s = time.monotonic() + SECONDS
        seats = [asyncio.create_task(crowd.seat(until_s)) for _ in range(CLIENTS)]
        while time.monotonic() < until_s:
            await asyncio.sleep(1.0)
            samples.append(resident_mb(up.process.pid))
        await asyncio.gather(*seats)
        status = await asyncio.to_thread(lambda: up.get("/status").json())
        report(crowd, samples, status)
        assert crowd.gaps == 0
        assert all(crowd.lived.values()), crowd.lived
        tenth = max(1, len(samples) // 10)
        third = len(samples) // 3
        before, after = sorted(samples[third : third + tenth]), sorted(samples[-tenth:])
        assert after[len(after) // 2] - before[len(before) // 2] <= GROWTH_MB_MAX
        await asyncio.to_thread(up.until, lambda: up.get("/status").json()["clients"] == 0)
    finally:
        up.stop()
    assert "Traceback" not in "".join(up.output)


def report(crowd: Crowd, samples: list[float], status: dict) -> None:
    step = max(1, len(samples) // 12)
    print(
        f"\n{sum(crowd.lived.values())} clients lived {crowd.lived}; {crowd.messages:,} messages read, {crowd.gaps} gaps"
    )
    print("resident MB: " + " ".join(f"{mb:.0f}" for mb in samples[::step]))
    print("gateway: " + str(status["gateway"]))
