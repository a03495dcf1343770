"""The only failure that a decoder knows is DecodeError: on random bytes, on damaged and on rearranged messages."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derivasys.decode.binance import Decoder
from derivasys.messages import DecodeError, Quote
from derivasys.record import capture

MESSAGES = Path(__file__).parents[2] / "golden" / "decode" / "binance-messages.ws"
LINES = [line.payload for line in capture.read(MESSAGES.read_bytes().splitlines()) if line.payload is not None]
LINES += [
    b'{"stream":"DOGE-231006-0.06-C@trade","data":{"e":"trade","E":1,"s":"DOGE-231006-0.06-C","t":"15","p":"2.64","q":"0.01","T":2,"S":"-1"}}',
    b'{"stream":"btcusdt@openInterest@251219","data":[{"e":"openInterest","E":1,"s":"BTC-251219-89000-C","o":"1.5","h":"2"}]}',
    (
        b'{"stream":"eth-251219-3100-c@depth@100ms","data":{"e":"depthUpdate","E":1,"T":1,"s":"ETH-251219-3100-C","U":1,"u":5,"pu":0,'
        b'"b":[["16.6","150.23"]],"a":[["18.8","70.00"]]}}'
    ),
    (
        b'{"stream":"BTC-240927-25000-P@ticker","data":{"e":"24hrTicker","E":1,"s":"BTC-240927-25000-P","c":"0","bo":"3000","ao":"3950",'
        b'"bq":"2.55","aq":"5.8","vo":"0.42","mp":"3475"}}'
    ),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.floats().map(str)
    | st.integers().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def decode(payload: bytes, decoder: Decoder | None = None) -> None:
    try:
        events = (decoder or Decoder()).decode(payload, 1)
    except DecodeError as error:
        assert error.reason.value
        return
    for event in events:
        assert event.event_ns is None or abs(event.event_ns) < 1 << 63
        if isinstance(event, Quote):
            for value in (event.bid, event.ask, event.bid_size, event.ask_size):
                assert value is None or 0.0 < value < math.inf


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
    "stream", "data", "e", "E", "s", "S", "mp", "i", "P", "bo", "ao", "bq", "aq", "vo", "rf", "b", "B", "a", "A", "u", "pu", "t",
    "p", "q", "X", "T", "o", "cs", "result", "optionSymbols", "symbol", "side", "strikePrice", "expiryDate", "unit", "status",
    "filters", "tickSize", "minQty", "underlyingType",
]  # fmt: skip


def swap(node, field, value):
    if isinstance(node, dict):
        return {key: value if key == field else swap(inner, field, value) for key, inner in node.items()}
    if isinstance(node, list):
        return [swap(inner, field, value) for inner in node]
    return node


@settings(max_examples=800, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(FIELDS), JSON), min_size=1, max_size=3))
def test_messages_with_a_wrong_field(changes):
    """Several to one decoder, whose state must stand what came before."""
    decoder = Decoder()
    for line, field, value in changes:
        decode(json.dumps(swap(json.loads(line), field, value), separators=(",", ":")).encode(), decoder)


@pytest.mark.parametrize("size", [10**3, 10**5])
def test_deep_nesting(size):
    decode(b'{"stream":"btcusdt@optionMarkPrice","data":' + b"[" * size)
    decode(b'{"stream":"x@bookTicker","data":' + b'{"a":' * size)
    decode(b'{"stream":"x@y","data":' + b'{"a":' * size)
