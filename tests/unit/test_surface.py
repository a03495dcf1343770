"""What can be asked of a surface."""

import numpy as np
import pyarrow as pa
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, smile_board

from derivasys import frames
from derivasys.analytics.black import black_price
from derivasys.calibrate import Rules
from derivasys.pipeline import Pipeline
from derivasys.smiles import NodeConventions

LATER_MS = WEEK_MS + 40 * DAY_MS


def surface_of(**conventions):
    pipeline = Pipeline(Rules(nodes=NodeConventions(**conventions)))
    for event in (*smile_board(), *smile_board(expiry=LATER_MS, forward=101.0)):
        pipeline.apply(event)
    return pipeline.drain(NOW_NS)[0]


@pytest.fixture(scope="module")
def surface():
    return surface_of()


def test_a_vol_by_strike_k_or_delta(surface):
    k = np.linspace(-0.2, 0.2, 5)
    strike = float(surface.forward[0]) * np.exp(k)
    assert surface.vol(WEEK_MS, k=k) == pytest.approx(surface.vol(WEEK_MS, strike=strike))
    nodes = surface.nodes()
    for at, (expiry, name, vol) in enumerate(zip(nodes["expiry"], nodes["node"], nodes["vol"], strict=True)):
        if name != "ATMF":
            delta = int(name[:-1]) / 100 * (-1 if name[-1] == "P" else 1)
            assert surface.vol(expiry, delta=delta) == pytest.approx(vol, rel=1e-9)
            assert surface.vol(expiry, strike=nodes["strike"][at]) == pytest.approx(vol, rel=1e-9)
    assert surface.total_variance(WEEK_MS, k=0.1) == pytest.approx(surface.vol(WEEK_MS, k=0.1) ** 2 * surface.tau[0])


def test_between_expiries_it_is_the_tenor_rows(surface):
    rows = surface.tenors()
    for at, (tau, method) in enumerate(zip(rows["tau"], rows["method"], strict=True)):
        assert surface.vol(tau=tau, delta=-0.25) == pytest.approx(rows["25P"][at], rel=1e-9), method
        assert surface.vol(tau=tau, k=0.0) == pytest.approx(rows["ATMF"][at], rel=1e-12)
        assert surface.vol(tau=tau, strike=rows["forward"][at]) == pytest.approx(rows["ATMF"][at], rel=1e-9)
    assert surface.vol(tau=float(surface.tau[1]), k=0.1) == pytest.approx(surface.vol(LATER_MS, k=0.1))


@pytest.mark.parametrize("where", [{"expiry": WEEK_MS}, {"tau": 0.05}, {"tau": 0.01}])
def test_probabilities_are_those_of_digital_prices(surface, where):
    forward = float(surface.forward[0])
    h = 1e-3

    def call(strike):
        w = surface.total_variance(**where, strike=strike)
        at = strike / forward_of(surface, where)
        return float(black_price(1.0, at, 1.0, np.sqrt(w), True)) * forward_of(surface, where)

    for strike in (0.9 * forward, forward, 1.1 * forward):
        digital = -(call(strike + h) - call(strike - h)) / (2 * h)
        assert surface.cdf(**where, strike=strike) == pytest.approx(1 - digital, abs=1e-6)
        rise = (surface.cdf(**where, strike=strike + h) - surface.cdf(**where, strike=strike - h)) / (2 * h)
        assert surface.density(**where, strike=strike) == pytest.approx(rise, rel=1e-4)
    at_k = surface.density(**where, k=0.05)
    assert surface.density(**where, strike=forward_of(surface, where) * np.exp(0.05)) * forward_of(
        surface, where
    ) * np.exp(0.05) == pytest.approx(at_k)


def forward_of(surface, where):
    if "expiry" in where:
        return float(surface.forward[0])
    return float(np.exp(np.interp(where["tau"], surface.tau, np.log(surface.forward))))


def test_the_premium_adjusted_convention_is_used_throughout():
    surface = surface_of(delta="premium_adjusted")
    forward_delta = surface_of()
    nodes = surface.nodes()
    at = nodes["node"].index("25P")
    assert surface.vol(WEEK_MS, delta=-0.25) == pytest.approx(nodes["vol"][at], rel=1e-9)
    assert nodes["vol"][at] != pytest.approx(forward_delta.nodes()["vol"][at], abs=1e-4)
    rows = surface.tenors()
    assert surface.vol(tau=rows["tau"][4], delta=0.25) == pytest.approx(rows["25C"][4], rel=1e-9)


def test_questions_that_cannot_be_answered_say_why(surface):
    with pytest.raises(ValueError, match="either expiry or tau"):
        surface.vol(k=0.0)
    with pytest.raises(ValueError, match="either expiry or tau"):
        surface.vol(WEEK_MS, tau=0.1, k=0.0)
    with pytest.raises(ValueError, match="one of strike, k and delta"):
        surface.vol(WEEK_MS)
    with pytest.raises(ValueError, match="listed are"):
        surface.vol(1, k=0.0)
    with pytest.raises(ValueError, match="not above zero"):
        surface.vol(tau=0.0, k=0.0)
    with pytest.raises(ValueError, match="between −1 and 1"):
        surface.vol(WEEK_MS, delta=25)


def test_the_certificate_by_expiry(surface):
    assert set(surface.certificate) == {WEEK_MS, LATER_MS}
    assert surface.certificate[LATER_MS]["calendar"] == "certified"
    assert surface.certificate[LATER_MS]["calendar_margin"] > 0


def test_variance_swaps_lie_above_the_money_and_the_index_between_the_expiries(surface):
    vols = surface.variance_swap_vol
    assert (vols > surface.vol(WEEK_MS, k=0.0)).all()
    assert min(vols) <= surface.vol_index_30d <= max(vols)


def test_a_rejected_surface_has_no_numbers():
    pipeline = Pipeline()
    for event in smile_board():
        if getattr(event, "contract", None) is not None and event.contract.type == "C":
            pipeline.apply(event)
    (surface,) = pipeline.drain(NOW_NS)
    assert np.isnan(surface.vol(WEEK_MS, k=0.0))
    assert np.isnan(surface.vol(tau=0.1, delta=0.25))
    assert np.isnan(surface.cdf(tau=0.1, k=0.0))
    assert np.isnan(surface.vol_index_30d)


def test_a_frame_has_a_row_a_node(surface, monkeypatch):
    monkeypatch.setattr(frames, "_is_there", lambda name: name == "pyarrow")
    frame = surface.to_frame()
    assert isinstance(frame, pa.Table)
    assert frame.num_rows == 2 * 17
    assert {"expiry", "node", "k", "strike", "vol"} <= set(frame.column_names)
