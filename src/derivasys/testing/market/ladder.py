"""Which expiries and strikes are listed at a moment: dailies, weekly Fridays, month ends, quarters; 08:00 UTC."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAY_MS, EIGHT_MS = 86_400_000, 8 * 3_600_000
FRIDAY = 4
STEP_SD, STEP_MIN = 0.15, 0.004
"""A strike step is near so many standard deviations, and at least this part of the forward."""
INNER_SD, OUTER_SD, OUTER_LOG_MAX = 1.5, 4.0, 1.3
"""Every step is listed to the first, each second to the second, nothing beyond the third in ln(K/F)."""
_NICE = (1.0, 2.0, 2.5, 5.0, 10.0)


class Ladder(Struct, frozen=True):
    """How many of each kind are listed at a time; a date may be several at once."""

    days: int = 4
    weeks: int = 3
    months: int = 3
    quarters: int = 4


def last_eight_ms(now_ms: int) -> int:
    """Return the last 08:00 UTC not after `now_ms`."""
    return (now_ms - EIGHT_MS) // DAY_MS * DAY_MS + EIGHT_MS


def expiry_dates(now_ms: int, ladder: Ladder) -> list[int]:
    """Return the expiries (ms, ascending) that a venue with this ladder lists at `now_ms`."""
    eight = last_eight_ms(now_ms)
    dates = {eight + n * DAY_MS for n in range(1, ladder.days + 1)}
    first = _day(eight + DAY_MS)
    friday = first + timedelta(days=(FRIDAY - first.weekday()) % 7)
    dates |= {_ms(friday + timedelta(days=7 * n)) for n in range(ladder.weeks)}
    ends = [end for n in range(20) if (end := _month_end(first, n)) >= first]
    dates |= {_ms(end) for end in ends[: ladder.months]}
    dates |= {_ms(end) for end in [end for end in ends if end.month % 3 == 0][: ladder.quarters]}
    return sorted(dates)


def strike_grid(forward: float, sd: float) -> Floats:
    """Return round strikes about a forward; `sd` is iv √tau."""
    step = _nice(forward * max(STEP_SD * sd, STEP_MIN))
    inner, outer = INNER_SD * sd, min(OUTER_SD * sd, OUTER_LOG_MAX)
    lowest, highest = (forward * math.exp(sign * outer) / step for sign in (-1.0, 1.0))
    reach = range(max(1, math.floor(lowest)), math.ceil(highest) + 1)
    # A quotient of whole numbers prints short.
    scale = 10.0 ** max(0, 2 - math.floor(math.log10(step)))
    strikes = [
        round(n * step * scale) / scale
        for n in reach
        if n % 2 == 0 or abs(math.log(n * step / forward)) <= max(inner, 2 * step / forward)
    ]
    return np.array(strikes)


def _nice(size: float) -> float:
    """Return the round number (1, 2, 2.5 or 5 times a power of ten) nearest to `size` in ratio."""
    power = 10.0 ** math.floor(math.log10(size))
    return min((n * power for n in _NICE), key=lambda step: abs(math.log(step / size)))


def _month_end(day: datetime, months: int) -> datetime:
    """Return the last Friday of the month that is `months` after that of `day`."""
    number = day.year * 12 + day.month + months
    last = datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - FRIDAY) % 7)


def _day(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, tz=UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _ms(day: datetime) -> int:
    return int(day.timestamp()) * 1000 + EIGHT_MS
