"""REST, metrics and the dashboard's files: the same objects as on the socket, as documents."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from derivasys.publish import asyncapi
from derivasys.publish.gateway import Gateway
from derivasys.publish.openapi import CCY_DEFAULT, QUERIES, document
from derivasys.publish.problems import Refusal, on_fault, on_http, on_refusal, problem
from derivasys.publish.replies import JSON, Body, json_body, of_bytes, parameters, reply, require_json_accepted
from derivasys.wire import expanded
from derivasys.wire.documents import PriceDocument, PriceRequest
from derivasys.wire.feed import Feed, State
from derivasys.wire.messages import SCHEMA, Channel, Source
from derivasys.wire.price import FieldError, price
from derivasys.wire.variant import Variant

Health = Callable[[], list[str]]
"""Returns why the service is not ready; [] when it is."""

PRICE_BYTES_MAX = 256 << 10
"""Of the body of POST /price."""
BODIES_KEPT = 64
"""Documents kept encoded; the oldest goes."""
_NO_DASHBOARD = "The dashboard has not been built. Run `make setup` (it needs Node 20), then reload this page.\n"
_COMPRESSED = [Middleware(GZipMiddleware, minimum_size=1024, compresslevel=4)]
"""For what is no document: documents are compressed once, not once a request."""
_PRICE = msgspec.json.Decoder(PriceRequest)


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
        self.source = source
        self._build = build
        self._health = health
        self._metrics = metrics
        self._site = site.resolve()
        self._bodies: dict[tuple[str, str, Variant], tuple[State, Body]] = {}
        self._asyncapi_body = Body(lambda: orjson.dumps(asyncapi.document(build)), f"asyncapi {build}")
        self._openapi_body = Body(lambda: orjson.dumps(document(build)), f"openapi {build}")

    def app(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                *(Route(path, self._latest(path, body)) for path, body in _LATEST.items()),
                Route("/price", self._price, methods=["POST"]),
                Route("/status", self._status),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._metrics_text, middleware=_COMPRESSED),
                Route("/config.json", self._config),
                Route("/openapi.json", self._openapi),
                Route("/asyncapi.json", self._asyncapi),
                Route("/{path:path}", self._file, middleware=_COMPRESSED),
            ],
            exception_handlers={HTTPException: on_http, Refusal: on_refusal, 500: on_fault},
        )

    def _latest(self, path: str, body: Callable[[State, Variant], dict[str, Any]]) -> _Endpoint:
        async def respond(request: Request) -> Response:
            chosen = parameters(request, QUERIES[path])
            feed, state = self._newest(chosen.pop("ccy", CCY_DEFAULT), "ccy")
            return reply(request, self._body(path, feed, state, Variant(**chosen), body))

        return respond

    def _newest(self, ccy: str, path: str) -> tuple[Feed, State]:
        feed = self._gateway.feeds.get(ccy)
        state = None if feed is None else feed.state
        if feed is None or state is None:
            listed = ", ".join(self._gateway.available) or "none yet"
            raise Refusal(404, "No such surface", f"no surface for {ccy[:16]!r}; available: {listed}", path)
        return feed, state

    def _body(
        self, path: str, feed: Feed, state: State, variant: Variant, body: Callable[[State, Variant], dict[str, Any]]
    ) -> Body:
        """Return a document, encoded and compressed once for all who ask for it."""
        key = (path, state.ccy, variant)
        kept = self._bodies.pop(key, None)
        if kept is None or kept[0] is not state:
            head = self._head(feed, state)

            def make() -> bytes:
                return orjson.dumps(head | body(feed.restated(state, variant), variant))

            kept = (state, Body(make, f"{path} {variant} {sorted(head.items())}"))
        self._bodies[key] = kept
        if len(self._bodies) > BODIES_KEPT:
            del self._bodies[next(iter(self._bodies))]
        return kept[1]

    def _head(self, feed: Feed, state: State) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "ts": state.ts,
            "ccy": state.ccy,
            "epoch": feed.epoch,
            "version": state.version,
            "source": self.source,
        }

    async def _price(self, request: Request) -> Response:
        parameters(request, QUERIES["/price"])
        require_json_accepted(request)
        asked: PriceRequest = await json_body(request, _PRICE, PRICE_BYTES_MAX)
        feed, state = self._newest(asked.ccy, "$.ccy")
        try:
            convention, options = price(state, asked)
        except FieldError as error:
            raise Refusal(422, "Bad field", str(error), error.path) from None
        body = PriceDocument(**self._head(feed, state), delta_convention=convention, options=options)
        return Response(msgspec.json.encode(body), media_type=JSON, headers={"cache-control": "no-store"})

    async def _status(self, request: Request) -> Response:
        parameters(request, {})
        if self._gateway.status is None:
            raise Refusal(503, "Starting", "no status yet", headers={"retry-after": "1"})
        return reply(request, of_bytes(self._gateway.status))

    async def _healthz(self, request: Request) -> Response:
        return Response(b'{"status":"ok"}', media_type=JSON)

    async def _readyz(self, request: Request) -> Response:
        reasons = self._health()
        body = {"status": "not ready" if reasons else "ready", "reasons": reasons}
        return Response(orjson.dumps(body), 503 if reasons else 200, media_type=JSON)

    async def _metrics_text(self, request: Request) -> Response:
        # A family at a time: all of them at once would hold up the patches of a cycle.
        parts = []
        for family in self._metrics.collect():
            parts.append(generate_latest(_Family(family)))
            await asyncio.sleep(0)
        return Response(b"".join(parts), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def _config(self, request: Request) -> Response:
        body = {"ws_path": "/ws", "build": self._build}
        return Response(orjson.dumps(body), media_type=JSON, headers={"cache-control": "no-cache"})

    async def _openapi(self, request: Request) -> Response:
        return reply(request, self._openapi_body)

    async def _asyncapi(self, request: Request) -> Response:
        return reply(request, self._asyncapi_body)

    async def _file(self, request: Request) -> Response:
        """Serve the dashboard: hashed assets for good, the page itself always fresh."""
        path = request.path_params["path"]
        file = (self._site / path).resolve()
        if file.is_file() and file.is_relative_to(self._site):
            is_asset = path.startswith("assets/")
            cache = "public, max-age=31536000, immutable" if is_asset else "no-cache"
            return FileResponse(file, headers={"cache-control": cache})
        page = self._site / "index.html"
        # Paths without an ending are the page's own routes.
        if "." not in path.rpartition("/")[2]:
            if page.is_file():
                return FileResponse(page, headers={"cache-control": "no-cache"})
            return PlainTextResponse(_NO_DASHBOARD, 503)
        return problem(404, "Not found", f"nothing at /{path[:80]}")


class _Family(CollectorRegistry):
    """One metric family where a registry is asked for."""

    def __init__(self, family: Metric) -> None:
        super().__init__()
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


_Endpoint = Callable[[Request], Awaitable[Response]]


def _list(channel: Channel, state: State) -> dict[str, Any]:
    """Return a channel's objects in the expanded form."""
    keys = dict.fromkeys(key[0] for key in state.tables[channel].keys)
    return {"form": "expanded", expanded.LIST[channel]: expanded.items(channel, state, keys)}


