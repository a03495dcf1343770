"""One version of one currency's surface: immutable arrays, one entry an expiry, and the quotes behind them."""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.svi import total_variance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

STATES = ("fitted", "held", "rejected")
FITTED, HELD, REJECTED = range(3)
VERDICTS = ("certified", "violated", "unchecked")
CERTIFIED, VIOLATED, UNCHECKED = range(3)


class Board(Struct, frozen=True):
    """The quotes as the fit saw them: one entry a listed option, in the chain's order. NaN where there is none."""

    venues: tuple[str, ...]
    symbols: tuple[str, ...]
    slot: Ints
    """Position of the option's expiry in the surface."""
    venue: Ints
    strike: Floats
    is_call: NDArray[np.bool_]
    k: Floats
    """Log-moneyness against the forward of the quote's own venue."""
    bid: Floats
    """Quote currency per coin."""
    ask: Floats
    bid_size: Floats
    """Coins."""
    ask_size: Floats
    bid_iv: Floats
    ask_iv: Floats
    last_iv: Floats
    """Of the last trade on the book, at its own time."""
    last_ns: Ints
    mark_iv: Floats
    recv_ns: Ints
    reason: NDArray[np.uint8]
    """`fit.quotes.QuoteReason`; 0 when used."""
    cells: NDArray[np.int64]
    """(m, 2): call row and put row, or -1, of every strike and venue."""


class Surface(Struct, frozen=True):
    """A fitted surface of n expiries. Vols are decimals, prices in quote currency, times in ns."""

    ccy: str
    version: int
    now_ns: int
    expiries: tuple[int, ...]
    """Milliseconds UTC, ascending."""
    calibrated_ns: Ints
    """When each expiry was last looked at."""
    fitted_ns: Ints
    """When each smile was fitted: its `tau` and `params` belong together and to this instant."""
    tau: Floats
    forward: Floats
    forward_source: tuple[str, ...]
    forward_stderr_bp: Floats
    forward_age_s: Floats
    params: Floats
    """(n, 5) a, b, rho, m, sigma in total variance, as published; NaN when rejected."""
    state: Ints
    """Index into STATES."""
    reasons: tuple[tuple[str, ...], ...]
    objective: Floats
    rmse: Floats
    inside: Floats
    quotes: Ints
    """Listed options."""
    used: Ints
    rejected: Ints
    """(n, reasons): unused quotes by `QuoteReason`."""
    butterfly: Ints
    """Index into VERDICTS; so are calendar and lee."""
    calendar: Ints
    lee: Ints
    min_g: Floats
    min_g_k: Floats
    calendar_margin: Floats
    nodes: Any
    """`nodes.deltas.Nodes`."""
    tenors: Any
    """`nodes.tenors.TenorNodes`."""
    board: Board
    stages_ms: dict[str, float] | None = None
    """Time spent by stage of the cycle; None where no clock was read."""

    def __len__(self) -> int:
        return len(self.expiries)

    def total_variance(self, expiry: int, k: float | Floats) -> Floats:
        """Return w(k) of one expiry (ms UTC). NaN when it was rejected; ValueError when it is not listed."""
        a, b, rho, m, sigma = self.params[self._at(expiry)]
        return total_variance(k, a=a, b=b, rho=rho, m=m, sigma=sigma)

    def vol(
        self, expiry: int, *, k: float | Floats | None = None, strike: float | Floats | None = None
    ) -> Floats:
        """Return the vol, decimal, of one expiry at log-moneyness `k` or at `strike` (quote currency)."""
        if (k is None) == (strike is None):
            raise ValueError("give either k or strike")
        at = self._at(expiry)
        if k is None:
            k = np.log(np.asarray(strike) / self.forward[at])
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(self.total_variance(expiry, k) / self.tau[at]))

    def _at(self, expiry: int) -> int:
        try:
            return self.expiries.index(expiry)
        except ValueError:
            listed = ", ".join(map(str, self.expiries))
            raise ValueError(f"expiry {expiry} is not listed; listed are {listed}") from None
