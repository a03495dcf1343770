"""examples/surface.ipynb: every cell runs against a running gateway, in order."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest

from tests.service.conftest import Up

NOTEBOOK = Path(__file__).parents[2] / "examples" / "surface.ipynb"
CELLS = ["".join(cell["source"]) for cell in json.loads(NOTEBOOK.read_bytes())["cells"] if cell["cell_type"] == "code"]


def run(cell: str, names: dict[str, Any], loop: asyncio.AbstractEventLoop) -> Any:
    """Run a cell as a notebook does: `await` is allowed, and the value of a last expression is what it shows."""
    tree = ast.parse(cell)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    shown = None
    for part in (tree, None if last is None else ast.Expression(last.value)):
        if part is None or (part is tree and not tree.body):
            continue
        kind = "exec" if part is tree else "eval"
        shown = eval(compile(part, str(NOTEBOOK), kind, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
        if inspect.iscoroutine(shown):
            shown = loop.run_until_complete(shown)
    return shown


@pytest.fixture(scope="module")
def shown(replayed: Up):
    mpl.use("Agg")
    replayed.until_fitted("BTC")
    names: dict[str, Any] = {}
    with contextlib.closing(asyncio.new_event_loop()) as loop:
        results = [run(cell.replace("http://127.0.0.1:8080", replayed.url.rstrip("/")), names, loop) for cell in CELLS]
    mpl.pyplot.close("all")
    return results, names


def test_every_cell_runs_and_shows_what_it_says(shown):
    results, names = shown
    assert [type(at) for at in results].count(pd.DataFrame) >= 3
    assert len(names["versions"]) == 3
    assert sorted(set(names["versions"])) == names["versions"]
    assert all(abs(skew) < 1 for skew in names["skews"])
    assert names["other"].conventions.fly == "half"


def test_the_notebook_holds_no_outputs():
    assert not any(cell.get("outputs") for cell in json.loads(NOTEBOOK.read_bytes())["cells"])
