"""One world behind several venues: what is listed, how views differ, what the roll does, and Deribit's linear families."""

import math
from collections import Counter
from typing import Any

import numpy as np
import orjson
import pytest

from derivasys.pipeline import Pipeline
from derivasys.surface import FITTED
from derivasys.testing.deribit import Venue
from derivasys.testing.deribit_names import expiry_ms
from derivasys.testing.market import VenueMarket, World
from derivasys.testing.market.coins import ALTCOINS
from derivasys.testing.market.recorded import DeribitNames
from derivasys.testing.recordings import load_shipped
from derivasys.testing.servers import TERMS

CHAINS = (load_shipped("BTC"), load_shipped("ETH"))
SECOND_NS = 1_000_000_000
ROLL_MS = expiry_ms("14MAR26")


@pytest.fixture
def world() -> World:
    return World(CHAINS, seed=3)


def view(world: World, venue: str, *ccys: str, rate: float = 2000.0) -> VenueMarket:
    return world.venue(TERMS[venue], DeribitNames(), ccys or None, rate)


def test_btc_on_deribit_is_listed_as_recorded(world: World) -> None:
    board = view(world, "deribit", "BTC").market("BTC").board
    assert sorted(board.symbols) == sorted(row.symbol for row in CHAINS[0].rows)
    assert [expiry.ms for expiry in board.expiries] == sorted({row.expiry for row in CHAINS[0].rows})
    assert world.start_ns == CHAINS[0].instant_ns


def test_btc_on_deribit_is_quoted_almost_as_recorded(world: World) -> None:
    board = view(world, "deribit", "BTC").market("BTC").board
    spreads = [(row.symbol, row.ask - row.bid) for row in CHAINS[0].rows if row.bid and row.ask]
    now = [board.ticker["ask"][at] - board.ticker["bid"][at] for at in (board.row_of[symbol] for symbol, _ in spreads)]
    assert np.nanmedian(now) == pytest.approx(np.median([spread for _, spread in spreads]), rel=0.2)
    iv = {row.symbol: row.mark_iv for row in CHAINS[0].rows}
    errors = [abs(board.ticker["mark_iv"][at] - (iv[symbol] or math.nan)) for symbol, at in board.row_of.items()]
    assert np.nanmedian(errors) < 0.2


def test_eth_has_btcs_dates_and_its_own_smile(world: World) -> None:
    btc, eth = (view(world, "deribit", ccy).market(ccy).board for ccy in ("BTC", "ETH"))
    assert [expiry.ms for expiry in eth.expiries] == [expiry.ms for expiry in btc.expiries]
    assert eth.index_price == CHAINS[1].index_price
    at_the_money = [
        float(
            np.median(board.ticker["mark_iv"][np.argsort(np.abs(np.log(board.strike / board.ticker["forward"])))[:20]])
        )
        for board in (btc, eth)
    ]
    assert at_the_money[1] > 1.2 * at_the_money[0]


def test_coins_without_a_recording_are_scaled_and_said_to_be(world: World) -> None:
    assert world.scaled(("BTC", "SOL", "XRP")) == "SOL, XRP scaled from ETH"
    assert world.scaled(("BTC", "ETH")) == ""
    sol = view(world, "deribit", "SOL").market("SOL_USDC")
    assert sol.label == "simulated, seed 3, from SOL scaled from ETH"
    assert sol.board.index_price == pytest.approx(ALTCOINS["SOL"].price * (1.0 + sol.family.premium), rel=1e-6)
    assert not world.knows("LUNA")


def test_each_venue_lists_its_families(world: World) -> None:
    listed = {name: [market.family.name for market in view(world, name).markets] for name in TERMS}
    assert listed["okx"] == ["BTC-USD", "ETH-USD", "BTC-USD_UM", "ETH-USD_UM", "SOL-USD_UM"]
    assert listed["bybit"] == ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "DOGE-USDT", "BTC-USDC", "ETH-USDC"]
    assert {"BNBUSDT", "XRPUSDT", "DOGEUSDT"} < set(listed["binance"])
    assert {"SOL_USDC", "XRP_USDC", "AVAX_USDC", "TRX_USDC", "HYPE_USDC"} < set(listed["deribit"])
    assert view(world, "okx", "SOL", "XRP").ccys == ("SOL",)


