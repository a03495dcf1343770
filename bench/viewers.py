"""Bytes that a viewer costs: real clients of a real run, counted on the wire by a proxy between them.

Every number is bytes towards the client, WebSocket headers included, TLS and TCP not (they add about 3 %).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import time

from websockets.asyncio.client import connect

SETTLE_S = 15.0
SECONDS = 20.0
RATE = 1_000
"""Option tickers a second over five venues: about what they send in a quiet hour."""
PAGE = ("surface", "levels", "tenors", "fit", "through", "status")
CURVES = ("surface", "tenors", "fit", "status")
"""Without the quotes of every strike and venue."""
VARIANTS = tuple(
    (channels, rate_ms, is_compressed)
    for channels, rates_ms in ((PAGE, (50, 200, 1000)), (CURVES, (200, 1000)))
    for rate_ms in rates_ms
    for is_compressed in (False, True)
)


class Counter:
    """A proxy on loopback that counts what goes to the client."""

    def __init__(self, port: int) -> None:
        self.bytes = 0
        self._port = port
        self._tasks: set[asyncio.Task] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._tasks.add(asyncio.current_task())
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._port)

        async def pipe(source, sink, counted: bool) -> None:
            while data := await source.read(1 << 16):
                self.bytes += len(data) if counted else 0
                sink.write(data)
                await sink.drain()

        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await asyncio.gather(pipe(reader, to_server, False), pipe(from_server, writer, True))
        to_server.close()
        writer.close()


async def _watch(port: int, channels: tuple[str, ...], rate_ms: int, is_compressed: bool) -> dict:
    counter = Counter(port)
    query = f"ccy=BTC&rate_ms={rate_ms}&channels={','.join(channels)}"
    address = f"ws://127.0.0.1:{await counter.start()}/ws?{query}"
    compression = "deflate" if is_compressed else None
    async with connect(address, compression=compression, max_size=None) as socket:
        agreed = bool(socket.protocol.extensions)
        first_s = time.perf_counter() + SETTLE_S
        messages, begun = 0, None
        while True:
            text = await socket.recv()
            if '"type":"error"' in text[:200] and "unknown_ccy" not in text:
                raise RuntimeError(text)
            now = time.perf_counter()
            if begun is None:
                if now >= first_s:
                    begun, before = now, counter.bytes
                continue
            messages += 1
            if now - begun >= SECONDS:
                break
        seconds = now - begun
    await counter.stop()
    return {
        "channels": "page" if channels == PAGE else "curves",
        "rate_ms": rate_ms,
        "compressed": is_compressed and agreed,
        "asked_compression": is_compressed,
        "bytes_per_s": round((counter.bytes - before) / seconds),
        "messages_per_s": round(messages / seconds, 1),
    }


async def _measure(port: int) -> list[dict]:
    return await asyncio.gather(*(_watch(port, *variant) for variant in VARIANTS))


def run() -> dict:
    command = [sys.executable, "-m", "derivasys.cli", "up", "--source", "simulated", "--port", "0", "--rate", str(RATE)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        for line in server.stdout:
            if found := re.match(r"Open http://[^:]+:(\d+)/", line):
                return {"tickers_per_s": RATE, "seconds": SECONDS, "viewers": asyncio.run(_measure(int(found[1])))}
        raise RuntimeError("the server did not start")
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()


def render(result: dict) -> str:
    lines = [
        f"One viewer of BTC (page: every channel; curves: without each quote), {result['tickers_per_s']:,} tickers a second:",
        "",
        "| channels | rate, ms | compressed | bytes/s | messages/s | GB a month |",
        "|---|---|---|---|---|---|",
    ]
    for row in result["viewers"]:
        told = "yes" if row["compressed"] else ("refused" if row["asked_compression"] else "no")
        month = row["bytes_per_s"] * 86_400 * 30 / 1e9
        lines.append(
            f"| {row['channels']} | {row['rate_ms']} | {told} | {row['bytes_per_s']:,} | {row['messages_per_s']} | {month:,.1f} |"
        )
    return "\n".join(lines)
