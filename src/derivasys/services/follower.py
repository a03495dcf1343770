"""Reads the published states of all currencies: `surfaces` for the whole, `patches` for the present.

A follower asks nobody: what it needs to start is in the compacted topic, and what it misses is there again within
`FULL_S`. It holds the newest state of each currency, never an older one, and never one of an owner that has been
succeeded.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaException, TopicPartition
from msgspec import Struct

from derivasys.bus import records
from derivasys.bus.clients import CONNECT_S_MAX, Clients, is_end
from derivasys.bus.dead_letters import DeadLetters
from derivasys.bus.records import BadRecord, Stamp, StateRecord
from derivasys.bus.settings import BusError
from derivasys.bus.topics import PATCHES, STATUS, SURFACES
from derivasys.services import heartbeat
from derivasys.wire.feed import State

BATCH = 500
SPREAD_S = 10.0
"""Currencies whose last whole states lie within this of a partition's newest are patched up from the oldest of them."""


class Held(Struct):
    """What is held of one currency."""

    stamp: Stamp
    state: State
    record: StateRecord
    traceparent: bytes
    arrived_ns: int


class Follower:
    """The newest state of each currency, and what services last told of themselves."""

    def __init__(self, clients: Clients, dead: DeadLetters, now_ns: Callable[[], int]) -> None:
        self.held: dict[str, Held] = {}
        self.beats: dict[str, heartbeat.Heartbeat] = {}
        self.stale = 0
        """Records of owners that had been succeeded, or older than what is held: dropped."""
        self.gaps = 0
        """Patches that did not continue what is held."""
        self.taken = 0
        self.is_whole = False
        """Everything that was in the log at the start has been read."""
        self._clients = clients
        self._dead = dead
        self._now_ns = now_ns
        self._surfaces, self._patches, self._status = (clients.topic(name) for name in (SURFACES, PATCHES, STATUS))
        self._reader = clients.reader()
        self._ends: dict[tuple[str, int], int] = {}
        """Ends, at the start, of partitions not read so far yet."""
        self._patch_ends: dict[tuple[str, int], int] = {}
        self._wholes: dict[int, dict[str, int]] = {}
        """By partition and currency: when its newest whole state was published, ms. Needed at the start only."""
        self._has_patches = False
        self._partitions = 0

    def open(self) -> None:
        """Start reading. Blocks shortly; raises BusError."""
        try:
            topics = self._reader.list_topics(timeout=CONNECT_S_MAX).topics
        except KafkaException as error:
            self._clients.check(1.0)
            raise BusError(f"Kafka: {error.args[0].str()}") from None
        for name in (self._surfaces, self._patches, self._status):
            if name not in topics:
                raise BusError(f"topic {name} is not there: run `derivasys topics apply` first")
        self._partitions = len(topics[self._surfaces].partitions)
        at = [TopicPartition(self._surfaces, part, OFFSET_BEGINNING) for part in range(self._partitions)]
        at += [TopicPartition(self._status, part, OFFSET_BEGINNING) for part in topics[self._status].partitions]
        # Asked before anything is fetched: a question waits behind the fetch that is under way, up to FETCH_WAIT_MS.
        patches = [TopicPartition(self._patches, part, OFFSET_BEGINNING) for part in range(self._partitions)]
        ends = self._high(at + patches)
        self._ends = {key: end for key, end in ends.items() if key[0] != self._patches}
        self._patch_ends = {key: end for key, end in ends.items() if key[0] == self._patches}
        self._reader.assign(at)

    def close(self) -> None:
        self._reader.close()

    def take(self, budget_s: float) -> set[str]:
        """Take what has come, for about `budget_s`, and return the currencies whose state is new."""
        until_s = time.monotonic() + budget_s
        news: set[str] = set()
        while True:
            messages = self._reader.consume(BATCH, timeout=0)
            self.taken += len(messages)
            for message in messages:
                if is_end(message):
                    self._reach(message.topic(), message.partition(), message.offset())
                if message.error() is not None:
                    continue
                try:
                    self._take(message, news)
                except BadRecord as reason:
                    self._dead.put(message, str(reason))
            if not (self.is_whole or self._ends):
                self._go_on()
            if len(messages) < BATCH or time.monotonic() >= until_s:
                return news

    def lag(self) -> dict[tuple[str, int], int]:
        """Return, by topic and partition, the records not taken yet."""
        lags = {}
        for at in self._reader.position(self._reader.assignment()):
            high = self._reader.get_watermark_offsets(at, cached=True)[1]
            lags[at.topic, at.partition] = max(0, high - at.offset) if high > 0 and at.offset >= 0 else 0
        return lags

    # --- records ---

    def _take(self, message: Any, news: set[str]) -> None:
        if self._ends:
            self._reach(message.topic(), message.partition(), message.offset() + 1)
        if message.topic() == self._status:
            self._take_beat(message)
            return
        at, is_full = records.stamp(message)
        ccy = (message.key() or b"").decode("utf-8", "replace")
        if is_full and not self.is_whole:
            self._wholes.setdefault(message.partition(), {})[ccy] = message.timestamp()[1]
        held = self.held.get(ccy)
        if held is not None and at <= held.stamp:
            self.stale += at.epoch < held.stamp.epoch
            return
        if not is_full and (held is None or at.epoch != held.stamp.epoch):
            records.value_of(message)  # of a schema that is known?
            self.gaps += 1
            return
        record = records.decode_state(message)
        state = records.state_from(record, None if held is None else held.state)
        if state is None:
            self.gaps += 1
            return
        traceparent = records.header(message, "traceparent") or b""
        self.held[ccy] = Held(at, state, record, traceparent, self._now_ns())
        news.add(ccy)

    def _take_beat(self, message: Any) -> None:
        beat = heartbeat.decode(message)
        if beat.is_last:
            self.beats.pop(beat.key, None)
        else:
            self.beats[beat.key] = beat

    # --- the start ---

    def _reach(self, topic: Any, partition: Any, offset: Any) -> None:
        """Note how far a partition has been read."""
        if offset >= self._ends.get((topic, partition), offset + 1):
            del self._ends[topic, partition]

    def _go_on(self) -> None:
        """All whole states have been read: read the patches since. Once those have been, everything has."""
        if self._has_patches:
            self.is_whole = True
            self._wholes.clear()
            return
        self._has_patches = True
        ends = self._patch_ends
        since = [TopicPartition(self._patches, part, at) for part, at in self._since_ms().items()]
        starts = [] if not since else self._reader.offsets_for_times(since, timeout=CONNECT_S_MAX)
        for at in starts:
            if at.offset < 0:
                # Nothing since then. The end as it was, not as it will be: the next patch must not be missed.
                at.offset = ends.get((self._patches, at.partition), OFFSET_BEGINNING)
        started = {at.partition for at in starts}
        # Where there is no whole state yet, the first one will be the first patch.
        starts += [
            TopicPartition(self._patches, part, OFFSET_BEGINNING)
            for part in range(self._partitions)
            if part not in started
        ]
        self._ends = ends
        self._reader.incremental_assign(starts)

    def _since_ms(self) -> dict[int, int]:
        """Return, by partition that has whole states, the time from which patches are wanted."""
        return {
            part: min(each for each in at_ms.values() if each >= max(at_ms.values()) - SPREAD_S * 1000)
            for part, at_ms in self._wholes.items()
        }

    def _high(self, parts: list[TopicPartition]) -> dict[tuple[str, int], int]:
        """Return the ends of partitions that hold anything, as offsets."""
        asked = [TopicPartition(at.topic, at.partition, OFFSET_END) for at in parts]
        ends = self._reader.offsets_for_times(asked, timeout=CONNECT_S_MAX)  # of this "time" they are the ends
        for at in ends:
            if at.error is not None:
                raise KafkaException(at.error)
        return {(at.topic, at.partition): at.offset for at in ends if at.offset > 0}