def test_a_late_venue_shows_what_an_early_one_showed(world: World) -> None:
    """OKX sees the market a step of 50 ms after Deribit; both quote the dollar."""
    early, late = view(world, "deribit", "BTC").market("BTC"), view(world, "okx", "BTC").market("BTC-USD")
    indices = []
    for step in range(1, 40):
        now_ns = world.start_ns + step * 50_000_000
        early.advance(now_ns)
        late.advance(now_ns)
        indices.append((early.board.index_price, late.board.index_price))
    assert [one for one, _ in indices[:-1]] == [other for _, other in indices[1:]]


def test_the_rate_is_shared_over_families(world: World) -> None:
    venue = view(world, "deribit", rate=5000.0)
    counts: Counter[str] = Counter()
    for step in range(1, 101):
        for market, update in venue.advance(world.start_ns + step * 50_000_000):
            counts[market.family.name] += len(update.rows)
    assert sum(counts.values()) == pytest.approx(25_000, rel=0.05)
    assert counts["BTC"] > counts["BTC_USDC"] > 0


@pytest.mark.parametrize("name", list(TERMS))
def test_the_roll_settles_delivers_and_lists_everywhere(world: World, name: str) -> None:
    venue = view(world, name, "BTC", "SOL")
    venue.advance((ROLL_MS - 2000) * 1_000_000)
    life: dict[str, list[Any]] = {market.family.name: [] for market in venue.markets}
    for ms in range(ROLL_MS - 1000, ROLL_MS + 8000, 500):
        for market, update in venue.advance(ms * 1_000_000):
            life[market.family.name] += update.life
    for market in venue.markets:
        states = Counter(event.state for event in life[market.family.name] if event.kind == "option")
        board = market.board
        ended = int((board.expiry_ms == ROLL_MS).sum())
        assert states["settlement"] == states["delivered"] == ended > 0
        assert states["created"] == states["open"] > 0
        fresh = board.open_rows()[board.listed_ms[board.open_rows()] > ROLL_MS]
        assert states["created"] == len(fresh)
        assert np.isfinite(board.ticker["mark"][fresh]).all()
        two_sided = ~np.isnan(board.ticker["bid"][fresh]) & ~np.isnan(board.ticker["ask"][fresh])
        assert two_sided.mean() > 0.4
        call = next(row for row in range(len(board.symbols)) if board.expiry_ms[row] == ROLL_MS and board.is_call[row])
        price = board.expiries[board.expiry_of[call]].delivery_price
        payoff = max(price - board.strike[call], 0.0) / (price if market.family.price_unit == "coin" else 1.0)
        assert board.ticker["mark"][call] == pytest.approx(payoff, rel=1e-6)


def test_deribits_linear_families_reach_the_chain(world: World) -> None:
    """SOL and XRP through the venue's own messages and our decoder: per coin, in USDC, fitted."""
    markets = view(world, "deribit", "SOL", "XRP", rate=1e5).markets
    venue, pipeline = Venue(markets), Pipeline()
    now_ns = world.start_ns
    status, body = venue.rest("public/get_instruments", {"currency": "USDC", "kind": "option"}, None, now_ns)
    assert status == 200
    rows = {row["instrument_name"]: row for row in orjson.loads(body)["result"]}
    assert {row["base_currency"] for row in rows.values()} == {"SOL", "XRP"}
    assert {(row["base_currency"], row["contract_size"]) for row in rows.values()} == {("SOL", 10.0), ("XRP", 1000.0)}
    assert any("d" in name for name in rows), "strikes of XRP have decimals"
    assert all(row["instrument_type"] == "linear" and row["quote_currency"] == "USDC" for row in rows.values())
    pipeline.push("deribit", body, now_ns)
    session = venue.connect(now_ns)
    channels = [f"ticker.{name}.100ms" for name in rows]
    for first in range(0, len(channels), 400):
        call = {"id": 1, "method": "public/subscribe", "params": {"channels": channels[first : first + 400]}}
        venue.receive(session, orjson.dumps(call), now_ns)
    for step in range(1, 25):
        venue.tick(now_ns + step * 50_000_000)
    for payload in session.take():
        pipeline.push("deribit", payload, now_ns + 2 * SECOND_NS)
    assert not pipeline.rejects
    surfaces = {surface.ccy: surface for surface in pipeline.drain(now_ns + 2 * SECOND_NS)}
    assert set(surfaces) == {"SOL", "XRP"}
    for ccy, surface in surfaces.items():
        assert (np.asarray(surface.state) == FITTED).all(), (ccy, surface.reasons)
        assert float(surface.forward[0]) == pytest.approx(ALTCOINS[ccy].price, rel=0.02)
