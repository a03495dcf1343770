"""The only failure that a decoder knows is DecodeError: on random bytes, on damaged and on rearranged messages.

The corpus of a venue is what there is of recorded and documented messages of it, and what its local server sends. Fields
to spoil are those found in the corpus.
"""

import functools
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.boards import ROOT

from derivasys.decode import DECODERS
from derivasys.decode.ndjson import encode
from derivasys.estimate.chain import Chain
from derivasys.messages import DecodeError, Forward, Index, Instrument, Mark, Quote, Trade
from derivasys.pipeline import Pipeline
from derivasys.record import capture
from derivasys.testing.simulation import Simulation

VENUES = sorted(DECODERS)
INT64 = 1 << 63
MESSAGE_BYTES_MAX = 20_000
OF_A_KIND = 6
"""Messages of one shape that the corpus keeps."""
DOCUMENTED = {
    "binance": [
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
    ],
    "derive": [
        (
            b'{"method":"subscription","params":{"channel":"orderbook.BTC-PERP.1.1","data":{"timestamp":1738331231506,"instrument_name":"BTC-PERP",'
            b'"publish_id":628419,"bids":[["104669","40"]],"asks":[["104736","40"]]}}}'
        ),
        (
            b'{"method":"subscription","params":{"channel":"trades.option.ETH","data":[{"direction":"buy","instrument_name":"ETH-20260627-3500-C",'
            b'"trade_id":"t","trade_price":"35","trade_amount":"1","timestamp":1700000000001,"liquidity_role":"taker","quote_id":null}]}}'
        ),
        b'{"id":1,"result":{"status":{"spot_feed.BTC":"ok"}}}',
    ],
}  # fmt: skip


def shape(node) -> str:
    """Return the names and types of a message, without its values."""
    if isinstance(node, dict):
        return "{" + ",".join(f"{name}:{shape(node[name])}" for name in sorted(node)) + "}"
    if isinstance(node, list):
        return "[" + ",".join(sorted({shape(inner) for inner in node})) + "]"
    return type(node).__name__


@functools.cache
def corpus(venue: str) -> tuple[bytes, ...]:
    """Return messages of a venue, some of each shape."""
    found = list(DOCUMENTED.get(venue, ()))
    folders = (ROOT / "tests" / "golden" / "decode", ROOT / "fixtures" / venue / "captures")
    for path in sorted(path for folder in folders for path in folder.glob(f"{venue}-*") if path.suffix != ".ndjson"):
        found += [line.payload for line in capture.read(path.read_bytes().splitlines()[:300]) if line.payload]
    simulation = Simulation(1, [venue], ("BTC",), faults=())
    for pipeline in (simulation.pipeline, simulation.books):
        push = pipeline.push
        pipeline.push = lambda name, payload, now_ns, push=push: (found.append(payload), push(name, payload, now_ns))
    for _ in range(25):
        simulation.step()
    kept: dict[str, list[bytes]] = {}
    for payload in found:
        if len(payload) < MESSAGE_BYTES_MAX and payload[:1] in (b"{", b"["):
            kept.setdefault(shape(json.loads(payload)), []).append(payload)
    return tuple(payload for like in kept.values() for payload in like[:OF_A_KIND])


def names_in(node) -> set[str]:
    if isinstance(node, dict):
        return set(node) | {name for inner in node.values() for name in names_in(inner)}
    return {name for inner in node for name in names_in(inner)} if isinstance(node, list) else set()


@functools.cache
def fields(venue: str) -> tuple[str, ...]:
    return tuple(sorted({name for payload in corpus(venue) for name in names_in(json.loads(payload))}))


