"""`derivasys doctor`: is everything here that a run needs?"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from msgspec import Struct

from derivasys.config import SITE
from derivasys.connect import VENUES
from derivasys.sources import venues_answer
from derivasys.testing.recordings import CHAINS, load_shipped

_NAME_END = "<>=!~;[ "


class Finding(Struct, frozen=True):
    """One answer. `level` is ok, note (something optional is missing) or fail."""

    level: str
    what: str


def examine(port: int) -> Iterator[Finding]:
    """Yield what was found, one thing after the other."""
    yield _python()
    yield from _packages()
    yield _kernels()
    yield from _fixtures()
    yield _dashboard()
    yield _port(port)
    browser = next((p for p in ("chromium", "chromium-browser", "google-chrome") if shutil.which(p)), None)
    yield (
        Finding("ok", f"browser for the tests: {browser}")
        if browser
        else Finding("note", "no Chromium: browser tests are skipped (`make browser` installs it)")
    )
    for venue, answers in asyncio.run(venues_answer(tuple(VENUES))).items():
        yield (
            Finding("ok", f"{venue} answers")
            if answers
            else Finding("note", f"{venue} does not answer: `derivasys up` leaves it out, and simulates when none does")
        )


def _python() -> Finding:
    text = f"Python {sys.version.split()[0]}"
    return Finding("ok", text) if sys.version_info >= (3, 11) else Finding("fail", f"{text}: 3.11 is needed")


def _packages() -> Iterator[Finding]:
    missing = []
    for requirement in requires("derivasys") or []:
        if "extra ==" in requirement:
            continue
        name = requirement
        for end in _NAME_END:
            name = name.partition(end)[0]
        try:
            version(name)
        except PackageNotFoundError:
            if "sys_platform != 'win32'" not in requirement or sys.platform != "win32":
                missing.append(name)
    if missing:
        yield Finding("fail", f"packages missing: {', '.join(missing)}; run `make setup`")
    else:
        yield Finding("ok", f"packages of derivasys {version('derivasys')}")


def _kernels() -> Finding:
    started = time.perf_counter()
    from derivasys.warm_up import warm_up

    warm_up()
    seconds = time.perf_counter() - started
    cached = "from the cache" if seconds < 3 else "compiled now; the next start is fast"
    return Finding("ok", f"numeric kernels ready in {seconds:.1f} s ({cached})")


def _fixtures() -> Iterator[Finding]:
    for ccy in CHAINS:
        try:
            chain = load_shipped(ccy)
        except (OSError, ValueError) as error:
            yield Finding("fail", f"recording of {ccy}: {error}")
        else:
            yield Finding("ok", f"recording {chain.label}: {len(chain.rows)} options")


def _dashboard() -> Finding:
    page = SITE / "index.html"
    if page.is_file():
        return Finding("ok", "dashboard built")
    return Finding("note", "dashboard not built: run `make setup` (needs Node 20)")


def _port(port: int) -> Finding:
    try:
        with socket.create_server(("127.0.0.1", port)):
            return Finding("ok", f"port {port} is free")
    except OSError as error:
        return Finding("note", f"port {port}: {error.strerror}; choose another with --port")
