"""The table of traps in docs/venues.md names tests that exist, for every venue."""

import ast
import re
from pathlib import Path

import pytest

from derivasys.connect import VENUES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "venues.md").read_text(encoding="utf-8").partition("## Traps and their tests")[2]
NAMED = sorted(set(re.findall(r"\| `([\w/]+\.py)::(\w+)` \|", TEXT)))


@pytest.mark.parametrize("name", list(VENUES))
def test_every_venue_has_its_traps(name):
    part = re.search(rf"^\| {name} \| test \|\n(.*?)(?=\n\n|\Z)", TEXT, re.IGNORECASE | re.MULTILINE | re.DOTALL)
    assert part is not None
    rows = part[1].splitlines()[1:]
    assert len(rows) >= 5
    assert all(re.search(r"\| `[\w/]+\.py::\w+` \|$", row) for row in rows)


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_the_test_exists(file, test):
    tree = ast.parse((ROOT / "tests" / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
