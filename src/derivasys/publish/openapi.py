"""The OpenAPI 3.1 document of the REST interface, its schemas generated from `wire.messages`."""

from __future__ import annotations

from typing import Any

from derivasys.wire.schema import build

_CCY = {
    "name": "ccy",
    "in": "query",
    "description": "Currency; the available ones are in `/status`.",
    "schema": {"type": "string", "default": "BTC"},
}


def document(version: str) -> dict[str, Any]:
    """Return the document for a server build."""
    schemas = build("#/components/schemas/{name}")["$defs"]
    latest = {
        "/surface/latest": ("SurfaceDocument", "Fitted smiles with nodes and certificates"),
        "/smiles/latest": ("LevelsDocument", "Market levels by expiry, strike and venue"),
        "/tenors/latest": ("TenorsDocument", "The surface at fixed tenors"),
        "/through/latest": ("ThroughDocument", "Quotes through the certified smile, gross and net of fees"),
        "/diagnostics/latest": ("DiagnosticsDocument", "How the fit went, by expiry"),
    }
    paths: dict[str, Any] = {
        path: {"get": _operation(path, summary, schema, [_CCY], {"400": "Bad parameter", "404": "No such surface"})}
        for path, (schema, summary) in latest.items()
    }  # fmt: skip
    paths["/status"] = {
        "get": _operation("/status", "Feeds, source, latency", "StatusMessage", [], {"503": "Starting"})
    }
    paths["/config.json"] = {"get": _operation("/config.json", "What the static page needs", "SiteConfig", [], {})}
    for path, summary in (
        ("/healthz", "The process runs"),
        ("/readyz", "Feeds are fresh and fits are good"),
    ):
        paths[path] = {
            "get": {
                "operationId": _operation_id(path),
                "summary": summary,
                "responses": {"200": {"description": "Yes"}, "503": {"description": "No, with reasons"}},
            }
        }  # fmt: skip
    paths["/metrics"] = {
        "get": {
            "operationId": "metrics",
            "summary": "Prometheus metrics",
            "responses": {"200": {"description": "Text format 0.0.4"}},
        }
    }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "DerivaSys",
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(path: str, summary: str, schema: str, parameters: list[Any], errors: dict[str, str]) -> dict[str, Any]:
    return {
        "operationId": _operation_id(path),
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {
                "description": summary,
                "headers": {"ETag": {"schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
            },
            "304": {"description": "Unchanged since the ETag given in If-None-Match"},
            **{
                status: {
                    "description": description,
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
                for status, description in errors.items()
            },
        },
    }


def _operation_id(path: str) -> str:
    return path.strip("/").replace("/", "_").replace(".", "_")
