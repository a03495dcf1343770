"""The OpenAPI 3.1 document of the REST interface, its schemas generated from `wire.documents`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from derivasys.smiles import DeltaConvention, FlyConvention
from derivasys.wire.schema import build
from derivasys.wire.variant import Form

CCY_DEFAULT = "BTC"
Ccy = Annotated[str, Meta(min_length=1, max_length=16)]
_CCY: dict[str, Any] = {"ccy": Ccy}
_FORM: dict[str, Any] = {"form": Form}
_NODES: dict[str, Any] = {"delta": DeltaConvention, "fly": FlyConvention}

QUERIES: dict[str, dict[str, Any]] = {
    "/surface/latest": {**_CCY, **_FORM, **_NODES},
    "/smiles/latest": {**_CCY, **_FORM},
    "/tenors/latest": {**_CCY, **_FORM, **_NODES},
    "/through/latest": {**_CCY, **_FORM},
    "/diagnostics/latest": _CCY,
    "/price": {},
}
"""Parameters that each path takes, with their types."""

_ABOUT = {
    "ccy": f"Currency; the available ones are in `/status`. {CCY_DEFAULT} when absent.",
    "form": "`expanded`: lists instead of maps, with curves drawn. `compact` when absent.",
    "delta": "Convention of the deltas that name nodes; the server's own when absent.",
    "fly": "Convention of the flies; the server's own when absent.",
}
_LATEST = {
    "/surface/latest": ("SurfaceDocument", "ExpandedSurfaceDocument", "Fitted smiles with nodes and certificates"),
    "/smiles/latest": ("LevelsDocument", "ExpandedLevelsDocument", "Market levels by expiry, strike and venue"),
    "/tenors/latest": ("TenorsDocument", "ExpandedTenorsDocument", "The surface at fixed tenors"),
    "/through/latest": (
        "ThroughDocument", "ExpandedThroughDocument", "Quotes through the certified smile, gross and net of fees",
    ),
    "/diagnostics/latest": ("DiagnosticsDocument", None, "How the fit went, by expiry"),
}  # fmt: skip
_PROBLEMS = {
    "400": "A parameter is unknown or bad; `path` names it",
    "401": "An API key is needed",
    "403": "The page's origin is not allowed",
    "404": "No such surface; the detail lists those that there are",
    "406": "Accept leaves no JSON",
    "413": "The body is too large",
    "415": "The body is not application/json, or is compressed",
    "422": "A field of the body cannot be; `path` names it",
    "429": "Too many requests",
    "503": "No status yet",
}


def document(version: str) -> dict[str, Any]:
    """Return the document for a server build."""
    paths: dict[str, Any] = {}
    for path, (compact, expanded, summary) in _LATEST.items():
        schema = _ref(compact) if expanded is None else {"oneOf": [_ref(compact), _ref(expanded)]}
        paths[path] = {"get": _get(path, summary, schema, "400", "404")}
    paths["/price"] = {"post": _price()}
    paths["/status"] = {"get": _get("/status", "Feeds, source, latency", _ref("StatusMessage"), "400", "503")}
    paths["/config.json"] = {"get": _plain("/config.json", "What the static page needs", _ref("SiteConfig"))}
    paths["/healthz"] = {"get": _plain("/healthz", "The process runs", _ref("Health"))}
    paths["/readyz"] = {"get": _plain("/readyz", "Feeds are fresh and fits are good", _ref("Health"))}
    paths["/readyz"]["get"]["responses"]["503"] = {"description": "Not ready, with reasons", **_json(_ref("Health"))}
    for path, summary in (("/openapi.json", "This document"), ("/asyncapi.json", "The WebSocket as AsyncAPI 3")):
        paths[path] = {"get": _get(path, summary, {"type": "object"})}
    paths["/metrics"] = {"get": _plain("/metrics", "Prometheus metrics", {"type": "string"}, "text/plain")}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DerivaSys",
            "version": version,
            "description": "Certified implied-volatility surfaces. Vols, risk reversals and flies in vol points, tau in"
            " years, instants in ms UTC, prices in quote currency. The live stream is described by /asyncapi.json.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": build("#/components/schemas/{name}")["$defs"]},
    }


def _get(path: str, summary: str, schema: dict[str, Any], *problems: str) -> dict[str, Any]:
    """Return a GET with an ETag."""
    operation = _plain(path, summary, schema, problems=("406", *problems))
    operation["parameters"] = [
        {"name": name, "in": "query", "description": _ABOUT[name], "schema": msgspec.json.schema(of)}
        for name, of in QUERIES.get(path, {}).items()
    ]
    if "ccy" in QUERIES.get(path, {}):
        operation["parameters"][0]["schema"]["default"] = CCY_DEFAULT
    operation["parameters"].append(
        {
            "name": "If-None-Match",
            "in": "header",
            "description": "An ETag of this document: 304 when it is still the same.",
            "schema": {"type": "string"},
        }
    )
    operation["responses"]["200"]["headers"] = {"ETag": {"schema": {"type": "string"}}}
    operation["responses"]["304"] = {"description": "Unchanged since the ETag given in If-None-Match"}
    return operation


def _price() -> dict[str, Any]:
    operation = _plain(
        "/price", "Vol, price and greeks of a list of options", _ref("PriceDocument"),
        problems=("400", "404", "406", "413", "415", "422"),
    )  # fmt: skip
    operation["requestBody"] = {"required": True, **_json(_ref("PriceRequest"))}
    return operation


def _plain(
    path: str, summary: str, schema: dict[str, Any], kind: str = "application/json", problems: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "operationId": path.strip("/").replace("/", "_").replace(".", "_"),
        "summary": summary,
        "responses": {
            "200": {"description": summary, **_json(schema, kind)},
            **{
                status: {"description": _PROBLEMS[status], **_json(_ref("Problem"), "application/problem+json")}
                for status in sorted((*problems, "401", "403", "429"))
            },
        },
    }


def _json(schema: dict[str, Any], kind: str = "application/json") -> dict[str, Any]:
    return {"content": {kind: {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}
