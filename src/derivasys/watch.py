"""The commands `canary` and `probe`: a deployment, and one address of it, looked at from outside."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import time
from importlib.metadata import version
from typing import Any

from derivasys.canary import Limits, report, visit
from derivasys.config import ConfigError
from derivasys.settings import Loaded
from derivasys.telemetry.emf import Emf
from derivasys.telemetry.registry import Telemetry


def add_to(commands: Any) -> None:
    """Add the commands to the parser of `derivasys`."""
    parser = commands.add_parser("canary", help="look at a deployment as a client does, and judge it")
    parser.add_argument("url", metavar="URL", help="ws:// or wss:// address of the socket")
    parser.add_argument("--every", type=float, metavar="S", help="again and again; default: once, exit 1 when it fails")
    parser.add_argument("--watch", type=float, default=5.0, metavar="S", help="how long to listen")
    parser.add_argument("--age", type=float, default=10.0, metavar="S", help="oldest surface that is fresh")
    parser.add_argument("--latency", type=float, default=2000.0, metavar="MS")
    parser.add_argument("--live", action="store_true", help="fail on a replay or a simulation")
    parser.add_argument("--key", metavar="REF", help="reference to an API key: file:…, secretsmanager:…, ssm:…")
    parser.set_defaults(run=_canary)

    probe = commands.add_parser("probe", help="exit 0 when an address answers 200: for a container's health check")
    probe.add_argument("url", metavar="URL")
    probe.set_defaults(run=_probe)


def _canary(options: argparse.Namespace) -> int:
    if not options.url.startswith(("ws://", "wss://")):
        raise ConfigError(f"{options.url}: not a ws:// or wss:// address")
    key = options.loaded.vault.get(options.key).strip() if options.key else ""
    return asyncio.run(canary(options, options.loaded, key))


def _probe(options: argparse.Namespace) -> int:
    import httpx

    # A container asks itself: the certificate on its own loopback proves nothing.
    is_own = httpx.URL(options.url).host in ("127.0.0.1", "localhost", "::1")
    try:
        reply = httpx.get(options.url, timeout=4.0, verify=not is_own)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        print(f"{options.url}: {error or type(error).__name__}", file=sys.stderr)
        return 1
    if reply.status_code != 200:
        print(f"{options.url}: HTTP {reply.status_code} {reply.text[:500]}", file=sys.stderr)
    return 0 if reply.status_code == 200 else 1


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
