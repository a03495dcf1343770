"""Writes openapi.json and asyncapi.json: `python -m derivasys.publish.api_documents docs`. `make types` does it."""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path

from derivasys.publish import asyncapi, openapi


def rendered() -> dict[str, str]:
    """Return the text of each file by its name."""
    build = version("derivasys")
    documents = {"openapi.json": openapi.document(build), "asyncapi.json": asyncapi.document(build)}
    return {name: json.dumps(document, indent=1) + "\n" for name, document in documents.items()}


if __name__ == "__main__":
    for name, text in rendered().items():
        (Path(sys.argv[1]) / name).write_text(text, encoding="utf-8")
