"""Records what a run receives: every frame and listing with its time, connection and direction, and every cycle.

Recording never holds the service up: a block is compressed and written when it holds a quarter of a megabyte or is a
second old (under a millisecond of work each). When the disk is full or fails, recording stops with an alarm and the
service goes on.
"""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path

import orjson

from derivasys.record.segments import FLUSH_S, BlockWriter, Kind

log = logging.getLogger("derivasys.record")

CONNECTIONS_MAX = 65_535


class Recorder:
    """Writes one recording. `state` is recording or stopped; `detail` says why it stopped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = "recording"
        self.detail = ""
        self.records = 0
        self.lost = 0
        """Records that came after it stopped, and those of the block that could not be written."""
        self._writer = BlockWriter(folder)
        self._connections = 0
        self._flushed_s: float | None = None

    @property
    def bytes_written(self) -> int:
        return self._writer.bytes_written

    @property
    def segment(self) -> Path | None:
        """The segment being written; None between two."""
        return self._writer.path

    def end_segment(self) -> None:
        """Write what is kept; what comes next begins another segment."""
        self.flush()
        self._writer.close()

    def open(self, recv_ns: int, venue: str, feed: int, ccys: tuple[str, ...]) -> int:
        """Return the number of a new connection (or of a feed's cycles, with venue '')."""
        number = self._connections
        if number > CONNECTIONS_MAX and self.state == "recording":
            self._stop(OSError(errno.EOVERFLOW, os.strerror(errno.EOVERFLOW)))
        self._connections += 1
        self.add(recv_ns, number, Kind.OPENED, orjson.dumps({"venue": venue, "feed": feed, "ccys": ccys}))
        return number

    def add(self, recv_ns: int, connection: int, kind: Kind, payload: bytes = b"") -> None:
        """Keep one record."""
        if self.state != "recording":
            self.lost += 1
            return
        self.records += 1
        try:
            self._writer.add(recv_ns, connection, kind, payload)
        except OSError as error:
            self._stop(error)

    def tap(self, venue: str, feed: int, ccys: tuple[str, ...]) -> ConnectionTap:
        """Return what listens in on one connector."""
        return ConnectionTap(self, venue, feed, ccys)

    def tick(self, monotonic_s: float) -> None:
        """Flush when a second has passed since the last time."""
        if self._flushed_s is None:
            self._flushed_s = monotonic_s
        elif monotonic_s - self._flushed_s >= FLUSH_S:
            self._flushed_s = monotonic_s
            self.flush()

    def flush(self) -> None:
        """Write what is kept."""
        if self.state != "recording":
            return
        try:
            self._writer.flush()
        except OSError as error:
            self._stop(error)

    def close(self) -> None:
        """Write what is kept and end the segment."""
        self.end_segment()
        if self.state == "recording":
            self.state = "stopped"

    def _stop(self, error: OSError) -> None:
        self.state = "stopped"
        self.detail = os.strerror(error.errno) if error.errno else str(error)
        self.records -= self._writer.lost
        self.lost += self._writer.lost
        log.error("recording to %s stopped: %s; the service goes on without it", self.folder, self.detail)
        self._writer.close()


class ConnectionTap:
    """Records one connector's traffic; a reconnect is a new connection."""

    def __init__(self, recorder: Recorder, venue: str, feed: int, ccys: tuple[str, ...]) -> None:
        self._recorder = recorder
        self._about = (venue, feed, ccys)
        self._number = -1

    def opened(self, now_ns: int) -> None:
        self._number = self._recorder.open(now_ns, *self._about)

    def listing(self, payload: bytes, now_ns: int) -> None:
        self._recorder.add(now_ns, self._number, Kind.LISTING, payload)

    def received(self, payload: bytes, now_ns: int) -> None:
        self._recorder.add(now_ns, self._number, Kind.RECEIVED, payload)

    def sent(self, payload: bytes, now_ns: int) -> None:
        self._recorder.add(now_ns, self._number, Kind.SENT, payload)
