"""A made-up market given to Kafka as a connector would give it, for tests and load: its smiles move with each round."""

from __future__ import annotations

import math
import threading
import time
from types import TracebackType
from typing import Any, Self

from msgspec import Struct

from derivasys.bus import trace
from derivasys.bus.clients import Clients
from derivasys.bus.records import encode_event, event_key, headers
from derivasys.bus.topics import QUOTES, partition_of
from derivasys.messages import Contract, Event, Forward, Instrument, OptionType, Quote

DAY_MS = 86_400_000
SETTLES_MS = 8 * 3_600_000
TYPES: tuple[OptionType, OptionType] = ("C", "P")
FORWARD = 100.0
MADE_UP = "made-up"
"""What these venues are called: no real one quotes like that."""
HALF_SPREAD = 0.02


class Shape(Struct, frozen=True):
    """What is listed of each currency: both types at every strike of every expiry."""

    days: tuple[int, ...] = (8, 38, 88)
    strikes: tuple[float, ...] = (70.0, 80.0, 90.0, 95.0, 100.0, 105.0, 110.0, 120.0, 130.0)

    @property
    def instruments(self) -> int:
        return 2 * len(self.days) * len(self.strikes)


SMALL = Shape()
LARGE = Shape((2, 3, 8, 15, 30, 60, 90, 150, 240, 330), tuple(50.0 * 1.03**at for at in range(50)))
"""1,000 instruments."""


def contracts(ccy: str, now_ms: int, venue: str = MADE_UP, shape: Shape = SMALL) -> list[Contract]:
    """Return what is listed, expiries counted from the day of `now_ms`."""
    today = now_ms // DAY_MS * DAY_MS + SETTLES_MS
    return [
        Contract(
            venue, f"{ccy}-{days}-{strike:.6g}-{kind}", ccy, "option", "quote", today + days * DAY_MS, strike, kind
        )
        for days in shape.days
        for strike in shape.strikes
        for kind in TYPES
    ]


def quote(of: Contract, level: float, now_ns: int) -> Quote:
    """Return a quote `HALF_SPREAD` around the value at a smile of that level."""
    assert of.expiry is not None
    assert of.strike is not None
    tau = (of.expiry - now_ns // 1_000_000) / (365 * DAY_MS)
    k = math.log(of.strike / FORWARD)
    sd = level * (1.0 + 0.4 * k * k) * math.sqrt(tau)
    d1 = -k / sd + sd / 2
    call = FORWARD * _normal(d1) - of.strike * _normal(d1 - sd)
    value = call if of.type == "C" else call - FORWARD + of.strike
    bid, ask = round(value * (1 - HALF_SPREAD), 6), round(value * (1 + HALF_SPREAD), 6)
    return Quote(of, now_ns, now_ns, bid or None, ask or None, 1.0, 1.0)


def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


def listing(ccy: str, now_ns: int, venue: str = MADE_UP, shape: Shape = SMALL) -> list[Event]:
    """Return the instruments."""
    return [Instrument(of, now_ns, tick_size=0.0001) for of in contracts(ccy, now_ns // 1_000_000, venue, shape)]


def forwards(ccy: str, now_ns: int, venue: str = MADE_UP, shape: Shape = SMALL) -> list[Event]:
    """Return the forward of each expiry."""
    listed = sorted({of.expiry for of in contracts(ccy, now_ns // 1_000_000, venue, shape) if of.expiry is not None})
    return [Forward(venue, "given", ccy, expiry, now_ns, now_ns, FORWARD) for expiry in listed]


def events(ccy: str, at: int, now_ns: int, venue: str = MADE_UP, shape: Shape = SMALL) -> list[Event]:
    """Return all quotes of round `at`."""
    quotes = [quote(of, level_of(at), now_ns) for of in contracts(ccy, now_ns // 1_000_000, venue, shape)]
    return [*forwards(ccy, now_ns, venue, shape), *quotes]


def level_of(at: float) -> float:
    """Return the smiles' level in round `at`."""
    return 0.6 + 0.05 * math.sin(at / 7)


class Market:
    """Publishes the currencies' quotes every `every_s` until left: all of them, or a `share` of each in turn."""

    def __init__(
        self, clients: Clients, ccys: tuple[str, ...], partitions: int, *, every_s: float = 0.1, shape: Shape = SMALL,
        share: float = 1.0,
    ) -> None:  # fmt: skip
        self.rounds = 0
        self.late = 0
        """Rounds that began more than a round late: the load was less than it should be."""
        self._clients = clients
        self._ccys = ccys
        self._partitions = partitions
        self._every_s = every_s
        self._shape = shape
        self._stride = max(1, round(1 / share))
        self._contracts: dict[str, list[Contract]] = {}
        self._producer = clients.producer()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def put(self, made: list[Event]) -> None:
        """Give events to Kafka."""
        sent: Any = headers(trace.start().header())
        topic = self._clients.topic(QUOTES)
        for event in made:
            part = partition_of(event.ccy, self._partitions)
            self._producer.produce(topic, encode_event(event), key=event_key(event), partition=part, headers=sent)
        self._producer.poll(0)

    def open(self) -> None:
        """List everything and quote it once."""
        for ccy in self._ccys:
            now_ns = time.time_ns()
            self._contracts[ccy] = contracts(ccy, now_ns // 1_000_000, shape=self._shape)
            self.put(listing(ccy, now_ns, shape=self._shape))
            self.put(events(ccy, 0, now_ns, shape=self._shape))
            self._producer.flush(20)

    def round(self) -> None:
        """Quote the next share of each currency."""
        self.rounds += 1
        level = level_of(self.rounds / self._stride)  # slowly enough that quotes not yet renewed stay near
        for ccy in self._ccys:
            now_ns = time.time_ns()
            if self.rounds % 10 == 0:
                self.put(forwards(ccy, now_ns, shape=self._shape))
            self.put(
                [quote(of, level, now_ns) for of in self._contracts[ccy][self.rounds % self._stride :: self._stride]]
            )

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._ended.is_set():
            self.round()
            due_s += self._every_s
            if time.monotonic() > due_s + self._every_s:
                self.late += 1
                due_s = time.monotonic()
            self._ended.wait(max(0.0, due_s - time.monotonic()))

    def __enter__(self) -> Self:
        self.open()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._producer.flush(20)
