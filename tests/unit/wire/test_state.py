"""What is published of a surface: the documented types, precisions and identities."""

import msgspec
import numpy as np
import orjson
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, option, smile_board

from derivasys.analytics.arbitrage import certify
from derivasys.calibrate import Rules
from derivasys.messages import Quote
from derivasys.pipeline import Pipeline
from derivasys.smiles import NodeConventions
from derivasys.wire import messages as m
from derivasys.wire.feed import STREAMED, TABLES, Feed
from derivasys.wire.state import price_decimals, state_of, strike_key
from derivasys.wire.variant import Variant

EACH = Variant(rate_ms=50)
LATER_MS = WEEK_MS + 7 * DAY_MS


@pytest.fixture(scope="module")
def surface():
    pipeline = Pipeline()
    for event in (*smile_board(), *smile_board(expiry=LATER_MS)):
        pipeline.apply(event)
    return pipeline.drain(NOW_NS)[0]


def _feed(surface):
    feed = Feed("BTC", "e")
    feed.update(state_of(surface))
    feed.activate(EACH)
    return feed


def snapshot(surface, channel):
    return msgspec.json.decode(_feed(surface).snapshot(EACH, channel), type=m.ServerMessage)


@pytest.mark.parametrize("channel", [*TABLES, "fit"])
def test_messages_are_of_the_documented_types(surface, channel):  # [W1] [W4]
    assert snapshot(surface, channel).version == surface.version


def test_risk_reversals_and_flies_agree_with_the_published_vols(surface):
    for smile in snapshot(surface, "surface").smiles.values():
        vols = {name: node.vol for name, node in smile.nodes.items()}
        for delta in (5, 10, 15, 20, 25, 30, 35, 40):
            call, put = vols[f"{delta}C"], vols[f"{delta}P"]
            assert smile.risk_reversals[f"RR{delta:02d}"] == pytest.approx(call - put, abs=1e-9)
            assert smile.flies[f"FLY{delta:02d}"] == pytest.approx(call + put - 2 * vols["ATMF"], abs=1e-9)
        assert smile.atm_vol == vols["ATMF"]


def test_the_published_parameters_reproduce_the_published_vols(surface):  # [W3]
    for smile in snapshot(surface, "surface").smiles.values():
        p = smile.params
        for node in smile.nodes.values():
            k = node.log_moneyness
            w = p.a + p.b * (p.rho * (k - p.m) + np.hypot(k - p.m, p.sigma))
            assert 100 * np.sqrt(w / smile.tau) == pytest.approx(node.vol, abs=6e-3), "k is published to 1e-5"


def test_nodes_reach_their_deltas_in_order(surface):
    for smile in snapshot(surface, "surface").smiles.values():
        nodes = list(smile.nodes.values())
        assert [node.log_moneyness for node in nodes] == sorted(node.log_moneyness for node in nodes)
        assert all(abs(node.delta_error) < 1e-6 for node in nodes)
        assert [node.target_delta for node in nodes[:2]] == [-0.05, -0.1]
        assert smile.nodes["25C"].option_type == "C"
        assert smile.nodes["25P"].bid_vol < smile.nodes["25P"].vol < smile.nodes["25P"].ask_vol


def test_nothing_is_certified_that_was_not_proved(surface):
    for smile in snapshot(surface, "surface").smiles.values():
        assert smile.certificate.butterfly in ("certified", "violated", "unchecked")
        if smile.certificate.butterfly == "unchecked":
            assert smile.certificate.min_g is msgspec.UNSET


def test_the_certificate_is_of_the_parameters_as_published(surface):  # [W6]
    message = orjson.loads(_feed(surface).snapshot(EACH, "surface"))
    smiles = sorted(message["smiles"].values(), key=lambda smile: smile["expiry"])
    params = np.array([[smile["params"][name] for name in ("a", "b", "rho", "m", "sigma")] for smile in smiles])
    proof = certify(params)
    for at, smile in enumerate(smiles):
        assert (smile["certificate"]["butterfly"] == "certified") == bool(proof.butterfly_ok[at])
        assert (smile["certificate"]["calendar"] == "certified") == bool(proof.calendar_ok[at])
        assert smile["certificate"]["min_g"] == pytest.approx(proof.min_g[at], abs=1e-6)


def test_one_version_stands_in_every_channel(surface):  # [W7]
    feed = _feed(surface)
    assert {orjson.loads(feed.snapshot(EACH, channel))["version"] for channel in STREAMED} == {surface.version}


def test_levels_show_the_out_of_the_money_option(surface):
    for by_strike in snapshot(surface, "levels").levels.values():
        for strike, by_venue in by_strike.items():
            level = by_venue["deribit"]
            if float(strike) != 100:  # at the forward either may be the one out of the money
                assert level.option_type == ("C" if float(strike) > 100 else "P")
            assert level.bid_vol < level.ask_vol
            assert level.used
            assert level.reason is msgspec.UNSET


