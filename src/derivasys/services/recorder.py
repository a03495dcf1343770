"""`derivasys serve recorder`: the raw topics to a recording on disk, the same files as of one process.

Offsets are committed after the bytes have been written, so that a recorder that dies goes on where the files end: what
was read twice then is in the recording twice, and nothing is missing. Where recordings go to S3 that is when they are
there, since the disk of a task dies with it; segments end every `SEGMENT_S` then.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, KafkaException, TopicPartition
from msgspec import Struct

from derivasys.bus import records
from derivasys.bus.clients import Clients
from derivasys.bus.dead_letters import DeadLetters
from derivasys.bus.records import BadRecord
from derivasys.bus.settings import BusError
from derivasys.bus.topics import RAW, RECORDER, SESSION_MS
from derivasys.record.recorder import Recorder
from derivasys.record.segments import Kind
from derivasys.record.upload import Uploads
from derivasys.services import heartbeat
from derivasys.services.gauges import Gauges
from derivasys.services.process import instance
from derivasys.wire import messages as m

BATCH = 2_000
POLL_S = 0.02
SEGMENT_S = 300.0
SEND_S = 60.0
"""The last segments get so long at the end; a process has 90 seconds."""

Offsets = dict[tuple[str, int], int]
"""The next one, by topic and partition."""


class Mark(Struct):
    """A segment that is not in S3 yet."""

    begun_s: float
    offsets: Offsets = {}
    """Everything before them is in this segment or an earlier one."""


class RecorderService:
    """Follows all raw topics and writes what they hold; `address`: where in S3 it goes. Raises UploadError."""

    def __init__(self, clients: Clients, folder: Path, address: str = "", segment_s: float = SEGMENT_S) -> None:
        self.gauges = Gauges("recorder")
        self.turned_s = time.monotonic()
        self._uploads = Uploads(folder, address, lambda: self._recorder.segment) if address else None
        started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._recorder = Recorder(folder / f"{started}-{instance()}" if address else folder)
        self._segment_s = segment_s
        self._marks: dict[Path, Mark] = {}
        self._sending: asyncio.Task[None] | None = None
        self._saved_s = self.turned_s
        self._clients = clients
        self._dead = DeadLetters(clients, "recorder")
        self._pulse = heartbeat.Pulse(clients)
        self._consumer: Consumer | None = None
        self._connections: dict[tuple[str, bytes, int], int] = {}
        """By venue, connector and opening."""
        self._offsets: Offsets = {}
        self._upstream: dict[tuple[str, bytes], int] = {}
        """Frames that connectors say they could not log."""
        self._told_s = 0.0
        self._rebalances = 0
        self.caught_up = False
        """Whether, when last looked, everything in the log had been taken and saved."""

    async def run(self) -> None:
        """Record until cancelled, or until the disk is full."""
        self._consumer = self._clients.member(RECORDER, SESSION_MS)
        prefix = self._clients.topic(RAW)
        topics = [name for name in self._consumer.list_topics(timeout=10.0).topics if name.startswith(prefix)]
        if not topics:
            raise BusError(f"no topic {prefix}<venue> is there: run `derivasys topics apply` first")
        self._consumer.subscribe(topics, on_assign=self._on_assign)
        if self._uploads is not None:
            self._sending = asyncio.create_task(self._uploads.run())
        while True:
            is_behind = len(self._take()) == BATCH
            now_s = self.turned_s = time.monotonic()
            if now_s - self._told_s >= heartbeat.EVERY_S:
                self._told_s = now_s
                self._save(now_s)
                self._tell(now_s)
            await asyncio.sleep(0.0 if is_behind else POLL_S)

    async def drain(self) -> None:
        """Write, send and commit what was read."""
        self._save(time.monotonic())
        self._recorder.close()
        if self._uploads is not None and self._sending is not None:
            self._uploads.end()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._sending, SEND_S)
            self._commit(self._sent())
        if self._consumer is not None:
            await asyncio.to_thread(self._consumer.close)
        self._pulse.send(heartbeat.Heartbeat(service="recorder", instance=instance(), ts_ms=_now_ms(), is_last=True))
        self._pulse.close(2.0)
        self._dead.close(1.0)

    def not_ready(self) -> list[str]:
        if self._recorder.state != "recording":
            return [f"stopped: {self._recorder.detail}"]
        return [] if self._offsets else ["nothing recorded yet"]

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._rebalances += bool(partitions)

    def _take(self) -> list[Any]:
        assert self._consumer is not None
        messages = self._consumer.consume(BATCH, timeout=0)
        for message in messages:
            if message.error() is not None:
                continue
            try:
                self._record(message)
            except BadRecord as reason:
                self._dead.put(message, str(reason))
            self._offsets[message.topic() or "", message.partition() or 0] = (message.offset() or 0) + 1
        return messages

    def _record(self, message: Any) -> None:
        value = records.value_of(message)
        about = records.about(message)
        venue = message.topic().removeprefix(self._clients.topic(RAW))
        key = message.key() or b""
        self._upstream[venue, key] = about.lost
        connection = (venue, key, about.opened_ns)
        number = self._connections.get(connection)
        if number is None:
            # Of a connection opened before the log's beginning the currencies are not known: none named means all.
            opened = about.kind == Kind.OPENED
            ccys = tuple(msgspec.json.decode(value)["ccys"]) if opened else ()
            number = self._connections[connection] = self._recorder.open(about.recv_ns, venue, 0, ccys)
        if about.kind != Kind.OPENED:
            self._recorder.add(about.recv_ns, number, Kind(about.kind), value)

    def _save(self, now_s: float) -> None:
        """Write what is kept, then say how far we are."""
        self._recorder.flush()
        if self._recorder.state == "recording":
            self._saved_s = now_s
        if self._uploads is None:
            self._commit(self._offsets if self._saved_s == now_s else {})
            return
        segment = self._recorder.segment
        if segment is not None:
            mark = self._marks.setdefault(segment, Mark(now_s))
            mark.offsets = dict(self._offsets)
            if now_s - mark.begun_s >= self._segment_s:
                self._recorder.end_segment()
        self._commit(self._sent())

    def _sent(self) -> Offsets:
        """Return the offsets up to which everything is in S3, where there are new ones."""
        offsets: Offsets = {}
        for segment, mark in list(self._marks.items()):
            if segment.exists():
                break
            offsets = mark.offsets
            del self._marks[segment]
        return offsets

    def unsaved_s(self, now_s: float) -> float:
        """Return the age of the oldest record that is not yet where recordings are kept; 0 where there is none."""
        since_s = [mark.begun_s for mark in self._marks.values()][:1]
        if self._recorder.state != "recording":
            since_s.append(self._saved_s)
        return now_s - min(since_s, default=now_s)

    def _commit(self, offsets: Offsets) -> None:
        if not offsets or self._consumer is None:
            return
        at = [TopicPartition(topic, part, offset) for (topic, part), offset in offsets.items()]
        try:
            self._consumer.commit(offsets=at, asynchronous=True)
        except KafkaException:
            # Not ours any more, or the broker is away: what is read again is recorded again.
            self.gauges.set("bus_errors", self._clients.errors + 1)

    def _tell(self, now_s: float) -> None:
        recorder = self._recorder
        status = m.RecorderStatus(
            state="recording" if recorder.state == "recording" else "stopped",
            detail=recorder.detail or msgspec.UNSET,
            records=recorder.records,
            lost=recorder.lost + sum(self._upstream.values()),
            bytes=recorder.bytes_written,
        )
        self._pulse.send(heartbeat.Heartbeat(service="recorder", instance=instance(), ts_ms=_now_ms(), recorder=status))
        for name, value in (
            ("recorder_bytes", recorder.bytes_written), ("recorder_records", recorder.records),
            ("bus_lost", status.lost), ("bus_errors", self._clients.errors), ("rebalances", self._rebalances),
            ("dead_letters", self._dead.count),
        ):  # fmt: skip
            self.gauges.set(name, float(value))
        assert self._consumer is not None
        self.caught_up = bool(self._offsets)
        telemetry, lags = self.gauges.telemetry, Counter[str]()
        telemetry.set("DroppedMessages", status.lost, "no_room")
        telemetry.set("DroppedMessages", self._dead.count, "undecodable")
        telemetry.set("UnsavedSeconds", self.unsaved_s(now_s))
        for at in self._consumer.position(self._consumer.assignment()):
            high = self._consumer.get_watermark_offsets(at, cached=True)[1]
            lag = max(0, high - at.offset) if high > 0 and at.offset >= 0 else 0
            self.caught_up &= lag == 0
            self.gauges.set("bus_lag", lag, topic=at.topic, partition=str(at.partition))
            lags[at.topic.removeprefix(self._clients.topic(""))] += lag
        for topic, total in lags.items():
            telemetry.set("TopicLag", total, topic)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
