"""The only failure that a decoder knows is DecodeError: on random bytes, on damaged and on rearranged messages."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derivasys.decode.bybit import Decoder
from derivasys.decode.ndjson import encode
from derivasys.estimate.chain import Chain
from derivasys.messages import DecodeError
from derivasys.record import capture

TREE = Path(__file__).parents[3]
FILES = [TREE / "tests" / "golden" / "decode" / "bybit-messages.ws"]
LINES = [
    line.payload
    for path in FILES
    for line in capture.read(path.read_bytes().splitlines()[:300])
    if line.payload is not None and len(line.payload) < 20_000
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["", "0", "-1", "5", "nan", "inf", "1e400", "99999999999999999999"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def decode(*payloads: bytes) -> None:
    """Decode in turn; what comes out can be printed and written to a chain."""
    decoder, chain = Decoder(), Chain("BTC")
    for payload in payloads:
        try:
            events = decoder.decode(payload, 1)
        except DecodeError as error:
            assert error.reason.value
            continue
        for event in events:
            assert encode(event, 1)
            chain.apply(event)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes(payload):
    decode(payload)


@settings(max_examples=600, deadline=None)
@given(st.sampled_from(LINES), st.integers(0, 10**6), st.binary(max_size=3), st.integers(0, 4))
def test_damaged_messages(line, at, patch, skip):
    at %= len(line)
    decode(line, line[:at] + patch + line[at + skip :])


FIELDS = [
    "topic", "type", "ts", "data", "op", "success", "retCode", "result", "time", "list", "symbol", "bidPrice", "bidSize", "askPrice",
    "markPrice", "markPriceIv", "indexPrice", "underlyingPrice", "openInterest", "lastPrice", "bid1Price", "bid1Size", "markIv",
    "s", "b", "a", "u", "p", "v", "i", "T", "BT", "S", "iv", "status", "baseCoin", "settleCoin", "optionsType", "contractType",
    "launchTime", "deliveryTime", "priceFilter", "tickSize", "minOrderQty", "state", "title",
]  # fmt: skip
MESSAGES = [line for line in LINES if line[:1] == b"{"]


def swap(node, field, value):
    if isinstance(node, dict):
        return {key: value if key == field else swap(inner, field, value) for key, inner in node.items()}
    if isinstance(node, list):
        return [swap(inner, field, value) for inner in node]
    return node


@settings(max_examples=800, deadline=None)
@given(st.sampled_from(MESSAGES), st.sampled_from(FIELDS), JSON)
def test_messages_with_a_wrong_field(line, field, value):
    decode(json.dumps(swap(json.loads(line), field, value)).encode(), line)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(LINES), max_size=8))
def test_messages_in_any_order(lines):
    decode(*lines)


@pytest.mark.parametrize("size", [10**3, 10**5])
def test_deep_nesting(size):
    decode(b'{"topic":"tickers.X","ts":1,"data":' + b"[" * size)
    decode(b'{"topic":"orderbook.25.X","data":' + b'{"a":' * size)
