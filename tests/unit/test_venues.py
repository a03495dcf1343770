"""A venue is one file in `connect`, one in `decode` and a local server: found by being there, named nowhere else."""

import ast
import re
from pathlib import Path

import pytest

import derivasys
from derivasys.connect import VENUES
from derivasys.decode import DECODERS
from derivasys.testing.servers import REPLAYS, SERVERS, TERMS

PACKAGE = Path(derivasys.__file__).parent
RECORDED = {
    "record/chain_file.py",
    "testing/deribit_names.py",
    "testing/market/recorded.py",
    "testing/recordings.py",
    "testing/session_recording.py",
}
"""They read the recorded chains that are shipped, whose format is that of the venue they were recorded from."""
BOOK_CLIENTS = {"testing/simulation/books.py"}
"""The simulation's own followers of the two venues whose order books come as changes."""
FILES = {str(file.relative_to(PACKAGE)): file for file in sorted(PACKAGE.rglob("*.py"))}


def of_venue(name: str, file: str) -> bool:
    return file in (f"connect/{name}.py", f"decode/{name}.py") or file.startswith(f"testing/{name}/")


@pytest.mark.parametrize("name", list(VENUES))
def test_no_other_file_names_a_venue(name):
    named = re.compile(rf"\b{name}\b|{name}(?!d)\.", re.IGNORECASE)
    naming = {path for path, file in FILES.items() if named.search(file.read_text(encoding="utf-8"))}
    assert {f"connect/{name}.py", f"decode/{name}.py", f"testing/{name}/server.py"} <= naming
    assert {path for path in naming if not of_venue(name, path)} <= RECORDED | BOOK_CLIENTS


def test_every_venue_is_whole():
    assert set(VENUES) == set(DECODERS) == set(SERVERS) == set(TERMS)
    assert len(VENUES) >= 4
    assert REPLAYS.keys() <= VENUES.keys()
    for name, venue in VENUES.items():
        assert venue.name == name == TERMS[name].venue
        assert {family.venue for family in TERMS[name].families} == {name}


@pytest.mark.parametrize("name", list(VENUES))
def test_venues_never_import_each_other(name):
    others = VENUES.keys() - {name}
    for path, file in FILES.items():
        if of_venue(name, path):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                modules = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                modules += [alias.name for alias in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
                assert not {word for module in modules for word in module.split(".")} & others, (path, modules)
