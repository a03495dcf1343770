import numpy as np
import orjson
import pytest

from derivasys.wire.feed import TABLES, Feed, State
from derivasys.wire.table import Field, Layout, Table
from derivasys.wire.variant import Variant

LAYOUT = Layout([Field(("vol",), 1)])


def state(version: int, vol: float, ts: int | None = None) -> State:
    one = Table(LAYOUT, (("x",),), np.array([[vol]]))
    tables = dict.fromkeys(TABLES, one)
    return State("BTC", version, ts if ts is not None else 50 * version, {"delta": "forward"}, tables, {"rmse": vol})


def published(feed: Feed, rate_ms: int) -> dict:
    return feed.publish().get(Variant(rate_ms=rate_ms), {})


def active(rate_ms: int = 50) -> Feed:
    feed = Feed("BTC", "epoch-1")
    feed.update(state(1, 1.0))
    feed.activate(Variant(rate_ms=rate_ms))
    return feed


def test_the_envelope():  # [W2]
    snapshot = orjson.loads(active().snapshot(Variant(rate_ms=50), "surface"))
    assert snapshot == {
        "type": "svi_surface_snapshot", "schema": 1, "ts": 50, "ccy": "BTC", "epoch": "epoch-1", "seq": 1, "version": 1,
        "smiles": {"x": {"vol": 1.0}}, "conventions": {"delta": "forward"},
    }  # fmt: skip


def test_patches_are_contiguous_and_carry_only_changes():  # [W5] [W17]
    feed = active()
    feed.update(state(2, 2.0))
    first = orjson.loads(published(feed, 50)["levels"])
    assert (first["type"], first["seq"], first["version"], first["levels"]) == (
        "smile_levels_patch",
        2,
        2,
        {"x": {"vol": 2.0}},
    )
    feed.update(state(3, 2.0))
    assert published(feed, 50) == {}
    feed.update(state(4, 3.0))
    assert orjson.loads(published(feed, 50)["levels"])["seq"] == 3


def test_a_slower_class_sends_the_merge_of_its_cycles():  # [W22]
    feed = active(200)
    sent = []
    for version in range(2, 10):
        feed.update(state(version, float(version)))
        sent += [orjson.loads(payload) for channel, payload in published(feed, 200).items() if channel == "tenors"]
    assert [message["version"] for message in sent] == [4, 8]
    assert [message["seq"] for message in sent] == [2, 3]
    assert sent[1]["tenors"] == {"x": {"vol": 8.0}}


def test_a_snapshot_is_what_its_class_has_published():
    feed = active(200)
    published(feed, 200)
    feed.update(state(4, 4.0))
    published(feed, 200)
    feed.update(state(5, 5.0))
    assert published(feed, 200) == {}, "not due"
    assert orjson.loads(feed.snapshot(Variant(rate_ms=200), "surface"))["smiles"] == {"x": {"vol": 4.0}}


def test_a_class_without_subscribers_costs_nothing_and_comes_back_current():
    feed = active()
    feed.deactivate(Variant(rate_ms=50))
    feed.update(state(2, 2.0))
    assert published(feed, 50) == {}
    feed.activate(Variant(rate_ms=50))
    snapshot = orjson.loads(feed.snapshot(Variant(rate_ms=50), "surface"))
    assert (snapshot["seq"], snapshot["smiles"]) == (2, {"x": {"vol": 2.0}})


def test_a_channel_without_followers_costs_nothing_and_comes_back_with_a_snapshot():
    feed = active()
    variant = Variant(rate_ms=50)
    feed.update(state(2, 2.0))
    assert set(feed.publish(lambda _: {"surface"})[variant]) == {"surface"}
    feed.update(state(3, 3.0))
    feed.publish(lambda _: {"surface"})
    snapshot = orjson.loads(feed.snapshot(variant, "levels"))
    assert (snapshot["seq"], snapshot["version"], snapshot["levels"]) == (2, 3, {"x": {"vol": 3.0}})
    feed.update(state(4, 4.0))
    patches = feed.publish(lambda _: {"surface", "levels"})[variant]
    assert {channel: orjson.loads(patch)["seq"] for channel, patch in patches.items()} == {"surface": 4, "levels": 3}


def test_a_stream_that_variants_share_goes_on_while_one_of_them_is_followed():
    feed = active()
    plain, expanded = Variant(rate_ms=50), Variant(rate_ms=50, form="expanded")
    feed.activate(expanded)
    for version in (2, 3):
        feed.update(state(version, float(version)))
        published = feed.publish(lambda variant: {"fit"} if variant == expanded else {"surface"})
    assert {variant: set(payloads) for variant, payloads in published.items()} == {
        plain: {"surface"}, expanded: {"fit"},
    }  # fmt: skip
    assert orjson.loads(published[expanded]["fit"])["seq"] == 3


def test_a_snapshot_is_encoded_once():
    feed = active()
    assert feed.snapshot(Variant(rate_ms=50), "levels") is feed.snapshot(Variant(rate_ms=50), "levels")


def test_without_a_state_there_is_no_snapshot():
    with pytest.raises(AssertionError):
        Feed("BTC", "e").snapshot(Variant(rate_ms=50), "surface")
