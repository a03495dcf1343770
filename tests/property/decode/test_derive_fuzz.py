"""The only failure that a decoder knows is DecodeError: on random bytes, on damaged and on rearranged messages."""

import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from derivasys.decode.derive import Decoder
from derivasys.messages import DecodeError, Quote

LINES = [
    (b'{"method":"subscription","params":{"channel":"ticker_slim.BTC-20261004-88000-C.1000","data":{"timestamp":1791031771530,'
    b'"instrument_ticker":{"t":1791031771524,"A":"2","a":"14000","B":"1","b":"12000","f":null,"option_pricing":{"d":"-0.43","df":"0.950",'
    b'"i":"0.38273","f":"89232","m":"13312","bi":"0","ai":"0"},"I":"84812","M":"13312","stats":{"oi":"7"}}}}}'),
    (b'{"method":"subscription","params":{"channel":"orderbook.BTC-PERP.1.1","data":{"timestamp":1738331231506,"instrument_name":"BTC-PERP",'
    b'"publish_id":628419,"bids":[["104669","40"]],"asks":[["104736","40"]]}}}'),
    (b'{"method":"subscription","params":{"channel":"trades.option.ETH","data":[{"direction":"buy","instrument_name":"ETH-20260627-3500-C",'
    b'"trade_id":"t","trade_price":"35","trade_amount":"1","timestamp":1700000000001,"liquidity_role":"taker","quote_id":null}]}}'),
    b'{"method":"subscription","params":{"channel":"spot_feed.BTC","data":{"timestamp":1,"feeds":{"BTC":{"price":"84812"}}}}}',
    (b'{"id":1,"result":{"instruments":[{"instrument_name":"XRP-20261225-0_5-P","base_currency":"XRP","is_active":true,"tick_size":"0.001",'
    b'"minimum_amount":"10","taker_fee_rate":"0.0003","option_details":{"expiry":1798185600,"index":"XRP-USD","option_type":"P",'
    b'"strike":"0.5"}}],"pagination":{"num_pages":1}}}'),
    b'{"id":1,"result":{"status":{"spot_feed.BTC":"ok"}}}',
]  # fmt: skip
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
    "method", "params", "channel", "data", "instrument_ticker", "t", "a", "A", "b", "B", "M", "I", "option_pricing", "df", "f", "i", "oi",
    "stats", "timestamp", "instrument_name", "publish_id", "bids", "asks", "direction", "trade_price", "trade_amount", "trade_id",
    "quote_id", "feeds", "price", "result", "instruments", "option_details", "expiry", "strike", "option_type", "tick_size", "is_active",
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
    decode(b'{"method":"subscription","params":{"channel":"ticker_slim.X.1000","data":' + b'{"a":' * size)
    decode(b'{"method":"subscription","params":{"channel":"trades.X","data":' + b"[" * size)
    decode(b'{"id":1,"result":' + b"[" * size)
