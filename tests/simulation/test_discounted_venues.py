"""Seeded runs against venues whose prices are discounted: after the faults the chain holds what the venue says, undiscounted."""

import numpy as np
import pytest

from derivasys.testing.servers import TERMS
from derivasys.testing.simulation import S, Simulation

DISCOUNTED = [name for name, terms in TERMS.items() if any(family.is_discounted for family in terms.families)]
PRINTED = 2e-3
"""Discount factors are printed with as few as three decimals."""


class Discounted(Simulation):
    """Compares with the venues' boards within what is printed."""

    def _agrees(self, now_ns):
        wrong = compared = 0
        for name, server in self.servers.items():
            for market in server.venue.view.markets:
                board, chain = market.board, self.pipeline.chains[market.family.ccy]
                still = board.ticker["time_ms"] * 1_000_000 < now_ns - 3 * S
                for row in np.flatnonzero(still & (board.state == 0)).tolist():
                    at = chain._row.get((name, board.symbols[row]))
                    if at is None:
                        wrong += 1
                        continue
                    if now_ns - chain.recv_ns[at] > self.rules.quotes.staleness_s_max * S:
                        continue
                    growth = board.expiries[int(board.expiry_of[row])].forward / board.index_price
                    for side in ("bid", "ask"):
                        mine, theirs = float(getattr(chain, side)[at]), float(board.ticker[row][side]) * growth
                        compared += 1
                        if not (abs(mine - theirs) <= PRINTED * theirs or (mine != mine and theirs != theirs)):
                            wrong += 1
        self.counts["compared"] = compared
        self.counts["disagreements at the last look"] = wrong
        return wrong == 0 and compared > 100


@pytest.mark.parametrize("venue", DISCOUNTED)
@pytest.mark.parametrize("seed", [3, 4, 7, 12])
def test_a_run_recovers(venue, seed):
    report = Discounted(seed, venues=[venue]).run()
    assert report.cycles > 40
    assert report.counts["compared"] > 100
