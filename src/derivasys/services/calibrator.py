"""`derivasys serve calibrator`: the currencies of the partitions that the group assigns to it, calibrated.

One loop: take what has come, run a cycle of every partition owned, publish. Between cycles nothing is waited for but
the next one; what blocks (fencing, the end of a transaction) runs beside it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor, wait
from importlib.metadata import version
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from msgspec import Struct

from derivasys.bus import trace
from derivasys.bus.clients import CONNECT_S_MAX, Clients, is_end
from derivasys.bus.dead_letters import DeadLetters
from derivasys.bus.records import BadRecord
from derivasys.bus.topics import CALIBRATORS, QUOTES, SESSION_MS
from derivasys.calibrate import Rules
from derivasys.clock import Clock
from derivasys.latency import Latency
from derivasys.observe import poor_fits, report_quality
from derivasys.pipeline import Pipeline
from derivasys.services import heartbeat
from derivasys.services.gauges import Gauges
from derivasys.services.ownership import TRANSACTION_S, Newest, Owned, claim, is_fencing
from derivasys.services.process import instance
from derivasys.surface import Surface
from derivasys.warm_up import warm_up
from derivasys.wire import messages as m

log = logging.getLogger("derivasys.calibrator")

BATCH = 5_000
"""Records taken at once; at most `TAKE_SHARE` of a cycle is spent on taking before the cycle runs."""
TAKE_SHARE = 0.5
TELL_S = 1.0
SMOOTHING = 0.05
REJOIN_S = 1.0
REBUILD_S = 0.002
CLAIMS_MAX = 16
"""Partitions claimed at a time: a claim waits, it does not work."""


class CalibratorOptions(Struct, frozen=True, kw_only=True):
    """What one calibrator does."""

    cycle_ms: int = 50
    rules: Rules = Rules()
    session_ms: int = SESSION_MS
    """With brokers before KIP-848 only; otherwise the group's own configuration."""
    build: str = ""
    """What it calls itself in the headers of its surfaces; default: the package's version."""
    name: str = ""


