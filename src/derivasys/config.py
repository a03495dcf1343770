"""Settings of a run, checked once where they come in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from derivasys.calibrate import Rules
from derivasys.connect.login import Login
from derivasys.publish.access import AccessRules
from derivasys.publish.binding import Binding

SourceChoice = Literal["auto", "live", "replay", "simulated"]

ROOT = Path(__file__).resolve().parents[2]
"""The checkout; `dashboard/dist` and `fixtures` are found from here."""
SITE = ROOT / "dashboard" / "dist"


class ConfigError(ValueError):
    """A setting that cannot be; the message names it and the mend."""


class Config(Struct, frozen=True, kw_only=True):
    """One process's settings."""

    source: SourceChoice = "auto"
    venues: tuple[str, ...] = ()
    """Empty: all there are, in replay those with recorded chains."""
    ccys: tuple[str, ...] = ()
    """Empty: those that the venues name (live), or recorded (replay), or the simulated market's usual ones."""
    binding: Binding = Binding()
    access: AccessRules = AccessRules()
    data: Path | None = None
    """Folder of recorded chains for replay and simulation; None takes the shipped ones."""
    speed: float = 1.0
    """Recorded seconds a second, in replay and simulation."""
    rate: float = 1000.0
    """Option tickers a second, over all simulated venues and currencies together."""
    seed: int = 1
    has_books: bool = False
    """Subscribe to options' order books besides their best prices."""
    cycle_ms: int = 50
    rules: Rules = Rules()
    record: Path | None = None
    """Folder that the run is recorded into."""
    site: Path = SITE
    logins: dict[str, Login] = {}
    """Credentials by venue, for the live source."""

    def __post_init__(self) -> None:
        if not 0.0 < self.speed <= 1000.0:
            raise ConfigError(f"--speed {self.speed:g} is not between 0 and 1000")
        if not 1.0 <= self.rate <= 50_000.0:
            raise ConfigError(f"--rate {self.rate:g} is not between 1 and 50000 messages a second")
        if not 0 <= self.binding.port <= 65535:
            raise ConfigError(f"--port {self.binding.port} is not a port (0 to 65535)")
        if not 10 <= self.cycle_ms <= 10_000:
            raise ConfigError(f"--cycle-ms {self.cycle_ms} is not between 10 and 10000")
        if self.source == "live" and self.speed != 1.0:
            raise ConfigError("--speed goes with --source replay or simulated, not live")
