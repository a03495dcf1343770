import asyncio
import re

import httpx
import msgspec
import pytest
from openapi_spec_validator import validate
from prometheus_client import CollectorRegistry, Gauge
from tests.boards import NOW_NS, smile_board

from derivasys.pipeline import Pipeline
from derivasys.publish.gateway import Gateway
from derivasys.publish.openapi import document
from derivasys.publish.rest import Rest
from derivasys.wire import documents as d
from derivasys.wire.state import state_of


class Http:
    """Requests to an application without a server."""

    def __init__(self, app) -> None:
        self.app = app

    def request(self, method: str, path: str, **options) -> httpx.Response:
        return asyncio.run(self._request(method, path, options))

    def get(self, path: str, **options) -> httpx.Response:
        return self.request("GET", path, **options)

    async def _request(self, method: str, path: str, options: dict) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.request(method, path, **options)


class World:
    def __init__(self, site) -> None:
        self.faults: list[str] = []
        self.gateway = Gateway(lambda: 0.0, lambda: 0)
        self.gateway.add_feed("BTC", "e1")
        pipeline = Pipeline()
        for event in smile_board():
            pipeline.apply(event)
        self.gateway.publish(state_of(pipeline.drain(NOW_NS)[0]))
        registry = CollectorRegistry()
        Gauge("derivasys_clients", "x", registry=registry).set(3)
        rest = Rest(
            self.gateway, source="replay", build="9.9", health=lambda: self.faults, metrics=registry, site=site
        )  # fmt: skip
        self.http = Http(rest.app())


@pytest.fixture
def world(tmp_path) -> World:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<html>page</html>")
    (tmp_path / "assets" / "a.js").write_text("//" + "x" * 3000)
    return World(tmp_path)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/surface/latest", d.SurfaceDocument), ("/smiles/latest", d.LevelsDocument),
        ("/tenors/latest", d.TenorsDocument), ("/through/latest", d.ThroughDocument),
        ("/diagnostics/latest", d.DiagnosticsDocument),
    ],
)  # fmt: skip
def test_bodies_are_of_the_documented_types(world, path, kind):
    reply = world.http.get(path, params={"ccy": "BTC"})
    assert reply.status_code == 200
    body = msgspec.json.decode(reply.content, type=kind)
    assert (body.ccy, body.version, body.epoch, body.source) == ("BTC", 1, "e1", "replay")


def test_the_surface_is_an_array_in_order_of_expiry(world):  # [W41]
    smiles = world.http.get("/surface/latest").json()["smiles"]
    assert isinstance(smiles, list)
    assert [smile["expiry"] for smile in smiles] == sorted(smile["expiry"] for smile in smiles)


def test_etags_spare_the_body(world):
    first = world.http.get("/surface/latest")
    again = world.http.get("/surface/latest", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_bodies_are_compressed_on_request(world):
    assert world.http.get("/surface/latest", headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("path", "status", "field"),
    [("/surface/latest?ccy=DOGE", 404, "ccy"), ("/surface/latest?when=now", 400, "when"), ("/nothing.js", 404, None), ("/status", 503, None)],
)  # fmt: skip
def test_errors_are_problem_documents(world, path, status, field):
    reply = world.http.get(path)
    assert reply.status_code == status
    assert reply.headers["content-type"] == "application/problem+json"
    problem = msgspec.json.decode(reply.content, type=d.Problem)
    assert problem.status == status
    assert (None if problem.path is msgspec.UNSET else problem.path) == field


def test_only_get_is_allowed(world):
    reply = world.http.request("POST", "/surface/latest")
    assert reply.status_code == 405
    assert reply.headers["content-type"] == "application/problem+json"


def test_health_and_readiness(world):
    assert world.http.get("/healthz").json() == {"status": "ok"}
    assert world.http.get("/readyz").status_code == 200
    world.faults.append("deribit is stale")
    reply = world.http.get("/readyz")
    assert (reply.status_code, reply.json()["reasons"]) == (503, ["deribit is stale"])


def test_metrics(world):
    assert re.search(r"^derivasys_clients 3\.0$", world.http.get("/metrics").text, re.MULTILINE)


def test_config_tells_the_page_its_socket(world):
    assert msgspec.json.decode(world.http.get("/config.json").content, type=d.SiteConfig).ws_path == "/ws"


def test_the_openapi_document_is_valid_and_lists_every_route(world):
    described = world.http.get("/openapi.json").json()
    validate(described)
    assert described == document("9.9")
    for path in ("/surface/latest", "/smiles/latest", "/tenors/latest", "/diagnostics/latest", "/status", "/readyz"):
        assert path in described["paths"]


def test_the_page_its_routes_and_its_assets(world):
    assert world.http.get("/").text == "<html>page</html>"
    assert world.http.get("/fit").text == "<html>page</html>"
    assert world.http.get("/").headers["cache-control"] == "no-cache"
    assert "immutable" in world.http.get("/assets/a.js").headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/../secret.txt", "/..%2fsecret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt"]
)
def test_nothing_outside_the_site_is_served(world, tmp_path, path):
    (tmp_path.parent / "secret.txt").write_text("secret")
    assert "secret" not in world.http.get(path).text.replace("secret.txt", "")


def test_a_missing_dashboard_says_how_to_build_it(tmp_path):
    reply = World(tmp_path / "nowhere").http.get("/")
    assert reply.status_code == 503
    assert "make setup" in reply.text
