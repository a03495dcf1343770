"""Synthetic currencies of 1,000 instruments on calibrators: what one costs, how many a core carries at 10 Hz, what one more adds.

Costs are processor time of the processes (threads included), so that they hold on a machine that does other things too.
"""

from __future__ import annotations

import time

import numpy as np
from confluent_kafka import OFFSET_END, TopicPartition

from _kafka import cpu_s, installation, kafka, spread, wait
from derivasys.bus import records
from derivasys.bus.clients import is_end
from derivasys.bus.topics import PATCHES
from derivasys.testing.fleet import Fleet
from derivasys.testing.kafka.market import LARGE, Market

CYCLE_MS = 100
PARTITIONS = 8
SECONDS = 10.0
CASES = ((1, 1), (4, 1), (8, 1), (16, 1), (16, 2), (32, 1), (32, 2))
"""(currencies, calibrators)"""
SHARE, EVERY_S = 0.05, 0.1
"""Every instrument is quoted once in two seconds: 500 quotes a second and currency."""


class Versions:
    """Counts surfaces as they are published, and how old their newest quote was."""

    def __init__(self, clients):
        self._reader = clients.reader()
        name = clients.topic(PATCHES)
        self._reader.assign([TopicPartition(name, part, OFFSET_END) for part in range(PARTITIONS)])
        self.seen = {}
        self.ages_ms = []
        self.bytes = 0

    def take(self):
        for message in self._reader.consume(2_000, 0.01):
            if is_end(message) or message.error() is not None:
                continue
            at, _ = records.stamp(message)
            self.seen.setdefault(message.key(), []).append(at.version)
            self.bytes += len(message.value())
            times = records.decode_state(message).times
            if times is not None:
                self.ages_ms.append((times.made_ns - times.recv_ns) / 1e6)

    def clear(self):
        self.seen.clear()
        self.ages_ms.clear()
        self.bytes = 0

    def close(self):
        self._reader.close()


def case(bootstrap, currencies, calibrators):
    clients = installation(bootstrap, PARTITIONS)
    ccys = spread(currencies, PARTITIONS)
    with Fleet(bootstrap, clients.settings.prefix) as fleet:
        started = [fleet.start("calibrator", "--cycle-ms", str(CYCLE_MS)) for _ in range(calibrators)]
        for each in started:
            each.await_start()
        with Market(clients, ccys, PARTITIONS, every_s=EVERY_S, shape=LARGE, share=SHARE) as market:
            versions = Versions(clients)
            wait(lambda: versions.take() or len(versions.seen) == currencies)
            wait(lambda: all(each.metric("partitions") == PARTITIONS / calibrators for each in started))
            versions.take()
            settled = time.monotonic() + 3.0
            while time.monotonic() < settled:
                versions.take()
            versions.clear()
            late = market.late
            before, began = [cpu_s(each.pid) for each in started], time.monotonic()
            while time.monotonic() - began < SECONDS:
                versions.take()
            took = time.monotonic() - began
            cpu = [cpu_s(each.pid) - was for each, was in zip(started, before, strict=True)]
            lag = [each.metric("bus_lag") or 0.0 for each in started]
            saturation = [each.metric("cycle_saturation") for each in started]
            owned = [
                sum(
                    1
                    for line in each.get("/metrics").text.splitlines()
                    if line.startswith("derivasys_surface_version{")
                )
                for each in started
            ]
            late = market.late - late
            versions.close()
    made = sum(len(at) for at in versions.seen.values())
    return {
        "currencies": currencies, "calibrators": calibrators, "share": owned, "hz": round(made / took / currencies, 2),
        "cpu": [round(each / took, 3) for each in cpu], "cpu_ms_per_surface": round(1000 * sum(cpu) / made, 2),
        "surfaces_s": round(made / took, 1), "saturation": [round(each, 2) for each in saturation], "lag": lag,
        "age_p50_ms": round(float(np.quantile(versions.ages_ms, 0.5)), 1), "age_p99_ms": round(float(np.quantile(versions.ages_ms, 0.99)), 1),
        "kb_s_per_currency": round(versions.bytes / took / currencies / 1e3, 1), "late_rounds": late,
    }  # fmt: skip


def run():
    with kafka() as bootstrap:
        cases = [case(bootstrap, *each) for each in CASES]
    within = [each for each in cases if each["hz"] > 8.5]
    # Of those that kept their rate, with more than one currency: the cost of the loop itself is then shared.
    costs = [10.0 / 1000 * each["cpu_ms_per_surface"] for each in within if each["currencies"] >= 4]
    per_currency = float(np.median(costs)) if costs else float("nan")
    return {
        "cases": cases,
        "instruments": LARGE.instruments,
        "cores_per_currency": round(per_currency, 4),
        "currencies_per_core": round(1 / per_currency, 1),
    }


def render(result):
    lines = [
        "| currencies | calibrators | share | surfaces a second and currency | CPU of each (cores) | CPU ms a surface | newest quote → surface p50 / p99 ms | saturation | kB/s of patches and currency |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for at in result["cases"]:
        lines.append(
            f"| {at['currencies']} | {at['calibrators']} | {' + '.join(map(str, at['share']))} | {at['hz']} | "
            f"{', '.join(map(str, at['cpu']))} | {at['cpu_ms_per_surface']} | {at['age_p50_ms']} / {at['age_p99_ms']} | "
            f"{', '.join(map(str, at['saturation']))} | {at['kb_s_per_currency']} |"
        )
    lines.append(
        f"\nAt 10 Hz: {result['cores_per_currency']} cores a currency of {result['instruments']} instruments, {result['currencies_per_core']} currencies a core."
    )
    return "\n".join(lines)
