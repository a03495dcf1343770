"""Columns as a table of whatever library is wanted or installed."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any, Literal

Library = Literal["pandas", "polars", "pyarrow"]


def frame(columns: dict[str, list[Any]], library: Library | None = None) -> Any:
    """Return a pandas DataFrame where pandas is installed, else a polars one, else a pyarrow Table.

    `library` names the one that is wanted. Raises ImportError with the command that installs it.
    """
    if library is None:
        library = next((name for name in ("pandas", "polars") if _is_there(name)), "pyarrow")
    if library not in {"pandas", "polars", "pyarrow"}:
        raise ValueError(f"no library {library!r}; there are pandas, polars, pyarrow")
    if not _is_there(library):
        raise ImportError(f"{library} is not installed: pip install {library}")
    module = importlib.import_module(library)
    return module.table(columns) if library == "pyarrow" else module.DataFrame(columns)


def _is_there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None
