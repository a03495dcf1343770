"""Each fault by itself, at every venue at once: it really happens, as a counter tells, and the run recovers from it."""

import pytest

from derivasys.testing.market.ladder import last_eight_ms
from derivasys.testing.simulation import Fault, Kind, Simulation

S = 10**9
VENUES = ("deribit", "okx", "bybit", "binance", "derive")
LEAVES = {
    Kind.CUT: "cut",
    Kind.HALF_OPEN: "swallowed",
    Kind.GONE: "refused",
    Kind.DEAF: "unheard",
    Kind.DROP: "dropped",
    Kind.DUPLICATE: "duplicated",
    Kind.REORDER: "ignored out_of_order",
    Kind.CORRUPT: "corrupt and rejected",
    Kind.DELAY: "delayed",
    Kind.SLOW: "backlog",
    Kind.SKEW: "skewed",
    Kind.STALL: "pushes lost by venues",
    Kind.GAP: "gaps",
    Kind.CHURN: "listed",
    Kind.MAINTENANCE: "listing_refused",
}
LASTS_S = {Kind.CUT: 0.1, Kind.HALF_OPEN: 45.0, Kind.GONE: 45.0, Kind.DEAF: 40.0}


def everywhere(kind, lasts_s=12.0, size=0.0):
    return lambda start_ns: [
        Fault(kind, venue, start_ns + 15 * S, start_ns + int((15 + lasts_s) * S), size) for venue in VENUES
    ]


@pytest.mark.parametrize("kind", sorted(LEAVES))
def test_a_fault_of_every_venue_is_seen_and_survived(kind):
    size = 20.0 if kind is Kind.SKEW else 0.0
    report = Simulation(1, ccys=("ETH",), faults=everywhere(kind, LASTS_S.get(kind, 12.0), size)).run()
    assert report.counts[LEAVES[kind]] > 0
    if kind is Kind.GAP:
        assert report.counts["gaps"] >= 10, "one a second at each venue with books"
    if kind is Kind.CHURN:
        assert report.counts["delisted"] > 0


def test_an_hour_without_a_venue():
    def gone(start_ns):
        return [Fault(Kind.GONE, "okx", start_ns + 15 * S, start_ns + 3615 * S)]

    simulation = Simulation(1, ccys=("ETH",), faults=gone)
    report = simulation.run()
    assert report.lasted_s > 3600
    assert report.counts["refused"] > 100, "tried about every half minute on each of its connections"
    assert report.recovered_s < 60


@pytest.mark.parametrize("size", [0.1823, -0.2231])
def test_spot_jumps_by_a_fifth(size):
    def jump(start_ns):
        return [Fault(Kind.JUMP, "", start_ns + 15 * S, start_ns + 16 * S, size)]

    simulation = Simulation(2, ccys=("ETH",), faults=jump)
    before = []
    step = simulation.step

    def spied(step_ns):
        now_ns = step(step_ns)
        if not before and now_ns > simulation.faults[0].start_ns - S:
            before.append(simulation.pipeline.chains["ETH"].index["deribit"][0])
        return now_ns

    simulation.step = spied
    report = simulation.run()
    moved = simulation.pipeline.chains["ETH"].index["deribit"][0] / before[0] - 1
    assert abs(moved) > 0.18
    assert report.counts["listed"] > 0, "strikes are listed where spot has gone"


def test_the_expiry_roll():
    simulation = Simulation(3, ccys=("ETH",), faults=(), is_at_roll=True)
    board = simulation.servers["deribit"].venue.markets[0].board
    gone = board.expiries[0].ms
    report = simulation.run()
    now_ms = simulation.clock.now_ns() // 1_000_000
    surface = simulation.pipeline.surfaces["ETH"]
    assert last_eight_ms(now_ms) == gone
    assert gone not in surface.expiries
    assert max(expiry.ms for expiry in board.expiries) in surface.expiries
    assert report.recovered_s < 60
    known = {expiry.ms for server in simulation.servers.values() for expiry in _expiries(server)}
    assert set(surface.expiries) == {ms for ms in known if ms > now_ms}


def _expiries(server):
    venue = server.venue
    return [one for market in getattr(venue, "markets", None) or venue.view.markets for one in market.board.expiries]


def test_ten_times_the_rate():
    def burst(start_ns):
        return [Fault(Kind.BURST, "", start_ns + 15 * S, start_ns + 25 * S)]

    simulation = Simulation(1, ccys=("ETH",), faults=burst)
    frames = {False: [0, 0], True: [0, 0]}
    step, push = simulation.step, simulation.pipeline.push
    on = False

    def spied(step_ns):
        nonlocal on
        on = any(Kind.BURST in kinds for kinds in simulation.on.values())
        frames[on][1] += step_ns
        return step(step_ns)

    def counted(venue, payload, recv_ns):
        if b"best_bid_price" in payload:
            frames[on][0] += 1
        return push(venue, payload, recv_ns)

    simulation.step, simulation.pipeline.push = spied, counted
    simulation.run()
    usual, burst_rate = (count / ns for count, ns in frames.values())
    assert burst_rate > 3 * usual, "every channel speaks at most ten times a second"
