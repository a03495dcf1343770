"""Traps of the venues whose handling is spread over decoder, chain and fit."""

import json

import numpy as np
import pytest

from derivasys.decode.bybit import Decoder as BybitDecoder
from derivasys.fit.quotes import QuoteReason
from derivasys.messages import Instrument
from derivasys.pipeline import Pipeline

S = 10**9
ROW = {
    "timestamp": 1590969652595, "state": "open", "instrument_name": "BTC-5JUN20-9250-C", "best_bid_price": 0.0365,
    "best_bid_amount": 15.4, "best_ask_price": 0.04, "best_ask_amount": 4.8, "bid_iv": 58.39, "ask_iv": 66.9, "mark_iv": 63.21,
    "mark_price": 0.03847784, "underlying_price": 9440.73, "underlying_index": "SYN.BTC-5JUN20", "index_price": 9434.36,
}  # fmt: skip
"""Captured: the venue's own vols of its quotes are the answer."""
NOW_NS = ROW["timestamp"] * 10**6
LISTING = {
    "kind": "option", "instrument_name": "BTC-5JUN20-9250-C", "option_type": "call", "strike": 9250, "base_currency": "BTC",
    "instrument_type": "reversed", "expiration_timestamp": 1591344000000, "tick_size": 0.0005, "contract_size": 1,
    "price_index": "btc_usd", "state": "open",
}  # fmt: skip


def surface(now_ns=NOW_NS, **changes):
    pipeline = Pipeline()
    pipeline.push("deribit", json.dumps({"result": [LISTING]}).encode(), NOW_NS)
    data = {**ROW, **changes}
    message = {"method": "subscription", "params": {"channel": "ticker.BTC-5JUN20-9250-C.100ms", "data": data}}
    pipeline.push("deribit", json.dumps(message).encode(), NOW_NS)
    (found,) = pipeline.drain(now_ns)
    return found


def test_a_coin_price_becomes_money_with_the_forward_not_the_index():
    board = surface().board
    assert board.bid[0] == pytest.approx(0.0365 * 9440.73, rel=1e-12)
    assert board.bid_iv[0] == pytest.approx(0.5839, abs=2e-4)
    assert board.ask_iv[0] == pytest.approx(0.6690, abs=2e-4)
    wrong = surface(underlying_price=9434.36).board
    assert abs(wrong.bid_iv[0] - 0.5839) > 2e-3, "the index would not have given the venue's vol"


def test_age_is_told_by_arrival_as_the_venues_time_is_that_of_the_last_change():
    """A quote that has not changed for an hour and has just been sent is fresh; one that came two minutes ago is not."""
    assert surface(timestamp=ROW["timestamp"] - 3_600_000).board.selection.reason[0] != QuoteReason.STALE
    assert surface(now_ns=NOW_NS + 121 * S).board.selection.reason[0] == QuoteReason.STALE


@pytest.mark.parametrize(
    ("bid", "ask", "reason"),
    [("0.34", "3.11", QuoteReason.WIDE), ("1.90", "2.10", QuoteReason.USED), ("0", "3.11", QuoteReason.ONE_SIDED)],
)
def test_a_stale_wide_quote_of_a_small_coin_is_not_fitted_to(bid, ask, reason):
    now_ms = 1680652810254
    decoder, pipeline, symbol = BybitDecoder(), Pipeline(), "SOL-28APR23-24-C"
    data = {
        "symbol": symbol, "bidPrice": bid, "bidSize": "10", "bidIv": "0.6", "askPrice": ask, "askSize": "51", "askIv": "2",
        "markPrice": "1.99054639", "indexPrice": "20.93", "markPriceIv": "1.4674", "underlyingPrice": "20.93",
    }  # fmt: skip
    events = decoder.decode(
        json.dumps({"topic": f"tickers.{symbol}", "ts": now_ms, "data": data, "type": "snapshot"}).encode(),
        now_ms * 10**6,
    )
    pipeline.apply(Instrument(events[0].contract, now_ms * 10**6, tick_size=0.01))
    for event in events:
        pipeline.apply(event)
    (found,) = pipeline.drain(now_ms * 10**6)
    assert found.board.selection.reason[0] == reason
    assert np.isfinite(found.board.mark_iv[0])
