"""What a gateway says of feeds that it hears of, and of those that it hears no more."""

import msgspec
import pytest

from derivasys.services import gateway as module
from derivasys.services.gateway import GatewayService
from derivasys.services.gauges import Gauges
from derivasys.services.heartbeat import Heartbeat
from derivasys.wire import messages as m


def venue(state, name="deribit"):
    return m.VenueStatus(
        venue=name,
        state=state,
        age_ms=10,
        rate=5.0,
        messages=1,
        reconnects=0,
        gaps=0,
        drops=0,
        rejects={},
        ccys=["BTC"],
    )


def beat(state, at_ms, instance="a", kind="live"):
    return Heartbeat(
        service="connector",
        instance=instance,
        ts_ms=at_ms,
        venue=venue(state),
        source=m.SourceStatus(kind=kind, label=kind),
    )


class Follower:
    def __init__(self, *beats):
        self.beats = {each.key: each for each in beats}
        self.is_whole, self.held, self.stale, self.gaps, self.taken = True, {}, 0, 0, 0

    def lag(self):
        return {}


@pytest.fixture
def service(monkeypatch):
    monkeypatch.setattr(module, "_now_ms", lambda: 1_000_000)
    return GatewayService.__new__(GatewayService)


@pytest.mark.parametrize(("silent_s", "told"), [(1, "live"), (4, "stale"), (20, "down")])
def test_a_connector_that_is_not_heard_is_stale_then_down(service, silent_s, told):
    service._follower = Follower(beat("live", 1_000_000 - 1000 * silent_s))
    found = service.venues()[0]
    assert found.state == told
    if told != "live":
        assert found.detail == f"its connector has not been heard for {silent_s} s"
        assert found.age_ms == 10 + 1000 * silent_s
        assert found.rate == 0.0
        assert service.not_ready() == ["no surface yet", f"deribit is {told}"]


def test_readiness_counts_the_feeds_together(service):
    for (one, other), reasons in {
        ("live", "live"): [],
        ("live", "down"): [],
        ("stale", "down"): ["deribit is stale", "okx is down"],
    }.items():
        okx = msgspec.structs.replace(beat(other, 1_000_000, "b"), venue=venue(other, "okx"))
        service._follower = Follower(beat(one, 1_000_000), okx)
        service._follower.held = {"BTC": None}
        assert service.not_ready() == reasons


def test_the_best_of_two_connectors_speaks_for_a_venue(service):
    service._follower = Follower(
        beat("stale", 1_000_000, "a"), beat("live", 1_000_000, "b"), beat("down", 1_000_000, "c")
    )
    assert [each.state for each in service.venues()] == ["live"]


def test_nothing_simulated_is_shown_as_live(service):
    ranks = [module._RANK.index(kind) for kind in ("live", "replay", "simulated")]
    assert ranks == sorted(ranks)


def test_heartbeats_come_back():
    from tests.unit.bus.test_records import record

    from derivasys.services import heartbeat

    sent = beat("live", 5)
    assert heartbeat.decode(record(msgspec.json.encode(sent))) == sent


def test_gauges_are_prometheus_text():
    gauges = Gauges("gateway")
    gauges.set("clients", 3)
    gauges.set("feed_rejects", 1, venue='a"b\\c\nd', reason="x")
    text = gauges.text().decode()
    assert '# TYPE derivasys_clients gauge\nderivasys_clients{service="gateway"} 3\n' in text
    assert r'derivasys_feed_rejects{service="gateway",venue="a\"b\\c\nd",reason="x"} 1' in text
    with pytest.raises(AssertionError):
        gauges.set("no_such_metric", 1)
