import pytest

from derivasys.latency import Latency
from derivasys.waterfall import FRAMES_MAX, SKEW_WINDOW_S, STAGES, Cycle, Frame, VenueClock, Waterfall

MS = 1_000_000


def frame(venue: str, lag_ms: float | None, received_ms: float, decoded_ms: float) -> Frame:
    lag_ns = None if lag_ms is None else int(lag_ms * MS)
    return Frame(venue, lag_ns, int(received_ms * MS), int(decoded_ms * MS))


def cycle(*ms: float) -> Cycle:
    return Cycle(*(int(at * MS) for at in ms))


@pytest.fixture
def latency() -> Latency:
    return Latency()


def test_the_stages_add_up_to_the_whole_way(latency):
    waterfall = Waterfall(latency)
    waterfall.frame("BTC", frame("deribit", 30.0, 100.0, 100.2))
    frames = waterfall.take("BTC")
    waterfall.published("BTC", frames, cycle(120.0, 123.0, 124.5, 126.0))
    found = {name: at[0] for name, at in latency.quantiles(0.5).items()}
    expected = {"decode": 0.2, "wait": 19.8, "fit": 3.0, "encode": 1.5, "write": 1.5, "total": 26.0, "net": 6.2}
    assert {name: found[f"waterfall.{name}"] for name in expected} == pytest.approx(expected, rel=0.02)
    inner = sum(found[f"waterfall.{name}"] for name in STAGES if name != "transit")
    assert inner == pytest.approx(found["waterfall.total"], rel=0.03)
    assert waterfall.take("BTC") == [], "a frame is published once"


def test_frames_count_towards_their_own_currency(latency):
    waterfall = Waterfall(latency)
    waterfall.frame("BTC", frame("a", None, 0, 1))
    waterfall.frame("ETH", frame("a", None, 2, 3))
    assert [one.received_ns for one in waterfall.take("ETH")] == [2 * MS]
    assert [one.received_ns for one in waterfall.take("BTC")] == [0]


@pytest.mark.parametrize("skew_ms", [-500.0, 0.0, 40.0])
def test_a_venues_clock_is_seen_through_whatever_it_shows(latency, skew_ms):
    waterfall = Waterfall(latency)
    transit_ms = [9.0, 5.0, 30.0, 6.0]  # half a round trip of 10 ms is the least there can be
    for at, way in enumerate(transit_ms):
        waterfall.frame("BTC", frame("okx", way + skew_ms, at, at))
    waterfall.clocks["okx"].round_trip_ns = 10 * MS
    assert waterfall.clocks["okx"].skew_ns == skew_ms * MS
    waterfall.published("BTC", waterfall.take("BTC"), cycle(10, 11, 12, 13))
    low, high = latency.quantiles(0.01, 1.0)["transit.okx"]
    assert (low, high) == (pytest.approx(5.0, rel=0.02), pytest.approx(30.0, rel=0.02))


def test_a_clock_that_is_set_right_is_believed_after_a_minute():
    clock = VenueClock()
    clock.note(-400 * MS)
    for _ in range(SKEW_WINDOW_S):
        clock.tick()
        clock.note(20 * MS)
    assert clock.skew_ns == -400 * MS
    clock.tick()
    clock.note(20 * MS)
    clock.tick()
    assert clock.skew_ns == 20 * MS


def test_a_venue_that_tells_no_time_has_no_skew(latency):
    waterfall = Waterfall(latency)
    waterfall.frame("BTC", frame("mute", None, 0, 1))
    waterfall.published("BTC", waterfall.take("BTC"), cycle(2, 3, 4, 5))
    assert waterfall.clocks == {}
    assert "waterfall.transit" not in latency.quantiles(0.5)
    assert VenueClock().skew_ns is None


def test_each_cycle_tells_what_it_knows(latency):
    waterfall = Waterfall(latency)
    waterfall.frame("BTC", frame("a", 4.0, 10, 11))
    told = waterfall.so_far("BTC", waterfall.take("BTC"), 15 * MS, 18 * MS)
    assert told == {"transit": 0.0, "decode": 1.0, "wait": 4.0, "fit": 3.0}
    waterfall.published("BTC", [], cycle(15, 18, 19, 21))
    assert waterfall.so_far("BTC", [], 30 * MS, 32 * MS) == {"fit": 2.0, "encode": 1.0, "write": 2.0}


def test_frames_of_a_cycle_are_bounded(latency):
    waterfall = Waterfall(latency)
    one = frame("a", None, 0, 0)
    for _ in range(FRAMES_MAX + 5):
        waterfall.frame("BTC", one)
    assert len(waterfall.take("BTC")) == FRAMES_MAX
