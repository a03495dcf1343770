"""A Kafka for a benchmark, its topics, and what processes cost."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from derivasys.bus import topics
from derivasys.bus.clients import Clients
from derivasys.bus.settings import BusSettings
from derivasys.testing.kafka import Cluster


@contextlib.contextmanager
def kafka() -> Iterator[str]:
    """Yield the address of the Kafka of KAFKA_BOOTSTRAP_SERVERS, or of one node of our own."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="derivasys-bench-") as folder, Cluster(Path(folder) / "kafka") as cluster:
        yield cluster.bootstrap


def installation(bootstrap: str, partitions: int) -> Clients:
    clients = Clients(BusSettings(bootstrap=bootstrap, prefix=f"b{uuid.uuid4().hex[:6]}."), "bench")
    topics.apply(clients, topics.wanted(("deribit",), {"by_ccy": {"partitions": partitions}}))
    return clients


def spread(count: int, partitions: int) -> tuple[str, ...]:
    """Return names of currencies that lie evenly on the partitions, as a large number of them would."""
    rows: dict[int, list[str]] = {part: [] for part in range(partitions)}
    at = 0
    while min(len(row) for row in rows.values()) * partitions < count:
        name = f"C{at:03d}"
        rows[topics.partition_of(name, partitions)].append(name)
        at += 1
    return tuple(
        name for depth in range(-(-count // partitions)) for row in rows.values() for name in row[depth : depth + 1]
    )[:count]


def cpu_s(pid: int) -> float:
    """Return the processor time of a process so far, threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait(condition, seconds: float = 90.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.01)
    raise TimeoutError("the benchmark waited in vain")