class CalibratorService:
    """A member of the group that shares the currencies."""

    def __init__(self, clients: Clients, options: CalibratorOptions, clock: Clock) -> None:
        self.gauges = Gauges("calibrator")
        self.turned_s = time.monotonic()
        self.owned: dict[int, Owned] = {}
        self.rebalances = 0
        self.fenced = 0
        self.missed_cycles = 0
        self.saturation = 0.0
        self._options = options
        self._clients = clients
        self._clock = clock
        self._build = options.build or version("derivasys")
        self._name = options.name or instance()
        self._quotes = clients.topic(QUOTES)
        self._dead = DeadLetters(clients, "calibrator")
        self._pulse = heartbeat.Pulse(clients)
        self._latency = Latency()
        self._consumer: Consumer | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending: set[asyncio.Task[None]] = set()
        self._threads = ThreadPoolExecutor(CLAIMS_MAX, "claim")
        self._failure: BaseException | None = None
        self._must_rejoin = False
        self._told_s = 0.0
        self._ended_s = time.monotonic()
        self._records = 0
        self._rebuild_s = 0.0
        self._loop: asyncio.AbstractEventLoop

    async def run(self) -> None:
        """Join the group and calibrate until cancelled."""
        self._loop = asyncio.get_running_loop()
        warm_up()
        self._join()
        cycle_s = self._options.cycle_ms / 1000
        due_s = self._loop.time()
        while True:
            if any(owned.is_rebuilding for owned in self.owned.values()):
                # A partition that is read from its beginning is not kept waiting between batches.
                due_s = self._loop.time() + REBUILD_S
            else:
                due_s += cycle_s
            wait_s = due_s - self._loop.time()
            if wait_s < 0:
                self.missed_cycles += 1
                due_s = self._loop.time()
            await asyncio.sleep(max(0.0, wait_s))
            if self._failure is not None:
                raise self._failure
            if self._must_rejoin:
                await self._rejoin()
            started_s = self._loop.time()
            self._take(started_s + TAKE_SHARE * cycle_s)
            self._cycle()
            self.turned_s = time.monotonic()
            busy = (self._loop.time() - started_s) / cycle_s
            self.saturation += SMOOTHING * (busy - self.saturation)

    async def drain(self) -> None:
        """Hand the partitions over and leave the group at once, so that others need not wait for a timeout."""
        await asyncio.gather(*self._ending, return_exceptions=True)
        if self._consumer is not None:
            self._consumer.close()
        for partition in list(self.owned):
            self._drop(partition)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._pulse.send(self._heartbeat(is_last=True))
        self._pulse.close(2.0)
        self._dead.close(1.0)

    def not_ready(self) -> list[str]:
        if self._consumer is None:
            return ["has not joined the group"]
        rebuilt = [str(at) for at, owned in self.owned.items() if owned.is_rebuilding]
        reasons = [f"rebuilding partitions {', '.join(rebuilt)}"] if rebuilt else []
        pipelines = [owned.pipeline for owned in self.owned.values() if owned.pipeline is not None]
        return reasons + poor_fits(surface for pipeline in pipelines for surface in pipeline.surfaces.values())

    # --- the group ---

    def _join(self) -> None:
        self._consumer = self._clients.member(CALIBRATORS, self._options.session_ms)
        self._consumer.subscribe(
            [self._quotes], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    async def _rejoin(self) -> None:
        """Leave and join anew: only a fresh assignment tells what is still ours."""
        self._must_rejoin = False
        log.warning("shut out by a successor: leaving the group and joining anew")
        assert self._consumer is not None
        for partition in list(self.owned):
            self._drop(partition)
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.to_thread(self._consumer.close)
        await asyncio.sleep(REJOIN_S)
        self._join()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += bool(partitions)
        for at in partitions:
            owned = Owned(at.partition, self._clients, self._pipeline, self._build)
            self.owned[at.partition] = owned
            self._start(self._claim(owned))
        # Offsets are committed for those who watch the lag; a chain is always rebuilt from the beginning of the log.
        consumer.incremental_assign([TopicPartition(at.topic, at.partition, OFFSET_BEGINNING) for at in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self.rebalances += bool(partitions)
        for at in partitions:
            owned = self._drop(at.partition)
            if owned is None:
                continue
            if owned.claiming is not None:
                # A fence of ours that came after the successor's would shut the successor out.
                wait([owned.claiming], CONNECT_S_MAX)
            if not owned.is_busy:
                owned.release()
        consumer.incremental_unassign(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group has already given them to somebody else: there is nothing to hand over."""
        self.rebalances += bool(partitions)
        for at in partitions:
            self._drop(at.partition)
        consumer.incremental_unassign(partitions)

    def _drop(self, partition: int) -> Owned | None:
        """Let go of a partition; whoever waits for its first record waits no more."""
        owned = self.owned.pop(partition, None)
        if owned is not None:
            owned.woken.set()
        return owned

    def _pipeline(self) -> Pipeline:
        return Pipeline(self._options.rules, None, time.perf_counter_ns)

    async def _claim(self, owned: Owned) -> None:
        def is_wanted() -> bool:
            return self.owned.get(owned.partition) is owned

        await owned.woken.wait()
        while is_wanted():
            owned.claiming = self._threads.submit(claim, self._clients, self._quotes, owned.partition, is_wanted)
            try:
                owned.claimed = await asyncio.wrap_future(owned.claiming)
            except (KafkaException, TimeoutError) as error:
                log.warning("partition %d: claim failed, again: %s", owned.partition, error)
                await asyncio.sleep(0.2)
            else:
                return

    def _start(self, work: Any) -> asyncio.Task[None]:
        """Run something beside the loop; its failure is the service's."""
        task = self._loop.create_task(work)
        self._tasks.add(task)

        def done(ended: asyncio.Task[None]) -> None:
            self._tasks.discard(ended)
            if not ended.cancelled() and ended.exception() is not None:
                self._failure = ended.exception()

        task.add_done_callback(done)
        return task

    # --- records and cycles ---

    def _take(self, until_s: float) -> None:
        """Take what has come. What is more than a cycle can take waits in the log, where it conflates by age alone."""
        assert self._consumer is not None
        while True:
            messages = self._consumer.consume(BATCH, timeout=0)
            taken_ns = self._clock.now_ns()
            for message in messages:
                error = message.error()
                if error is not None:
                    if not is_end(message):
                        log.warning("%s", error.str())
                    continue
                owned = self.owned.get(message.partition() or 0)
                if owned is None:
                    continue
                try:
                    owned.take(message, taken_ns)
                except BadRecord as reason:
                    owned.position = (message.offset() or 0) + 1
                    self._dead.put(message, str(reason))
            self._records += len(messages)
            if len(messages) < BATCH or self._loop.time() >= until_s:
                return

    def _cycle(self) -> None:
        now_ns, now_s = self._clock.now_ns(), time.monotonic()
        for owned in list(self.owned.values()):
            if owned.pipeline is None:
                if owned.claimed is not None and owned.is_whole(self._position(owned)):
                    owned.start()
                    self._rebuild_s = owned.rebuild_s
                continue
            try:
                for surface in owned.publish(now_ns, now_s):
                    self._note(owned, surface)
            except (KafkaException, SystemError) as failure:
                if not is_fencing(failure):
                    raise
                owned.is_fenced = True
            except BufferError:
                pass  # no room: the chains keep conflating
            if owned.is_fenced:
                self.fenced += 1
                self._must_rejoin = True
        if now_s - self._ended_s >= TRANSACTION_S:
            self._ended_s = now_s
            self._end_transactions()
        if now_s - self._told_s >= TELL_S:
            self._told_s = now_s
            self._commit_offsets()
            self._tell()

    def _position(self, owned: Owned) -> int:
        assert self._consumer is not None
        return self._consumer.position([TopicPartition(self._quotes, owned.partition)])[0].offset

    def _end_transactions(self) -> None:
        for owned in self.owned.values():
            if owned.pipeline is not None and owned.in_transaction and not owned.is_busy and not owned.is_fenced:
                owned.is_busy = True
                ending = self._start(self._end_transaction(owned))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    def _commit_offsets(self) -> None:
        """Say how far we are, for those who watch the lag: nothing starts from there."""
        at = [
            TopicPartition(self._quotes, owned.partition, owned.position)
            for owned in self.owned.values()
            if owned.position >= 0
        ]
        if at and self._consumer is not None:
            try:
                self._consumer.commit(offsets=at, asynchronous=True)
            except KafkaException as error:
                log.warning("offsets not committed: %s", error.args[0].str())

    @staticmethod
    async def _end_transaction(owned: Owned) -> None:
        try:
            await asyncio.to_thread(owned.commit)
        finally:
            owned.is_busy = False

    # --- what it tells ---

    def _note(self, owned: Owned, surface: Surface) -> None:
        for stage, ms in (surface.stages_ms or {}).items():
            self._latency.add(stage, ms)
        self._latency.add("calibrate", sum((surface.stages_ms or {}).values()))
        newest = owned.newest.get(surface.ccy)
        if self.gauges.observer is not None:
            parent = newest.traceparent.decode(errors="replace") if newest is not None else ""
            self.gauges.observer.surface(surface, self._clock.now_ns(), parent)
        if newest is not None:
            made_ns = self._clock.now_ns()
            self._latency.add("bus_quotes", (newest.taken_ns - newest.sent_ns) / 1e6)
            self._latency.add("quote_to_surface", (made_ns - newest.recv_ns) / 1e6)

    def _tell(self) -> None:
        gauges = self.gauges
        gauges.clear("bus_lag")
        gauges.clear("surface_version")
        for partition, owned in self.owned.items():
            gauges.set("bus_lag", self._lag(owned), partition=str(partition))
            for ccy, state in owned.published.items():
                gauges.set("surface_version", state.version, ccy=ccy)
                self._note_trace(ccy, owned.newest.get(ccy), state.version)
        self._report()
        queued = sum(len(owned.claimed.producer) for owned in self.owned.values() if owned.claimed is not None)
        for name, value in (
            ("bus_queue", queued), ("bus_errors", self._clients.errors), ("bus_records", self._records),
            ("dead_letters", self._dead.count), ("rebalances", self.rebalances), ("partitions", len(self.owned)),
            ("fenced", self.fenced), ("missed_cycles", self.missed_cycles),
            ("rebuild_seconds", self._rebuild_s),
        ):  # fmt: skip
            gauges.set(name, float(value))
        for stage, (p50, p99) in self._latency.quantiles(0.5, 0.99).items():
            gauges.set("latency_ms", p50, stage=stage, quantile="0.5")
            gauges.set("latency_ms", p99, stage=stage, quantile="0.99")
        self._pulse.send(self._heartbeat())

    def _report(self) -> None:
        """Set the metrics that alarms and scaling look at."""
        telemetry = self.gauges.telemetry
        now_ms = self._clock.now_ns() // 1_000_000
        for name in ("SnapshotAgeSeconds", "CalibrationRmse", "InsideShare", "UncertifiedExpiries"):
            telemetry.clear(name)  # a currency that went to another is told of there
        for owned in self.owned.values():
            for ccy, state in owned.published.items():
                telemetry.set("SnapshotAgeSeconds", max(0.0, (now_ms - state.ts) / 1000), ccy)
            if owned.pipeline is not None:
                for surface in owned.pipeline.surfaces.values():
                    report_quality(telemetry, surface)
        queued = sum(len(owned.claimed.producer) for owned in self.owned.values() if owned.claimed is not None)
        telemetry.set("QueueDepth", queued, "kafka_out")
        telemetry.set("TopicLag", sum(self._lag(owned) for owned in self.owned.values()), QUOTES)
        telemetry.set("CycleSaturation", self.saturation)
        telemetry.set("DroppedMessages", self._dead.count, "undecodable")

    def _note_trace(self, ccy: str, newest: Newest | None, at: int) -> None:
        span = None if newest is None else trace.parse(newest.traceparent)
        if span is not None and newest is not None:
            self.gauges.traces.append({
                "trace_id": span.trace_id, "ccy": ccy, "version": at, "recv_ns": newest.recv_ns,
                "sent_ns": newest.sent_ns, "taken_ns": newest.taken_ns,
            })  # fmt: skip

    def _lag(self, owned: Owned) -> int:
        assert self._consumer is not None
        high = self._consumer.get_watermark_offsets(TopicPartition(self._quotes, owned.partition), cached=True)[1]
        return max(0, high - max(owned.position, 0)) if high > 0 else 0

    def _heartbeat(self, *, is_last: bool = False) -> heartbeat.Heartbeat:
        return heartbeat.Heartbeat(
            service="calibrator", instance=self._name, ts_ms=self._clock.now_ns() // 1_000_000, is_last=is_last,
            ccys=sorted(ccy for owned in self.owned.values() for ccy in owned.published),
            latency_ms={
                stage: m.Quantiles(p50=at[0], p99=at[1]) for stage, at in self._latency.quantiles(0.5, 0.99).items()
            },
        )  # fmt: skip
