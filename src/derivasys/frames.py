"""Columns as a table of whatever library is installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any


def frame(columns: dict[str, list[Any]]) -> Any:
    """Return a pandas DataFrame where pandas is installed, else a pyarrow Table."""
    if importlib.util.find_spec("pandas") is not None:
        return importlib.import_module("pandas").DataFrame(columns)
    return importlib.import_module("pyarrow").table(columns)
