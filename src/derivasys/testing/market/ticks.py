"""Price ticks: a base tick and, above given prices, coarser ones. Prices are in the contract's own unit."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.testing.market import kernels

Floats = NDArray[np.float64]


class Ticks(Struct, frozen=True):
    """`base` applies up to the first step; each step is (above this price, this tick), ascending."""

    base: float
    steps: tuple[tuple[float, float], ...] = ()

    @property
    def table(self) -> Floats:
        """Return rows (above price, numerator, denominator): tick = numerator / denominator, whole numbers."""
        rows = [(-np.inf, self.base), *self.steps]
        return np.array([(above, *Fraction(repr(tick)).as_integer_ratio()) for above, tick in rows])

    def round(self, price: Floats) -> Floats:
        """Return prices rounded to the nearest price that is allowed."""
        out: Floats = kernels.round_ticks(np.asarray(price, np.float64), self.table)
        return out

    def next(self, price: Floats) -> Floats:
        """Return the allowed price above each allowed price."""
        out: Floats = kernels.next_ticks(np.asarray(price, np.float64), self.table)
        return out
