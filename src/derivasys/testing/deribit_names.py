"""Deribit's contract names (documented grammar): BTC-25DEC26-100000-C, XRP_USDC-30JUN23-0d625-C.

An expiry is written DMMMYY, the day without a leading zero, and means 08:00:00.000 UTC of that day.
In a strike a lower-case `d` stands for the decimal point.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from msgspec import Struct

from derivasys.messages import OptionType

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
EXPIRY_HOUR_UTC = 8

_OPTION = re.compile(r"^([A-Z0-9]+(?:_[A-Z0-9]+)?)-(\d{1,2}[A-Z]{3}\d{2})-(\d+(?:d\d+)?)-([CP])$")
_DATE = re.compile(r"^(\d{1,2})([A-Z]{3})(\d{2})$")


class OptionName(Struct, frozen=True, gc=False):
    """The parts of an option's name; `expiry` in milliseconds UTC."""

    base: str
    expiry: int
    strike: float
    type: OptionType


def expiry_ms(name: str) -> int:
    """Return the expiry instant of a date such as 5JUN26, in milliseconds UTC.

    Raises ValueError when it is no date of that form.
    """
    match = _DATE.match(name)
    if match is None or match[2] not in MONTHS:
        raise ValueError(f"no Deribit expiry: {name!r}")
    year, month, day = 2000 + int(match[3]), MONTHS.index(match[2]) + 1, int(match[1])
    return int(datetime(year, month, day, EXPIRY_HOUR_UTC, tzinfo=UTC).timestamp()) * 1000


def expiry_name(expiry: int) -> str:
    """Return the date as Deribit writes it (5JUN26) of an instant in milliseconds UTC."""
    day = datetime.fromtimestamp(expiry / 1000, tz=UTC)
    return f"{day.day}{MONTHS[day.month - 1]}{day.year % 100:02d}"


def strike_name(strike: float) -> str:
    """Return a strike as Deribit writes it: 100000, 0d625."""
    return repr(strike).replace(".", "d") if strike % 1 else str(int(strike))


def option_name(base: str, expiry: int, strike: float, option_type: OptionType) -> str:
    """Return the name of an option, `expiry` in milliseconds UTC."""
    return f"{base}-{expiry_name(expiry)}-{strike_name(strike)}-{option_type}"


def parse_option(name: str) -> OptionName:
    """Return the parts of an option's name. Raises ValueError when it is none."""
    match = _OPTION.match(name)
    if match is None:
        raise ValueError(f"no Deribit option: {name!r}")
    strike = float(match[3].replace("d", "."))
    return OptionName(match[1], expiry_ms(match[2]), strike, "C" if match[4] == "C" else "P")
