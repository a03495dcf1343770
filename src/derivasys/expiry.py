"""Expiries: the instant a date in a contract name stands for, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_MONTH_NUMBER = {name: number for number, name in enumerate(MONTHS, start=1)}
EXPIRY_HOUR_UTC = 8
"""Options of all supported venues expire at 08:00:00 UTC."""


def expiry_ms(day_month_year: str) -> int:
    """Return the expiry in ms UTC of a date such as 5JUN26. Raises ValueError when it is no date."""
    month = _MONTH_NUMBER.get(day_month_year[-5:-2])
    if month is None:
        raise ValueError(f"{day_month_year!r} is not a date such as 5JUN26")
    day, year = int(day_month_year[:-5]), 2000 + int(day_month_year[-2:])
    return int(datetime(year, month, day, EXPIRY_HOUR_UTC, tzinfo=UTC).timestamp()) * 1000


@lru_cache(maxsize=1024)
def expiry_label(expiry: int) -> str:
    """Return the day of an expiry (ms UTC) as 5JUN26."""
    date = datetime.fromtimestamp(expiry / 1000, tz=UTC)
    return f"{date.day}{MONTHS[date.month - 1]}{date.year % 100:02d}"


def expiry_ms_of_digits(year_month_day: str) -> int:
    """Return the expiry in ms UTC of six digits such as 260605. Raises ValueError when they are no date."""
    year, month, day = (int(year_month_day[at : at + 2]) for at in (0, 2, 4))
    return int(datetime(2000 + year, month, day, EXPIRY_HOUR_UTC, tzinfo=UTC).timestamp()) * 1000
