"""A small made-up market, given to Kafka as a connector would: quotes of a few expiries that move with each round."""

from __future__ import annotations

import math
import threading
import time
from typing import Self

from derivasys.bus import trace
from derivasys.bus.clients import Clients
from derivasys.bus.records import encode_event, event_key, headers
from derivasys.bus.topics import QUOTES, partition_of
from derivasys.messages import Contract, Event, Forward, Instrument, Quote
from tests.kafka.conftest import PARTITIONS

DAY_MS = 86_400_000
STRIKES = (70.0, 80.0, 90.0, 95.0, 100.0, 105.0, 110.0, 120.0, 130.0)


def contracts(ccy: str, now_ms: int, venue: str = "deribit") -> list[Contract]:
    first = (now_ms // DAY_MS + 2) * DAY_MS + 8 * 3_600_000
    return [
        Contract(venue, f"{ccy}-{days}-{strike:g}-{kind}", ccy, "option", "quote", first + days * DAY_MS, strike, kind)
        for days in (8, 38, 88)
        for strike in STRIKES
        for kind in ("C", "P")
    ]


def quote(of: Contract, level: float, now_ns: int) -> Quote:
    tau = (of.expiry - now_ns // 1_000_000) / (365 * DAY_MS)
    sd = level * math.sqrt(tau)
    d1 = math.log(100.0 / of.strike) / sd + sd / 2
    cdf = lambda x: 0.5 * math.erfc(-x / math.sqrt(2))  # noqa: E731
    call = 100.0 * cdf(d1) - of.strike * cdf(d1 - sd)
    value = call if of.type == "C" else call - 100.0 + of.strike
    return Quote(of, now_ns, now_ns, round(value * 0.98, 6), round(value * 1.02, 6), 1.0, 1.0)


def listing(ccy: str, now_ns: int, venue: str = "deribit") -> list[Event]:
    return [Instrument(of, now_ns, tick_size=0.0001) for of in contracts(ccy, now_ns // 1_000_000, venue)]


def events(ccy: str, at: int, now_ns: int, venue: str = "deribit") -> list[Event]:
    """Return the quotes of round `at`."""
    level = 0.6 + 0.05 * math.sin(at / 7)
    every = contracts(ccy, now_ns // 1_000_000, venue)
    forwards = [Forward(venue, "given", ccy, expiry, now_ns, now_ns, 100.0) for expiry in {of.expiry for of in every}]
    return [*forwards, *(quote(of, level, now_ns) for of in every)]


class Market:
    """Publishes rounds of several currencies until left."""

    def __init__(
        self, clients: Clients, ccys: tuple[str, ...], every_s: float = 0.1, partitions: int = PARTITIONS
    ) -> None:
        self.rounds = 0
        self.sent: list[str] = []
        self._clients = clients
        self._ccys = ccys
        self._every_s = every_s
        self._partitions = partitions
        self._producer = clients.producer()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def put(self, made: list[Event]) -> None:
        sent = headers(trace.start().header())
        for event in made:
            part = partition_of(event.ccy, self._partitions)
            self._producer.produce(
                self._clients.topic(QUOTES), encode_event(event), key=event_key(event), partition=part, headers=sent
            )
        self._producer.poll(0)

    def list(self) -> None:
        for ccy in self._ccys:
            self.put(listing(ccy, time.time_ns()))

    def round(self) -> None:
        for ccy in self._ccys:
            self.put(events(ccy, self.rounds, time.time_ns()))
        self.rounds += 1

    def flush(self) -> None:
        assert self._producer.flush(20) == 0

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            self.round()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def __enter__(self) -> Self:
        self.list()
        self.round()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._producer.flush(20)
