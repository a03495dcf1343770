"""The middle of the house is arithmetic: it imports only what it may, and reads no clock."""

import ast
from pathlib import Path

import pytest

import derivasys

PACKAGE = Path(derivasys.__file__).parent
PURE = ("analytics", "decode", "estimate", "fit", "nodes", "wire")
ALLOWED = {
    "__future__", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "derivasys", "enum", "fractions", "functools",
    "importlib", "itertools", "json", "llvmlite", "math", "struct", "msgspec", "numba", "numpy", "operator", "orjson", "pathlib", "pkgutil", "re", "typing",
}  # fmt: skip
FILES = [
    file
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.relative_to(PACKAGE).parts[0] in (*PURE, "pipeline.py", "calibrate.py", "surface.py", "messages.py")
]
CLOCKS = {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "utcnow", "today"}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_pure_files_import_only_what_they_may(file):
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert imported(tree) <= ALLOWED
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) not in {
                (module, clock) for module in ("time", "datetime", "date") for clock in CLOCKS
            }


def test_there_are_pure_files():
    assert len(FILES) > 20
