import json
import math

import numpy as np
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, option, smile_board

from derivasys.calibrate import HELD_S_MAX
from derivasys.messages import Forward, Instrument, Quote, Status
from derivasys.pipeline import REFRESH_S, Pipeline
from derivasys.surface import FITTED, HELD, REJECTED

S = 10**9
LATER_MS = WEEK_MS + 7 * DAY_MS


def fed(*boards) -> Pipeline:
    pipeline = Pipeline()
    for board in boards:
        for event in board:
            pipeline.apply(event)
    return pipeline


def requote(pipeline: Pipeline, now_ns: int, **options) -> None:
    for event in smile_board(now_ns=now_ns, **options):
        if not isinstance(event, Instrument):
            pipeline.apply(event)


def test_a_board_becomes_a_surface():
    (surface,) = fed(smile_board(), smile_board(expiry=LATER_MS)).drain(NOW_NS)
    assert (surface.ccy, surface.version, surface.expiries) == ("BTC", 1, (WEEK_MS, LATER_MS))
    assert surface.state.tolist() == [FITTED, FITTED]
    assert surface.inside.tolist() == [1.0, 1.0]
    for expiry in surface.expiries:
        for k in (-0.2, 0.0, 0.2):
            assert surface.vol(expiry, k=k) == pytest.approx(0.6 * (1 - 0.3 * k + 2 * k * k), abs=0.01)
    assert surface.vol(WEEK_MS, strike=100.0) == pytest.approx(surface.vol(WEEK_MS, k=0.0))


def test_coin_prices_and_quote_prices_give_the_same_vols():
    (coin,) = fed(smile_board(unit="coin")).drain(NOW_NS)
    (quote,) = fed(smile_board(unit="quote")).drain(NOW_NS)
    np.testing.assert_allclose(coin.board.bid_iv, quote.board.bid_iv, rtol=1e-9)


def test_nothing_new_gives_nothing():
    pipeline = fed(smile_board())
    pipeline.drain(NOW_NS)
    assert pipeline.drain(NOW_NS + 1000) == []


def test_time_alone_refreshes_after_a_second():
    pipeline = fed(smile_board())
    pipeline.drain(NOW_NS)
    (surface,) = pipeline.drain(NOW_NS + int(REFRESH_S * S))
    assert surface.version == 2


def test_only_dirty_expiries_are_calibrated():
    pipeline = fed(smile_board(), smile_board(expiry=LATER_MS))
    (before,) = pipeline.drain(NOW_NS)
    now_ns = NOW_NS + S // 10
    requote(pipeline, now_ns, expiry=LATER_MS, level=0.7)
    (after,) = pipeline.drain(now_ns)
    assert after.read_ns.tolist() == [NOW_NS, now_ns]
    np.testing.assert_allclose(after.params[0], before.params[0], rtol=1e-7)
    np.testing.assert_allclose(after.delta_nodes.vol[0], before.delta_nodes.vol[0], rtol=1e-6)
    assert after.tau[0] == before.tau[0]
    assert after.vol(LATER_MS, k=0.0) == pytest.approx(0.7, abs=0.01)
    rows = after.board.slot == 0
    np.testing.assert_array_equal(after.board.bid_iv[rows], before.board.bid_iv[rows])


def test_a_calibrated_part_equals_a_calibrated_whole():
    parts = fed(smile_board(), smile_board(expiry=LATER_MS))
    parts.drain(NOW_NS)
    requote(parts, NOW_NS + 1, level=0.65)
    (part,) = parts.drain(NOW_NS + 1)
    whole = fed(smile_board(), smile_board(expiry=LATER_MS))
    whole.drain(NOW_NS)
    requote(whole, NOW_NS + 1, level=0.65)
    requote(whole, NOW_NS + 1, expiry=LATER_MS)
    (all_of_it,) = whole.drain(NOW_NS + 1)
    np.testing.assert_allclose(part.params[0], all_of_it.params[0], rtol=1e-9)


def empty(pipeline: Pipeline, now_ns: int) -> None:
    """Take every quote away."""
    for of in pipeline.chains["BTC"].contracts:
        pipeline.apply(Quote(of, now_ns, now_ns, None, None, None, None))


def test_a_smile_without_quotes_is_held_then_rejected_with_reasons():
    pipeline = fed(smile_board())
    (before,) = pipeline.drain(NOW_NS)
    now_ns = NOW_NS + S
    empty(pipeline, now_ns)
    (held,) = pipeline.drain(now_ns)
    assert held.state.tolist() == [HELD]
    assert held.reasons[0] == ("no usable quote: mostly no_quote",)
    np.testing.assert_array_equal(held.params, before.params)
    assert held.tau[0] == before.tau[0], "parameters belong to the tau they were fitted at"
    (rejected,) = pipeline.drain(NOW_NS + int((HELD_S_MAX + 2) * S))
    assert rejected.state.tolist() == [REJECTED]
    assert np.isnan(rejected.params).all()


