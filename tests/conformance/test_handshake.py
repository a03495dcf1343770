"""RFC 6455, 4.2: what a server accepts as an opening handshake, and what it answers to anything else."""

import pytest

from tests.conformance.wire import TEXT, RawClient, frame, served

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_accept_key_is_the_rfcs(echo):
    client = await echo.dial()
    client.key = b"dGhlIHNhbXBsZSBub25jZQ=="
    status, headers = await client.handshake()
    assert (status, headers["sec-websocket-accept"]) == (101, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    assert headers["upgrade"].lower() == "websocket"
    assert headers["connection"].lower() == "upgrade"


@pytest.mark.parametrize(
    "replace", [{"Upgrade": "WebSocket"}, {"Connection": "keep-alive, Upgrade"}, {"Connection": "upgrade"}]
)
async def test_tokens_are_compared_without_case_in_lists(echo, replace):
    client = await echo.client(**replace)
    client.send(frame(TEXT, b"here"))
    assert await client.frame() == (TEXT, b"here", 0)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"drop": ["Sec-WebSocket-Key"]}, 400),
        ({"Sec_WebSocket_Key": "short"}, 400),
        ({"Sec_WebSocket_Key": "not base64 at all!!!!!!="}, 400),
        ({"extra": ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]}, 400),
        ({"drop": ["Sec-WebSocket-Version"]}, 400),
        ({"Sec_WebSocket_Version": "8"}, 400),
        ({"Sec_WebSocket_Version": "14"}, 400),
        ({"path": "/elsewhere"}, 404),
        ({"drop": ["Host"]}, 400),
        ({"Sec_WebSocket_Extensions": "permessage-deflate; ;;"}, 400),
    ],
)  # fmt: skip
async def test_what_is_no_handshake_is_refused_and_the_stream_ends(echo, change, status):
    client = await echo.dial()
    assert (await client.handshake(**change))[0] == status
    assert await client.at_end()


@pytest.mark.parametrize(
    "head",
    [
        b"GET /ws HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"POST /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50),
        b"GET /ws HTTP/1.1\r\nHost: x\r\nbroken header\r\n\r\n",
        b"GET " + b"/" * 400_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /ws HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 400_000 + b"\r\n\r\n",
    ],
)
async def test_other_requests_get_an_error_and_the_server_lives_on(echo, head):
    client = await echo.dial()
    client.send(head)
    status, _ = await client.answer()
    assert 400 <= status < 600
    assert (await (await echo.dial()).handshake())[0] == 101


async def test_frames_right_behind_the_handshake_are_read(echo):
    client = await echo.dial()
    head = f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {client.key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    client.send(head.encode() + frame(TEXT, b"early"))
    assert (await client.answer())[0] == 101
    assert await client.frame() == (TEXT, b"early", 0)


async def test_a_handshake_byte_by_byte(echo):
    client = await echo.dial()
    client.writer.transport.set_write_buffer_limits(0)
    for byte in f"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {client.key.decode()}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode():
        client.send(bytes([byte]))
        await client.writer.drain()
    assert (await client.answer())[0] == 101


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [("derivasys", "derivasys"), ("graphql-ws, derivasys", "derivasys"), ("graphql-ws", None), ("derivasys, derivasys.key.dsk_x", "derivasys")],
)  # fmt: skip
async def test_only_our_subprotocol_is_chosen_and_no_key_is_sent_back(echo, offered, chosen):
    client = await echo.dial()
    status, headers = await client.handshake(Sec_WebSocket_Protocol=offered)
    assert (status, headers.get("sec-websocket-protocol")) == (101, chosen)


@pytest.mark.parametrize(
    ("offer", "answer"),
    [
        ("permessage-deflate", True),
        ("permessage-deflate; client_max_window_bits", True),
        ("permessage-deflate; server_max_window_bits=15", True),
        ("permessage-deflate; server_max_window_bits=10", False),
        ("permessage-deflate; server_max_window_bits=10, permessage-deflate", True),
        ("x-webkit-deflate-frame", False),
        ("permessage-deflate; unknown=1", False),
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", False),
    ],
)
async def test_compression_is_agreed_on_only_without_context(echo, offer, answer):
    client = await echo.dial()
    status, headers = await client.handshake(Sec_WebSocket_Extensions=offer)
    assert status == 101
    agreed = headers.get("sec-websocket-extensions")
    if not answer:
        assert agreed is None
    else:
        assert "server_no_context_takeover" in agreed
        assert "client_no_context_takeover" in agreed


async def test_a_page_of_another_origin_is_refused():
    from derivasys.publish.access import AccessRules

    async with served(AccessRules(origins=("https://desk.example",))) as running:
        for origin, status in (
            ("https://desk.example", 101),
            ("http://127.0.0.1", 101),
            ("https://evil.example", 403),
            ("null", 403),
            ("https://desk.example.evil.example", 403),
        ):
            client = await RawClient.dial(running.port)
            assert (await client.handshake(Origin=origin))[0] == status, origin
