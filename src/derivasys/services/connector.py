"""`derivasys serve connector`: one venue's sockets → raw frames (for replay) and events (for calibrators) on Kafka.

Frames are logged as they come. Events conflate by instrument for `FLUSH_S`, and for longer while the producer's queue
is full: the newest quote of each instrument is never lost, and nothing queues without bound. A frame that finds no room
in the queue is counted as lost, in the metrics and in the header of every later frame.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import orjson
from confluent_kafka import KafkaError
from msgspec import Struct

from derivasys.bus import trace
from derivasys.bus.clients import QUEUE_KBYTES_MAX, Clients
from derivasys.bus.dead_letters import DeadLetters
from derivasys.bus.records import ABOUT_HEADER, About, encode_event, event_key, headers
from derivasys.bus.topics import QUOTES, RAW, partition_of
from derivasys.clock import Clock
from derivasys.connect import VENUES
from derivasys.connect.directory import Directory
from derivasys.connect.login import Login
from derivasys.connect.runner import Connector
from derivasys.connect.session import ConnectionState, Endpoint, Session, Venue
from derivasys.decode import DECODERS
from derivasys.estimate.chain import CLOSED_STATES
from derivasys.latency import Latency
from derivasys.messages import DecodeError, Event, Gap, Instrument, Quote, Status, Trade
from derivasys.record.segments import Kind
from derivasys.services import heartbeat
from derivasys.services.gauges import Gauges
from derivasys.services.process import instance
from derivasys.wire import messages as m

FLUSH_S = 0.01
QUEUED_MAX = 20_000
"""Records in the producer's queue above which events conflate instead of queueing."""
RELIST_S = 3600.0
"""Listings are said again so often, so that compaction's retention never takes what is still listed."""
PENDING_MAX = 200_000
"""Instruments of one venue at most; more is a fault of ours."""
_STATES: tuple[ConnectionState, ...] = ("live", "connecting", "stale", "down")
DRAIN_S = 10.0


class ConnectorOptions(Struct, frozen=True, kw_only=True):
    """What one connector does."""

    venue: str
    ccys: tuple[str, ...] = ()
    """Coins that are wanted; none: all on which the venue lists options."""
    endpoint: Endpoint
    partitions: int
    source: m.SourceStatus
    name: str = ""
    """Of this instance; default: host and process id."""
    queue_kbytes: int = QUEUE_KBYTES_MAX
    """Of records not yet acknowledged."""
    login: Login | None = None
    """Credentials for the venue's own feed; only the venue itself is shown them."""


