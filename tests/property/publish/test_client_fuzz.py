"""Whatever a client sends, a connection ends in an orderly way: no exception, bounded state, legal frames out."""

import asyncio
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conformance.wire import frame

from derivasys.publish import websocket
from derivasys.publish.access import Access, AccessRules
from derivasys.publish.gateway import Gateway
from derivasys.publish.websocket import Connection, Pulse

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)


class Transport:
    """Remembers what was written; reads nothing."""

    def __init__(self) -> None:
        self.out = bytearray()
        self.ended = False

    def write(self, data) -> None:
        assert not self.ended, "nothing is written after the end"
        self.out += data

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.ended = True

    abort = close

    def is_closing(self) -> bool:
        return self.ended

    def can_write_eof(self) -> bool:
        return True

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def get_extra_info(self, name: str):
        return None


def opened(extensions: bytes = b"") -> tuple[Connection, Transport]:
    gateway = Gateway(lambda: 0.0, lambda: 0)
    pulse = Pulse()
    pulse.add = lambda connection: None  # no loop here
    connection = Connection(
        lambda _: gateway, Access(AccessRules(), lambda: 0.0), pulse, websocket.WRITE_BUFFER_BYTES_MAX
    )
    transport = Transport()
    connection.connection_made(transport)
    connection.data_received(HANDSHAKE % extensions)
    assert transport.out.startswith(b"HTTP/1.1 101")
    del transport.out[: transport.out.index(b"\r\n\r\n") + 4]
    return connection, transport


def check(connection: Connection, transport: Transport) -> None:
    """Parse what came out: whole legal frames, a close the last of them, with a code that may be sent."""
    data, closed = bytes(transport.out), False
    while data:
        assert not closed, "nothing follows a close"
        opcode, size, at = data[0] & 15, data[1], 2
        assert data[0] & 0x80
        assert opcode in (1, 8, 9, 10)
        if size == 126:
            (size,), at = struct.unpack(">H", data[2:4]), 4
        payload, data = data[at : at + size], data[at + size :]
        assert len(payload) == size
        if opcode == 8:
            closed = True
            assert not payload or 1000 <= struct.unpack(">H", payload[:2])[0] <= 4999
            payload[2:].decode()
    assert len(connection._fragments) <= websocket.FRAGMENTS_MAX
    assert sum(map(len, connection._fragments)) <= websocket.MESSAGE_BYTES_MAX


def feed(data: bytes, cuts: list[int], extensions: bytes = b"") -> None:
    connection, transport = opened(extensions)
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        if start < end and not transport.ended:
            connection.data_received(data[start:end])
    if not transport.ended:
        connection.eof_received()
    connection.connection_lost(None)
    check(connection, transport)


FRAMES = st.builds(
    frame,
    st.integers(0, 15),
    st.binary(max_size=300) | st.sampled_from([b'{"type":"ping"}', b'{"type":"subscribe","channels":["fit"]}', b"\xff", b"1"]),
    fin=st.booleans(), masked=st.sampled_from([True] * 5 + [False]), rsv=st.sampled_from([0] * 5 + [4, 1]),
    length=st.sampled_from([-1] * 10 + [0, 125, 126, 65_536, 1 << 63]),
)  # fmt: skip
DEFLATE = st.sampled_from([b"", b"Sec-WebSocket-Extensions: permessage-deflate\r\n"])
QUICK = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(st.binary(max_size=400), DEFLATE)
def test_any_bytes(data, extensions):
    feed(data, [len(data) // 2], extensions)


@QUICK
@given(st.lists(FRAMES, max_size=12), st.data(), DEFLATE)
def test_any_frames_cut_anywhere(frames, draw, extensions):
    data = b"".join(frames)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    feed(data, cuts, extensions)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=600) | st.builds(lambda a, b: HANDSHAKE[:a] + b, st.integers(0, 200), st.binary(max_size=60)))
def test_any_handshake(data):
    gateway = Gateway(lambda: 0.0, lambda: 0)
    pulse = Pulse()
    pulse.add = lambda connection: None
    connection = Connection(lambda _: gateway, Access(AccessRules(), lambda: 0.0), pulse, 1 << 18)
    transport = Transport()
    connection.connection_made(transport)
    connection.data_received(data)
    if not transport.ended:
        connection.eof_received()
    connection.connection_lost(None)
    assert gateway.clients == 0
    assert not transport.out or transport.out.startswith(b"HTTP/1.1 ")


@pytest.fixture(autouse=True)
def _loop():
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    yield
    asyncio.set_event_loop(None)
    loop.close()
