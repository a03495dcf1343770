"""Each abuse case of docs/security.md names tests that exist."""

from __future__ import annotations

import re

import pytest

from derivasys.config import ROOT

PAGE = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:tests|infra)/[\w/]+\.py(?:::\w+)?)`", PAGE)))


@pytest.mark.parametrize("name", NAMED)
def test_a_named_test_is_there(name):
    path, _, function = name.partition("::")
    file = ROOT / path
    folder = ROOT / "/".join(path.split("/")[:2])
    if not folder.is_dir():
        pytest.skip(f"{folder.name}: this part of the tests is not in this tree")
    assert file.is_file(), path
    assert not function or re.search(rf"^(async )?def {function}\(", file.read_text(), re.MULTILINE), name


def test_every_abuse_case_has_a_test():
    tables = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    (cases,) = [text for text in tables if text.startswith("Abuse cases")]
    rows = [row for row in cases.splitlines() if row.startswith("| ") and not row.startswith("| abuse")]
    assert len(rows) > 25
    for row in rows:
        assert ".py" in row.split("|")[3], row
