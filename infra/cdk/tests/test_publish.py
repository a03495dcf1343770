"""The page goes to S3 with its types and its caching: against a moto server, by the real SDK."""

from __future__ import annotations

import json
import logging

import boto3
import pytest
from moto.server import ThreadedMotoServer

import publish


@pytest.fixture
def s3(monkeypatch):
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    client = boto3.client("s3", region_name="eu-west-2")
    client.create_bucket(Bucket="site", CreateBucketConfiguration={"LocationConstraint": "eu-west-2"})
    yield client
    server.stop()


@pytest.fixture
def page(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "index-3f2a.js").write_text("1")
    (tmp_path / "index.html").write_text("<html>")
    (tmp_path / "icon.svg").write_text("<svg/>")
    (tmp_path / "config.json").write_text('{"ws_path": "/somewhere-else"}')
    return tmp_path


def test_assets_for_good_and_the_page_never_cached(s3, page, capsys):
    assert publish.main("dev", "site", page) == 0
    got = {
        key["Key"]: s3.head_object(Bucket="site", Key=key["Key"])
        for key in s3.list_objects_v2(Bucket="site")["Contents"]
    }
    assert set(got) == {"assets/index-3f2a.js", "index.html", "icon.svg", "config.json"}
    assert got["assets/index-3f2a.js"]["CacheControl"] == publish.FOREVER
    assert got["assets/index-3f2a.js"]["ContentType"] == "text/javascript; charset=utf-8"
    assert {got[key]["CacheControl"] for key in ("index.html", "icon.svg", "config.json")} == {"no-cache"}
    assert got["icon.svg"]["ContentType"] == "image/svg+xml"
    told = json.loads(s3.get_object(Bucket="site", Key="config.json")["Body"].read())
    assert told["ws_url"] == "wss://live.dev.derivasys.example/ws"
    assert "1 files: public" in capsys.readouterr().out


def test_the_page_comes_last(page):
    keys = [key for key, *_ in publish.uploads(publish.load("dev"), page, "x")]
    assert keys[-1] == "index.html"
    assert keys[0].startswith("assets/")


def test_what_is_missing_is_named(tmp_path, capsys):
    assert publish.main("dev", "site", tmp_path) == 2
    assert "make setup" in capsys.readouterr().err
    assert publish.main("staging", "site", tmp_path) == 2
