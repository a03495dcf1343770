"""RFC 6455, 5 to 7: frames, fragments, control frames, closing; each case over a socket of its own."""

import asyncio
import struct
import zlib

import pytest

from derivasys.publish.websocket import FRAGMENTS_MAX, MESSAGE_BYTES_MAX
from tests.conformance.wire import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_frame, frame, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65_535, 65_536])
async def test_messages_of_every_length_encoding(echo, size):
    client = await echo.client()
    client.send(frame(TEXT, b"*" * size))
    assert await client.frame() == (TEXT, b"*" * size, 0)


async def test_many_messages_in_one_packet_and_one_message_byte_by_byte(echo):
    client = await echo.client()
    client.send(frame(TEXT, b"a") + frame(TEXT, b"b") + frame(PING, b"p") + frame(TEXT, b"c"))
    answers = [await client.frame() for _ in range(4)]
    assert [payload for opcode, payload, _ in answers if opcode == TEXT] == [b"a", b"b", b"c"]
    assert (PONG, b"p", 0) in answers
    for byte in frame(TEXT, b"slowly"):
        client.send(bytes([byte]))
        await asyncio.sleep(0)
    assert await client.frame() == (TEXT, b"slowly", 0)


# --- fragments ---


async def test_fragments_with_control_frames_between(echo):
    client = await echo.client()
    client.send(
        frame(TEXT, b"one ", fin=False) + frame(PING, b"!") + frame(CONT, b"", fin=False) + frame(PONG, b"unasked")
    )
    assert await client.frame() == (PONG, b"!", 0)
    client.send(frame(CONT, b"two", fin=True))
    assert await client.frame() == (TEXT, b"one two", 0)


async def test_a_character_may_be_split_between_fragments(echo):
    client = await echo.client()
    for at, piece in enumerate(("€".encode()[:1], "€".encode()[1:2], "€".encode()[2:])):
        client.send(frame(TEXT if at == 0 else CONT, piece, fin=at == 2))
    assert await client.frame() == (TEXT, "€".encode(), 0)


@pytest.mark.parametrize(
    "frames",
    [
        frame(CONT, b"nothing to continue"),
        frame(CONT, b"nothing to continue", fin=False),
        frame(TEXT, b"a", fin=False) + frame(TEXT, b"b"),
        frame(TEXT, b"a", fin=False) + frame(BINARY, b"b"),
        frame(TEXT, b"a", fin=False) + frame(CONT, b"b") + frame(CONT, b"c"),
    ],
)
async def test_fragments_out_of_order_are_a_protocol_error(echo, frames):
    client = await echo.client()
    client.send(frames)
    assert (await client.closed())[0] == 1002


async def test_too_many_fragments(echo):
    client = await echo.client()
    client.send(frame(TEXT, b"", fin=False) + frame(CONT, b"", fin=False) * FRAGMENTS_MAX)
    assert await client.closed() == (1008, b"too many fragments")


async def test_a_message_too_long_in_all(echo):
    client = await echo.client()
    client.send(frame(TEXT, b"x" * 40_000, fin=False) + frame(CONT, b"x" * 40_000))
    assert (await client.closed())[0] == 1009
    assert echo.handler.texts == []


# --- control frames ---


@pytest.mark.parametrize("payload", [b"", b"x", b"y" * 125])
async def test_a_ping_is_answered_with_its_payload(echo, payload):
    client = await echo.client()
    client.send(frame(PING, payload))
    assert await client.frame() == (PONG, payload, 0)


@pytest.mark.parametrize(
    "bad",
    [
        frame(PING, b"x" * 126), frame(PING, b"x", fin=False), frame(CLOSE, b"x"),
        frame(PONG, b"x" * 126), frame(CLOSE, struct.pack(">H", 1000), fin=False),
    ],
)  # fmt: skip
async def test_broken_control_frames(echo, bad):
    client = await echo.client()
    client.send(bad)
    assert (await client.closed())[0] == 1002


# --- headers of frames ---


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
async def test_reserved_opcodes(echo, opcode):
    client = await echo.client()
    client.send(frame(opcode, b"?"))
    assert (await client.closed())[0] == 1002


@pytest.mark.parametrize("rsv", [1, 2, 3, 4, 5, 6, 7])
async def test_reserved_bits_without_an_extension(echo, rsv):
    client = await echo.client()
    client.send(frame(TEXT, b"?", rsv=rsv))
    assert (await client.closed())[0] == 1002


@pytest.mark.parametrize(
    "bad", [frame(TEXT, b"bare", masked=False), frame(PING, b"", masked=False), frame(CLOSE, b"", masked=False)]
)
async def test_a_client_must_mask(echo, bad):
    client = await echo.client()
    client.send(bad)
    assert (await client.closed())[0] == 1002


@pytest.mark.parametrize("length", [MESSAGE_BYTES_MAX + 1, 1 << 32, (1 << 63) - 1, 1 << 63])
async def test_an_announced_length_beyond_the_limit_closes_before_the_payload_comes(echo, length):
    client = await echo.client()
    client.send(frame(TEXT, b"only this", length=length))
    assert (await client.closed())[0] in ((1009,) if length < 1 << 63 else (1002, 1009))


