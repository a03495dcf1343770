"""Streams of every form and convention: what a reader holds after the patches is the snapshot, drops included."""

from __future__ import annotations

import functools

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, option, smile_board

from derivasys.messages import Quote
from derivasys.pipeline import Pipeline
from derivasys.wire.feed import STREAMED, Feed, State
from derivasys.wire.state import state_of
from derivasys.wire.table import Table, merge
from derivasys.wire.variant import RATES_MS, Variant

LISTS = {"svi_surface": "smiles", "smile_levels": "levels", "svi_tenor": "rows", "svi_through": "cells"}


@functools.cache
def base() -> State:
    """Three expiries, two of them with a quote through the fit."""
    pipeline = Pipeline()
    for at, expiry in enumerate((WEEK_MS, WEEK_MS + 7 * DAY_MS, WEEK_MS + 30 * DAY_MS)):
        for event in smile_board(expiry=expiry):
            pipeline.apply(event)
        if at:
            call = option(105.127110, "C", expiry=expiry)
            pipeline.apply(Quote(call, NOW_NS, NOW_NS, 9.0, None, 3.0, None))
    return state_of(pipeline.drain(NOW_NS)[0])


class Reader:
    """The thinnest client of a stream: replaces, merges, notices a gap."""

    def __init__(self) -> None:
        self.held: dict[str, dict] = {}
        self.is_lost: set[str] = set()

    def take(self, channel: str, payload: bytes) -> None:
        message = orjson.loads(payload)
        kind = message["type"]
        if not kind.endswith("_patch"):
            self.held[channel] = message
            self.is_lost.discard(channel)
            return
        held = self.held.get(channel)
        if held is None or message["epoch"] != held["epoch"] or message["seq"] != held["seq"] + 1:
            self.is_lost.add(channel)
        if channel in self.is_lost:
            return
        self.held[channel] = expand(held, message) if message.get("form") else merge(held, message)
        self.held[channel]["type"] = held["type"]


def expand(held: dict, message: dict) -> dict:
    """Apply an expanded patch."""
    name = LISTS[message["type"].removesuffix("_patch")]
    key = "label" if name == "rows" else "expiry"
    items = {item[key]: item for item in held[name]}
    items |= {item[key]: item for item in message.get(name, ())}
    for gone in message.get("removed", ()):
        del items[gone]
    rest = {field: value for field, value in message.items() if field not in {name, "removed"}}
    merged = merge(held, rest)
    merged[name] = list(items.values())
    return merged


def comparable(message: dict) -> dict:
    """A message without what the last patch alone can know, its lists in one order."""
    body = {field: value for field, value in message.items() if field not in {"ts", "version", "seq"}}
    for name in LISTS.values():
        if isinstance(body.get(name), list):
            body[name] = sorted(body[name], key=lambda item: (item.get("expiry", 0), item["label"]))
    return body


def changed(table: Table, random: np.random.Generator, *, rows: bool) -> Table:
    """A table with some cells moved or emptied, and with `rows` some rows left out."""
    values = table.values.copy()
    touched = random.random(values.shape) < 0.05
    coded = np.array([field.codes is not None for field in table.layout.fields])
    params = np.array([field.path[0] in {"params", "tau"} for field in table.layout.fields])
    values = np.where(touched & ~coded, table.layout.rounded(values * 1.01), values)
    emptied = (random.random(values.shape) < 0.02) & ~params & ~coded
    values[emptied] = np.nan
    kept = np.flatnonzero(random.random(len(values)) < (0.8 if rows else 2.0))
    pick = tuple(kept.tolist())
    return structs.replace(
        table,
        keys=tuple(table.keys[at] for at in pick),
        values=values[kept],
        fixed=tuple(table.fixed[at] for at in pick) if table.fixed else (),
        notes=tuple(table.notes[at] for at in pick) if table.notes else (),
        at=None if table.at is None else table.at[kept],
    )


def moved(version: int, seed: int) -> State:
    """The base board at a later version: cells, rows and the numbers of the whole surface moved at random."""
    random = np.random.default_rng(seed)
    start = base()
    tables = {
        "surface": changed(start.tables["surface"], random, rows=False),
        "levels": changed(start.tables["levels"], random, rows=True),
        "tenors": changed(start.tables["tenors"], random, rows=False),
        "through": changed(start.tables["through"], random, rows=True),
    }
    head = {} if random.random() < 0.3 else {"vol_index_30d": float(random.integers(50, 53))}
    fit = {**start.fit, "rmse": float(random.integers(0, 2))}
    return structs.replace(start, version=version, ts=start.ts + 50 * version, tables=tables, head=head, fit=fit)


VARIANTS = st.builds(
    Variant,
    rate_ms=st.sampled_from(RATES_MS),
    form=st.sampled_from(["compact", "expanded"]),
    delta=st.sampled_from([None, "premium_adjusted"]),
    fly=st.sampled_from([None, "half", "market_strangle"]),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 2**20), min_size=3, max_size=9), VARIANTS, st.data())
def test_what_a_reader_holds_is_the_snapshot(seeds, variant, data):  # [W21]
    feed, reader, others = Feed("BTC", "e1"), Reader(), data.draw(st.lists(VARIANTS, max_size=2))
    feed.update(base())
    for version, seed in enumerate(seeds, start=1):
        if version == 2:
            for each in (*others, variant):
                feed.activate(each)
            for channel in STREAMED:
                reader.take(channel, feed.snapshot(variant, channel))
        if version == len(seeds) - 1 and data.draw(st.booleans(), "new epoch"):
            feed.renew("e2")
        feed.update(moved(version, seed))
        published = feed.publish()
        drops = data.draw(st.booleans(), "drops")
        for channel, payload in published.get(variant, {}).items():
            if not (drops and payload.startswith(b'{"type":"svi')):
                reader.take(channel, payload)
    for channel in reader.held:
        now, held = orjson.loads(feed.snapshot(variant, channel)), reader.held[channel]
        if channel in reader.is_lost or (now["epoch"], now["seq"]) != (held["epoch"], held["seq"]):
            reader.take(channel, feed.snapshot(variant, channel))  # resync
        assert comparable(reader.held[channel]) == comparable(orjson.loads(feed.snapshot(variant, channel)))


@pytest.mark.parametrize("channel", ["levels", "through", "fit"])
def test_what_does_not_depend_on_conventions_is_encoded_once_for_all(channel):  # [W26]
    feed = Feed("BTC", "e")
    feed.update(base())
    one, other = Variant(rate_ms=50), Variant(rate_ms=50, fly="half", delta="premium_adjusted")
    feed.activate(one)
    feed.activate(other)
    feed.update(moved(1, 7))
    published = feed.publish()
    assert published[one][channel] is published[other][channel]
    assert published[one]["surface"] is not published[other]["surface"]
