"""`derivasys doctor`: is everything here that a run needs?"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from urllib.parse import urlsplit

from msgspec import Struct

from derivasys.bus.clients import Clients
from derivasys.bus.settings import BusError, from_environment
from derivasys.config import SITE
from derivasys.connect import VENUES
from derivasys.settings import SECRET, Loaded
from derivasys.sources import venues_answer
from derivasys.testing.recordings import CHAINS, load_shipped
from derivasys.vault import Vault, VaultError

KAFKA_S = 3.0
_NAME_END = "<>=!~;[ "


class Finding(Struct, frozen=True):
    """One answer. `level` is ok, note (something optional is missing) or fail."""

    level: str
    what: str


def examine(port: int, loaded: Loaded) -> Iterator[Finding]:
    """Yield what was found, one thing after the other. No value of a secret is ever in it."""
    yield _python()
    yield from _packages()
    yield _kernels()
    yield from _fixtures()
    yield _dashboard()
    yield _port(port)
    yield from _settings(loaded)
    yield from _kafka(os.environ)
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


def _settings(loaded: Loaded) -> Iterator[Finding]:
    """What is configured, where it came from, and whether what it refers to can be reached."""
    settings = loaded.settings
    for name, source in loaded.sources.items():
        if source != "default" and name not in SECRET:
            yield Finding("ok", f"setting {name}: {getattr(settings, name)!r}, from {source}")
    references = {f"credentials of {venue}": text for venue, text in settings.credentials.items()}
    references |= {name: getattr(settings, name) for name in ("api_keys", "tls") if getattr(settings, name)}
    for what, reference in references.items():
        yield _readable(loaded.vault, what, reference)
    if settings.otlp_endpoint:
        yield _reachable("collector of traces", settings.otlp_endpoint)
        if find_spec("opentelemetry.exporter") is None:
            yield Finding("fail", "otlp_endpoint is set, but OpenTelemetry is missing: install derivasys[otlp]")
    if settings.recordings and find_spec("boto3") is None:
        yield Finding("fail", "recordings go to S3, but boto3 is missing: install derivasys[aws]")


def _kafka(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the broker of the services answers, where one is named."""
    if not environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return
    try:
        settings = from_environment(environ)
        Clients(settings, "derivasys-doctor").check(KAFKA_S)
    except BusError as error:
        yield Finding("fail", str(error))
    else:
        yield Finding("ok", f"Kafka answers at {settings.bootstrap}, {settings.protocol}")


def _readable(vault: Vault, what: str, reference: str) -> Finding:
    try:
        if what.startswith("credentials"):
            fields = vault.fields(reference)
            missing = [name for name in ("client_id", "client_secret") if not fields.get(name)]
            if missing:
                lack = " and no ".join(missing)
                return Finding("note", f"{what}: {reference} has no {lack}: the public feed is used")
        else:
            vault.get(reference)
    except VaultError as error:
        return Finding("fail", f"{what}: {error}")
    return Finding("ok", f"{what}: {reference} can be read")


def _reachable(what: str, url: str) -> Finding:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), timeout=3.0):
            return Finding("ok", f"{what} answers at {parts.hostname}:{port}")
    except OSError as error:
        return Finding("fail", f"{what} does not answer at {parts.hostname}:{port}: {error.strerror or error}")


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
