"""The metrics that the services emit, read from their own source so that no name is written twice."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SOURCE = Path(__file__).resolve().parents[3] / "src" / "derivasys" / "telemetry" / "catalogue.py"


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("derivasys_catalogue", SOURCE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


catalogue = _load()
