"""JSON Schema (2020-12) of every message and body, generated from `wire.messages`.

`python -m derivasys.wire.schema` writes `schemas.json` beside this file; the TypeScript types of
`clients/typescript` come from that file (`npm run types` there). Tests fail when either is out of date.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from derivasys.wire import documents, expanded_messages, messages

PATH = Path(__file__).with_name("schemas.json")

ROOTS: dict[str, Any] = {
    "ServerMessage": messages.ServerMessage,
    "ExpandedServerMessage": expanded_messages.ExpandedServerMessage,
    "ClientMessage": messages.ClientMessage,
    **{
        name: getattr(documents, name)
        for name in (
            "SurfaceDocument",
            "ExpandedSurfaceDocument",
            "LevelsDocument",
            "ExpandedLevelsDocument",
            "TenorsDocument",
            "ExpandedTenorsDocument",
            "ThroughDocument",
            "ExpandedThroughDocument",
            "DiagnosticsDocument",
            "PriceRequest",
            "PriceDocument",
            "Health",
            "SiteConfig",
            "Problem",
        )
    },
}


def build(ref_template: str = "#/$defs/{name}") -> dict[str, Any]:
    """Return one schema document: `$defs` of all types, the unions under their own names."""
    schemas, components = msgspec.json.schema_components(ROOTS.values(), ref_template=ref_template)
    defs = dict(components)
    for name, schema in zip(ROOTS, schemas, strict=True):
        defs.setdefault(name, schema)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "DerivaSys wire messages",
        "$ref": "#/$defs/ServerMessage",
        "$defs": dict(sorted(defs.items())),
    }


def rendered() -> str:
    """Return the text of `schemas.json`."""
    return json.dumps(build(), indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(rendered(), encoding="utf-8")
