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
    selection: Any
    """`fit.quotes.QuoteSelection`: used or why not, target total variance and weight."""
    cells: NDArray[np.int64]
    """(m, 2): call row and put row, or -1, of every strike and venue."""


class Surface(Struct, frozen=True):
    """A fitted surface of n expiries. Vols are decimals, prices in quote currency, times in ns."""

    ccy: str
    version: int
    now_ns: int
    expiries: tuple[int, ...]
    """Milliseconds UTC, ascending."""
    read_ns: Ints
    """When the quotes of each expiry were last read."""
    fitted_ns: Ints
    """When each smile was last fitted to quotes: its `tau` belongs to this instant."""
    tau: Floats
    tau_read: Floats
    """At `read_ns`; differs from `tau` while a smile is held."""
    forwards: tuple[Any, ...]
    """`estimate.forward.ForwardEstimate` by expiry."""
    forward: Floats
    """Their prices, NaN where there is none."""
    params: Floats
    """(n, 5) a, b, rho, m, sigma in total variance, as published; NaN when rejected."""
    free_params: Floats
    """The fit without arbitrage constraints, from which the next cycle starts."""
    state: Ints
    """Index into STATES."""
    reasons: tuple[tuple[str, ...], ...]
    objective: Floats
    rmse: Floats
    inside: Floats
    """Share of the used quotes whose band holds the smile."""
    cost_rmse: Floats
    """What freedom from arbitrage cost: rmse above that of the free fit, decimal."""
    cost_inside: Floats
    """… and share inside below that of the free fit."""
    quotes: Ints
    """Listed options."""
    used: Ints
    rejected: Ints
    """(n, reasons): unused quotes by `QuoteReason`."""
    butterfly: Ints
    """Index into VERDICTS; so are calendar (against the next shorter published smile) and lee."""
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

    def vol(self, expiry: int, *, k: float | Floats | None = None, strike: float | Floats | None = None) -> Floats:
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
