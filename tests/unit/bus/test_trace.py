"""W3C trace context: what is valid, and that a trace goes on."""

import pytest

from derivasys.bus import trace


def test_a_child_is_a_new_span_of_the_same_trace():
    first = trace.start()
    child = first.child()
    assert child.trace_id == first.trace_id
    assert child.span_id != first.span_id
    assert trace.parse(child.header()) == child


@pytest.mark.parametrize("text", [
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-the-future-will-be-like",
])  # fmt: skip
def test_valid_ones(text):
    found = trace.parse(text.encode())
    assert found.trace_id == "0af7651916cd43dd8448eb211c80319c"
    assert found.span_id == "b7ad6b7169203331"


@pytest.mark.parametrize("text", [
    None, b"", b"00", b"00-00000000000000000000000000000000-b7ad6b7169203331-01", b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
    b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more", b"00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01", b"\xff\xfe",
])  # fmt: skip
def test_invalid_ones(text):
    assert trace.parse(text) is None
