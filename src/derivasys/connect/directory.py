"""Which coins a venue lists options on: asked for at the start and again every so often."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence

import httpx
import msgspec

from derivasys.connect.runner import HTTP_TIMEOUT_S, STAY_AWAY_S, Tap
from derivasys.connect.session import Backoff, ConnectionState, Endpoint, Venue

log = logging.getLogger("derivasys.connect")

EVERY_S = 600.0
"""Coins newly listed are found within this."""


class Directory:
    """Tells `found` of every coin that the venue lists options on, once. Stands beside the venue's connectors."""

    def __init__(
        self, venue: Venue, endpoint: Endpoint, found: Callable[[Sequence[str]], None], rng: random.Random
    ) -> None:
        self.venue = venue.name
        self.detail = ""
        self.messages = 0
        self.reconnects = 0
        self.last_frame_ns: int | None = None
        self.round_trip_ns: int | None = None
        self.tap: Tap | None = None
        self._of = venue
        self._endpoint = endpoint
        self._found = found
        self._backoff = Backoff(rng)
        self._known: set[str] = set()

    @property
    def state(self) -> ConnectionState:
        """Live once the venue has told its coins; down while it does not."""
        if self.detail:
            return "down"
        return "live" if self._known else "connecting"

    async def run(self) -> None:
        """Ask until cancelled."""
        async with httpx.AsyncClient(timeout=HTTP_TIMEOUT_S, trust_env=True) as http:
            while True:
                wait_s = await self._ask(http)
                await asyncio.sleep(wait_s)

    async def _ask(self, http: httpx.AsyncClient) -> float:
        """Ask once; return how long to wait before the next time."""
        try:
            coins: list[str] = []
            for path in self._of.coin_paths:
                reply = await http.get(self._endpoint.http + path)
                reply.raise_for_status()
                coins += self._of.coins(reply.content)
        except (httpx.HTTPError, msgspec.DecodeError) as error:
            status = error.response.status_code if isinstance(error, httpx.HTTPStatusError) else 0
            self.detail = "" if self._known else f"which coins are listed is not told: {error or type(error).__name__}"
            wait_s = max(self._backoff.next_s(), STAY_AWAY_S.get(status, 0.0))
            log.warning("%s: coins cannot be fetched: %s; next try in %.1f s", self.venue, error, wait_s)
            return wait_s
        self.detail = "" if coins or self._known else "no options are listed"
        self._backoff.reset()
        added = [coin for coin in dict.fromkeys(coins) if coin not in self._known]
        self._known.update(added)
        if added:
            self._found(added)
        return EVERY_S
