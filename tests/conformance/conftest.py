from collections.abc import AsyncIterator

import pytest_asyncio
import uvloop

from tests.conformance.wire import Served, cut_all, served, until


def pytest_asyncio_loop_factories(config, item):
    """Run on the loop of the service."""
    return {"uvloop": uvloop.new_event_loop}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Served]:
    async with served() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def echo(running) -> AsyncIterator[Served]:
    """One server for a module's tests, with no connection left over from the test before."""
    yield running
    cut_all()
    await until(lambda: not running.handler.open)
    running.handler.texts.clear()
