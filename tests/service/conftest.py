from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

START_S_MAX = 60.0


class Served:
    """A running command that serves and says where, as a process of its own."""

    def __init__(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, **(environment or {})},
        )
        self.output: list[str] = []
        self._told = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._told.wait(START_S_MAX) or not self.url:
            self.stop()
            raise AssertionError("did not start: " + "".join(self.output))
        self.port = int(self.url.rstrip("/").rpartition(":")[2])
        self.ws = self.url.replace("http", "ws") + "ws"

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if match := re.match(r"Open (http://\S+/)", line):
                self.url = match[1]
                self._told.set()
        self._told.set()

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path.lstrip("/"), timeout=10)

    def until(self, condition, seconds: float = 30.0):
        """Return the first true value of `condition()`; fail after `seconds`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError, KeyError):
                if value := condition():
                    return value
            time.sleep(0.05)
        raise AssertionError("waited in vain; " + "".join(self.output[-20:]))

    def until_fitted(self, ccy: str) -> None:
        """Wait until every smile of a currency is fitted: a surface is there before its forwards are."""

        def is_fitted() -> bool:
            reply = self.get(f"/surface/latest?ccy={ccy}")
            states = {smile["fit"]["state"] for smile in reply.json()["smiles"]} if reply.status_code == 200 else set()
            return states == {"fitted"}

        self.until(is_fitted)

    def stop(self, how: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        code = self.process.wait(20)
        self._reader.join(5)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


class Up(Served):
    """A running `derivasys up` (or another command that serves)."""

    def __init__(
        self, *arguments: str, port: int = 0, command: str = "up", environment: dict[str, str] | None = None
    ) -> None:
        super().__init__([sys.executable, "-m", "derivasys.cli", command, "--port", str(port), *arguments], environment)

    @classmethod
    def of(cls, command: str, *arguments: str) -> Up:
        """Return another command that serves, running."""
        return cls(*arguments, command=command)


@pytest.fixture(scope="module")
def replayed() -> Iterator[Up]:
    up = Up("--source", "replay")
    yield up
    up.stop()
