"""REST, sentence by sentence of the contract: forms, conventions, prices, negotiation, and errors that name the place."""

import math

import msgspec
import numpy as np
import orjson
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, option, smile_board
from tests.unit.publish.test_rest import World

from derivasys.analytics.black import black_price
from derivasys.messages import Instrument, Quote
from derivasys.pipeline import Pipeline
from derivasys.publish.rest import PRICE_BYTES_MAX
from derivasys.wire import documents as d
from derivasys.wire.documents import OPTIONS_MAX
from derivasys.wire.price import tenor_days
from derivasys.wire.state import state_of

LATER_MS = WEEK_MS + 30 * DAY_MS
EMPTY_MS = WEEK_MS + 60 * DAY_MS
"""An expiry without a usable quote."""


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> World:
    world = World(tmp_path_factory.mktemp("site"))
    pipeline = Pipeline()
    for event in (*smile_board(), *smile_board(expiry=LATER_MS)):
        pipeline.apply(event)
    lone = option(100.0, expiry=EMPTY_MS)
    pipeline.apply(Instrument(lone, NOW_NS, tick_size=1e-6))
    pipeline.apply(Quote(lone, NOW_NS, NOW_NS, None, None, None, None))
    world.surface = pipeline.drain(NOW_NS)[0]
    world.gateway.publish(state_of(world.surface))
    return world


def ask(world, *options, **more):
    return world.http.request("POST", "/price", json={"ccy": "BTC", "options": list(options), **more})


def priced(world, *options, **more) -> list[d.PricedOption]:
    reply = ask(world, *options, **more)
    assert reply.status_code == 200, reply.text
    return msgspec.json.decode(reply.content, type=d.PriceDocument).options


# --- forms and conventions -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/surface/latest", d.ExpandedSurfaceDocument), ("/smiles/latest", d.ExpandedLevelsDocument),
        ("/tenors/latest", d.ExpandedTenorsDocument), ("/through/latest", d.ExpandedThroughDocument),
    ],
)  # fmt: skip
def test_every_document_has_an_expanded_form(world, path, kind):  # [W44]
    body = msgspec.json.decode(world.http.get(path, params={"form": "expanded"}).content, type=kind)
    assert body.form == "expanded"


@pytest.mark.parametrize("path", ["/surface/latest", "/tenors/latest"])
def test_conventions_are_chosen_by_the_request(world, path):
    own = world.http.get(path).json()
    other = world.http.get(path, params={"delta": "premium_adjusted", "fly": "half"}).json()
    assert (own["conventions"]["delta"], own["conventions"]["fly"]) == ("forward", "full")
    assert (other["conventions"]["delta"], other["conventions"]["fly"]) == ("premium_adjusted", "half")
    rows = "smiles" if path == "/surface/latest" else "tenors"
    assert own[rows][1]["risk_reversals"] != other[rows][1]["risk_reversals"]
    half = world.http.get(path, params={"fly": "half"}).json()[rows][0]["flies"]["FLY25"]
    assert half == pytest.approx(own[rows][0]["flies"]["FLY25"] / 2, abs=1e-3)


# --- prices ----------------------------------------------------------------------------------------


def test_a_price_is_black_on_the_published_smile(world):  # [W45]
    (at,) = priced(world, {"expiry": WEEK_MS, "strike": 105.0, "type": "C"})
    vol = float(world.surface.vol(WEEK_MS, strike=105.0))
    assert at.vol == pytest.approx(100 * vol, rel=1e-6)
    assert at.price == pytest.approx(float(black_price(at.forward, 105.0, at.tau, vol, True)), rel=1e-6)
    assert at.price_coin == pytest.approx(at.price / at.forward)
    assert at.log_moneyness == pytest.approx(math.log(105.0 / at.forward))
    assert at.is_extrapolated is False


def test_calls_and_puts_obey_parity(world):
    call, put = priced(world, *({"expiry": WEEK_MS, "strike": 95.0, "type": kind} for kind in "CP"))
    assert call.price - put.price == pytest.approx(call.forward - 95.0)
    assert call.greeks.gamma == pytest.approx(put.greeks.gamma)


def test_greeks_are_differences_of_prices_in_the_units_they_name(world):
    (at,) = priced(world, {"expiry": WEEK_MS, "strike": 105.0, "type": "C"})

    def value(forward=at.forward, vol=at.vol, tau=at.tau):
        return float(black_price(forward, 105.0, tau, vol / 100, True))

    up, down = value(at.forward + 1e-3), value(at.forward - 1e-3)
    assert at.greeks.delta_forward == pytest.approx((up - down) / 2e-3, rel=1e-6)
    assert at.greeks.gamma == pytest.approx((up - 2 * at.price + down) / 1e-6, rel=1e-3)
    assert at.greeks.vega == pytest.approx((value(vol=at.vol + 0.01) - value(vol=at.vol - 0.01)) / 0.02, rel=1e-5)
    day = 1 / 365
    assert at.greeks.theta == pytest.approx((value(tau=at.tau - 1e-4 * day) - at.price) / 1e-4, rel=1e-3)
    assert at.greeks.delta_premium_adjusted == pytest.approx(at.greeks.delta_forward - at.price / at.forward)


