"""Finished segments to S3, from where they are then deleted: a task's disk is small and dies with it.

A run of the recorder is a folder named by its start, here and there: `<prefix>/<run>/NNNNNN.dvs` with its index, which
is a recording as it stands. One segment is sent at a time, the oldest first, by a thread of its own; recording never
waits for it. What cannot be sent stays and is tried again, with growing pauses, without end: the disk is the bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

log = logging.getLogger("derivasys.record")

LOOK_S = 1.0
PAUSE_S_MAX = 60.0
CONNECT_S, READ_S, ATTEMPTS = 5, 30, 2


class UploadError(RuntimeError):
    """Uploads are not possible here at all; the message says what to do."""


class Uploads:
    """Moves the finished segments below `folder` to `address` (s3://bucket/prefix). Raises UploadError.

    `writing` tells the segment that is not finished.
    """

    def __init__(self, folder: Path, address: str, writing: Callable[[], Path | None]) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError:
            raise UploadError("recordings go to S3, but boto3 is missing: install derivasys[aws]") from None
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self._bucket, self._prefix = bucket, prefix.strip("/")
        self._folder = folder
        self._writing = writing
        retries: Any = {"total_max_attempts": ATTEMPTS}
        self._client = boto3.client(
            "s3", config=Config(connect_timeout=CONNECT_S, read_timeout=READ_S, retries=retries)
        )
        self.sent = 0
        """Segments."""
        self.failure = ""
        """Why the last try failed; empty after one that did not."""
        self._is_ending = asyncio.Event()

    def waiting(self) -> Iterator[Path]:
        """Yield the finished segments that are still here, the oldest first."""
        writing = self._writing()
        yield from (path for path in sorted(self._folder.glob("*/*.dvs")) if path != writing)

    async def run(self) -> None:
        """Send what is finished, until `end` is called and everything was tried once more."""
        pause_s = LOOK_S
        while not self._is_ending.is_set():
            pause_s = LOOK_S if await self.send() else min(2 * pause_s, PAUSE_S_MAX)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._is_ending.wait(), pause_s)
        await self.send()

    def end(self) -> None:
        self._is_ending.set()

    async def send(self) -> bool:
        """Send everything that waits, up to the first failure; return whether there was none."""
        for path in list(self.waiting()):
            if not await asyncio.to_thread(self._send, path):
                return False
        return True

    def _send(self, path: Path) -> bool:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            # The index first: where the segment is, it is whole.
            for file in (path.with_suffix(".dvi"), path):
                if file.is_file():
                    self._put(file)
        except (BotoCoreError, ClientError, OSError) as error:
            if not self.failure:
                log.warning("%s was not sent to s3://%s and is kept: %s", path, self._bucket, error)
            self.failure = str(error)
            return False
        path.unlink()
        path.with_suffix(".dvi").unlink(missing_ok=True)
        self.failure = ""
        self.sent += 1
        return True

    def _put(self, file: Path) -> None:
        key = "/".join(part for part in (self._prefix, *file.relative_to(self._folder).parts) if part)
        with file.open("rb") as body:
            self._client.put_object(Bucket=self._bucket, Key=key, Body=body)