EDGES = [
    "",
    "0",
    "-0",
    "-1",
    "5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "99999999999999999999",
    2**63,
    -(2**63),
    1e308,
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(EDGES)
    | st.floats().map(str) | st.integers().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
DROP = object()


def decode(venue: str, *payloads: bytes) -> None:
    """Decode in turn: nothing but DecodeError is raised, and what comes out is sound, prints, and enters a chain."""
    decoder, chains = DECODERS[venue](), {}
    for payload in payloads:
        try:
            events = decoder.decode(payload, 1)
        except DecodeError as error:
            assert error.reason.value
            continue
        for event in events:
            assert event.event_ns is None or abs(event.event_ns) < INT64
            assert all(value is None or 0.0 < value < math.inf for value in prices(event)), event
            assert encode(event, 1)
            chains.setdefault(event.ccy, Chain(event.ccy)).apply(event)


def prices(event) -> tuple[float | None, ...]:
    """Return what must be above zero and finite, or missing."""
    match event:
        case Quote():
            return event.bid, event.ask, event.bid_size, event.ask_size
        case Trade():
            return event.price, event.size
        case Forward() | Index():
            return (event.price,)
        case Mark():
            return (event.iv, None if event.price == 0.0 else event.price)
        case Instrument():
            return event.contract.strike, event.tick_size, event.contract_size, event.min_size
    return ()


def swap(node, field, value):
    """Return the message with another value of a field, wherever it stands; DROP leaves it out."""
    if isinstance(node, dict):
        return {
            key: value if key == field else swap(inner, field, value)
            for key, inner in node.items()
            if not (key == field and value is DROP)
        }
    return [swap(inner, field, value) for inner in node] if isinstance(node, list) else node


def spoilt(payload: bytes, field: str, value) -> bytes:
    return json.dumps(swap(json.loads(payload), field, value), separators=(",", ":")).encode()


@pytest.mark.parametrize("venue", VENUES)
def test_the_corpus_is_read(venue):
    decoder = DECODERS[venue]()
    read = 0
    for payload in corpus(venue):
        try:
            read += bool(decoder.decode(payload, 1))
        except DecodeError:
            continue
    assert len(corpus(venue)) >= 8
    assert read >= 5


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=300, deadline=None)
@given(payload=st.binary(max_size=200))
def test_random_bytes(venue, payload):
    decode(venue, payload)


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=500, deadline=None)
@given(data=st.data(), at=st.integers(0, 10**6), patch=st.binary(max_size=3), skip=st.integers(0, 4))
def test_damaged_messages(venue, data, at, patch, skip):
    line, other = (data.draw(st.sampled_from(corpus(venue))) for _ in range(2))
    at %= len(line)
    decode(venue, line, line[:at] + patch + line[at + skip :], line[:at], line[:at] + other[at:], line)


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_messages_with_wrong_fields(venue, data):
    """Several to one decoder, whose state must stand what came before."""
    change = st.tuples(st.sampled_from(corpus(venue)), st.sampled_from(fields(venue)), JSON | st.just(DROP))
    decode(venue, *(spoilt(*each) for each in data.draw(st.lists(change, min_size=1, max_size=3))))


@pytest.mark.parametrize("venue", VENUES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_pipeline_stands_messages_in_any_order(venue, data):
    """Up to the fit: a listing that could be read may still be absurd."""
    messages = corpus(venue)
    whole = data.draw(st.lists(st.sampled_from(messages), max_size=12))
    change = st.tuples(st.sampled_from(messages), st.sampled_from(fields(venue)), JSON)
    wrong = [spoilt(*each) for each in data.draw(st.lists(change, max_size=4))]
    now_ns = 1_773_428_416_000_000_000
    pipeline = Pipeline()
    for number, payload in enumerate(data.draw(st.permutations([*messages[:40], *whole, *wrong]))):
        pipeline.push(venue, payload, now_ns + number)
    pipeline.drain(now_ns + 10**9)
    pipeline.drain(now_ns + 2 * 10**9)


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize("size", [10**3, 10**5])
def test_deep_nesting(venue, size):
    for payload in corpus(venue)[::OF_A_KIND]:
        for bracket in (b"[", b"{"):
            at = payload.rfind(bracket)
            decode(venue, payload[: at + 1] + bracket * size, payload[: at + 1] + b'{"a":' * size)
