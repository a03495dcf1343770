"""Latencies by stage over the last seconds."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

WINDOW_CYCLES = 400
"""Batches kept by stage: 20 s of 50 ms cycles."""
STAGES_MAX = 32


class Latency:
    """Quantiles of recent durations, in milliseconds."""

    def __init__(self) -> None:
        self._batches: dict[str, deque[NDArray[np.float64]]] = {}

    def add(self, stage: str, *ms: float) -> None:
        """Note durations of a stage."""
        self.add_many(stage, np.array(ms))

    def add_many(self, stage: str, ms: NDArray[np.float64]) -> None:
        """Note a batch of durations of a stage."""
        if stage not in self._batches:
            assert len(self._batches) < STAGES_MAX, stage
            self._batches[stage] = deque(maxlen=WINDOW_CYCLES)
        if len(ms):
            self._batches[stage].append(ms)

    def clear(self) -> None:
        """Forget everything."""
        self._batches.clear()

    def quantiles(self, *shares: float) -> dict[str, list[float]]:
        """Return, by stage, the quantiles at `shares` (0 to 1)."""
        return {
            stage: [round(float(x), 3) for x in np.quantile(np.concatenate(batches), shares)]
            for stage, batches in self._batches.items()
            if batches
        }
