"""Slow, silent, greedy and half-gone clients: each is bounded, and the others are served meanwhile."""

import asyncio
import contextlib
import os

import pytest

from derivasys.publish import server, websocket
from derivasys.publish.access import AccessRules
from derivasys.publish.fanout import Audience
from tests.conformance.wire import CLOSE, CONT, PING, PONG, TEXT, frame, served, until


@pytest.fixture
def hasty(monkeypatch):
    """Deadlines in hundredths of a second instead of tens of seconds."""
    monkeypatch.setattr(websocket, "BEAT_S", 0.1)
    monkeypatch.setattr(websocket, "UNFINISHED_S_MAX", 0.2)
    monkeypatch.setattr(websocket, "STUCK_S_MAX", 0.2)
    monkeypatch.setattr(server, "REQUEST_S_MAX", 0.3)
    monkeypatch.setattr(server, "RESPONSE_S_MAX", 0.3)


# --- slow-loris ---


async def test_a_request_that_trickles_in_is_dropped(hasty):
    async with served() as running:
        client = await running.dial()
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(5):
                for byte in b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"y" * 10_000:
                    client.send(bytes([byte]))
                    await client.writer.drain()
                    await asyncio.sleep(0.02)
                    if client.reader.at_eof():
                        break
        assert await client.at_end()


async def test_a_connection_that_says_nothing_is_dropped(hasty):
    async with served() as running:
        assert await (await running.dial()).at_end()


async def test_a_body_that_does_not_come_is_not_waited_for(hasty):
    async with served() as running:
        client = await running.dial()
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        assert await client.at_end()


async def test_an_answer_that_nobody_takes_is_given_up(hasty):
    async def large(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(1 << 20), "more_body": True})

    async with served(application=large) as running:
        client = await running.dial()
        client.writer.transport.pause_reading()
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        await until(lambda: running.server.server_state.connections)
        await until(lambda: not running.server.server_state.connections)


async def test_a_message_begun_and_not_finished_is_closed(hasty):
    async with served() as running:
        client = await running.client()
        client.send(frame(TEXT, b"to be", fin=False))
        code, reason = await client.closed()
        assert (code, reason) == (1008, b"message not finished in time")


async def test_a_frame_that_trickles_in_cannot_answer_pings_and_is_dropped(hasty):
    async with served() as running:
        client = await running.client()
        client.send(frame(TEXT, b"x", length=50_000))
        assert await client.at_end()
        await until(lambda: not running.handler.open)


# --- silent and half-open ---


async def test_a_client_that_answers_pings_stays_and_one_that_does_not_goes(hasty):
    async with served() as running:
        living, dead = await running.client(), await running.client()
        for _ in range(3):
            opcode, payload, _ = await living.frame()
            assert opcode == PING
            living.send(frame(PONG, payload))
        assert await dead.at_end()
        living.send(frame(TEXT, b"still here"))
        while (answer := await living.frame())[0] == PING:
            living.send(frame(PONG))
        assert answer == (TEXT, b"still here", 0)


async def test_a_client_that_ends_its_half_without_a_close_is_forgotten():
    async with served() as running:
        client = await running.client()
        await until(lambda: running.handler.open)
        client.writer.write_eof()
        assert await client.at_end()
        await until(lambda: not running.handler.open)


async def test_a_client_that_is_cut_is_forgotten():
    async with served() as running:
        client = await running.client()
        await until(lambda: running.handler.open)
        client.cut()
        await until(lambda: not running.handler.open)


async def test_a_close_that_is_not_answered_ends_anyway(hasty):
    async with served() as running:
        client = await running.client()
        await until(lambda: running.handler.open)
        running.handler.close_all(1001, "going")
        while (await client.frame())[0] != CLOSE:
            pass
        assert await client.at_end()


# --- greedy ---


async def test_a_client_that_does_not_read_its_answers_gets_no_more_questions_in(hasty):
    async with served() as running:
        client = await running.client()
        client.writer.transport.pause_reading()
        client.writer.transport.set_write_buffer_limits(1 << 30)
        client.send(frame(TEXT, b"z" * 60_000) * 600)
        await until(lambda: any(connection.is_slow for connection in running.handler.open))
        (connection,) = running.handler.open
        assert connection.unsent_bytes < websocket.WRITE_BUFFER_BYTES_MAX + 500_000
        await until(lambda: not running.handler.open)
        assert connection.why_dropped.startswith("has not caught up")


async def test_pings_without_end_do_not_fill_memory(hasty):
    async with served() as running:
        client = await running.client()
        client.writer.transport.pause_reading()
        client.writer.transport.set_write_buffer_limits(1 << 30)
        flood = frame(PING, b"p" * 125) * 1000
        for _ in range(200):
            client.send(flood)
        await until(lambda: any(connection.is_slow for connection in running.handler.open))
        (connection,) = running.handler.open
        assert connection.unsent_bytes < websocket.WRITE_BUFFER_BYTES_MAX + 500_000
        await until(lambda: not running.handler.open)


