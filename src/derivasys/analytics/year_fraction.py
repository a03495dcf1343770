"""Year fractions: ACT/365 counted in nanoseconds to the venue's expiry instant."""

import numpy as np
import numpy.typing as npt

NS_PER_YEAR = 365 * 24 * 3600 * 1_000_000_000
"""Nanoseconds in a year of 365 days, the day count that reproduces the venues' marks."""


def year_fraction(
    now_ns: int | npt.NDArray[np.int64], expiry_ns: int | npt.NDArray[np.int64]
) -> float | npt.NDArray[np.float64]:
    """Return tau = (expiry_ns - now_ns) / 365 days, in years; negative when expired.

    Both arguments are integer nanoseconds since the epoch; the subtraction is exact in integers, so a tau of one
    second keeps its full precision. Scalars give a float, arrays broadcast to float64.
    """
    if isinstance(now_ns, int) and isinstance(expiry_ns, int):
        return (expiry_ns - now_ns) / NS_PER_YEAR
    return np.subtract(expiry_ns, now_ns, dtype=np.int64) / NS_PER_YEAR