@pytest.mark.parametrize("convention", ["forward", "premium_adjusted"])
def test_a_delta_finds_its_strike(world, convention):
    for at in priced(
        world, {"expiry": WEEK_MS, "delta": -0.25, "type": "P"}, {"tenor": "2W", "delta": 0.1, "type": "C"},
        delta_convention=convention,
    ):  # fmt: skip
        reached = at.greeks.delta_forward if convention == "forward" else at.greeks.delta_premium_adjusted
        assert reached == pytest.approx(-0.25 if at.type == "P" else 0.1, abs=1e-9)


def test_a_tenor_between_expiries_is_the_surface_there(world):
    (at,) = priced(world, {"tenor": "2W", "strike": 104.0, "type": "C"})
    assert at.vol == pytest.approx(100 * float(world.surface.vol(tau=14 / 365, strike=104.0)), rel=1e-6)
    assert (at.tenor, at.days, at.expiry) == ("2W", 14.0, msgspec.UNSET)


def test_what_lies_outside_the_quotes_or_the_expiries_says_so(world):
    inside, far, late = priced(
        world, {"expiry": WEEK_MS, "strike": 100.0, "type": "C"}, {"expiry": WEEK_MS, "strike": 300.0, "type": "C"},
        {"tenor": "1Y", "strike": 100.0, "type": "C"},
    )  # fmt: skip
    assert (inside.is_extrapolated, far.is_extrapolated, late.is_extrapolated) == (False, True, True)


def test_no_price_has_a_reason(world):
    rejected, unreached = priced(
        world, {"expiry": EMPTY_MS, "strike": 100.0, "type": "C"}, {"expiry": WEEK_MS, "delta": 0.97, "type": "C"},
        delta_convention="premium_adjusted",
    )  # fmt: skip
    assert "rejected" in rejected.reason
    assert "0.97" in unreached.reason
    assert rejected.price is unreached.price is msgspec.UNSET


@pytest.mark.parametrize(("tenor", "days"), [("1D", 1), ("45D", 45), ("2W", 14), ("1M", 30), ("12M", 360), ("1Y", 365)])
def test_tenors_in_days(tenor, days):
    assert tenor_days(tenor) == days


def test_absurd_numbers_are_answered(world):
    for strike in (1e-12, 1e15):
        (at,) = priced(world, {"expiry": WEEK_MS, "strike": strike, "type": "P"})
        assert np.isfinite([at.vol, at.price, at.greeks.vega]).all()
    for delta in (1e-300, 1e-12, 0.999999999999):
        (at,) = priced(world, {"expiry": WEEK_MS, "delta": delta, "type": "C"})
        assert at.reason is not msgspec.UNSET or np.isfinite(at.price)


# --- errors ----------------------------------------------------------------------------------------

GOOD = {"expiry": WEEK_MS, "strike": 100.0, "type": "C"}


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ([GOOD, {**GOOD, "strike": "100"}], "$.options[1].strike"),
        ([{**GOOD, "strike": -1}], "$.options[0].strike"),
        ([{**GOOD, "strike": 5e-324}], "$.options[0].strike"),
        ([{**GOOD, "type": "X"}], "$.options[0].type"),
        ([{**GOOD, "colour": 1}], "$.options[0]"),
        ([{"strike": 100.0, "type": "C"}], "$.options[0]"),
        ([{**GOOD, "tenor": "1M"}], "$.options[0]"),
        ([{**GOOD, "delta": 0.5}], "$.options[0]"),
        ([{"tenor": "one", "strike": 1.0, "type": "C"}], "$.options[0].tenor"),
        ([{"tenor": "1M", "delta": 1.5, "type": "C"}], "$.options[0].delta"),
        ([{"tenor": "1M", "delta": -0.2, "type": "C"}], "$.options[0].delta"),
        ([{"tenor": "1M", "delta": 0, "type": "P"}], "$.options[0].delta"),
        ([{**GOOD, "expiry": 5}], "$.options[0].expiry"),
        ([], "$.options"),
        ([GOOD] * (OPTIONS_MAX + 1), "$.options"),
    ],
)
def test_a_bad_field_is_named(world, options, path):  # [W46]
    problem = msgspec.json.decode((reply := ask(world, *options)).content, type=d.Problem)
    assert (reply.status_code, problem.status, problem.path) == (422, 422, path)
    assert reply.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("content", "headers", "status", "path"),
    [
        (b"{", {"content-type": "application/json"}, 400, "$"),
        (b"\xff", {"content-type": "application/json"}, 400, "$"),
        (b'{"ccy":"BTC","options":[{"tenor":"1M","strike":1,"type":"C"}]} x', {"content-type": "application/json"}, 400, "$"),
        (b"[" * 5000, {"content-type": "application/json"}, 422, "$"),
        (b"[]", {"content-type": "application/json"}, 422, "$"),
        (b"{}", {"content-type": "application/json"}, 422, "$"),
        (b"{}", {"content-type": "text/plain"}, 415, "Content-Type"),
        (b"{}", {}, 415, "Content-Type"),
        (b"{}", {"content-type": "application/json", "content-encoding": "gzip"}, 415, "Content-Encoding"),
        (b"{}", {"content-type": "application/json", "accept": "text/html"}, 406, "Accept"),
        (b" " * (PRICE_BYTES_MAX + 1), {"content-type": "application/json"}, 413, None),
        (b'{"ccy":"DOGE","options":[{"tenor":"1M","strike":1,"type":"C"}]}', {"content-type": "application/json; charset=utf-8"}, 404, "$.ccy"),
    ],
)  # fmt: skip
def test_a_bad_body_is_a_problem(world, content, headers, status, path):
    reply = world.http.request("POST", "/price", content=content, headers=headers)
    problem = msgspec.json.decode(reply.content, type=d.Problem)
    assert (reply.status_code, problem.status) == (status, status)
    assert (None if problem.path is msgspec.UNSET else problem.path) == path


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("form=flat", "form"),
        ("delta=spot", "delta"),
        ("fly=double", "fly"),
        ("ccy=BTC&ccy=ETH", "ccy"),
        ("ccy=", "ccy"),
    ],
)
def test_a_bad_parameter_is_named(world, query, path):
    reply = world.http.get(f"/surface/latest?{query}")
    assert (reply.status_code, reply.json()["path"]) == (400, path)


