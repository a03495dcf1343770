"""Tables of a published surface, and what is asked for once."""

import sys

import httpx
import orjson
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from tests.boards import DAY_MS, NOW_NS, WEEK_MS, option, smile_board

from derivasys import frames
from derivasys.client import ClientError, PublishedSurface, latest
from derivasys.client.replica import NotUnderstood, Replica
from derivasys.messages import Quote
from derivasys.pipeline import Pipeline
from derivasys.wire.feed import STREAMED, Feed
from derivasys.wire.state import state_of
from derivasys.wire.variant import Variant


def made():
    pipeline = Pipeline()
    for event in (*smile_board(), *smile_board(expiry=WEEK_MS + 30 * DAY_MS)):
        pipeline.apply(event)
    pipeline.apply(Quote(option(105.127110, "C"), NOW_NS, NOW_NS, 4.0, None, 3.0, None))
    surface = pipeline.drain(NOW_NS)[0]
    feed, replica = Feed("BTC", "e"), Replica("BTC", STREAMED)
    feed.update(state_of(surface))
    for channel in STREAMED:
        replica.receive(feed.snapshot(Variant(), channel))
    return surface, PublishedSurface(replica.states)


@pytest.fixture(scope="module")
def both():
    return made()


def test_nodes_are_those_of_the_surface_in_decimals(both):
    direct, published = both
    ours, theirs = published.nodes(), direct.nodes()
    assert ours["node"] == theirs["node"]
    assert ours["expiry"] == theirs["expiry"]
    assert ours["vol"] == pytest.approx(theirs["vol"], abs=1e-5)
    assert ours["strike"] == pytest.approx(theirs["strike"], abs=1e-2)


def test_tenors_are_those_of_the_surface_in_decimals(both):
    direct, published = both
    ours, theirs = published.tenors(), direct.tenors()
    assert ours["label"] == theirs["label"]
    assert ours["25P"] == pytest.approx(theirs["25P"], abs=1e-5)
    assert ours["RR25"][5] == pytest.approx(theirs["25C"][5] - theirs["25P"][5], abs=2e-5)


def test_cells_name_their_place(both):
    _, published = both
    through, levels = published.through(), published.levels()
    assert (through["expiry"], through["venue"], through["side"]) == ([WEEK_MS], ["deribit"], ["bid"])
    assert through["strike"] == [105.12711]
    assert 0 < through["excess_vol"][0] < 2, "a decimal"
    assert len(levels["strike"]) == 26
    assert max(vol for vol in levels["bid_vol"] if vol is not None) < 2


def test_certificates_and_states(both):
    direct, published = both
    assert {at: one["butterfly"] for at, one in published.certificate.items()} == {
        at: one["butterfly"] for at, one in direct.certificate.items()
    }
    assert published.summary()["state"] == ["fitted", "fitted"]


@pytest.mark.parametrize("table", ["nodes", "tenors", "levels", "through", "smiles"])
@pytest.mark.parametrize(
    ("library", "kind"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame), ("pyarrow", pa.Table)]
)
def test_frames_of_every_library(both, table, library, kind):
    made_of = both[1].to_frame(table, library)
    assert isinstance(made_of, kind)
    assert len(made_of) > 0


def test_the_default_is_what_is_installed(both, monkeypatch):
    assert isinstance(both[1].to_frame(), pd.DataFrame)
    monkeypatch.setattr(frames, "_is_there", lambda name: name == "polars")
    assert isinstance(both[1].to_frame(), pl.DataFrame)
    with pytest.raises(ImportError, match="pip install pandas"):
        both[1].to_frame(library="pandas")


def test_bad_wishes_are_named(both):
    with pytest.raises(ValueError, match="there are nodes"):
        both[1].to_frame("smile")
    with pytest.raises(ValueError, match="there are pandas"):
        both[1].to_frame(library="numpy")
    lean = PublishedSurface({"surface": both[1]._states["surface"]})
    with pytest.raises(ValueError, match="tenors is not followed"):
        lean.tenors()


@pytest.mark.parametrize("text", [b"hello", b"[]", b'{"type":"status","schema":2}', b"7"])
def test_what_is_no_message_is_said(text):
    with pytest.raises(NotUnderstood):
        Replica("BTC", STREAMED).receive(text)


# --- latest ----------------------------------------------------------------------------------------


class Site(httpx.BaseTransport):
    """Documents by path; each may be a list, given one after the other."""

    def __init__(self, **documents) -> None:
        self.documents, self.asked = documents, []

    def handle_request(self, request):
        self.asked.append(request)
        found = self.documents[request.url.path.strip("/").partition("/")[0]]
        reply = (
            found.pop(0)
            if isinstance(found, list) and len(found) > 1
            else found[0]
            if isinstance(found, list)
            else found
        )
        return reply if isinstance(reply, httpx.Response) else httpx.Response(200, content=orjson.dumps(reply))


@pytest.fixture
def site(monkeypatch, both):
    states = both[1]._states
    surface = states["surface"] | {"ccy": "BTC", "smiles": list(states["surface"]["smiles"].values())}
    tenors = states["tenors"] | {"tenors": list(states["tenors"]["tenors"].values())}
    served = Site(surface=surface, tenors=tenors)
    client = httpx.Client
    monkeypatch.setattr(httpx, "Client", lambda **options: client(transport=served, **options))
    return served


def test_latest_is_the_surface_with_its_tenors(site, both):
    surface = latest("http://here:1", "BTC", delta="forward", api_key="k")
    assert surface.version == both[0].version
    assert surface.vol(WEEK_MS, k=0.0) == pytest.approx(both[0].vol(WEEK_MS, k=0.0), abs=1e-6)
    assert surface.tenors()["label"][0] == "1D"
    assert [str(request.url) for request in site.asked] == [
        "http://here:1/surface/latest?ccy=BTC&delta=forward", "http://here:1/tenors/latest?ccy=BTC&delta=forward",
    ]  # fmt: skip
    assert site.asked[0].headers["authorization"] == "Bearer k"


def test_latest_asks_again_until_both_are_of_one_version(site):
    old = site.documents["tenors"]
    site.documents["tenors"] = [old | {"version": old["version"] - 1}, old]
    latest("ws://here:1/ws", "BTC")
    assert len(site.asked) == 4


def test_the_servers_words_are_in_the_error(site):
    problem = {"type": "about:blank", "title": "No such surface", "status": 404, "detail": "available: BTC"}
    site.documents["surface"] = httpx.Response(
        404, content=orjson.dumps(problem), headers={"content-type": "application/problem+json"}
    )
    with pytest.raises(ClientError, match="404 No such surface: available: BTC"):
        latest("http://here:1", "DOGE")
    site.documents["surface"] = httpx.Response(502, content=b"bad gateway")
    with pytest.raises(ClientError, match="HTTP 502"):
        latest("http://here:1", "BTC")


def test_nobody_there_is_an_error_of_ours():
    with pytest.raises(ClientError, match="http://127.0.0.1:1"):
        latest("http://127.0.0.1:1", "BTC", timeout_s=2)


def test_the_function_keeps_its_name_beside_the_package():
    import derivasys as dv

    assert "derivasys.connect.deribit" in sys.modules
    assert callable(dv.connect)
