"""The live client over real sockets: a server of the websockets package, with the payloads of a real feed."""

import asyncio
import contextlib

import orjson
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, smile_board
from websockets.asyncio.server import serve

from derivasys.calibrate import Rules
from derivasys.client import ClientError, connect
from derivasys.client.live import BACKOFF_S_MAX, backoff_s
from derivasys.pipeline import Pipeline
from derivasys.wire.feed import Feed
from derivasys.wire.state import state_of
from derivasys.wire.variant import Variant

EACH = Variant(rate_ms=50)
CHANNELS = ("surface", "tenors", "fit")


class Gateway:
    """One currency's feed, served to whoever comes."""

    def __init__(self) -> None:
        self.pipeline = Pipeline(Rules())
        for event in (*smile_board(), *smile_board(expiry=WEEK_MS + 30 * DAY_MS)):
            self.pipeline.apply(event)
        self.now_ns = NOW_NS
        self.feed = Feed("BTC", "e1")
        self.sockets: list = []
        self.paths: list[str] = []
        self.keys: list[str | None] = []
        self.requests: list[dict] = []
        self.news = asyncio.Condition()
        self._step(0.6)
        self.feed.activate(EACH)

    def _step(self, level: float):
        for event in smile_board(now_ns=self.now_ns, level=level):
            self.pipeline.apply(event)
        self.surface = self.pipeline.drain(self.now_ns)[0]
        self.feed.update(state_of(self.surface))

    async def move(self, level: float, *, lose: str = "") -> None:
        """Publish another version; `lose` names a channel whose patch goes missing."""
        self.now_ns += 10**9
        self._step(level)
        for channel, payload in self.feed.publish().get(EACH, {}).items():
            if channel != lose and channel in CHANNELS:
                await self.sockets[-1].send(payload.decode())

    async def handle(self, socket) -> None:
        self.sockets.append(socket)
        self.paths.append(socket.request.path)
        self.keys.append(socket.request.headers.get("Authorization"))
        for channel in CHANNELS:
            await socket.send(self.feed.snapshot(EACH, channel).decode())
        await self._tell()
        async for text in socket:
            request = orjson.loads(text)
            self.requests.append(request)
            if request["type"] == "resync":
                await socket.send(self.feed.snapshot(EACH, request["channel"]).decode())
            await self._tell()

    async def _tell(self) -> None:
        async with self.news:
            self.news.notify_all()

    async def until(self, holds) -> None:
        async with self.news:
            await self.news.wait_for(holds)


@contextlib.asynccontextmanager
async def gateway():
    served = Gateway()
    async with serve(served.handle, "127.0.0.1", 0) as server:
        served.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield served


async def test_the_newest_surface_is_kept_and_evaluated():
    async with gateway() as served, connect(served.url, "BTC", rate_ms=50, fly="full", api_key="k1") as live:
        stream = aiter(live)
        surface = await anext(stream)
        assert served.paths == ["/ws?ccy=BTC&channels=surface%2Ctenors%2Cfit&rate_ms=50&fly=full"]
        assert served.keys == ["Bearer k1"]
        direct = served.surface
        assert (surface.ccy, surface.version, surface.expiries) == ("BTC", direct.version, direct.expiries)
        for where in ({"expiry": WEEK_MS}, {"tau": 0.05}):
            for at in ({"strike": 104.0}, {"k": -0.1}, {"delta": -0.25}):
                assert surface.vol(**where, **at) == pytest.approx(direct.vol(**where, **at), abs=1e-6)
        await served.move(0.7)
        moved = await anext(stream)
        assert moved.version == direct.version + 1
        assert float(moved.vol(WEEK_MS, k=0.0)) == pytest.approx(0.7, abs=0.01)
        assert moved.fit["version"] == moved.version


async def test_a_lost_patch_is_mended_by_a_resync():
    async with gateway() as served, connect(served.url) as live:
        stream = aiter(live)
        await anext(stream)
        await served.move(0.65, lose="surface")
        await served.move(0.7)
        surface = await anext(stream)
        while surface.version < served.surface.version:
            surface = await anext(stream)
        assert served.requests == [{"type": "resync", "channel": "surface", "ccy": "BTC"}]
        assert float(surface.vol(WEEK_MS, k=0.0)) == pytest.approx(0.7, abs=0.01)
        assert live.replica.gaps == 1


async def test_a_dropped_connection_is_opened_again():
    async with gateway() as served, connect(served.url) as live:
        stream = aiter(live)
        first = await anext(stream)
        await served.sockets[0].close(1012, "service restart")
        await served.until(lambda: len(served.sockets) == 2)
        await served.move(0.7)
        surface = await anext(stream)
        while surface.version == first.version:
            surface = await anext(stream)
        assert live.reconnects == 1
        assert float(surface.vol(WEEK_MS, k=0.0)) == pytest.approx(0.7, abs=0.01)


async def test_a_slow_consumer_skips_versions():
    async with gateway() as served, connect(served.url) as live:
        stream = aiter(live)
        first = await anext(stream)
        for step in range(1, 11):
            await served.move(0.6 + 0.01 * step)
        while live.replica.states["fit"]["version"] < served.surface.version:  # the socket goes on meanwhile
            await asyncio.sleep(0)
        seen = []
        while not seen or seen[-1] < served.surface.version:
            seen.append((await anext(stream)).version)
        assert seen[-1] == first.version + 10
        assert len(seen) < 10


async def test_a_refusal_is_an_error_and_no_endless_try():
    async def refuse(connection, request):
        return connection.respond(401, "an API key is needed\n")

    async with serve(lambda socket: None, "127.0.0.1", 0, process_request=refuse) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ClientError, match="401: an API key is needed"):
            await anext(aiter(connect(f"http://127.0.0.1:{port}")))


async def test_patience_ends():
    async with serve(lambda socket: socket.wait_closed(), "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with connect(f"http://127.0.0.1:{port}", patience_s=0.05) as live:
            with pytest.raises(ClientError, match=r"for 0\.05 s"):
                await anext(aiter(live))


async def test_closing_ends_the_iteration():
    async with gateway() as served:
        live = connect(served.url)
        seen = []
        async for surface in live:
            seen.append(surface.version)
            await live.close()
        assert len(seen) == 1


def test_it_waits_longer_and_longer_up_to_a_cap():
    assert backoff_s(0, 0.99) < 0.2
    assert [backoff_s(at, 0.0) for at in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert backoff_s(10_000, 1.0) == BACKOFF_S_MAX


@pytest.mark.parametrize("url", ["127.0.0.1:8080", "ftp://here", ""])
def test_an_address_without_a_scheme_is_refused_at_once(url):
    with pytest.raises(ValueError, match="http://HOST:PORT"):
        connect(url)
