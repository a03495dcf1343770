"""The services as processes of this machine: for `make cluster`, tests and benchmarks."""

from __future__ import annotations

import contextlib
import math
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import orjson

START_S_MAX = 90.0
STOP_S_MAX = 30.0
LINES_KEPT = 400
_HTTP = httpx.Client(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))
"""One for all: making one costs 20 ms of processor, which services that are measured on this machine would lack."""
T = TypeVar("T")


class Process:
    """One child: its output is read, kept and shown; `url` is what it told after `Open`."""

    def __init__(self, name: str, command: list[str], env: dict[str, str], *, is_shown: bool = False) -> None:
        self.name = name
        self.output: list[str] = []
        self.url = ""
        self.said: dict[str, Any] = {}
        """The JSON line that it told."""
        self._is_shown = is_shown
        self._told = threading.Event()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            del self.output[:-LINES_KEPT]
            if self._is_shown:
                print(f"{self.name}: {line}", end="", flush=True)
            if match := re.match(r"Open (http://\S+/)", line):
                self.url = match[1]
                self._told.set()
            elif line.startswith("{"):
                self.said = orjson.loads(line)
                self._told.set()
        self._told.set()

    def await_start(self) -> Self:
        """Return when it has told its address. Raises RuntimeError with its output."""
        if not self._told.wait(START_S_MAX) or not (self.url or self.said):
            self.stop()
            raise RuntimeError(f"{self.name} did not start: {''.join(self.output[-40:])}")
        return self

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def get(self, path: str) -> httpx.Response:
        return _HTTP.get(self.url + path.lstrip("/"))

    def metric(self, name: str, **labels: str) -> float | None:
        """Return the sum of a metric's series with these labels; None when there is none."""
        found = [
            float(line.rpartition(" ")[2])
            for line in self.get("/metrics").text.splitlines()
            if line.startswith(f"derivasys_{name}{{") and all(f'{key}="{text}"' in line for key, text in labels.items())
        ]
        return sum(found) if found else None

    def send(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code."""
        if self.is_alive:
            self.process.send_signal(signal.SIGCONT)
            self.process.send_signal(how)
        try:
            code = self.process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._reader.join(5)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code


class Fleet:
    """Services against one Kafka. Ends all of them when left."""

    def __init__(self, bootstrap: str, prefix: str = "", *, is_shown: bool = False) -> None:
        self.env = {"KAFKA_BOOTSTRAP_SERVERS": bootstrap, "DERIVASYS_TOPIC_PREFIX": prefix}
        self.processes: list[Process] = []
        self._is_shown = is_shown

    def run(self, *arguments: str) -> str:
        """Run a command of `derivasys` to its end and return its output. Raises RuntimeError."""
        command = [sys.executable, "-m", "derivasys.cli", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **self.env})
        if done.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, service: str, *arguments: str, port: int = 0, name: str = "", env: dict[str, str] | None = None,
              ) -> Process:  # fmt: skip
        """Start a service; it may not be ready when this returns (see `Process.await_start`)."""
        command = [sys.executable, "-m", "derivasys.cli", "serve", service, "--port", str(port), *arguments]
        return self._add(Process(name or service, command, self.env | (env or {}), is_shown=self._is_shown))

    def venues(self, *arguments: str) -> Process:
        """Start local venue servers."""
        command = [sys.executable, "-m", "derivasys.testing.venues", *arguments]
        return self._add(Process("venues", command, self.env)).await_start()

    def connector(self, venues: Process, venue: str, *arguments: str, **more: Any) -> Process:
        """Start a connector of one of the local venues."""
        return self.start(
            "connector", "--venue", venue, "--endpoint", venues.said["venues"][venue], "--label", venues.said["label"],
            *arguments, name=f"connector {venue}", **more,
        )  # fmt: skip

    def recorder(self, folder: Path, **more: Any) -> Process:
        return self.start("recorder", "--data", str(folder), **more)

    def _add(self, process: Process) -> Process:
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """End all, the last started first."""
        for process in reversed(self.processes):
            if process.is_alive:
                process.send(signal.SIGCONT)
                process.send(signal.SIGTERM)
        for process in reversed(self.processes):
            process.stop()
        self.processes.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def until(condition: Callable[[], T], seconds: float = 60.0, told: Callable[[], str] = lambda: "") -> T:
    """Return the first true value of `condition()`. Raises TimeoutError after `seconds`."""
    deadline_s = time.monotonic() + seconds
    while time.monotonic() < deadline_s:
        with contextlib.suppress(httpx.HTTPError, KeyError):
            if value := condition():
                return value
        time.sleep(0.02)
    raise TimeoutError(f"waited {seconds:g} s in vain; {told()}")


def publisher(calibrators: Sequence[Process], ccy: str) -> Process:
    """Return the calibrator whose version of a currency grows. One look does not do: metrics are up to a second old."""

    def versions() -> dict[Process, float]:
        return {each: at for each in calibrators if (at := each.metric("surface_version", ccy=ccy)) is not None}

    def growing() -> Process | None:
        found = versions()
        return next((each for each in found if len(found) == 1 and found[each] > first.get(each, math.inf)), None)

    first = until(versions)
    found = until(growing, told=lambda: f"{ccy} is published by {len(versions())} calibrators")
    assert found is not None
    return found
