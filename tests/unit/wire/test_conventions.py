"""A published state in other conventions is what a surface fitted under them would have published."""

import msgspec
import numpy as np
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, smile_board

from derivasys.calibrate import Rules
from derivasys.pipeline import Pipeline
from derivasys.smiles import NodeConventions
from derivasys.wire import expanded_messages as x
from derivasys.wire.conventions import column, restate
from derivasys.wire.feed import STREAMED, Feed
from derivasys.wire.state import state_of
from derivasys.wire.variant import Variant

CHOICES = [("forward", "half"), ("forward", "market_strangle"), ("premium_adjusted", "full")]


def state(delta="forward", fly="full"):
    pipeline = Pipeline(Rules(nodes=NodeConventions(delta=delta, fly=fly)))
    # No strike at the forward itself: on which side of a node it counts would hang on the forward's last digit.
    board = {"unit": "coin", "log_strikes": tuple(0.05 * step + 0.013 for step in range(-6, 7))}
    for event in (*smile_board(**board), *smile_board(expiry=WEEK_MS + 30 * DAY_MS, **board)):
        pipeline.apply(event)
    return state_of(pipeline.drain(NOW_NS)[0])


@pytest.fixture(scope="module")
def own():
    return state()


def test_its_own_conventions_are_itself(own):
    assert restate(own, "forward", "full") is own


@pytest.mark.parametrize(("delta", "fly"), CHOICES)
@pytest.mark.parametrize("channel", ["surface", "tenors"])
def test_it_is_what_would_have_been_published(own, delta, fly, channel):  # [W27]
    other, direct = restate(own, delta, fly), state(delta, fly)
    assert other.conventions == direct.conventions
    ours, theirs = other.tables[channel], direct.tables[channel]
    assert ours.keys == theirs.keys
    for at, field in enumerate(ours.layout.fields):
        # Parameters, tau and forward are taken as published: the last digit of what follows from them may differ.
        loose = 0.011 if field.path[-1] == "strike" else 1000.0 if field.path[-1] == "age_ms" else 2.1e-3
        np.testing.assert_allclose(
            ours.values[:, at], theirs.values[:, at], rtol=0, atol=loose, err_msg=str(field.path)
        )


def test_nothing_else_changes(own):
    other = restate(own, "premium_adjusted", "half")
    assert other.tables["levels"] is own.tables["levels"]
    assert other.fit is own.fit
    for path in (("params", "a"), ("atm_vol",), ("certificate", "min_g"), ("forward", "price")):
        was, now = (column(each.tables["surface"], *path) for each in (own, other))
        np.testing.assert_array_equal(was, now)


def test_premium_adjusted_strikes_differ(own):
    other = restate(own, "premium_adjusted", "full")
    assert not np.allclose(
        column(own.tables["surface"], "nodes", "25C", "log_moneyness"),
        column(other.tables["surface"], "nodes", "25C", "log_moneyness"),
    )


@pytest.mark.parametrize("channel", STREAMED)
def test_expanded_messages_are_of_the_documented_types(own, channel):  # [W28]
    feed, variant = Feed("BTC", "e"), Variant(form="expanded", fly="half")
    feed.update(own)
    message = msgspec.json.decode(feed.snapshot(variant, channel), type=x.ExpandedServerMessage)
    if channel == "surface":
        smile = message.smiles[0]
        assert message.conventions.fly == "half"
        assert smile.x_axis.values[0], smile.x_axis.values[-1] == (-2.0, 2.0)
        assert len(smile.vol) == len(smile.var) == len(smile.g_test) == len(smile.x_axis.values) == 81
        assert smile.vol[40] == pytest.approx(smile.atm_vol, abs=1e-3)
        assert smile.var[40] == pytest.approx(smile.tau * (smile.atm_vol / 100) ** 2, rel=1e-4)
        assert min(smile.g_test) >= smile.certificate.min_g - 1e-6
        assert [point.label for point in smile.risk_reversal_node_points] == list(smile.nodes)
    if channel == "levels":
        expiry = message.levels[0]
        assert expiry.by_exchange == {"deribit": expiry.points}
        assert [point.strike for point in expiry.points] == sorted(point.strike for point in expiry.points)
        assert expiry.points[0].log_moneyness == pytest.approx(np.log(expiry.points[0].strike / 100), abs=1e-5)
