"""Which coins are followed is what the venues list, not a setting."""

import asyncio
import random
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from derivasys.clock import VirtualClock
from derivasys.config import Config
from derivasys.connect import VENUES
from derivasys.connect.directory import EVERY_S, Directory
from derivasys.sources import open_origin
from derivasys.testing.market import World
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import SERVERS, TERMS

COINS = ("BTC", "SOL", "XRP")


@pytest.fixture(scope="module")
def world():
    return World([load_shipped("BTC"), load_shipped("ETH")], seed=1)


def asking(name, reply, found):
    """Return a venue's directory and a client whose requests `reply` answers."""
    directory = Directory(VENUES[name], VENUES[name].production, found, random.Random(1))
    return directory, httpx.AsyncClient(transport=httpx.MockTransport(reply))


def served(world, name, ccys):
    clock = VirtualClock(world.start_ns)
    server = SERVERS[name](world, clock, ccys, 100.0)

    def reply(request):
        url = urlsplit(str(request.url))
        answer = server.http("GET", url.path, dict(parse_qsl(url.query)), b"", clock.advance(10**9))
        return httpx.Response(answer[0], content=answer[1])

    return reply


@pytest.mark.parametrize("name", list(VENUES))
def test_every_venue_tells_its_coins(world, name):
    found = []
    directory, http = asking(name, served(world, name, COINS), found.extend)
    assert directory.state == "connecting"
    assert asyncio.run(directory._ask(http)) == EVERY_S
    assert set(found) == {family.ccy for family in TERMS[name].families} & set(COINS)
    assert len(found) == len(set(found))
    assert directory.state == "live"


@pytest.mark.parametrize("name", list(VENUES))
def test_a_coin_listed_later_is_found_and_told_once(world, name):
    told = []
    first, second = ("BTC",), ("BTC", "SOL")
    directory, http = asking(name, served(world, name, first), told.append)
    asyncio.run(directory._ask(http))
    _, later = asking(name, served(world, name, second), told.append)
    asyncio.run(directory._ask(later))
    asyncio.run(directory._ask(later))
    assert told == [["BTC"], ["SOL"]]


@pytest.mark.parametrize("reply", [httpx.Response(503), httpx.Response(200, content=b"<html>maintenance</html>")])
def test_a_venue_that_does_not_tell_is_down_and_asked_again(reply):
    directory, http = asking("okx", lambda request: reply, lambda coins: pytest.fail("nothing was listed"))
    assert 0.0 < asyncio.run(directory._ask(http)) <= 0.5
    assert directory.state == "down"
    assert "which coins are listed is not told" in directory.detail


def test_a_venue_that_stops_telling_stays_what_it_was(world):
    directory, http = asking("okx", served(world, "okx", COINS), lambda coins: None)
    asyncio.run(directory._ask(http))
    _, broken = asking("okx", lambda request: httpx.Response(503), None)
    assert asyncio.run(directory._ask(broken)) < EVERY_S
    assert (directory.state, directory.detail) == ("live", "")


@pytest.mark.parametrize(("ccys", "followed"), [((), ("BTC", "ETH", "SOL")), (("SOL", "XRP"), ("SOL",))])
def test_a_feed_follows_what_is_listed_and_asked_for(ccys, followed):
    async def main():
        origin = await open_origin(Config(source="simulated", venues=("okx",), ccys=ccys), lambda: 0, lambda *frame: ())
        (feed,) = origin.feeds
        started, tasks = asyncio.Event(), []

        def start(line):
            if isinstance(line, Directory):
                tasks.append(asyncio.create_task(line.run()))
            else:
                started.set()

        feed.start(start)
        try:
            async with asyncio.timeout(20.0):
                await started.wait()
            assert feed.ccys_of["okx"] == followed
            assert [line.venue for line in feed.connectors] == ["okx", "okx"]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for server in feed.servers:
                await server.stop()

    asyncio.run(main())
