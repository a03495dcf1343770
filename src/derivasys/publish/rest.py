"""REST, metrics and the dashboard's files: the same objects as on the socket, as documents."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from derivasys.publish.gateway import Gateway
from derivasys.publish.openapi import document
from derivasys.wire.feed import State
from derivasys.wire.messages import SCHEMA, Source

Health = Callable[[], list[str]]
"""Returns why the service is not ready; [] when it is."""

_JSON = "application/json"
_PROBLEM = "application/problem+json"
_NO_DASHBOARD = "The dashboard has not been built. Run `make setup` (it needs Node 20), then reload this page.\n"


class Rest:
    """Routes over a gateway's feeds. `site` is the dashboard's build folder."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        source: Source,
        build: str,
        health: Health,
        metrics: CollectorRegistry,
        site: Path,
    ) -> None:
        self._gateway = gateway
        self._source = source
        self._build = build
        self._health = health
        self._metrics = metrics
        self._site = site.resolve()
        self._documents: dict[tuple[str, str], tuple[int, Response]] = {}

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/surface/latest", self._latest(_surface)),
                Route("/smiles/latest", self._latest(_levels)),
                Route("/tenors/latest", self._latest(_tenors)),
                Route("/through/latest", self._latest(_through)),
                Route("/diagnostics/latest", self._latest(_diagnostics)),
                Route("/status", self._status),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics_text),
                Route("/config.json", self._config),
                Route("/openapi.json", self._openapi),
                Route("/{path:path}", self._file),
            ],
            middleware=[Middleware(GZipMiddleware, minimum_size=1024, compresslevel=4)],
            exception_handlers={HTTPException: _http_problem, 500: _server_problem},
        )

    def _latest(self, body: Callable[[State], dict[str, Any]]) -> Callable[[Request], Awaitable[Response]]:
        async def respond(request: Request) -> Response:
            unknown = set(request.query_params) - {"ccy"}
            if unknown:
                name = min(unknown)
                return problem(400, "Unknown parameter", f"{name!r} is not known here", name)
            ccy = request.query_params.get("ccy", "BTC")
            feed = self._gateway.feeds.get(ccy)
            if feed is None or feed.state is None:
                listed = ", ".join(self._gateway.available) or "none yet"
                return problem(404, "No such surface", f"no surface for {ccy[:16]!r}; available: {listed}", "ccy")
            state = feed.state
            content = {
                "schema": SCHEMA,
                "ts": state.ts,
                "ccy": ccy,
                "epoch": feed.epoch,
                "version": state.version,
                "source": self._source,
                **body(state),
            }
            return _with_etag(request, orjson.dumps(content))

        return respond

    async def _status(self, request: Request) -> Response:
        if self._gateway.status is None:
            return problem(503, "Starting", "no status yet")
        return _with_etag(request, self._gateway.status)

    async def _healthz(self, request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type=_JSON)

    async def _readyz(self, request: Request) -> Response:
        reasons = self._health()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return Response(orjson.dumps(body), 503 if reasons else 200, media_type=_JSON)

    async def _metrics_text(self, request: Request) -> Response:
        return PlainTextResponse(generate_latest(self._metrics), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _config(self, request: Request) -> Response:
        body = {"ws_path": "/ws", "build": self._build}
        return Response(orjson.dumps(body), media_type=_JSON, headers={"cache-control": "no-cache"})

    async def _openapi(self, request: Request) -> Response:
        return _with_etag(request, orjson.dumps(document(self._build)))

    async def _file(self, request: Request) -> Response:
        """Serve the dashboard: hashed assets for good, the page itself always fresh."""
        path = request.path_params["path"]
        file = (self._site / path).resolve()
        if file.is_file() and file.is_relative_to(self._site):
            is_asset = path.startswith("assets/")
            cache = "public, max-age=31536000, immutable" if is_asset else "no-cache"
            return FileResponse(file, headers={"cache-control": cache, **_PAGE_HEADERS})
        page = self._site / "index.html"
        # Paths without an ending are the page's own routes.
        if "." not in path.rpartition("/")[2]:
            if page.is_file():
                return FileResponse(page, headers={"cache-control": "no-cache", **_PAGE_HEADERS})
            return PlainTextResponse(_NO_DASHBOARD, 503)
        return problem(404, "Not found", f"nothing at /{path[:80]}")


_PAGE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


def problem(status: int, title: str, detail: str = "", path: str = "") -> Response:
    """Return an RFC 9457 problem document."""
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status}
    if detail:
        body["detail"] = detail
    if path:
        body["path"] = path
    return Response(orjson.dumps(body), status, media_type=_PROBLEM)


async def _http_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return problem(error.status_code, str(error.detail))


async def _server_problem(request: Request, error: Exception) -> Response:
    return problem(500, "Internal error", "the error has been logged")


def _with_etag(request: Request, content: bytes) -> Response:
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"etag": etag, "cache-control": "no-cache"}
    candidates = request.headers.get("if-none-match", "").replace("W/", "").split(",")
    if etag in (candidate.strip() for candidate in candidates):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=_JSON, headers=headers)


def _surface(state: State) -> dict[str, Any]:
    table = state.tables["surface"]
    smiles = [table.row(at) for at in range(len(table.keys))]
    return {"conventions": state.conventions, **state.head, "smiles": smiles}


def _levels(state: State) -> dict[str, Any]:
    return {"levels": state.tables["levels"].tree()}


def _tenors(state: State) -> dict[str, Any]:
    table = state.tables["tenors"]
    return {"tenors": [table.row(at) for at in range(len(table.keys))]}


def _through(state: State) -> dict[str, Any]:
    return {"cells": state.tables["through"].tree()}


def _diagnostics(state: State) -> dict[str, Any]:
    return state.fit
