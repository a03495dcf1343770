"""Ends a process whose loop stands still, so that its work goes to one that runs.

A stalled calibrator still holds its partitions: Kafka's client keeps answering the broker from a thread of its own.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading
from collections.abc import Callable

log = logging.getLogger("derivasys.watchdog")

STALLED_S = 20.0
"""Without a turn of the loop for so long. Above any collection or compilation, below what a client would bear."""
EXIT_STALLED = 70


class Watchdog:
    """A thread that wants to hear `beat` at least every `stalled_s` seconds."""

    def __init__(self, stalled_s: float = STALLED_S, end: Callable[[int], object] = os._exit) -> None:
        self._stalled_s = stalled_s
        self._end = end
        self._beaten = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def beat(self) -> None:
        """Say that the loop has turned."""
        self._beaten.set()

    def stop(self) -> None:
        self._stopped.set()
        self._beaten.set()
        if self._thread.is_alive():
            self._thread.join(5)

    def _watch(self) -> None:
        while not self._stopped.is_set():
            if self._beaten.wait(self._stalled_s):
                self._beaten.clear()
                # Once heard, there is nothing to know for a while: waking with each beat would cost for nothing.
                self._stopped.wait(self._stalled_s / 4)
                continue
            log.critical("the loop has not turned for %g s: ending, so that another takes over", self._stalled_s)
            faulthandler.dump_traceback(sys.stderr, all_threads=True)
            sys.stderr.flush()
            self._end(EXIT_STALLED)
            return