def _surface(state: State, variant: Variant) -> dict[str, Any]:
    head = {"conventions": state.conventions, **state.head}
    if variant.form == "expanded":
        return head | _list("surface", state)
    table = state.tables["surface"]
    return head | {"smiles": [table.row(at) for at in range(len(table.keys))]}


def _levels(state: State, variant: Variant) -> dict[str, Any]:
    return _list("levels", state) if variant.form == "expanded" else {"levels": state.tables["levels"].tree()}


def _tenors(state: State, variant: Variant) -> dict[str, Any]:
    table = state.tables["tenors"]
    rows = [table.row(at) for at in range(len(table.keys))]
    shape: dict[str, Any] = {"form": "expanded", "rows": rows} if variant.form == "expanded" else {"tenors": rows}
    return {"conventions": state.conventions, **shape}


def _through(state: State, variant: Variant) -> dict[str, Any]:
    return _list("through", state) if variant.form == "expanded" else {"cells": state.tables["through"].tree()}


def _diagnostics(state: State, variant: Variant) -> dict[str, Any]:
    return state.fit


_LATEST: dict[str, Callable[[State, Variant], dict[str, Any]]] = {
    "/surface/latest": _surface,
    "/smiles/latest": _levels,
    "/tenors/latest": _tenors,
    "/through/latest": _through,
    "/diagnostics/latest": _diagnostics,
}
