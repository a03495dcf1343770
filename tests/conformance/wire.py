"""A WebSocket client that can do everything wrong: bytes over a socket, nothing of a library in between."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import struct
from collections.abc import AsyncIterator, Iterable

import uvicorn

from derivasys.publish.access import Access, AccessRules
from derivasys.publish.binding import Binding
from derivasys.publish.server import GatewayServer, listen, open_access

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PATIENCE_S = 10.0


def frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, rsv: int = 0, length: int = -1
) -> bytes:
    """Return one frame; `length` lies about the payload's, `rsv` sets reserved bits."""
    size = len(payload) if length < 0 else length
    head = bytes([0x80 * fin | rsv << 4 | opcode])
    flag = 0x80 * masked
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", size)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", size)
    if masked:
        head += MASK
        payload = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(payload))
    return head + payload


def close_frame(code: int, reason: bytes = b"") -> bytes:
    return frame(CLOSE, struct.pack(">H", code) + reason)


_DIALLED: list[RawClient] = []
"""Cut when the server goes."""


class RawClient:
    """One TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        _DIALLED.append(self)
        self.key = base64.b64encode(os.urandom(16))

    @classmethod
    async def dial(cls, port: int) -> RawClient:
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 22))

    async def handshake(
        self, path: str = "/ws", extra: Iterable[str] = (), drop: Iterable[str] = (), **replace: str
    ) -> tuple[int, dict[str, str]]:
        """Send a handshake with headers added, dropped or replaced; return status and headers of the answer."""
        headers = {
            "Host": "127.0.0.1", "Upgrade": "websocket", "Connection": "Upgrade",
            "Sec-WebSocket-Key": self.key.decode(), "Sec-WebSocket-Version": "13",
        }  # fmt: skip
        headers |= {name.replace("_", "-"): value for name, value in replace.items()}
        lines = [f"{name}: {value}" for name, value in headers.items() if name not in drop]
        self.send("\r\n".join([f"GET {path} HTTP/1.1", *lines, *extra, "", ""]).encode())
        return await self.answer()

    async def answer(self) -> tuple[int, dict[str, str]]:
        async with asyncio.timeout(PATIENCE_S):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *rest = head.strip().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in rest)}

    async def open(self, path: str = "/ws", **options) -> RawClient:
        status, headers = await self.handshake(path, **options)
        assert status == 101
        assert headers["sec-websocket-accept"] == base64.b64encode(hashlib.sha1(self.key + GUID).digest()).decode()
        return self

    def send(self, data: bytes) -> None:
        """Send as it is. Raises ConnectionError, as drain does, where the other side is gone: uvloop has another one."""
        if self.writer.is_closing():
            raise ConnectionResetError("the other side has closed")
        self.writer.write(data)

    async def frame(self) -> tuple[int, bytes, int]:
        """Return opcode, payload and reserved bits of the next frame. Raises IncompleteReadError at the end."""
        async with asyncio.timeout(PATIENCE_S):
            first, second = await self.reader.readexactly(2)
            size = second & 127
            assert not second & 128, "a server never masks"
            if size == 126:
                (size,) = struct.unpack(">H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack(">Q", await self.reader.readexactly(8))
            payload = await self.reader.readexactly(size)
        assert first & 128, "our frames are never in pieces"
        return first & 15, payload, (first >> 4) & 7

    async def closed(self) -> tuple[int, bytes]:
        """Read to the close frame, answer it, and read to the end of the stream; return code and reason."""
        while True:
            opcode, payload, _ = await self.frame()
            if opcode == CLOSE:
                break
        self.send(frame(CLOSE, payload))
        assert await self.at_end()
        return (struct.unpack(">H", payload[:2])[0], payload[2:]) if payload else (1005, b"")

    async def at_end(self) -> bool:
        """Return whether the server ends the stream."""
        async with asyncio.timeout(PATIENCE_S):
            with contextlib.suppress(ConnectionResetError):
                while await self.reader.read(65536):
                    pass
        return True

    def cut(self) -> None:
        self.writer.transport.abort()


class Echo:
    """Answers every text with itself."""

    def __init__(self) -> None:
        self.open: dict = {}
        self.texts: list[bytes] = []

    def on_open(self, connection) -> None:
        self.open[connection] = None

    def on_text(self, connection, text: bytes) -> None:
        self.texts.append(text)
        connection.send_text(text)

    def on_drain(self, connection) -> None: ...

    def on_close(self, connection) -> None:
        self.open.pop(connection, None)

    def close_all(self, code: int, reason: str) -> None:
        for connection in list(self.open):
            connection.close(code, reason)


async def app(scope, receive, send) -> None:
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-length", b"2"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"ok"})


class Served:
    """A gateway's server with an echo in the gateway's place."""

    def __init__(self, handler, access: Access, server: uvicorn.Server, port: int) -> None:
        self.handler, self.access, self.server, self.port = handler, access, server, port

    async def client(self, path: str = "/ws", **options) -> RawClient:
        return await (await RawClient.dial(self.port)).open(path, **options)

    async def dial(self) -> RawClient:
        return await RawClient.dial(self.port)


@contextlib.asynccontextmanager
async def served(rules: AccessRules | None = None, handler=None, application=app, **binding) -> AsyncIterator[Served]:
    at = Binding(port=0, **binding)
    access = open_access(rules or AccessRules(), at)
    handler = handler or Echo()
    server = GatewayServer(application, handler, at, access)
    with listen(at) as listener:
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:
            await asyncio.sleep(0.002)
        try:
            yield Served(handler, access, server, listener.getsockname()[1])
        finally:
            cut_all()
            server.should_exit = True
            await serving


def cut_all() -> None:
    while _DIALLED:
        _DIALLED.pop().cut()


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.005)
