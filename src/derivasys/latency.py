"""Latencies by stage over the last seconds: counts in logarithmic bins, so that cost and memory do not follow rates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 20
"""Rows kept by stage; `tick` begins a new one each second."""
STAGES_MAX = 64
_LEAST_MS = 1e-4
_PER_OCTAVE = 32
_BINS = 32 * _PER_OCTAVE
"""From 0.1 µs to five days; a bin is 2.2 % wide."""

Counts = NDArray[np.int64]


class Latency:
    """Quantiles of recent durations, in milliseconds, to about 1 %. What is below 0.1 µs, or negative, counts as 0."""

    def __init__(self) -> None:
        self._rings: dict[str, Counts] = {}
        self._at = 0

    def add(self, stage: str, *ms: float) -> None:
        """Note durations of a stage."""
        self.add_many(stage, np.array(ms))

    def add_many(self, stage: str, ms: NDArray[np.float64]) -> None:
        """Note a batch of durations of a stage."""
        ring = self._rings.get(stage)
        if ring is None:
            assert len(self._rings) < STAGES_MAX, stage
            ring = self._rings[stage] = np.zeros((WINDOW_S, _BINS), np.int64)
        if len(ms):
            octaves = np.log2(np.maximum(ms, _LEAST_MS) / _LEAST_MS)
            bins = np.minimum((octaves * _PER_OCTAVE).astype(np.int64), _BINS - 1)
            ring[self._at] += np.bincount(bins, minlength=_BINS)

    def tick(self) -> None:
        """A second has passed: what is older than the window is forgotten."""
        self._at = (self._at + 1) % WINDOW_S
        for ring in self._rings.values():
            ring[self._at] = 0

    def clear(self) -> None:
        """Forget everything."""
        self._rings.clear()

    def quantiles(self, *shares: float) -> dict[str, list[float]]:
        """Return, by stage, the quantiles at `shares` (0 to 1)."""
        found = {}
        for stage, ring in self._rings.items():
            upto = np.cumsum(ring.sum(axis=0))
            if upto[-1]:
                bins = np.searchsorted(upto, np.array(shares) * upto[-1])
                found[stage] = [_middle(int(at)) for at in bins]
        return found


def _middle(at: int) -> float:
    return round(_LEAST_MS * 2.0 ** ((at + 0.5) / _PER_OCTAVE), 3) if at else 0.0
