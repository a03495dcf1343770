"""Rules of calibration from a file, for a calibrator that shall differ from the usual one."""

from __future__ import annotations

from pathlib import Path

import msgspec

from derivasys.calibrate import Rules
from derivasys.config import ConfigError


def read_rules(file: Path | None) -> Rules:
    """Return the rules of a JSON file, the usual ones without it. Raises ConfigError naming the field."""
    if file is None:
        return Rules()
    try:
        return msgspec.json.decode(file.read_bytes(), type=Rules)
    except OSError as error:
        raise ConfigError(f"--rules {file}: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ConfigError(f"--rules {file}: {error}") from None
