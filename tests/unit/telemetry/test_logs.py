from __future__ import annotations

import io
import logging

import orjson
import pytest

from derivasys.telemetry import logs
from derivasys.telemetry.logs import CONTEXT, Context


@pytest.fixture
def stream():
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("json", "INFO", service="calibrator", environment="dev", build="1.2.3", stream=stream)
    yield stream
    root.handlers[:], root.level = before


def test_a_line_carries_trace_version_and_fields(stream):
    token = CONTEXT.set(Context("ab" * 16, "BTC", 42))
    logging.getLogger("derivasys.x").warning("held %d", 3, extra={"expiry": 17})
    CONTEXT.reset(token)
    line = orjson.loads(stream.getvalue())
    assert line.pop("ts") > 1_700_000_000_000
    assert line == {
        "level": "WARNING", "logger": "derivasys.x", "message": "held 3", "service": "calibrator", "environment": "dev",
        "build": "1.2.3", "trace_id": "ab" * 16, "ccy": "BTC", "version": 42, "expiry": 17,
    }  # fmt: skip


def test_an_exception_is_one_line(stream):
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        logging.getLogger("x").exception("failed")
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "second" in orjson.loads(text)["exception"]


def test_line_feeds_in_a_message_forge_no_line(stream):
    logging.getLogger("x").warning('ok\n{"level":"CRITICAL","message":"forged"}')
    assert stream.getvalue().count("\n") == 1


@pytest.mark.parametrize("style", ["json", "text"])
def test_a_secret_is_concealed_in_messages_fields_and_tracebacks(style):
    root = logging.getLogger()
    before = root.handlers[:], root.level
    stream = io.StringIO()
    secret = 'S3ntinel"\\value'
    logs.conceal(secret)
    logs.configure(style, "INFO", stream=stream)
    try:
        raise RuntimeError(f"refused {secret}")
    except RuntimeError:
        logging.getLogger("x").exception("login with %s", secret, extra={"key": secret})
    finally:
        root.handlers[:], root.level = before
    assert "S3ntinel" not in stream.getvalue()
    assert logs.CONCEALED in stream.getvalue()
