"""DerivaSys: live option quotes in, certified implied-volatility surfaces out.

import derivasys as dv
iv, status = dv.implied_vol(price, forward, strike, tau, is_call)   # arrays, undiscounted prices
surface = dv.fit("chain.csv")
surface.vol(surface.expiries[0], k=0.1)
"""

from derivasys import kernel_cache

kernel_cache.drop_stale()

from derivasys.analytics.implied_vol import IvStatus, implied_vol  # noqa: E402 - kernels load after the look above
from derivasys.fit_file import fit_path as fit  # noqa: E402
from derivasys.surface import Surface  # noqa: E402

__all__ = ["IvStatus", "Surface", "fit", "implied_vol"]