def test_an_expiry_without_forward_or_fit_is_still_a_valid_message():
    pipeline = Pipeline()
    for event in smile_board():
        if getattr(event, "contract", None) is not None and event.contract.type == "C":
            pipeline.apply(event)
    (smile,) = snapshot(pipeline.drain(NOW_NS)[0], "surface").smiles.values()
    assert (smile.fit.state, smile.fit.reasons) == ("rejected", ["no forward"])
    assert smile.forward is smile.params is smile.nodes is msgspec.UNSET


def test_the_forward_says_how_far_parity_is(surface):
    for smile in snapshot(surface, "surface").smiles.values():
        assert smile.forward.parity_gap_bp == pytest.approx(0.0, abs=0.1)
        assert smile.forward.parity_stderr_bp > 0


def test_variance_swaps_and_the_index(surface):
    message = snapshot(surface, "surface")
    assert all(smile.variance_swap_vol > smile.atm_vol for smile in message.smiles.values())
    assert message.vol_index_30d is msgspec.UNSET, "30 days lie outside these two expiries"
    pipeline = Pipeline()
    for event in (*smile_board(), *smile_board(expiry=WEEK_MS + 40 * DAY_MS)):
        pipeline.apply(event)
    message = snapshot(pipeline.drain(NOW_NS)[0], "surface")
    first, second = message.smiles.values()
    assert first.variance_swap_vol < message.vol_index_30d < second.variance_swap_vol
    assert first.variance_swap_extrapolated < 0.1 < second.variance_swap_extrapolated, "quoted to ±0.3 both"


@pytest.mark.parametrize("fly", ["full", "half", "market_strangle"])
@pytest.mark.parametrize("delta", ["forward", "premium_adjusted"])
def test_other_conventions_are_named_and_kept(delta, fly):
    pipeline = Pipeline(Rules(nodes=NodeConventions(delta=delta, fly=fly)))
    for event in (*smile_board(), *smile_board(expiry=LATER_MS)):
        pipeline.apply(event)
    (surface,) = pipeline.drain(NOW_NS)
    message = snapshot(surface, "surface")
    assert (message.conventions.delta, message.conventions.fly) == (delta, fly)
    for smile in message.smiles.values():
        call, put, atm = (smile.nodes[name].vol for name in ("25C", "25P", "ATMF"))
        full = call + put - 2 * atm
        assert smile.flies["FLY25"] == pytest.approx(
            full if fly == "full" else full / 2, rel=1e-3 if fly != "market_strangle" else 0.3, abs=1e-3
        )
        assert smile.risk_reversals["RR25"] == pytest.approx(call - put, abs=1e-9)
    row = snapshot(surface, "tenors").tenors["2W"]
    assert row.risk_reversals["RR25"] == pytest.approx(row.vols["25C"] - row.vols["25P"], abs=1e-9)


def test_tenor_rows_name_their_method_and_certificate(surface):
    tenors = snapshot(surface, "tenors").tenors
    assert [tenors[label].method for label in ("1D", "2W", "1Y")] == [
        "scaled_slice",
        "linear_total_variance",
        "shifted_slice",
    ]
    assert {row.butterfly for row in tenors.values()} == {"certified"}
    assert {row.calendar for row in tenors.values()} == {"certified"}


def test_tenors_outside_the_listing_are_flagged(surface):
    tenors = snapshot(surface, "tenors").tenors
    assert tenors["1D"].is_extrapolated
    assert not tenors["2W"].is_extrapolated
    assert tenors["1Y"].is_extrapolated
    assert tenors["2W"].atm_vol == pytest.approx(60, abs=1)


@pytest.mark.parametrize(("forward", "decimals"), [(70_000.0, 2), (2_000.0, 2), (150.0, 3), (0.6, 6)])
def test_price_decimals(forward, decimals):
    assert price_decimals(np.array([forward])) == decimals


def test_strike_keys():
    assert [strike_key(at) for at in (100000.0, 0.625, 1.02)] == ["100000", "0.625", "1.02"]


def test_through_cells_are_named_by_expiry_strike_and_venue(surface):
    pipeline = Pipeline()
    for event in smile_board():
        pipeline.apply(event)
    call, put = option(105.127110, "C"), option(105.127110, "P")
    pipeline.apply(Quote(call, NOW_NS, NOW_NS, 4.0, None, 3.0, None))
    pipeline.apply(Quote(put, NOW_NS, NOW_NS, 10.0, None, 5.0, None))
    (through,) = pipeline.drain(NOW_NS)
    (cell,) = [cell["deribit"] for cell in snapshot(through, "through").cells[str(WEEK_MS)].values()]
    better = max(through.through.net)
    assert cell.net == pytest.approx(better, abs=1e-3), "of call and put the one that is worth more"
    assert (cell.side, cell.option_type, cell.size) == ("bid", "P", 5.0)
    assert cell.since == NOW_NS // 1_000_000
    assert 0 < cell.net < cell.excess
    assert snapshot(surface, "through").cells == {}
