"""Synthetic currencies of 1,000 instruments on calibrators: what one costs, how many a core carries at 10 Hz, what one more adds.

Costs are processor time of the processes (threads included), so that they hold on a machine that does other things too:
Kafka, the load and the reader of what is published share the cores with the calibrators, and are told beside them.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

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
CASES = ((1, 1), (8, 1), (8, 2), (16, 1), (16, 2), (32, 1), (32, 2))
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


def machine_s():
    """Return the seconds that all cores together have been busy."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


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
            pids = [each.pid for each in started]
            rounds, before, began = (
                market.rounds,
                [machine_s(), cpu_s(os.getpid()), *map(cpu_s, pids)],
                time.monotonic(),
            )
            while time.monotonic() - began < SECONDS:
                versions.take()
            took = time.monotonic() - began
            after = [machine_s(), cpu_s(os.getpid()), *map(cpu_s, pids)]
            machine, load, *cpu = [(now - was) / took for now, was in zip(after, before, strict=True)]
            quotes = (market.rounds - rounds) * SHARE * LARGE.instruments * currencies / took
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
            versions.close()
    made = sum(len(at) for at in versions.seen.values())
    return {
        "currencies": currencies, "calibrators": calibrators, "share": owned, "hz": round(made / took / currencies, 2),
        "surfaces_s": round(made / took, 1), "quotes_s": round(quotes), "cpu": [round(each, 2) for each in cpu],
        "cpu_load": round(load, 2), "cpu_rest": round(machine - load - sum(cpu), 2), "cpu_idle": round(os.cpu_count() - machine, 2),
        "cpu_ms_per_surface": round(1000 * sum(cpu) * took / made, 2), "saturation": [round(each, 2) for each in saturation],
        "lag": lag, "kb_s_per_currency": round(versions.bytes / took / currencies / 1e3, 1),
        "age_p50_ms": round(float(np.quantile(versions.ages_ms, 0.5)), 1), "age_p99_ms": round(float(np.quantile(versions.ages_ms, 0.99)), 1),
    }  # fmt: skip


def one_more(cases):
    """Return what a second calibrator added, by number of currencies."""
    by = {(each["currencies"], each["calibrators"]): each for each in cases}
    return [
        {
            "currencies": count,
            "surfaces_s": [each["surfaces_s"] for each in pair],
            "cpu": [round(sum(each["cpu"]), 2) for each in pair],
            "cpu_ms_per_surface": [each["cpu_ms_per_surface"] for each in pair],
            "age_p99_ms": [each["age_p99_ms"] for each in pair],
            "cpu_idle": [each["cpu_idle"] for each in pair],
        }
        for count, calibrators in by
        if calibrators == 2
        for pair in [(by[count, 1], by[count, 2])]
    ]


def run():
    with kafka() as bootstrap:
        cases = [case(bootstrap, *each) for each in CASES]
    within = [each for each in cases if each["hz"] > 8.5]
    # Of those that kept their rate, with many currencies on each: the cost of the loop itself is then shared.
    costs = [
        10.0 / 1000 * each["cpu_ms_per_surface"] for each in within if each["currencies"] >= 8 * each["calibrators"]
    ]
    per_currency = float(np.median(costs)) if costs else float("nan")
    return {
        "cases": cases,
        "one_more": one_more(cases),
        "instruments": LARGE.instruments,
        "cores": os.cpu_count(),
        "cores_per_currency": round(per_currency, 4),
        "currencies_per_core": round(1 / per_currency, 1),
    }


def render(result):
    lines = [
        "| currencies | calibrators | currencies of each | surfaces a second and currency | quotes a second | CPU of each calibrator (cores) | CPU of load and reader | CPU of Kafka and the rest | idle | CPU ms a surface | saturation | newest quote → surface p50 / p99 ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for at in result["cases"]:
        lines.append(
            f"| {at['currencies']} | {at['calibrators']} | {' + '.join(map(str, at['share']))} | {at['hz']} | {at['quotes_s']:,} | "
            f"{', '.join(map(str, at['cpu']))} | {at['cpu_load']} | {at['cpu_rest']} | {at['cpu_idle']} | {at['cpu_ms_per_surface']} | "
            f"{', '.join(map(str, at['saturation']))} | {at['age_p50_ms']} / {at['age_p99_ms']} |"
        )
    lines += [
        f"\nWhat a second calibrator adds, {result['cores']} cores, all of the above on them:\n",
        "| currencies | surfaces a second | CPU of the calibrators (cores) | CPU ms a surface | newest quote → surface p99 ms | idle cores |",
        "|---|---|---|---|---|---|",
    ]
    for at in result["one_more"]:
        both = (
            " → ".join(map(str, at[name]))
            for name in ("surfaces_s", "cpu", "cpu_ms_per_surface", "age_p99_ms", "cpu_idle")
        )
        lines.append(f"| {at['currencies']} | {' | '.join(both)} |")
    kb = result["cases"][-1]["kb_s_per_currency"] / result["cases"][-1]["hz"]
    lines.append(
        f"\nAt 10 Hz: {result['cores_per_currency']} cores a currency of {result['instruments']} instruments, "
        f"{result['currencies_per_core']} currencies a core; {kb:.1f} kB of patches a version."
    )
    return "\n".join(lines)
