"""One version of one currency's surface: immutable arrays, one entry an expiry, and the quotes behind them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.analytics.term import METHODS
from derivasys.frames import frame
from derivasys.smiles import NodeConventions, Smiles

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
    as_of_ns: Ints
    """The earlier of the quote's event and its arrival: what its age counts from."""
    selection: Any
    """`fit.quotes.QuoteSelection`: used or why not, target total variance and weight."""
    cells: NDArray[np.int64]
    """(m, 2): call row and put row, or -1, of every strike and venue."""


class Surface(Smiles, Struct, frozen=True):
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
    free_start: Floats
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
    conventions: NodeConventions
    delta_nodes: Any
    """`nodes.deltas.Nodes`."""
    solve_tenors: Callable[[], Any]
    """Gives `tenor_nodes`; its work is done at the first call, because few cycles publish the tenors."""
    variance_swap_w: Floats
    """E[−2 ln(S/F)] of each smile; the variance-swap vol is √(w / tau)."""
    variance_swap_extrapolated: Floats
    """Share of it that is owed to strikes outside the used quotes: the smile's wings, not the market."""
    vol_index_30d: float
    """30-day variance-swap vol, decimal; NaN where 30 days lie outside the expiries."""
    board: Board
    through: Any
    """`nodes.through.Through`: the board's quotes that are through the fit."""
    strangles: Floats | None = None
    """(n, 8) market-strangle vols by delta, where the convention asks for them."""
    tenor_strangles: Floats | None = None
    stages_ms: dict[str, float] | None = None
    """Time spent by stage of the cycle; None where no clock was read."""

    @property
    def tenor_nodes(self) -> Any:
        """`nodes.tenors.TenorNodes` of the fixed tenors."""
        return self.solve_tenors()

    @property
    def variance_swap_vol(self) -> Floats:
        """Variance-swap vol of each smile, decimal."""
        with np.errstate(invalid="ignore"):
            return np.asarray(np.sqrt(self.variance_swap_w / self.tau))

    @property
    def certificate(self) -> dict[int, dict[str, Any]]:
        """By expiry: the verdicts on butterfly, calendar and Lee, and the margins."""
        return {
            expiry: {
                "butterfly": VERDICTS[self.butterfly[at]],
                "calendar": VERDICTS[self.calendar[at]],
                "lee": VERDICTS[self.lee[at]],
                "min_g": float(self.min_g[at]),
                "min_g_k": float(self.min_g_k[at]),
                "calendar_margin": float(self.calendar_margin[at]),
            }
            for at, expiry in enumerate(self.expiries)
        }

    def nodes(self) -> dict[str, list[Any]]:
        """Return the delta nodes as columns, one entry an expiry and node; vols are decimals."""
        table = self.delta_nodes
        names = table.names
        columns: dict[str, list[Any]] = {
            "expiry": [expiry for expiry in self.expiries for _ in names],
            "tau": np.repeat(self.tau, len(names)).tolist(),
            "node": list(names) * len(self),
            "strike": (self.forward[:, None] * np.exp(table.k)).ravel().tolist(),
        }
        for name in ("k", "delta", "vol", "bid_vol", "ask_vol", "quotes", "age_s"):
            columns[name] = getattr(table, name).ravel().tolist()
        columns["is_extrapolated"] = (table.is_extrapolated == 1.0).ravel().tolist()
        return columns

    def tenors(self) -> dict[str, list[Any]]:
        """Return the fixed tenors as columns, one entry a tenor; vols are decimals by node."""
        rows = self.tenor_nodes
        columns: dict[str, list[Any]] = {
            "label": list(rows.labels),
            "tau": rows.tau.tolist(),
            "forward": rows.forward.tolist(),
            "method": [METHODS[at] for at in rows.method.tolist()],
            "butterfly": [VERDICTS[at] for at in rows.butterfly.tolist()],
            "calendar": [VERDICTS[at] for at in rows.calendar.tolist()],
            "is_extrapolated": rows.is_extrapolated.tolist(),
        }
        for at, name in enumerate(self.delta_nodes.names):
            columns[name] = rows.vol[:, at].tolist()
        return columns

    def to_frame(self) -> Any:
        """Return `nodes()` as a pandas DataFrame where pandas is installed, else as a pyarrow Table."""
        return frame(self.nodes())
