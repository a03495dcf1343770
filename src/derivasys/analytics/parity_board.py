"""Put-call parity of many expiries and venues in one compiled call, for a cycle."""

import numpy as np
import numpy.typing as npt
from numba import njit

from derivasys.analytics.parity import huber_at

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@njit(cache=True, error_model="numpy")
def parity_board(
    slots: IntArray,
    starts: IntArray,
    venue: IntArray,
    strike: FloatArray,
    is_call: BoolArray,
    is_coin: BoolArray,
    is_open: BoolArray,
    bid: FloatArray,
    ask: FloatArray,
    recv_ns: IntArray,
    oldest_ns: int,
    forward: FloatArray,
    stderr: FloatArray,
    pairs: IntArray,
    newest_ns: IntArray,
) -> None:
    """Fill forward, its standard error (quote currency), pairs used and receive time, each (slots, venues).

    Rows of expiry i are starts[i]:starts[i + 1], in order of strike, venue and type, so that a call stands before
    its put. A pair counts when both are open, quoted on both sides, uncrossed and received since `oldest_ns`. Its
    forward is K / (1 - (c - p)) with premiums in coin, K + c - p in quote currency (undiscounted). Its error: a mid
    is taken as uniformly distributed within its band, so it is sqrt((width_c**2 + width_p**2) / 12), carried through
    the formula. The estimate is Huber's (`analytics.parity`). `newest_ns` is the older of the newest call and the
    newest put. NaN and 0 where there is no pair.
    """
    widest = 0
    for i in range(slots.shape[0]):
        widest = max(widest, starts[slots[i] + 1] - starts[slots[i]])
    venues = forward.shape[1]
    values, errors = np.empty((venues, widest)), np.empty((venues, widest))
    newest_call, newest_put = np.empty(venues, np.int64), np.empty(venues, np.int64)
    for i in range(slots.shape[0]):
        pairs[i] = newest_call[:] = newest_put[:] = 0
        for c in range(starts[slots[i]], starts[slots[i] + 1] - 1):
            p, v = c + 1, venue[c]
            if venue[p] != v or strike[c] != strike[p] or not is_call[c] or is_call[p]:
                continue
            if not (is_open[c] and is_open[p]) or is_coin[c] != is_coin[p]:
                continue
            if recv_ns[c] < oldest_ns or recv_ns[p] < oldest_ns:
                continue
            if not (0.0 < bid[c] <= ask[c] < np.inf and 0.0 < bid[p] <= ask[p] < np.inf):
                continue
            difference = 0.5 * (bid[c] + ask[c]) - 0.5 * (bid[p] + ask[p])
            error = np.sqrt(((ask[c] - bid[c]) ** 2 + (ask[p] - bid[p]) ** 2) / 12.0)
            if is_coin[c]:
                value = strike[c] / (1.0 - difference)
                error *= value * value / strike[c]
            else:
                value = strike[c] + difference
            if not 0.0 < value < np.inf:
                continue
            values[v, pairs[i, v]], errors[v, pairs[i, v]] = value, max(error, 1e-9 * value)
            newest_call[v], newest_put[v] = max(newest_call[v], recv_ns[c]), max(newest_put[v], recv_ns[p])
            pairs[i, v] += 1
        for v in range(venues):
            count = pairs[i, v]
            newest_ns[i, v] = min(newest_call[v], newest_put[v])
            forward[i, v], stderr[i, v] = np.nan, np.nan
            if count > 0:
                forward[i, v], stderr[i, v] = huber_at(values[v, :count], errors[v, :count])
