"""python -m derivasys.testing.cluster: the whole fleet on this machine, dashboard included (`make cluster`)."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from derivasys.testing.fleet import Fleet, Process
from derivasys.testing.kafka import Cluster, KafkaUnavailable
from derivasys.testing.servers import SERVERS

RESTART_S = 1.0


def main() -> int:
    """Start everything, restart what dies, end with SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="make cluster", description=__doc__)
    parser.add_argument("--port", type=int, default=8080, help="of the first gateway; the second has the next")
    parser.add_argument("--data", type=Path, help="folder for Kafka's logs and the recording; default: a new one")
    parser.add_argument("--rate", type=float, default=1000.0, help="simulated tickers a second")
    parser.add_argument("--connectors", type=int, default=4, help="of so many venues")
    parser.add_argument("--nodes", type=int, default=1, help="of Kafka")
    options = parser.parse_args()
    ended = threading.Event()
    for which in (signal.SIGINT, signal.SIGTERM):
        signal.signal(which, lambda *_: ended.set())
    data = options.data or Path(tempfile.mkdtemp(prefix="derivasys-cluster-"))
    try:
        with kafka(data, options.nodes) as bootstrap, Fleet(bootstrap, is_shown=True) as fleet:
            print(f"Kafka at {bootstrap}; logs and recording in {data}", flush=True)
            print(fleet.run("topics", "apply"), end="")
            watched = start(fleet, data, options)
            print(f"\nThe dashboard, fed through Kafka: {watched['gateway 1'][0].url}", flush=True)
            print(f"The same from the other gateway:  {watched['gateway 2'][0].url}", flush=True)
            print("Processes: " + ", ".join(f"{name} {each.pid}" for name, (each, _) in watched.items()), flush=True)
            watch(fleet, watched, ended)
    except (KafkaUnavailable, RuntimeError) as error:
        print(f"derivasys: {error}", file=sys.stderr)
        return 1
    return 0


@contextlib.contextmanager
def kafka(data: Path, nodes: int) -> Iterator[str]:
    """Yield the address of a Kafka: one given by KAFKA_BOOTSTRAP_SERVERS, or one of our own."""
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with Cluster(data / "kafka", nodes) as cluster:
        yield cluster.bootstrap


Watched = dict[str, tuple[Process, tuple[str, ...]]]
"""By name: the process and the arguments to start it again with."""


def start(fleet: Fleet, data: Path, options: argparse.Namespace) -> Watched:
    """Start all services and return them once all have told that they run."""
    names = tuple(SERVERS)[: options.connectors]
    venues = fleet.venues("--rate", str(options.rate), *(part for name in names for part in ("--venue", name)))
    commands: dict[str, tuple[str, ...]] = {}
    for name in names:
        address, label = venues.said["venues"][name], venues.said["label"]
        commands[f"connector {name}"] = ("connector", "--venue", name, "--endpoint", address, "--label", label)
    commands |= {f"calibrator {at}": ("calibrator",) for at in (1, 2)}
    commands |= {f"gateway {at + 1}": ("gateway", "--port", str(options.port + at)) for at in (0, 1)}
    commands["recorder"] = ("recorder", "--data", str(data / "recording"))
    started = {name: fleet.start(*command, name=name) for name, command in commands.items()}
    return {name: (process.await_start(), commands[name]) for name, process in started.items()}


def watch(fleet: Fleet, watched: Watched, ended: threading.Event) -> None:
    """Start again what has died, as a supervisor would, until told to end."""
    while not ended.wait(RESTART_S):
        for name, (process, command) in watched.items():
            if not process.is_alive:
                fleet.processes.remove(process)
                again = fleet.start(*command, name=name)
                print(f"{name} ended with {process.process.returncode}; started again as {again.pid}", flush=True)
                watched[name] = (again, command)


if __name__ == "__main__":
    sys.exit(main())
