"""DerivaSys: live option quotes in, certified implied-volatility surfaces out.

import derivasys as dv
iv, status = dv.implied_vol(price, forward, strike, tau, is_call)   # arrays, undiscounted prices
surface = dv.fit("chain.csv")
surface.vol(surface.expiries[0], k=0.1)
dv.latest("http://127.0.0.1:8080", "BTC")                           # the newest surface of a gateway
async for surface in dv.connect("http://127.0.0.1:8080", "BTC"):    # … and every one to come
"""

from derivasys import kernel_cache

kernel_cache.drop_stale()

# The venues' package is loaded before the function of the same name is bound, or its later import would unbind it.
import derivasys.connect  # noqa: E402, F401
from derivasys.analytics.implied_vol import IvStatus, implied_vol  # noqa: E402 - kernels load after the look above
from derivasys.client import ClientError, PublishedSurface, connect, latest  # noqa: E402
from derivasys.fit_file import fit_path as fit  # noqa: E402
from derivasys.surface import Surface  # noqa: E402

__all__ = [
    "ClientError",
    "IvStatus",
    "PublishedSurface",
    "Surface",
    "connect",
    "fit",
    "implied_vol",
    "latest",
]