def test_what_a_path_does_not_take_is_unknown_there(world):
    assert world.http.get("/smiles/latest?fly=half").json()["path"] == "fly"
    assert world.http.get("/status?ccy=BTC").json()["path"] == "ccy"


@pytest.mark.parametrize("path", ["/surface/latest", "/status", "/openapi.json", "/price"])
def test_a_wrong_method_is_told_which_are_right(world, path):
    reply = world.http.request("DELETE", path)
    assert reply.status_code == 405
    assert reply.headers["content-type"] == "application/problem+json"
    assert set(reply.headers["allow"].split(", ")) == ({"POST"} if path == "/price" else {"GET", "HEAD"})


# --- negotiation -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["{etag}", '"other", {etag}', "*"])
def test_a_known_tag_spares_the_body(world, tag):  # [W42]
    first = world.http.get("/surface/latest")
    again = world.http.get("/surface/latest", headers={"if-none-match": tag.format(etag=first.headers["etag"])})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_the_tag_is_of_the_form_and_convention(world):
    queries = ({}, {"form": "expanded"}, {"fly": "half"}, {"delta": "premium_adjusted"})
    tags = {world.http.get("/surface/latest", params=query).headers["etag"] for query in queries}
    assert len(tags) == len(queries)


@pytest.mark.parametrize(
    ("accept", "status"),
    [("application/json", 200), ("text/html, */*;q=0.1", 200), ("application/*", 200), ("text/html", 406), ("application/json;q=0", 406)],
)  # fmt: skip
def test_what_is_not_accepted_is_not_sent(world, accept, status):
    assert world.http.get("/surface/latest", headers={"accept": accept}).status_code == status


def test_compressed_bytes_are_the_same_document(world):  # [W43]
    plain = world.http.get("/surface/latest", headers={"accept-encoding": "identity"})
    raw = world.http.get("/surface/latest", headers={"accept-encoding": "br;q=1, gzip"})
    assert "content-encoding" not in plain.headers
    assert raw.headers["content-encoding"] == "gzip"
    assert raw.content == plain.content
    assert raw.headers["vary"] == "Accept-Encoding"
    refused = world.http.get("/surface/latest", headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


def test_head_is_get_without_the_body(world):  # [W43]
    get, head = (world.http.request(method, "/surface/latest") for method in ("GET", "HEAD"))
    assert head.status_code == 200
    assert {name: head.headers[name] for name in ("etag", "content-type")} == {
        name: get.headers[name] for name in ("etag", "content-type")
    }


def test_levels_and_through_agree_between_the_forms(world):
    compact = world.http.get("/smiles/latest").json()["levels"]
    expanded = world.http.get("/smiles/latest", params={"form": "expanded"}).json()["levels"]
    flat = {(str(e["expiry"]), p["strike"], p["exchange"]): p.get("best_bid_iv") for e in expanded for p in e["points"]}
    assert flat == {
        (expiry, float(strike), venue): level.get("bid_vol")
        for expiry, strikes in compact.items()
        for strike, venues in strikes.items()
        for venue, level in venues.items()
    }
    assert orjson.dumps(expanded)