class ConnectorService:
    """Sessions of one venue, and what becomes of their frames."""

    def __init__(self, clients: Clients, options: ConnectorOptions, clock: Clock) -> None:
        self.options = options
        self.gauges = Gauges("connector")
        self.turned_s = time.monotonic()
        self.lost = 0
        """Frames that could not be logged."""
        self.undelivered = 0
        """Records that the broker did not take in time."""
        self.held = 0
        """Flushes that had to wait."""
        self.logged = 0
        """Frames given to the raw topic."""
        self.flushed_ns = 0
        """When everything that waited had last been given to Kafka."""
        self.rejects: Counter[str] = Counter()
        self._newest_ns: dict[str, int] = {}
        """By currency, when the newest quote came."""
        self.gaps = 0
        self._clock = clock
        self._clients = clients
        self._name = options.name or instance()
        self._producer = clients.producer(**{
            "delivery.report.only.error": True,
            "on_delivery": self._undelivered,
            "queue.buffering.max.kbytes": options.queue_kbytes,
        })  # fmt: skip
        self._dead = DeadLetters(clients, "connector")
        self._pulse = heartbeat.Pulse(clients, self._producer)
        self._raw = clients.topic(RAW + options.venue)
        self._quotes = clients.topic(QUOTES)
        self._ccys = frozenset(options.ccys)
        self._places: dict[str, int] = {}
        """Partitions by currency."""
        self._decoder = DECODERS[options.venue]()
        self._pending: dict[tuple[Any, ...], Event] = {}
        self._listing: dict[str, Instrument] = {}
        self._relisted_s = time.monotonic()
        self._trace = trace.start()
        self._latency = Latency()
        self._before = (0, time.monotonic())
        self.records = 0
        self.connectors: list[Connector] = []
        self.followed: tuple[str, ...] = ()
        """Coins that the venue lists and that are wanted."""
        self._tasks: list[asyncio.Task[None]] = []
        self._rng = random.Random()  # noqa: S311 - jitter
        self._directory = Directory(VENUES[options.venue], options.endpoint, self._found, self._rng)

    def _found(self, coins: Sequence[str]) -> None:
        """Follow coins that the venue lists: a connector for each of its conversations about them."""
        venue, options = VENUES[self.options.venue], self.options
        ccys = [coin for coin in coins if not options.ccys or coin in options.ccys]
        self.followed += tuple(ccys)
        for at in range(len(venue.sessions(ccys, 0, has_books=False)) if ccys else 0):
            session = partial(_session, venue, ccys, at, options.login)
            connector = Connector(venue.name, options.endpoint, session, self._clock, self._on_frame, self._rng)
            connector.tap = _RawTap(self, f"{self._name}/{len(self.connectors)}")
            self.connectors.append(connector)
            self._start(connector)

    def _start(self, line: Connector | Directory) -> None:
        self._tasks.append(asyncio.create_task(line.run()))

    async def run(self) -> None:
        """Connect, and flush and beat until cancelled."""
        self._start(self._directory)
        beat_s = 0.0
        try:
            while True:
                for task in self._tasks:
                    if task.done():
                        task.result()
                now_s = self.turned_s = time.monotonic()
                self.flush()
                if now_s - beat_s >= heartbeat.EVERY_S:
                    beat_s = now_s
                    self._beat()
                await asyncio.sleep(FLUSH_S)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def drain(self) -> None:
        """Deliver what waits."""
        self.flush()
        self._pulse.send(self._heartbeat(is_last=True))
        left = await asyncio.to_thread(self._producer.flush, DRAIN_S)
        self.undelivered += left
        self._dead.close(1.0)

    def not_ready(self) -> list[str]:
        state = self.state
        return [] if state == "live" else [f"{self.options.venue} is {state}"]

    @property
    def state(self) -> ConnectionState:
        return max((each.state for each in self._lines), key=_STATES.index)

    @property
    def _lines(self) -> list[Connector | Directory]:
        return [self._directory, *self.connectors]

    # --- frames ---

    def log_frame(self, key: str, kind: Kind, payload: bytes, recv_ns: int, opened_ns: int) -> None:
        """Give one frame to the raw topic; count it as lost when there is no room."""
        about = About(recv_ns, opened_ns, self.lost, kind)
        sent: Any = headers(self._trace.header(), (ABOUT_HEADER, about.pack()))
        try:
            self._producer.produce(self._raw, payload, key=key, headers=sent, timestamp=recv_ns // 1_000_000)
            self.logged += 1
        except BufferError:
            self.lost += 1

    def _on_frame(self, venue: str, payload: bytes, recv_ns: int) -> Sequence[str]:
        try:
            events = self._decoder.decode(payload, recv_ns)
        except DecodeError as error:
            self.rejects[error.reason.value] += 1
            self._dead.keep(payload, None, None, str(error), {"venue": venue, "recv_ns": str(recv_ns)})
            return ()
        broken: Sequence[str] = ()
        for event in events:
            if type(event) is Quote:
                self._newest_ns[event.ccy] = recv_ns
            if not self._ccys or event.ccy in self._ccys:
                self._add(event)
            if type(event) is Gap:
                broken = (*broken, event.symbol)
        return broken

    def _add(self, event: Event) -> None:
        """Let the event take the place of what it makes old, at the end of what waits."""
        if isinstance(event, Instrument):
            self._list(event)
        elif isinstance(event, Gap):
            self.gaps += 1
        elif isinstance(event, Status) and event.state in CLOSED_STATES:
            self._listing.pop(event.symbol, None)
        key: tuple[Any, ...] = (event_key(event), event.trade_id) if isinstance(event, Trade) else (event_key(event),)
        self._pending.pop(key, None)
        assert len(self._pending) < PENDING_MAX
        self._pending[key] = event

    def _list(self, event: Instrument) -> None:
        if event.state in CLOSED_STATES:
            self._listing.pop(event.contract.symbol, None)
        else:
            self._listing[event.contract.symbol] = event

    def flush(self) -> None:
        """Give what waits to Kafka, as far as there is room."""
        self._producer.poll(0)
        if time.monotonic() - self._relisted_s >= RELIST_S:
            self._relist()
        if not self._pending:
            return
        if len(self._producer) > QUEUED_MAX:
            self.held += 1
            return
        sent: Any = headers(self._trace.header())
        pending, self._pending = self._pending, {}
        produce, topic, places = self._producer.produce, self._quotes, self._places
        newest_ns = 0
        for done, (key, event) in enumerate(pending.items()):
            try:
                part = places.get(event.ccy)
                if part is None:
                    part = places[event.ccy] = partition_of(event.ccy, self.options.partitions)
                produce(topic, encode_event(event), key=key[0], partition=part, headers=sent)
            except BufferError:
                self.held += 1
                rest = list(pending.items())[done:]
                self._pending = dict(rest) | self._pending
                break
            newest_ns = max(newest_ns, event.recv_ns)
            self.records += 1
        if newest_ns:
            self._latency.add("connector", (self._clock.now_ns() - newest_ns) / 1e6)
        if not self._pending:
            self.flushed_ns = self._clock.now_ns()
        self._trace = trace.start()

    def waiting(self) -> dict[bytes, Event]:
        """Return what has not been given to Kafka yet, by key."""
        return {key[0].encode(): event for key, event in self._pending.items()}

    def _relist(self) -> None:
        """Say again what is listed."""
        self._relisted_s = time.monotonic()
        now_ms = self._clock.now_ns() // 1_000_000
        self._listing = {
            symbol: event for symbol, event in self._listing.items()
            if event.contract.expiry is None or event.contract.expiry > now_ms
        }  # fmt: skip
        for event in self._listing.values():
            self._pending.setdefault((event_key(event),), event)

    def _undelivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self.undelivered += 1

    # --- what it tells ---

    def _beat(self) -> None:
        self._pulse.send(self._heartbeat())
        gauges, venue = self.gauges, self.options.venue
        telemetry = gauges.telemetry
        for ccy, newest_ns in self._newest_ns.items():
            telemetry.set("FeedAgeSeconds", max(0.0, (self._clock.now_ns() - newest_ns) / 1e9), venue, ccy)
        telemetry.set("QueueDepth", len(self._producer), "kafka_out")
        telemetry.set("DroppedMessages", sum(self.rejects.values()), "undecodable")
        telemetry.set("DroppedMessages", self.lost + self.undelivered, "no_room")
        telemetry.set("Reconnects", sum(each.reconnects for each in self.connectors), venue)
        gauges.set("bus_queue", len(self._producer))
        gauges.set("bus_errors", self._clients.errors)
        gauges.set("bus_lost", self.lost + self.undelivered)
        gauges.set("bus_held", self.held)
        gauges.set("bus_records", self.records + self.logged)
        gauges.set("dead_letters", self._dead.count)
        last_ns = [each.last_frame_ns for each in self.connectors if each.last_frame_ns]
        if last_ns:
            gauges.set("feed_age_seconds", (self._clock.now_ns() - min(last_ns)) / 1e9, venue=venue)
        gauges.set("feed_messages", sum(each.messages for each in self.connectors), venue=venue)
        gauges.set("feed_reconnects", sum(each.reconnects for each in self.connectors), venue=venue)
        gauges.set("feed_gaps", self.gaps, venue=venue)
        for reason, count in self.rejects.items():
            gauges.set("feed_rejects", count, venue=venue, reason=reason)
        for state in _STATES:
            gauges.set("feed_state", float(state == self.state), venue=venue, state=state)
        for stage, (p50, p99) in self._latency.quantiles(0.5, 0.99).items():
            gauges.set("latency_ms", p50, stage=stage, quantile="0.5")
            gauges.set("latency_ms", p99, stage=stage, quantile="0.99")

    def _heartbeat(self, *, is_last: bool = False) -> heartbeat.Heartbeat:
        now_s, now_ns = time.monotonic(), self._clock.now_ns()
        messages = sum(each.messages for each in self.connectors)
        (before, at_s), self._before = self._before, (messages, now_s)
        ages_ns = [now_ns - each.last_frame_ns for each in self.connectors if each.last_frame_ns]
        detail = "; ".join(each.detail for each in self._lines if each.detail)
        venue = m.VenueStatus(
            venue=self.options.venue,
            state="down" if is_last else self.state,
            detail=detail or msgspec.UNSET,
            age_ms=int(max(ages_ns) / 1e6) if ages_ns else msgspec.UNSET,
            rate=round((messages - before) / max(now_s - at_s, 0.1), 1),
            messages=messages,
            reconnects=sum(each.reconnects for each in self.connectors),
            gaps=self.gaps,
            drops=self.lost + self.undelivered,
            rejects=dict(self.rejects),
            ccys=list(self.followed),
        )
        latency = {stage: m.Quantiles(p50=at[0], p99=at[1]) for stage, at in self._latency.quantiles(0.5, 0.99).items()}
        return heartbeat.Heartbeat(
            service="connector", instance=self._name, ts_ms=now_ns // 1_000_000, is_last=is_last, venue=venue,
            source=self.options.source, latency_ms=latency,
        )  # fmt: skip


class _RawTap:
    """Gives one connector's traffic to the raw topic."""

    def __init__(self, service: ConnectorService, key: str) -> None:
        self._service = service
        self._key = key
        self._opened_ns = 0

    def opened(self, now_ns: int) -> None:
        self._opened_ns = now_ns
        options = self._service.options
        about = orjson.dumps({"venue": options.venue, "feed": 0, "ccys": options.ccys})
        self._service.log_frame(self._key, Kind.OPENED, about, now_ns, now_ns)

    def listing(self, payload: bytes, now_ns: int) -> None:
        self._service.log_frame(self._key, Kind.LISTING, payload, now_ns, self._opened_ns)

    def received(self, payload: bytes, now_ns: int) -> None:
        self._service.log_frame(self._key, Kind.RECEIVED, payload, now_ns, self._opened_ns)

    def sent(self, payload: bytes, now_ns: int) -> None:
        self._service.log_frame(self._key, Kind.SENT, payload, now_ns, self._opened_ns)


def _session(venue: Venue, ccys: Sequence[str], at: int, login: Login | None, now_ns: int) -> Session:
    made = venue.sessions(ccys, now_ns, has_books=False)[at]
    if login is not None and venue.use_login is not None:
        venue.use_login(made, login)
    return made
