"""The socket around a session, against a local venue: what failures of HTTP do to it."""

import asyncio
import base64
import hashlib
import random

from derivasys.clock import RecordedClock
from derivasys.connect import VENUES
from derivasys.connect.bybit import LISTING
from derivasys.connect.runner import Connector
from derivasys.connect.session import Endpoint
from derivasys.testing.bybit import BybitServer
from derivasys.testing.bybit.payloads import BybitNames
from derivasys.testing.bybit.terms import TERMS
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS


class Tap:
    """Notes what is told of."""

    def __init__(self):
        self.told = []

    def opened(self, now_ns):
        self.told.append(("opened", b""))

    def listing(self, payload, now_ns):
        self.told.append(("listing", payload))

    def received(self, payload, now_ns):
        self.told.append(("received", payload))

    def sent(self, payload, now_ns):
        self.told.append(("sent", payload))


def run_any(name, scenario, *, speed=1.0, ccys=("SOL",)) -> None:
    """Connect to a venue's local server; `scenario` gets the server and the connector."""

    async def main() -> None:
        world = World([load_shipped("BTC"), load_shipped("ETH")], seed=1)
        clock = RecordedClock(world.start_ns, speed)
        server = SERVERS[name](world, clock, ccys, 500.0)
        await server.start()
        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")

        def session(now_ns):
            return VENUES[name].sessions(ccys, now_ns)[0]

        connector = Connector(name, endpoint, session, clock, lambda *frame: (), random.Random(1))
        connector.tap = Tap()
        task = asyncio.create_task(connector.run())
        try:
            async with asyncio.timeout(60.0):
                await scenario(server, connector)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.stop()

    asyncio.run(main())


def run(scenario) -> None:
    async def main() -> None:
        world = World([load_shipped("BTC")], seed=1)
        clock = RecordedClock(world.start_ns)
        server = BybitServer(world.venue(TERMS, BybitNames(), ("DOGE",), 100.0), clock)
        await server.start()
        sessions = []

        def session(now_ns):
            sessions.append(VENUES["bybit"].sessions(("DOGE",), now_ns)[0])
            return sessions[-1]

        endpoint = Endpoint(ws=f"ws://{server.address}", http=f"http://{server.address}")
        connector = Connector("bybit", endpoint, session, clock, lambda *frame: (), random.Random(1))
        task = asyncio.create_task(connector.run())
        try:
            async with asyncio.timeout(30.0):
                await scenario(server, connector, sessions)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await server.stop()

    asyncio.run(main())


def test_a_venue_that_answers_403_is_left_alone():
    """Bybit asks for ten minutes of quiet: the usual backoff would have come back within half a second."""

    async def scenario(server, connector, sessions):
        server.venue.faults.is_banned = True
        while "403" not in connector.detail:
            await asyncio.sleep(0.05)
        await asyncio.sleep(1.0)
        assert connector.reconnects == 0
        assert connector.state == "down"

    run(scenario)


def test_a_listing_that_cannot_be_fetched_does_not_end_a_live_connection():
    async def scenario(server, connector, sessions):
        while connector.state != "live":
            await asyncio.sleep(0.05)
        server.venue.faults.is_banned = True
        path = f"{LISTING}?category=option&baseCoin=DOGE&limit=1000"
        sessions[0].relisting.append(path)
        await asyncio.sleep(0.5)
        before = connector.messages
        await asyncio.sleep(0.5)
        assert connector.messages > before
        assert (connector.reconnects, len(sessions)) == (0, 1)
        assert sessions[0].relisting == [path], "to be tried again"

    run(scenario)


class Counted(dict):
    """Sessions of a local venue, with how many there were each time that one came or went."""

    def __init__(self, sessions):
        super().__init__(sessions)
        self.counts = []

    def __setitem__(self, session, value):
        super().__setitem__(session, value)
        self.counts.append(len(self))

    def pop(self, session, *default):
        value = super().pop(session, *default)
        self.counts.append(len(self))
        return value


