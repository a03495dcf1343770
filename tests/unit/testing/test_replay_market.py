"""A replayed market repeats the recording and nothing else."""

import numpy as np
import orjson
import pytest

from derivasys.testing.deribit.payloads import book_summary, ticker
from derivasys.testing.market import ReplayMarket
from derivasys.testing.recordings import CHAINS, fixtures_dir, load_shipped

SECOND_NS = 1_000_000_000


def test_book_summary_is_the_recorded_reply() -> None:
    """Field for field, order and number format included; only the time of the row is ours."""
    recorded = (fixtures_dir() / CHAINS["BTC"]).read_bytes()
    board = ReplayMarket(load_shipped("BTC")).board
    rows = orjson.loads(recorded)["result"]
    for row, expected in enumerate(rows):
        time_ms = expected["creation_timestamp"]
        made = book_summary(board, row, time_ms, board.index_price)
        assert list(made) == list(expected)
        assert orjson.dumps(made) == orjson.dumps(expected)


@pytest.mark.parametrize("ccy", ["BTC", "ETH"])
def test_tickers_show_the_recorded_quotes(ccy: str) -> None:
    chain = load_shipped(ccy)
    market = ReplayMarket(chain)
    market.advance(chain.instant_ns + 7 * SECOND_NS)
    for i, row in enumerate(chain.rows):
        data = ticker(market.board, i, market.board.index_price)
        assert data["instrument_name"] == row.symbol
        assert (data.get("best_bid_price") or None) == row.bid
        assert (data.get("best_ask_price") or None) == row.ask
        assert (data["best_bid_amount"] > 0.0) == (row.bid is not None)
        assert data["mark_price"] == row.mark
        assert row.mark_iv is None or data["mark_iv"] == row.mark_iv
        assert data["underlying_price"] == row.underlying_price


def test_every_way_of_writing_a_missing_side_occurs() -> None:
    chain = load_shipped("ETH")
    board = ReplayMarket(chain).board
    written = set()
    for i, row in enumerate(chain.rows):
        if row.bid is None:
            data = ticker(board, i, 0.0)
            assert data["best_bid_amount"] == 0.0
            assert data["bid_iv"] == 0.0
            written.add(data.get("best_bid_price", "absent"))
    assert written == {0.0, None, "absent"}


def test_options_are_announced_round_robin_at_the_rate() -> None:
    chain = load_shipped("BTC")
    market = ReplayMarket(chain, rate=400.0)
    seen: list[int] = []
    for step in range(1, 251):
        now_ns = chain.instant_ns + step * SECOND_NS // 100
        rows = market.advance(now_ns).rows
        assert (market.board.ticker["time_ms"][rows] == now_ns // 1_000_000).all()
        seen += rows.tolist()
    assert len(seen) == 1000
    assert np.bincount(seen, minlength=964).tolist() == [2] * 36 + [1] * 928


def test_nothing_changes_but_the_time() -> None:
    chain = load_shipped("BTC")
    market = ReplayMarket(chain)
    before = market.board.ticker.copy()
    market.advance(chain.instant_ns + 10 * SECOND_NS)
    after = market.board.ticker.copy()
    after["time_ms"] = before["time_ms"]
    assert after.tobytes() == before.tobytes()
    assert not market.is_simulated
    assert market.label == chain.label


def test_time_does_not_run_back() -> None:
    chain = load_shipped("BTC")
    market = ReplayMarket(chain)
    market.advance(chain.instant_ns + SECOND_NS)
    assert len(market.advance(chain.instant_ns).rows) == 0
