"""What each coin starts from: a recorded chain, or for coins without one the shape of another's smiles.

Levels and prices of the coins without a recording are plausible, not measured: everything made of them is simulated,
and says so.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from derivasys.testing.market.coin import Recorded
from derivasys.testing.market.recorded import log_basis, recorded_smiles
from derivasys.testing.market.smiles import SmileTerm
from derivasys.testing.recordings import YEAR_MS, RecordedChain

Floats = NDArray[np.float64]

SHAPE_OF = "ETH"
"""Whose smiles the coins without a recording are scaled from, where there is a choice."""
CARRY = 0.04
"""Their log basis a year."""


class Altcoin(Struct, frozen=True):
    """A coin without a recording."""

    price: float
    """USD."""
    level: float
    """Of its vols, against the coin whose smiles it takes."""
    spread: float
    """Of its quotes likewise, in vols."""


ALTCOINS = {
    "SOL": Altcoin(88.0, 1.10, 1.3),
    "XRP": Altcoin(1.4, 1.12, 1.5),
    "DOGE": Altcoin(0.095, 1.30, 1.7),
    "BNB": Altcoin(640.0, 0.75, 1.4),
    "AVAX": Altcoin(9.6, 1.25, 1.8),
    "TRX": Altcoin(0.28, 0.65, 1.8),
    "HYPE": Altcoin(33.0, 1.35, 1.8),
}


def start_of(ccy: str, chains: Sequence[RecordedChain]) -> Recorded:
    """Return what `ccy` starts from. Raises KeyError when it is neither recorded nor known."""
    by_ccy = {chain.ccy: chain for chain in chains}
    if ccy in by_ccy:
        chain = by_ccy[ccy]
        carry, strikes = log_basis(chain), _strikes(chain)
        return Recorded(ccy, chain.label, chain.index_price, smile_term(chain).at, carry, strikes=strikes)
    coin, chain = ALTCOINS[ccy], shape_of(chains)
    label = f"{ccy} scaled from {chain.ccy}"
    return Recorded(ccy, label, coin.price, smile_term(chain, coin.level).at, lambda tau: CARRY * tau, is_scaled=True)


def shape_of(chains: Sequence[RecordedChain]) -> RecordedChain:
    """Return the chain whose smiles the coins without a recording take."""
    return next((chain for chain in chains if chain.ccy == SHAPE_OF), chains[0])


def smile_term(chain: RecordedChain, factor: float = 1.0) -> SmileTerm:
    """Return the chain's smiles by time to expiry, vols scaled by `factor`."""
    dates = np.array(sorted({row.expiry for row in chain.rows}))
    return SmileTerm((dates - chain.instant_ns // 1_000_000) / YEAR_MS, recorded_smiles(chain), factor)


def _strikes(chain: RecordedChain) -> dict[int, Floats]:
    dates = {row.expiry for row in chain.rows}
    return {ms: np.unique([row.strike for row in chain.rows if row.expiry == ms]) for ms in dates}
