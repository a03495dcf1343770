"""Services in the test's own loop, where no process has to die."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from derivasys.bus.clients import Clients
from derivasys.bus.dead_letters import DeadLetters
from derivasys.clock import SystemClock
from derivasys.services.calibrator import CalibratorOptions, CalibratorService
from derivasys.services.follower import Follower


@contextlib.asynccontextmanager
async def running(*services) -> AsyncIterator[None]:
    """Run services beside the test; what fails in them fails the test."""
    tasks = [asyncio.create_task(service.run()) for service in services]
    try:
        yield
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for service in services:
            await service.drain()


def calibrator(clients: Clients, **options) -> CalibratorService:
    return CalibratorService(clients, CalibratorOptions(**options), SystemClock())


class Watch:
    """A follower of the log with what it saw."""

    def __init__(self, clients: Clients) -> None:
        self.dead = DeadLetters(clients, "test")
        self.follower = Follower(clients, self.dead, time.time_ns)
        self.follower.open()

    def take(self) -> Follower:
        self.follower.take(0.05)
        return self.follower

    def version(self, ccy: str) -> int:
        held = self.take().held.get(ccy)
        return 0 if held is None else held.stamp.version

    def close(self) -> None:
        self.follower.close()
        self.dead.close(1.0)


async def until(condition, seconds: float = 60.0):
    """Return the first true value of `condition()`, letting others run meanwhile."""
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        if value := condition():
            return value
        await asyncio.sleep(0.02)
    raise TimeoutError(f"waited {seconds:g} s in vain")
