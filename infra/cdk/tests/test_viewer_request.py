"""The CloudFront function, run under Node with requests as CloudFront gives them."""

from __future__ import annotations

import json
import subprocess

import pytest
from derivasys_infra.config import load
from derivasys_infra.site import viewer_request

from .conftest import NODE

HOST = "derivasys.example"


def _run(uri: str, host: str | None = HOST, query: dict | None = None):
    headers = {} if host is None else {"host": {"value": host}}
    event = {
        "version": "1.0",
        "context": {"eventType": "viewer-request"},
        "request": {"method": "GET", "uri": uri, "querystring": query or {}, "headers": headers, "cookies": {}},
    }
    program = f"{viewer_request(load('prod'))}\nconsole.log(JSON.stringify(handler({json.dumps(event)})))"
    done = subprocess.run([NODE, "-e", program], capture_output=True, text=True, check=True, timeout=30)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("uri", "served"),
    [
        ("/", "/index.html"),
        ("/system", "/index.html"),
        ("/history/BTC", "/index.html"),
        ("/history/", "/index.html"),
        ("/v1.2/history", "/index.html"),
        ("/index.html", "/index.html"),
        ("/config.json", "/config.json"),
        ("/assets/index-3f2a.js", "/assets/index-3f2a.js"),
        ("/icon.svg", "/icon.svg"),
    ],
)
def test_routes_get_the_page_and_files_themselves(uri, served):
    assert _run(uri)["uri"] == served


def test_the_query_stays_with_a_served_request():
    query = {"ccy": {"value": "ETH"}}
    assert _run("/history", query=query)["querystring"] == query


@pytest.mark.parametrize(
    ("uri", "query", "location"),
    [
        ("/", {}, f"https://{HOST}/"),
        ("/history/BTC", {"ccy": {"value": "ETH"}}, f"https://{HOST}/history/BTC?ccy=ETH"),
        ("/x", {"a": {"value": "1", "multiValue": [{"value": "1"}, {"value": "2"}]}, "b": {"value": ""}},
         f"https://{HOST}/x?a=1&a=2&b"),
        ("/x", {"q": {"value": "a%26b%3Dc"}}, f"https://{HOST}/x?q=a%26b%3Dc"),
        # An address within the path cannot carry anybody to another host.
        ("//evil.example/x", {}, f"https://{HOST}//evil.example/x"),
        ("/%0d%0aset-cookie:x", {}, f"https://{HOST}/%0d%0aset-cookie:x"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("host", ["www.derivasys.example", "d111.cloudfront.net", None])
def test_another_host_is_sent_to_the_canonical_one(uri, query, location, host):
    answer = _run(uri, host, query)
    assert answer["statusCode"] == 301
    assert answer["headers"]["location"]["value"] == location


def test_the_hosts_case_does_not_matter():
    assert _run("/icon.svg", "DerivaSys.Example")["uri"] == "/icon.svg"


def test_the_code_fits_cloudfronts_limit():
    assert len(viewer_request(load("prod")).encode()) < 10_240
