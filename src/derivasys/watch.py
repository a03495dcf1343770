"""Runs the canary: once, or every so often, with its metrics beside each visit's line."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from importlib.metadata import version

from derivasys.canary import Limits, report, visit
from derivasys.settings import Loaded
from derivasys.telemetry.emf import Emf
from derivasys.telemetry.registry import Telemetry


async def canary(options: argparse.Namespace, loaded: Loaded, key: str) -> int:
    """Return 0 when the (last) visit found nothing wrong, else 1."""
    limits = Limits(
        watch_s=options.watch, age_s_max=options.age, latency_ms_max=options.latency, is_live=options.live
    )  # fmt: skip
    telemetry = Telemetry("canary")
    settings = loaded.settings
    emf = Emf(telemetry, settings.environment, version("derivasys")) if settings.metrics == "emf" else None
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for which in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(which, ended.set)
    while True:
        started_s = loop.time()
        seen = await visit(options.url, limits, _now_ms, key)
        lines = [report(seen, telemetry), *(emf.lines(_now_ms()) if emf else [])]
        sys.stdout.buffer.write(b"\n".join(lines) + b"\n")
        sys.stdout.buffer.flush()
        if options.every is None or ended.is_set():
            return 0 if seen.is_good else 1
        try:
            async with asyncio.timeout_at(started_s + options.every):
                await ended.wait()
                return 0 if seen.is_good else 1
        except TimeoutError:
            continue


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
