"""The only failure that a decoder knows is DecodeError: on random bytes, on damaged and on rearranged messages."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.boards import FIXTURES

from derivasys.decode.deribit import Decoder
from derivasys.messages import DecodeError
from derivasys.record import capture

LINES = [
    line.payload
    for path in sorted((FIXTURES / "captures").glob("*.ws"))
    for line in capture.read(path.read_bytes().splitlines()[:200])
    if line.payload is not None
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def decode(payload: bytes) -> None:
    try:
        Decoder().decode(payload, 1)
    except DecodeError as error:
        assert error.reason.value


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(payload):
    decode(payload)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(LINES), st.integers(0, 10**6), st.binary(max_size=3), st.integers(0, 4))
def test_damaged_messages(line, at, patch, skip):
    at %= len(line)
    decode(line[:at] + patch + line[at + skip :])


FIELDS = [
    "instrument_name", "timestamp", "best_bid_price", "best_bid_amount", "mark_iv", "underlying_price", "state", "bids",
    "asks", "change_id", "prev_change_id", "type", "data", "channel", "params", "method", "result", "id", "trade_id", "price",
]  # fmt: skip


def swap(node, field, value):
    if isinstance(node, dict):
        return {key: value if key == field else swap(inner, field, value) for key, inner in node.items()}
    if isinstance(node, list):
        return [swap(inner, field, value) for inner in node]
    return node


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(LINES), st.sampled_from(FIELDS), JSON)
def test_messages_with_a_wrong_field(line, field, value):
    decode(json.dumps(swap(json.loads(line), field, value)).encode())


@pytest.mark.parametrize("size", [10**3, 10**5])
def test_deep_nesting(size):
    decode(
        b'{"jsonrpc":"2.0","method":"subscription","params":{"channel":"ticker.X.100ms","data":{"greeks":' + b"[" * size
    )
    decode(b'{"params":{"channel":"book.X","data":' + b'{"a":' * size)
