"""A simulated market: what it does at the roll, how often, and that only its seed matters."""

from collections import Counter

import numpy as np
import pytest

from derivasys.testing.deribit.payloads import ticker
from derivasys.testing.deribit_names import expiry_ms
from derivasys.testing.market import LifeEvent, SimulatedMarket
from derivasys.testing.recordings import load_shipped

SECOND_NS = 1_000_000_000
ROLL_MS = expiry_ms("14MAR26")


def run(market: SimulatedMarket, seconds: float, step_ms: int) -> list[int]:
    """Advance by `seconds` in steps; return the rows announced, in order."""
    rows: list[int] = []
    for k in range(1, int(seconds * 1000 / step_ms) + 1):
        rows += market.advance(market.start_ns + k * step_ms * 1_000_000).rows.tolist()
    return rows


def test_it_says_that_it_is_simulated() -> None:
    market = SimulatedMarket(load_shipped("BTC"), seed=7)
    assert market.is_simulated
    assert market.label == "simulated, seed 7, from Deribit BTC 2026-03-13 19:00:16 UTC"


def test_the_cadence_of_asking_changes_nothing() -> None:
    chain = load_shipped("BTC")
    fine, coarse = SimulatedMarket(chain, 3), SimulatedMarket(chain, 3)
    run(fine, 4.0, 20)
    run(coarse, 4.0, 1000)
    assert fine.board.ticker.tobytes() == coarse.board.ticker.tobytes()
    assert fine.board.index_price == coarse.board.index_price != chain.index_price


@pytest.mark.parametrize("rate", [300.0, 5_000.0, 18_000.0])
def test_tickers_come_at_the_rate(rate: float) -> None:
    market = SimulatedMarket(load_shipped("BTC"), 1, rate)
    assert len(run(market, 10.0, 50)) == pytest.approx(10.0 * rate, rel=0.05)


def test_short_expiries_near_the_money_move_most() -> None:
    market = SimulatedMarket(load_shipped("BTC"), 1, 1_000.0)
    seen = Counter(market.board.symbols[row] for row in run(market, 60.0, 50))
    busy, quiet = seen["BTC-14MAR26-71000-C"], seen["BTC-25DEC26-250000-C"]
    assert busy > 4 * quiet > 0


def test_gaps_of_the_recording_mostly_stay() -> None:
    chain = load_shipped("ETH")
    market = SimulatedMarket(chain, 5, 2_000.0)
    run(market, 60.0, 1000)
    recorded = np.array([row.bid is None for row in chain.rows])
    now = np.isnan(market.board.ticker["bid"])
    assert now[recorded].mean() > 0.95
    assert now[~recorded].mean() < 0.05


def test_spreads_stay_those_of_the_recording() -> None:
    chain = load_shipped("BTC")
    market = SimulatedMarket(chain, 5, 2_000.0)
    run(market, 60.0, 1000)
    t = market.board.ticker
    recorded = np.array([np.nan if r.bid is None else (r.ask or np.nan) - r.bid for r in chain.rows])
    assert np.nanmedian(t["ask"] - t["bid"]) == pytest.approx(np.nanmedian(recorded), rel=0.35)


def roll(market: SimulatedMarket) -> list[LifeEvent]:
    """Go to shortly before the roll in one leap, then through it second by second."""
    market.advance((ROLL_MS - 2_000) * 1_000_000)
    life: list[LifeEvent] = []
    for ms in range(ROLL_MS - 1_000, ROLL_MS + 8_000, 500):
        life += market.advance(ms * 1_000_000).life
    return life


def test_the_roll_settles_delivers_and_lists() -> None:
    market = SimulatedMarket(load_shipped("BTC"), seed=2)
    board = market.board
    ending = {s for s in board.symbols if s.startswith("BTC-14MAR26-")}
    life = roll(market)
    by_state = {
        state: {e.symbol for e in life if e.state == state} for state in ("settlement", "delivered", "created", "open")
    }
    assert by_state["settlement"] == by_state["delivered"] == ending
    assert by_state["created"] == by_state["open"]
    assert all(s.startswith("BTC-18MAR26-") for s in by_state["created"])
    assert len(by_state["created"]) >= 20
    fresh = [board.row_of[symbol] for symbol in by_state["created"]]
    assert np.isfinite(board.ticker["mark"][fresh]).all()
    when = {e.state: e.time_ms for e in life}
    assert ROLL_MS <= when["settlement"] < when["delivered"] <= when["created"]


def test_a_delivered_option_is_worth_its_payoff() -> None:
    market = SimulatedMarket(load_shipped("BTC"), seed=2)
    roll(market)
    board = market.board
    row = board.row_of["BTC-14MAR26-62000-C"]
    price = board.expiries[board.expiry_of[row]].delivery_price
    data = ticker(board, row, 0.0)
    assert data["state"] == "delivered"
    assert data["estimated_delivery_price"] == "expired"
    assert data["delivery_price"] == price
    assert data["mark_price"] == pytest.approx(max(1.0 - 62_000.0 / price, 0.0), abs=1e-8)
    assert set(data["greeks"].values()) == {0.0}
    assert data["best_bid_amount"] == data["best_ask_amount"] == 0.0


def test_the_daily_settlement_gives_settlement_prices() -> None:
    market = SimulatedMarket(load_shipped("BTC"), seed=2)
    row = market.board.row_of["BTC-27MAR26-71000-C"]
    assert "settlement_price" not in ticker(market.board, row, 0.0)
    roll(market)
    data = ticker(market.board, row, 0.0)
    assert data["settlement_price"] == pytest.approx(data["mark_price"], rel=0.05)


def test_new_options_are_quoted() -> None:
    market = SimulatedMarket(load_shipped("BTC"), seed=2, rate=5_000.0)
    roll(market)
    market.advance((ROLL_MS + 9_000) * 1_000_000)
    run_on = [market.advance((ROLL_MS + ms) * 1_000_000) for ms in range(10_000, 20_000, 1000)]
    assert all(len(update.rows) for update in run_on)
    board = market.board
    fresh = [row for row, s in enumerate(board.symbols) if s.startswith("BTC-18MAR26-")]
    two_sided = ~np.isnan(board.ticker["bid"][fresh]) & ~np.isnan(board.ticker["ask"][fresh])
    assert two_sided.mean() > 0.6


def test_the_delivery_price_is_the_average_of_half_an_hour() -> None:
    market = SimulatedMarket(load_shipped("BTC"), seed=4)
    prices, held_ms = [], 10_000
    for ms in range(ROLL_MS - 30 * 60_000, ROLL_MS, held_ms):
        prices.append(market.board.index_price)
        market.advance(ms * 1_000_000)
    market.advance((ROLL_MS + 1_000) * 1_000_000)
    delivery = market.board.expiries[0].delivery_price
    assert delivery == pytest.approx(np.mean(prices), rel=2e-4)
    assert market.estimated_delivery_price(ROLL_MS) == delivery