async def test_the_longest_message_passes(echo):
    client = await echo.client()
    client.send(frame(TEXT, b"m" * MESSAGE_BYTES_MAX))
    assert (await client.frame())[1] == b"m" * MESSAGE_BYTES_MAX


async def test_binary_is_not_spoken_here(echo):
    client = await echo.client()
    client.send(frame(BINARY, b"\x00"))
    assert await client.closed() == (1003, b"text messages only")


# --- UTF-8 ---


@pytest.mark.parametrize("text", ["κόσμε", "\U0010ffff", "\x00", "�", "\ufeffx", "\u007f", "𝄞"])
async def test_valid_utf8(echo, text):
    client = await echo.client()
    client.send(frame(TEXT, text.encode()))
    assert await client.frame() == (TEXT, text.encode(), 0)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80",
        b"\xfe", b"\xff", b"cut \xe2\x82", b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    ],
)  # fmt: skip
async def test_invalid_utf8_closes_with_1007(echo, data):
    client = await echo.client()
    client.send(frame(TEXT, data))
    assert (await client.closed())[0] == 1007
    assert echo.handler.texts == []


async def test_invalid_utf8_in_a_close_reason(echo):
    client = await echo.client()
    client.send(close_frame(1000, b"\xff\xfe"))
    assert (await client.closed())[0] in (1002, 1007)


# --- closing ---


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999]
)
async def test_close_codes_are_echoed(echo, code):
    client = await echo.client()
    client.send(close_frame(code, b"bye"))
    assert await client.closed() == (code, b"bye")
    await until(lambda: not echo.handler.open)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
async def test_close_codes_that_may_not_be_sent(echo, code):
    client = await echo.client()
    client.send(close_frame(code))
    assert (await client.closed())[0] == 1002


async def test_a_close_without_code(echo):
    client = await echo.client()
    client.send(frame(CLOSE))
    assert await client.closed() == (1005, b"")


async def test_nothing_is_read_after_a_close(echo):
    client = await echo.client()
    client.send(close_frame(1000) + frame(TEXT, b"too late") + frame(PING))
    assert (await client.closed())[0] == 1000
    assert echo.handler.texts == []


async def test_our_close_waits_for_the_clients(echo):
    client = await echo.client()
    await until(lambda: echo.handler.open)
    echo.handler.close_all(1012, "service restart")
    opcode, payload, _ = await client.frame()
    assert (opcode, payload) == (CLOSE, struct.pack(">H", 1012) + b"service restart")
    client.send(close_frame(1012))
    assert await client.at_end()
    await until(lambda: not echo.handler.open)


# --- permessage-deflate (RFC 7692) ---


def squeezed(payload: bytes, *, level: int = 6) -> bytes:
    squeezer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (squeezer.compress(payload) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]


def opened(payload: bytes) -> bytes:
    return zlib.decompressobj(-15).decompress(payload + b"\x00\x00\xff\xff")


DEFLATE = {"Sec_WebSocket_Extensions": "permessage-deflate"}


@pytest.mark.parametrize("size", [0, 1, 255, 256, 1000, 30_000])
async def test_compressed_messages_both_ways_each_by_itself(echo, size):
    client = await echo.client(**DEFLATE)
    text = (b"option surface " * (size // 15 + 1))[:size]
    for _ in range(3):
        client.send(frame(TEXT, squeezed(text), rsv=4))
        opcode, payload, rsv = await client.frame()
        assert opcode == TEXT
        assert rsv == (4 if size >= 256 else 0)
        assert (opened(payload) if rsv else payload) == text


async def test_a_compressed_message_in_fragments_and_a_plain_one(echo):
    client = await echo.client(**DEFLATE)
    data = squeezed(b"in pieces, " * 10)
    client.send(frame(TEXT, data[:5], fin=False, rsv=4) + frame(PING, b"-") + frame(CONT, data[5:]))
    assert {(await client.frame())[:2] for _ in range(2)} == {(PONG, b"-"), (TEXT, b"in pieces, " * 10)}
    client.send(frame(TEXT, b"plain"))
    assert await client.frame() == (TEXT, b"plain", 0)


@pytest.mark.parametrize(
    "bad",
    [frame(TEXT, b"\xff\xff\xff garbage", rsv=4), frame(PING, b"x", rsv=4), frame(TEXT, b"x", fin=False, rsv=4) + frame(CONT, b"y", rsv=4)],
)  # fmt: skip
async def test_broken_compression(echo, bad):
    client = await echo.client(**DEFLATE)
    client.send(bad)
    assert (await client.closed())[0] in (1002, 1007)


async def test_a_compression_bomb_is_closed_at_the_limit_not_unpacked(echo):
    client = await echo.client(**DEFLATE)
    client.send(frame(TEXT, squeezed(bytes(50_000_000), level=9), rsv=4))
    assert (await client.closed())[0] == 1009
