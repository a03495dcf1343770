"""The AsyncAPI 3 document of the WebSocket, generated from `wire.messages` and `wire.expanded_messages`."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from derivasys.wire import expanded_messages, messages
from derivasys.wire.schema import build
from derivasys.wire.session import QUERY

_SENT: tuple[Any, ...] = get_args(messages.ServerMessage)
_EXPANDED: tuple[Any, ...] = tuple(
    each for each in get_args(expanded_messages.ExpandedServerMessage) if each not in _SENT
)
_TAKEN: tuple[Any, ...] = get_args(messages.ClientMessage)
_CHANNEL = {"$ref": "#/channels/stream"}


def document(version: str) -> dict[str, Any]:
    """Return the document for a server build. The application that it describes is the server."""
    schemas = build("#/components/schemas/{name}")["$defs"]
    all_messages = (*_SENT, *_EXPANDED, *_TAKEN)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "DerivaSys stream",
            "version": version,
            "description": "Snapshots and merge patches of certified implied-volatility surfaces. A client that says"
            " nothing gets a snapshot of every channel of its currency, then patches.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"local": {"host": "127.0.0.1:8080", "protocol": "ws", "description": "`derivasys up` as it comes"}},
        "channels": {
            "stream": {
                "address": "/ws",
                "description": "Text frames, one JSON message each.",
                "messages": {_name(each): {"$ref": f"#/components/messages/{_name(each)}"} for each in all_messages},
                "bindings": {"ws": {"bindingVersion": "0.1.0", "query": _query()}},
            }
        },
        "operations": {
            "publish": _operation("send", "State and changes in the compact form, status, answers", _SENT),
            "publishExpanded": _operation("send", "State and changes for readers of `form=expanded`", _EXPANDED),
            "request": _operation("receive", "What a client may say; all of it is optional", _TAKEN),
        },
        "components": {
            "messages": {
                _name(each): {
                    "name": _type_of(each),
                    "title": _name(each),
                    "summary": (each.__doc__ or "").strip().partition("\n")[0] or _type_of(each),
                    "payload": {"$ref": f"#/components/schemas/{_name(each)}"},
                }
                for each in all_messages
            },
            "schemas": _reachable(schemas, [_name(each) for each in all_messages]),
        },
    }


def _operation(action: str, summary: str, of: tuple[Any, ...]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": _CHANNEL,
        "summary": summary,
        "messages": [{"$ref": f"#/channels/stream/messages/{_name(each)}"} for each in of],
    }


def _query() -> dict[str, Any]:
    """Return the schema of the address's query."""
    properties: dict[str, Any] = {
        "ccy": {"type": "string", "description": "Currency; the first available when absent."}
    }
    for name, of in QUERY.items():
        properties[name] = msgspec.json.schema(of)
    properties["channels"] = {"type": "string", "description": "Names with commas between; all channels when absent."}
    return {"type": "object", "properties": properties}


def _reachable(schemas: dict[str, Any], names: list[str]) -> dict[str, Any]:
    """Return the definitions that the named ones need."""
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = schemas[name]
        waiting += _references(schemas[name])
    return dict(sorted(found.items()))


def _references(schema: Any) -> list[str]:
    if isinstance(schema, dict):
        own = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
        return own + [name for value in schema.values() for name in _references(value)]
    if isinstance(schema, list):
        return [name for value in schema for name in _references(value)]
    return []


def _name(of: Any) -> str:
    return str(of.__name__)


def _type_of(of: Any) -> str:
    return str(of.__struct_config__.tag)