async def test_a_snapshot_larger_than_the_buffer_does_not_make_a_client_slow():
    async with served() as running:
        client = await running.client()
        await until(lambda: running.handler.open)
        (connection,) = running.handler.open
        client.writer.transport.pause_reading()
        connection.write_whole(b"\x81\x7f" + (8 << 20).to_bytes(8, "big") + b"s" * (8 << 20))
        assert connection.unsent_bytes > websocket.WRITE_BUFFER_BYTES_MAX
        assert not connection.is_slow
        while not connection.is_slow:
            Audience([connection]).write(b"\x81\x7e" + (60_000).to_bytes(2, "big") + b"p" * 60_000)
        client.writer.transport.resume_reading()
        assert len((await client.frame())[1]) == 8 << 20
        await until(lambda: not connection.is_slow)


async def test_connections_of_an_address_are_limited():
    async with served(AccessRules(connections_per_address=3)) as running:
        clients = [await running.client() for _ in range(3)]
        fourth = await running.dial()
        assert (await fourth.answer())[0] == 429
        assert running.access.refused["connections"] == 1
        clients[0].cut()
        await until(lambda: len(running.handler.open) == 2)
        await running.client()


async def test_connections_are_counted_by_the_address_a_trusted_proxy_tells():
    rules = AccessRules(connections_per_address=1, trusted_proxies=("127.0.0.0/8",))
    async with served(rules) as running:
        await running.client(X_Forwarded_For="203.0.113.7")
        await running.client(X_Forwarded_For="203.0.113.8")
        third = await running.dial()
        # What a client puts in front of what the proxy appended is not believed.
        assert (await third.handshake(X_Forwarded_For="198.51.100.1, 203.0.113.7"))[0] == 429


async def test_requests_of_an_address_are_limited():
    async with served(AccessRules(requests_per_s=0.1)) as running:
        client = await running.dial()
        statuses = []
        for _ in range(3):
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            status, headers = await client.answer()
            await client.reader.readexactly(int(headers["content-length"]))
            statuses.append(status)
        assert statuses == [200, 429, 429]
        assert headers["retry-after"] == "1"
        assert (await (await running.dial()).handshake())[0] == 429


@pytest.mark.parametrize("head", ["Content-Length: 2000000", "Transfer-Encoding: chunked"])
async def test_a_body_too_large_is_refused(head):
    async with served() as running:
        client = await running.dial()
        client.send(f"POST / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        if "chunked" in head:
            client.send(b"100000\r\n" + b"x" * (1 << 20) + b"\r\n100000\r\n" + b"x" * (1 << 20) + b"\r\n0\r\n\r\n")
        assert (await client.answer())[0] == 413


async def test_a_message_half_sent_when_the_client_goes_is_not_delivered():
    async with served() as running:
        client = await running.client()
        client.send(frame(TEXT, b"half", fin=False) + frame(CONT, b"", fin=False))
        client.cut()
        await until(lambda: not running.handler.open)
        assert running.handler.texts == []


async def test_bytes_sent_past_the_transport_do_not_overtake_those_that_wait_in_it():
    async with served() as running:
        client = await running.client()
        await until(lambda: running.handler.open)
        (connection,) = running.handler.open
        Audience([connection]).write(b"\x81\x01a")
        assert (await client.frame())[1] == b"a"
        assert connection.descriptor >= 0
        client.writer.transport.pause_reading()
        large = b"\x81\x7f" + (8 << 20).to_bytes(8, "big") + b"s" * (8 << 20)
        connection.write_whole(large)
        link = client.writer.get_extra_info("socket")
        got = _received(link)  # the kernel has room again, before the transport is told so
        assert len(got) + connection.unsent_bytes <= len(large)
        Audience([connection]).write(b"\x81\x01b")
        async with asyncio.timeout(10.0):
            while len(got) < len(large) + 3:
                got += _received(link)
                await asyncio.sleep(0.001)
        assert got == large + b"\x81\x01b"


def _received(link) -> bytes:
    """Everything that the kernel holds for a client."""
    got = b""
    with contextlib.suppress(BlockingIOError):
        while piece := os.read(link.fileno(), 1 << 20):
            got += piece
    return got


async def test_nothing_is_sent_past_a_closed_connection():
    async with served() as running:
        client = await running.client()
        await until(lambda: running.handler.open)
        (connection,) = running.handler.open
        Audience([connection]).write(b"\x81\x01a")
        assert connection.descriptor >= 0
        connection.close()
        Audience([connection]).write(b"\x81\x01b")
        assert (await client.frame())[1] == b"a"
        opcode, _ = (await client.frame())[:2]
        assert opcode == 8
        assert connection.descriptor == -1
