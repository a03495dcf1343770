"""Structured logs: one JSON object a line, with the trace and the surface version in hand when it was written.

Nothing secret reaches a line: values given to `conceal` are replaced wherever they appear, in messages, fields and
tracebacks alike.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal, TextIO

import orjson
from msgspec import Struct

Format = Literal["text", "json"]
CONCEALED = "•••"
SECRET_CHARS_MIN = 6
"""Shorter values are no secrets: hiding them would garble every line."""
SECRETS_MAX = 1000
LINE_CHARS_MAX = 16_000
"""A longer message is cut: CloudWatch takes 256 kB, people far less."""

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Context(Struct, frozen=True):
    """What a line is about."""

    trace_id: str = ""
    ccy: str = ""
    version: int | None = None


_NOTHING = Context()
CONTEXT: ContextVar[Context] = ContextVar("derivasys_log_context", default=_NOTHING)
_SECRETS: dict[str, None] = {}
_RULES: list[Callable[[str], str]] = []


def conceal(*values: str) -> None:
    """Never let these values be written."""
    for value in values:
        if len(value) >= SECRET_CHARS_MIN:
            _SECRETS.setdefault(value)
            # JSON shows quotes and backslashes escaped.
            _SECRETS.setdefault(orjson.dumps(value).decode()[1:-1])
    while len(_SECRETS) > SECRETS_MAX:
        del _SECRETS[next(iter(_SECRETS))]


def conceal_like(rule: Callable[[str], str]) -> None:
    """Let `rule` take out of every line what only its shape tells to be a secret."""
    _RULES[:] = [rule]


def concealed(text: str) -> str:
    """Return `text` without the secrets known here."""
    for rule in _RULES:
        text = rule(text)
    for value in _SECRETS:
        if value in text:
            text = text.replace(value, CONCEALED)
    return text


class JsonFormatter(logging.Formatter):
    """ts, level, logger, message, service, environment, build, trace_id, ccy, version, and the record's own fields."""

    def __init__(self, service: str, environment: str, build: str) -> None:
        super().__init__()
        self._fixed = {"service": service, "environment": environment, "build": build}

    def format(self, record: logging.LogRecord) -> str:
        context = CONTEXT.get()
        line: dict[str, Any] = {
            "ts": int(record.created * 1000),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage()[:LINE_CHARS_MAX],
            **self._fixed,
        }
        for name in ("trace_id", "ccy", "version"):
            if (value := getattr(context, name)) not in ("", None):
                line[name] = value
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)[-LINE_CHARS_MAX:]
        return concealed(orjson.dumps(line, default=str).decode())


class TextFormatter(logging.Formatter):
    """For people at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        return concealed(super().format(record))


def configure(
    style: Format,
    level: str,
    *,
    service: str = "",
    environment: str = "",
    build: str = "",
    stream: TextIO | None = None,
) -> None:
    """Send every logger of the process to `stream` (default: standard error) in one style."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        JsonFormatter(service, environment, build)
        if style == "json"
        else TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These write a line for each request, with addresses and headers.
    for noisy in ("httpx", "httpcore", "botocore", "boto3", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
