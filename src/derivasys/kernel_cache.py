"""Keeps numba's compile cache honest.

A cached kernel is reused as long as its own file is unchanged, although the code of kernels it calls from other files
is compiled into it. So when any kernel file is newer than the last look, all cached kernels of the package are dropped.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

_PACKAGE = Path(__file__).parent
_FOLDERS = ("analytics", "fit", "nodes", "testing/market")
_STAMP = _PACKAGE / "analytics" / "__pycache__" / "kernels.stamp"


def drop_stale() -> bool:
    """Delete cached kernels older than a kernel file; return whether there was reason to. Costs some thirty stats."""
    newest_ns = max(file.stat().st_mtime_ns for folder in _FOLDERS for file in (_PACKAGE / folder).glob("*.py"))
    # A package installed read-only never changes, and has no stamp to keep.
    with contextlib.suppress(OSError):
        if _STAMP.is_file() and int(_STAMP.read_text(encoding="ascii") or 0) == newest_ns:
            return False
        for folder in _FOLDERS:
            for cached in (_PACKAGE / folder / "__pycache__").glob("*.nb[ic]"):
                cached.unlink(missing_ok=True)
        _STAMP.parent.mkdir(exist_ok=True)
        _STAMP.write_text(str(newest_ns), encoding="ascii")
        return True
    return False
