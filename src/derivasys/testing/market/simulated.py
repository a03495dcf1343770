"""A simulated market of one recorded chain at its own instant, as its venue would go on showing it.

It starts with the recorded listing, quotes, spreads and gaps. It is simulated and says so (`is_simulated`).
"""

from __future__ import annotations

import numpy as np

from derivasys.testing.market.coin import Coin, Recorded
from derivasys.testing.market.coins import smile_term
from derivasys.testing.market.manner import Manner
from derivasys.testing.market.quoting import pattern_of, recorded_quoting
from derivasys.testing.market.recorded import log_basis, recorded_board
from derivasys.testing.market.view import MarketView
from derivasys.testing.recordings import RecordedChain


class SimulatedMarket(MarketView):
    """A market that moves. The same chain, seed and rate give the same market."""

    def __init__(self, chain: RecordedChain, seed: int, rate: float = 500.0) -> None:
        """`rate`: option tickers per second, over all options of the chain."""
        board, start_ms = recorded_board(chain), chain.instant_ns // 1_000_000
        recorded = Recorded(chain.ccy, chain.label, chain.index_price, smile_term(chain).at, log_basis(chain))
        super().__init__(
            board,
            Coin(recorded, start_ms, seed, [expiry.ms for expiry in board.expiries]),
            manner=Manner(),
            pattern=pattern_of(board, start_ms),
            seeds=[seed],
            rate=rate,
            label=f"simulated, seed {seed}, from {chain.label}",
        )
        self.start_ns = chain.instant_ns
        self._quoting = recorded_quoting(board)
        # Forwards and marks of REST rows are of slightly different moments: make them agree.
        rows = np.arange(len(board.symbols))
        self.price(rows, start_ms)
        board.imply(rows, start_ms)
