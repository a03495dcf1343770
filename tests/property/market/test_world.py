"""One market seen by four venues: whatever the seed, each view holds together and all views agree."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.property.market.boards import events_of

from derivasys.pipeline import Pipeline
from derivasys.surface import FITTED
from derivasys.testing.market import MarketView, VenueMarket, World
from derivasys.testing.market.recorded import DeribitNames
from derivasys.testing.recordings import CHAINS, YEAR_MS, RecordedChain, load_shipped
from derivasys.testing.servers import TERMS

SECOND_NS = 1_000_000_000
CCYS = ("BTC", "ETH", "SOL", "XRP")
SEEDS = st.integers(0, 2**32 - 1)
SLOW = settings(
    max_examples=6, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow],
    phases=(Phase.explicit, Phase.generate),
)  # fmt: skip
ALL = 1e6
"""A rate at which practically every option is quoted anew in every step."""


@cache
def chains() -> tuple[RecordedChain, ...]:
    return tuple(load_shipped(ccy) for ccy in CHAINS)


def venues_of(world: World, rate: float = ALL, ccys: tuple[str, ...] = CCYS) -> list[VenueMarket]:
    return [world.venue(terms, DeribitNames(), ccys, rate) for terms in TERMS.values()]


def after(seed: int, hours: float, ccys: tuple[str, ...] = CCYS) -> list[MarketView]:
    """Return all views some hours on, each option quoted within the last second."""
    world = World(chains(), seed)
    venues = venues_of(world, ccys=ccys)
    then_ns = world.start_ns + int(hours * 3600) * SECOND_NS
    for now_ns in (then_ns, then_ns + SECOND_NS):
        for venue in venues:
            venue.advance(now_ns)
    return [market for venue in venues for market in venue.markets]


def black(forward: float, strike: float, tau: float, iv: float, *, is_call: bool) -> float:
    """Return the undiscounted price, sharing nothing with the code under test."""
    sd = iv * math.sqrt(tau)
    d1 = math.log(forward / strike) / sd + 0.5 * sd
    sign = 1.0 if is_call else -1.0
    above, below = (0.5 * math.erfc(-sign * d / math.sqrt(2.0)) for d in (d1, d1 - sd))
    return sign * (forward * above - strike * below)


def state(markets: list[MarketView]) -> list[bytes]:
    return [market.board.ticker.tobytes() + repr(market.board.futures).encode() for market in markets]


@settings(SLOW, max_examples=3)
@given(SEEDS)
def test_a_seed_and_its_times_determine_every_byte(seed: int) -> None:
    def run(seed: int) -> list[bytes]:
        world = World(chains(), seed)
        venues = venues_of(world, rate=2000.0)
        for ms in (20, 140, 160, 1000, 5000, 5050):
            for venue in venues:
                venue.advance(world.start_ns + ms * 1_000_000)
        return state([market for venue in venues for market in venue.markets])

    first = run(seed)
    assert first == run(seed)
    assert all(one != other for one, other in zip(first, run(seed + 1), strict=True))


@SLOW
@given(SEEDS, st.lists(st.integers(1, 900), min_size=1, max_size=12), st.permutations(tuple(TERMS)))
def test_neither_cadence_nor_the_order_of_venues_matters(seed: int, gaps_ms: list[int], order: list[str]) -> None:
    one, other = World(chains(), seed), World(chains(), seed)
    often = {name: one.venue(TERMS[name], DeribitNames(), ("BTC", "SOL"), 2000.0) for name in order}
    once = {name: other.venue(TERMS[name], DeribitNames(), ("BTC", "SOL"), 2000.0) for name in TERMS}
    now_ns = one.start_ns
    for gap in gaps_ms:
        now_ns += gap * 1_000_000
        for venue in often.values():
            venue.advance(now_ns)
    for name, venue in once.items():
        for ns in range(other.start_ns, now_ns, SECOND_NS):
            venue.advance(ns)
        venue.advance(now_ns)
        assert state(list(venue.markets)) == state(list(often[name].markets))


@SLOW
@given(SEEDS, st.floats(0.0, 40.0))
def test_quotes_are_uncrossed_on_ticks_and_sized(seed: int, hours: float) -> None:
    for market in after(seed, hours):
        t, family = market.board.ticker[market.board.open_rows()], market.family
        both = ~np.isnan(t["bid"]) & ~np.isnan(t["ask"])
        assert (t["bid"][both] < t["ask"][both]).all()
        assert both.mean() > 0.3
        for side in ("bid", "ask"):
            price, size = t[side], t[f"{side}_size"]
            is_there = ~np.isnan(price)
            assert (family.ticks.round(price[is_there]) == price[is_there]).all()
            assert (price[is_there] > 0.0).all()
            lots = size[is_there] / family.min_size
            assert (lots > 0.99).all()
            assert np.abs(lots - np.rint(lots)).max() < 1e-6
            assert not size[~is_there].any()
            assert not t[f"{side}_iv"][~is_there].any()
        assert (t["ask_iv"][~np.isnan(t["ask"])] > 0.0).all()


@SLOW
@given(SEEDS, st.floats(0.0, 20.0))
def test_marks_and_quotes_are_black_76_on_the_venues_forward(seed: int, hours: float) -> None:
    for market in after(seed, hours):
        board, family = market.board, market.family
        for row in board.open_rows()[::7].tolist():
            cell = {name: float(board.ticker[name][row]) for name in board.ticker.dtype.names or ()}
            tau = (int(board.expiry_ms[row]) - cell["time_ms"]) / YEAR_MS
            of = (cell["forward"], float(board.strike[row]), tau)
            is_call = bool(board.is_call[row])
            worth = cell["forward"] if family.price_unit == "coin" else 1.0
            worth = cell["forward"] / cell["index"] if family.is_discounted else worth
            iv_step = 10.0**-family.iv_digits
            for price, percent, unit in (
                (cell["mark"], cell["mark_iv"], 10.0**-family.mark_digits),
                (cell["bid"], cell["bid_iv"], 0.0),
                (cell["ask"], cell["ask_iv"], 0.0),
            ):
                if not price > 0.0 or not 0.1 < percent < 500.0:
                    continue
                around = [black(*of, (percent + d) / 100.0, is_call=is_call) / worth for d in (-iv_step, 0.0, iv_step)]
                slack = unit + max(around[2] - around[1], around[1] - around[0]) + 1e-9 * of[0] / worth
                assert price == pytest.approx(around[1], abs=slack), (board.symbols[row], cell)


@SLOW
@given(SEEDS, st.floats(0.0, 40.0))
def test_marks_are_in_calendar_order_at_the_money(seed: int, hours: float) -> None:
    for market in after(seed, hours):
        board = market.board
        variances = []
        for number in np.argsort([expiry.ms for expiry in board.expiries]).tolist():
            rows = np.flatnonzero((board.expiry_of == number) & (board.state == 0))
            if not len(rows):
                continue
            t = board.ticker[rows]
            near = int(np.argmin(np.abs(np.log(board.strike[rows] / t["forward"]))))
            tau = (board.expiries[number].ms - int(t["time_ms"][near])) / YEAR_MS
            variances.append(float(t["mark_iv"][near]) ** 2 * tau)
        assert variances == sorted(variances), market.family.name


@SLOW
@given(SEEDS, st.floats(0.0, 12.0))
def test_views_of_one_market_agree(seed: int, hours: float) -> None:
    """The same option has the same vol everywhere, but for the spreads, the venue's own deviation and lateness."""
    seen: dict[tuple[str, int, float, bool], list[tuple[float, float, float]]] = {}
    forwards: dict[tuple[str, int], list[float]] = {}
    for market in after(seed, hours):
        board, t = market.board, market.board.ticker
        for expiry in board.expiries:
            forwards.setdefault((board.ccy, expiry.ms), []).append(expiry.forward)
        for row in board.open_rows().tolist():
            mark, bid, ask = (float(t[name][row]) for name in ("mark_iv", "bid_iv", "ask_iv"))
            tau = (int(board.expiry_ms[row]) - market.now_ms()) / YEAR_MS
            z = math.log(float(board.strike[row]) / float(t["forward"][row])) / (mark / 100.0 * math.sqrt(tau))
            if bid > 0.0 and 0.0 < ask < 500.0 and tau > 1.0 / 365.0 and abs(z) < 2.0:
                key = (board.ccy, int(board.expiry_ms[row]), float(board.strike[row]), bool(board.is_call[row]))
                seen.setdefault(key, []).append((mark, bid, ask))
    compared = 0
    for key, views in seen.items():
        mark, bid, ask = views[0]
        for other, other_bid, other_ask in views[1:]:
            compared += 1
            assert other == pytest.approx(mark, rel=0.03), key
            widths = (ask - bid) + (other_ask - other_bid)
            assert abs(0.5 * (bid + ask - other_bid - other_ask)) <= widths + 0.03 * mark, key
    assert compared > 500
    for prices in forwards.values():
        assert max(prices) / min(prices) - 1.0 < 2e-3


@pytest.mark.parametrize("venue", list(TERMS))
@pytest.mark.parametrize("seed", [1, 2])
def test_every_board_fits(venue: str, seed: int) -> None:
    """Altcoins too: each family's quotes alone give a fitted, certified smile at every expiry."""
    world = World(chains(), seed)
    for market in world.venue(TERMS[venue], DeribitNames(), rate=ALL).markets:
        market.advance(world.start_ns + 30 * SECOND_NS)
        pipeline = Pipeline()
        for event in events_of(market):
            pipeline.apply(event)
        (surface,) = pipeline.drain(market.now_ms() * 1_000_000)
        assert len(surface.expiries) == len(market.board.expiries)
        assert (np.asarray(surface.state) == FITTED).all(), (market.family.name, surface.state, surface.reasons)
        assert np.median(surface.rmse) < 0.03, market.family.name
