"""[W-patch] snapshot(n) + patches(n+1 … m) = snapshot(m), exactly, on random streams with rows coming and going."""

import math

import numpy as np
import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from derivasys.wire.feed import STREAMED, TABLES, Feed, State
from derivasys.wire.table import Field, Layout, Table, merge
from derivasys.wire.variant import RATES_MS, Variant

LAYOUT = Layout([Field(("a",), 1), Field(("n", "x"), 0), Field(("n", "y"), 2), Field(("c",), codes=("p", "q", "r"))])
CELLS = st.tuples(
    st.sampled_from([math.nan, 0.0, 0.04, 1.0, -3.14]),
    st.sampled_from([math.nan, 0.0, 1.0, 7.4]),
    st.sampled_from([math.nan, 0.0, 0.005, 2.0]),
    st.sampled_from([math.nan, 0.0, 1.0, 2.0]),
)
KEYS = st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("xyz")), unique=True, max_size=6).map(sorted)


@st.composite
def tables(draw):
    keys = draw(KEYS)
    rows = [draw(CELLS) for _ in keys]
    notes = tuple({("fit", "reasons"): draw(st.sampled_from([[], ["held"]]))} for _ in keys)
    fixed = tuple({"label": draw(st.sampled_from("LM"))} for _ in keys)
    values = LAYOUT.rounded(np.array(rows, np.float64).reshape(len(keys), 4))
    return Table(LAYOUT, tuple(keys), values, fixed, notes)


@st.composite
def states(draw):
    count = draw(st.integers(2, 8))
    return [
        State(
            "BTC", version, 1000 + 50 * version, draw(st.sampled_from([{"delta": "forward"}, {"delta": "other"}])),
            {channel: draw(tables()) for channel in TABLES},
            {"expiries": [], "rmse": float(draw(st.integers(0, 1)))},
            draw(st.sampled_from([{}, {"vol_index_30d": 55.1}, {"vol_index_30d": 55.2}])),
        )
        for version in range(1, count + 1)
    ]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(states(), st.sampled_from(RATES_MS), st.integers(0, 7))
def test_a_snapshot_and_the_patches_after_it_give_the_next_snapshot(stream, rate_ms, join_at):
    feed, variant = Feed("BTC", "e"), Variant(rate_ms=rate_ms)
    held: dict[str, dict] = {}
    for at, state in enumerate(stream):
        feed.update(state)
        if at == min(join_at, len(stream) - 1):
            feed.activate(variant)
            held = {c: orjson.loads(feed.snapshot(variant, c)) for c in STREAMED}
        for channel, payload in feed.publish().get(variant, {}).items():
            message = orjson.loads(payload)
            assert message["seq"] == held[channel]["seq"] + 1, "contiguous"
            kind = held[channel]["type"]
            held[channel] = message if channel == "fit" else merge(held[channel], message) | {"type": kind}
        for channel, state_held in held.items():
            whole = orjson.loads(feed.snapshot(variant, channel))
            # What did not change is not sent, so only the version and time of the last message are held.
            for envelope in ("ts", "version"):
                whole.pop(envelope), state_held.pop(envelope, None)
            assert whole == state_held