def test_stale_quotes_are_not_fitted_to():
    pipeline = fed(smile_board())
    pipeline.drain(NOW_NS)
    (surface,) = pipeline.drain(NOW_NS + 200 * S)
    assert surface.state.tolist() == [HELD]
    assert "stale" in surface.reasons[0][0]


def test_closed_contracts_quotes_are_not_fitted_to():
    pipeline = fed(smile_board())
    pipeline.drain(NOW_NS)
    for of in pipeline.chains["BTC"].contracts:
        pipeline.apply(Status("deribit", of.symbol, "BTC", NOW_NS, NOW_NS, "settlement"))
    (surface,) = pipeline.drain(NOW_NS + 1)
    assert surface.used.tolist() == [0]


def test_the_settlement_window_is_left_out_and_said():
    last_minutes_ns = WEEK_MS * 10**6 - 600 * S
    (surface,) = fed(smile_board(now_ns=last_minutes_ns)).drain(last_minutes_ns)
    assert surface.state.tolist() == [REJECTED]
    assert "settlement_window" in surface.reasons[0][0]


def test_an_expiry_leaves_when_it_expires():
    pipeline = fed(smile_board(), smile_board(expiry=LATER_MS))
    pipeline.drain(NOW_NS)
    (surface,) = pipeline.drain(WEEK_MS * 10**6)
    assert surface.expiries == (LATER_MS,)


def test_the_last_expiry_leaves_an_empty_surface_once():
    pipeline = fed(smile_board())
    pipeline.drain(NOW_NS)
    (surface,) = pipeline.drain(WEEK_MS * 10**6)
    assert surface.expiries == ()
    assert pipeline.drain(WEEK_MS * 10**6 + S) == []


def test_a_new_listing_joins():
    pipeline = fed(smile_board())
    pipeline.drain(NOW_NS)
    for event in smile_board(expiry=LATER_MS):
        pipeline.apply(event)
    (surface,) = pipeline.drain(NOW_NS + 1)
    assert surface.expiries == (WEEK_MS, LATER_MS)
    assert surface.version == 2


def test_a_stale_outlier_does_not_bend_the_smile():
    board = smile_board()
    outlier = option(round(100 * math.exp(0.1), 6))
    wrong = Quote(outlier, NOW_NS, NOW_NS + 1, 8.0, 8.05, 1.0, 1.0)
    (surface,) = fed(board, [wrong]).drain(NOW_NS)
    for k in (-0.2, 0.0, 0.2):
        assert surface.vol(WEEK_MS, k=k) == pytest.approx(0.6 * (1 - 0.3 * k + 2 * k * k), abs=0.02)


def test_every_unused_quote_has_a_reason_and_the_counts_add_up():
    (surface,) = fed(smile_board()).drain(NOW_NS)
    assert surface.quotes[0] == surface.used[0] + surface.rejected[0].sum()
    assert ((surface.board.selection.reason == 0).sum()) == surface.used.sum()


def test_undecodable_bytes_are_counted_and_kept():
    pipeline = Pipeline()
    pipeline.push("deribit", b"not json", 5)
    assert pipeline.rejects["deribit", "not_json"] == 1
    assert pipeline.rejected[0][:2] == ("deribit", 5)
    assert pipeline.rejected[0][3] == b"not json"


def test_currencies_may_be_limited():
    pipeline = Pipeline(ccys=["ETH"])
    for event in (*smile_board(), *smile_board(ccy="ETH")):
        pipeline.apply(event)
    assert [surface.ccy for surface in pipeline.drain(NOW_NS)] == ["ETH"]


def test_no_forward_is_a_reason():
    calls = [e for e in smile_board() if not isinstance(e, Forward) and e.contract.type == "C"]
    (surface,) = fed(calls).drain(NOW_NS)
    assert surface.reasons == (("no forward",),)
    assert surface.state.tolist() == [REJECTED]


def test_stages_are_timed_only_with_a_stopwatch():
    assert fed(smile_board()).drain(NOW_NS)[0].stages_ms is None
    ticks = iter(range(0, 10**12, 10**6))
    timed = Pipeline(stopwatch=lambda: next(ticks))
    for event in smile_board():
        timed.apply(event)
    stages = timed.drain(NOW_NS)[0].stages_ms
    assert set(stages.values()) == {1.0}


def test_a_raw_notification_reaches_the_surface():
    pipeline = Pipeline()
    for event in smile_board():
        pipeline.apply(event)
    pipeline.drain(NOW_NS)
    listing = {"result": [{"instrument_name": "ETH-27MAR26-3000-C", "kind": "option", "base_currency": "ETH", "strike": 3000,
                           "option_type": "call", "expiration_timestamp": 1774598400000}]}  # fmt: skip
    pipeline.push("deribit", json.dumps(listing).encode(), NOW_NS)
    assert set(pipeline.chains) == {"BTC", "ETH"}