def test_before_an_upgrade_the_next_connection_is_opened_and_only_then_the_old_one_closed():
    async def scenario(server, connector):
        venue, held = server.venue, set()
        while connector.messages < 50:
            await asyncio.sleep(0.02)
        (old,) = venue.sessions
        venue.sessions = Counted(venue.sessions)
        venue.upgrade()
        while old in venue.sessions:
            held |= set(old.topics)
            assert connector.state == "live"
            await asyncio.sleep(0.02)
        assert venue.sessions.counts == [2, 1]
        assert old.closing is None, "the venue would have closed it half a minute later"
        (new,) = venue.sessions
        assert set(new.topics) == held
        before = connector.messages
        while connector.messages < before + 50:
            await asyncio.sleep(0.02)
        assert connector.reconnects == 0
        assert [kind for kind, _ in connector.tap.told].count("opened") == 2

    run_any("okx", scenario, speed=5.0)


def test_a_venue_that_closes_before_there_is_another_connection_is_reconnected_to():
    async def scenario(server, connector):
        while connector.messages < 50:
            await asyncio.sleep(0.02)
        (old,) = server.venue.sessions
        server.venue.faults.maintenance = True
        server.venue.upgrade()
        old.closing = (4006, "service upgrade")
        while connector.state != "down":
            await asyncio.sleep(0.02)
        server.venue.faults.maintenance = False
        while connector.state != "live":
            await asyncio.sleep(0.02)
        assert connector.reconnects >= 1

    run_any("okx", scenario)


def test_pages_of_a_listing_that_come_over_the_socket_are_told_as_listings():
    async def scenario(server, connector):
        while connector.messages < 50:
            await asyncio.sleep(0.02)
        told = connector.tap.told
        assert any(b'"instruments":[' in payload for kind, payload in told if kind == "listing")
        assert not any(b'"instruments":[' in payload for kind, payload in told if kind == "received")

    run_any("derive", scenario)


class Quiet:
    """A session that has nothing to say."""

    ws_path = "/"
    is_leaving = False

    def __init__(self) -> None:
        self.relisting: list[str] = []
        self.heard: list[bytes] = []

    def opened(self, now_ns):
        return []

    def received(self, payload, now_ns):
        self.heard.append(payload)
        return []

    def is_listing(self, payload):
        return False

    def tick(self, now_ns):
        return []


def test_a_frame_cut_in_the_middle_is_not_delivered_and_the_connection_is_replaced():
    """One whole frame, then half of another, then the end of the connection: each time anew."""
    whole, cut = b'{"n":1}', b'{"n":2,"bid":100.5}'

    async def serve(reader, writer):
        request = await reader.readuntil(b"\r\n\r\n")
        key = next(line for line in request.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        digest = hashlib.sha1(key.partition(b":")[2].strip() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()
        accept = b"Sec-WebSocket-Accept: " + base64.b64encode(digest)
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" + accept)
        writer.write(b"\r\n\r\n\x81" + bytes([len(whole)]) + whole + b"\x81" + bytes([len(cut)]) + cut[:9])
        await writer.drain()
        writer.close()

    async def main():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        frames: list[bytes] = []
        sessions: list[Quiet] = []

        def session(now_ns):
            sessions.append(Quiet())
            return sessions[-1]

        endpoint = Endpoint(ws=f"ws://{address}", http=f"http://{address}")
        connector = Connector(
            "cut",
            endpoint,
            session,
            RecordedClock(0),
            lambda venue, payload, ns: frames.append(payload) or (),
            random.Random(1),
        )
        task = asyncio.create_task(connector.run())
        try:
            async with asyncio.timeout(30.0):
                while connector.reconnects < 2:
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            server.close()
        assert set(frames) == {whole}
        assert len(frames) >= 2
        assert sessions[0].heard == [whole]
        assert connector.messages == len(frames)

    asyncio.run(main())
