"""Compiled loops of the simulated market. They call compiled functions of this file only: numba's cache of a kernel
would not see changes in another.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_SQRT2 = math.sqrt(2.0)
_SQRT_2PI = math.sqrt(2.0 * math.pi)
FADE_X = 0.5
"""Distance in x over which a smile's slope fades beyond the last strike: about one standard deviation."""
IV_MIN, IV_MAX = 0.05, 5.0
IV_CAP_PERCENT = 500.0
TAU_MIN = 1e-9
GOES, RETURNS = 0.002, 0.3
"""Chance, at a re-quote, that a side leaves its usual state, quoted or missing, and returns."""
OFFSET_KEEP, OFFSET_SD = 0.9, 0.1
"""The middle's distance from the mark, in spreads: what stays of it at a re-quote, and its standard deviation."""
FLOOR_TICKS = 0.05
"""Least time value of an ask."""
SIZE_KEEP, SIZE_MEDIAN, SIZE_SD = 0.8, 80.0, 1.0
"""Chance that an unmoved price keeps its size; sizes in least sizes, lognormal."""


@njit(cache=True)
def price_greeks(forward: Any, strike: Any, tau: Any, iv: Any, is_call: Any) -> Any:
    """Return (6, n): see `black76.price_greeks`."""
    out = np.zeros((6, forward.shape[0]))
    for i in range(forward.shape[0]):
        value = _black(forward[i], strike[i], tau[i], iv[i], is_call[i])
        for k in range(6):
            out[k, i] = value[k]
    return out


@njit(cache=True)
def _black(f: float, x: float, t: float, iv: float, is_call: bool) -> Any:
    sign = 1.0 if is_call else -1.0
    sd = iv * math.sqrt(max(t, 0.0))
    if not sd > 0.0:
        is_in = sign * (f - x) > 0.0
        return max(sign * (f - x), 0.0), sign if is_in else 0.0, 0.0, 0.0, 0.0, 0.0
    d1 = math.log(f / x) / sd + 0.5 * sd
    d2 = d1 - sd
    n1 = 0.5 * math.erfc(-sign * d1 / _SQRT2)
    n2 = 0.5 * math.erfc(-sign * d2 / _SQRT2)
    density = math.exp(-0.5 * d1 * d1) / _SQRT_2PI
    price = sign * (f * n1 - x * n2)
    decay = f * density * iv / (2.0 * math.sqrt(t)) * min(t, 1.0 / 365.0)
    vega = f * density * math.sqrt(t) / 100.0
    return price, sign * n1, density / (f * sd), vega, -min(decay, price), sign * x * t * n2 / 100.0


@njit(cache=True)
def smile_ivs(offset: Any, knots: Any, iv: Any, slope: Any, expiry: Any, x: Any) -> Any:
    """Return iv at each x of the smile `expiry[i]`: see `smiles.smile_iv`."""
    out = np.empty(x.shape[0])
    for i in range(x.shape[0]):
        out[i] = _smile(offset, knots, iv, slope, expiry[i], x[i])
    return out


@njit(cache=True)
def _smile(offset: Any, knots: Any, iv: Any, slope: Any, expiry: int, x: float) -> float:
    first, last = offset[expiry], offset[expiry + 1] - 1
    if x <= knots[first]:
        fade = FADE_X * (1.0 - math.exp((x - knots[first]) / FADE_X))
        return iv[first] - slope[first] * fade
    if x >= knots[last]:
        fade = FADE_X * (1.0 - math.exp((knots[last] - x) / FADE_X))
        return iv[last] + slope[last] * fade
    j = first + np.searchsorted(knots[first : last + 1], x) - 1
    h = knots[j + 1] - knots[j]
    s = (x - knots[j]) / h
    return (
        (1 + 2 * s) * (1 - s) ** 2 * iv[j]
        + s * (1 - s) ** 2 * h * slope[j]
        + s * s * (3 - 2 * s) * iv[j + 1]
        + s * s * (s - 1) * h * slope[j + 1]
    )


@njit(cache=True)
def round_ticks(price: Any, table: Any) -> Any:
    """Return prices rounded to their ticks: see `ticks.Ticks`."""
    out = np.empty(price.shape[0])
    for i in range(price.shape[0]):
        out[i] = _round_tick(price[i], table)
    return out


@njit(cache=True)
def next_ticks(price: Any, table: Any) -> Any:
    """Return the allowed price above each allowed price."""
    out = np.empty(price.shape[0])
    for i in range(price.shape[0]):
        out[i] = _next_tick(price[i], table)
    return out


@njit(cache=True)
def _round_tick(price: float, table: Any) -> float:
    row = table.shape[0] - 1
    while row > 0 and not price > table[row, 0]:
        row -= 1
    # A quotient of whole numbers is the double nearest to the decimal, so it prints short.
    return np.rint(price * table[row, 2] / table[row, 1]) * table[row, 1] / table[row, 2]


@njit(cache=True)
def _next_tick(price: float, table: Any) -> float:
    half = 0.5 * table[0, 1] / table[0, 2]
    row = table.shape[0] - 1
    while row > 0 and not price > table[row, 0] - half:
        row -= 1
    return _round_tick(price + table[row, 1] / table[row, 2], table)


@njit(cache=True)
def _round_to(value: float, scale: float) -> float:
    return np.rint(value * scale) / scale


@njit(cache=True)
def value_rows(
    t: Any, rows: Any, expiry_of: Any, strike: Any, is_call: Any, now_ms: int, index: float,
    expiries: Any, slots: Any, offset: Any, knots: Any, ivs: Any, slopes: Any, unit: int, scales: Any,
) -> Any:  # fmt: skip
    """Set forward, mark, mark IV and greeks of `rows` of the ticker table.

    `expiries` has rows tau, forward, level, skew, curvature by expiry of the board; `slots` the smile of each; `unit`
    is 0 for coin, 1 for quote currency, 2 for discounted quote currency; `scales` are powers of ten: decimals of mark,
    IV (percent) and greeks. Returns rows: the unit's worth in money, tau, vega (money a vol point), by option.
    """
    out = np.empty((3, rows.shape[0]))
    for i in range(rows.shape[0]):
        row = rows[i]
        e = expiry_of[row]
        tau, forward = max(expiries[0, e], TAU_MIN), expiries[1, e]
        x = math.log(strike[row] / forward) / math.sqrt(tau)
        iv = _smile(offset, knots, ivs, slopes, slots[e], x)
        # In standard deviations, and bounded so that far wings are tilted no further.
        z = x / max(iv, IV_MIN)
        iv = iv * expiries[2, e] + expiries[3, e] * z / math.sqrt(4.0 + z * z) + expiries[4, e] * z * z / (4.0 + z * z)
        iv = min(max(iv, IV_MIN), IV_MAX)
        # What is printed holds together: the mark is that of the printed forward and of the unrounded IV.
        price, delta, gamma, vega, theta, rho = _black(forward, strike[row], expiries[0, e], iv, is_call[row])
        worth = forward if unit == 0 else 1.0 if unit == 1 else forward / index
        cell = t[row]
        cell.time_ms, cell.forward, cell.index = now_ms, forward, index
        cell.mark, cell.mark_iv = _round_to(price / worth, scales[0]), _round_to(100.0 * iv, scales[1])
        cell.delta, cell.gamma, cell.vega = (
            _round_to(delta, scales[2]), _round_to(gamma, scales[2]), _round_to(vega, scales[2])
        )  # fmt: skip
        cell.theta, cell.rho = _round_to(theta, scales[2]), _round_to(rho, scales[2])
        out[0, i], out[1, i], out[2, i] = worth, expiries[0, e], vega
    return out


@njit(cache=True)
def quote_rows(
    t: Any, q: Any, rows: Any, strike: Any, is_call: Any, valued: Any, uniform: Any, normal: Any,
    ticks: Any, min_size: float,
) -> None:  # fmt: skip
    """Re-quote `rows` about their marks: prices on ticks, gaps that come and go, sizes.

    `valued` is what `value_rows` returned; `uniform` (4, n) and `normal` (3, n) are draws.
    """
    noise = OFFSET_SD * math.sqrt(1.0 - OFFSET_KEEP * OFFSET_KEEP)
    for i in range(rows.shape[0]):
        row = rows[i]
        cell, manner = t[row], q[row]
        if uniform[0, i] < (GOES if manner.bid_gone == manner.bid_rare else RETURNS):
            manner.bid_gone = not manner.bid_gone
        if uniform[1, i] < (GOES if manner.ask_gone == manner.ask_rare else RETURNS):
            manner.ask_gone = not manner.ask_gone
        manner.offset = OFFSET_KEEP * manner.offset + noise * normal[0, i]
        scale = min(max(valued[2, i] / max(manner.vega, 1e-5), 0.5), 2.0)
        middle = cell.mark + manner.offset * (manner.bid_gap + manner.ask_gap) * scale
        bid = _round_tick(max(middle - manner.bid_gap * scale, 0.0), ticks)
        ask = _round_tick(max(middle + manner.ask_gap * scale, 0.0), ticks)
        ask = max(ask, _next_tick(bid, ticks))
        # Nobody sells below intrinsic value, so that an ask always has an IV.
        sign = 1.0 if is_call[row] else -1.0
        floor = max(sign * (cell.forward - strike[row]), 0.0) / valued[0, i] + FLOOR_TICKS * ticks[0, 1] / ticks[0, 2]
        if not ask > floor:
            ask = _round_tick(floor, ticks)
            while not ask > floor:
                ask = _next_tick(ask, ticks)
        if manner.bid_gone or bid <= 0.0:
            bid = np.nan
        if manner.ask_gone or not ask < (cell.forward if is_call[row] else strike[row]) / valued[0, i]:
            ask = np.nan
        size = max(np.rint(SIZE_MEDIAN * math.exp(SIZE_SD * normal[1, i])), 1.0) * min_size
        if not (uniform[2, i] < SIZE_KEEP and bid == cell.bid and cell.bid_size > 0.0):
            cell.bid_size = 0.0 if math.isnan(bid) else _round_to(size, 1e6)
        size = max(np.rint(SIZE_MEDIAN * math.exp(SIZE_SD * normal[2, i])), 1.0) * min_size
        if not (uniform[3, i] < SIZE_KEEP and ask == cell.ask and cell.ask_size > 0.0):
            cell.ask_size = 0.0 if math.isnan(ask) else _round_to(size, 1e6)
        cell.bid, cell.ask = bid, ask


@njit(cache=True)
def sides(t: Any, rows: Any, strike: Any, is_call: Any, valued: Any) -> Any:
    """Return (5, 2n): money price, forward, strike, tau, is call of all bids, then of all asks; NaN becomes 0."""
    n = rows.shape[0]
    out = np.empty((5, 2 * n))
    for i in range(n):
        cell = t[rows[i]]
        for k in range(2):
            at = i + k * n
            price = cell.bid if k == 0 else cell.ask
            out[0, at] = 0.0 if math.isnan(price) else price * valued[0, i]
            out[1, at], out[2, at], out[3, at] = cell.forward, strike[rows[i]], valued[1, i]
            out[4, at] = 1.0 if is_call[rows[i]] else 0.0
    return out


@njit(cache=True)
def set_quote_ivs(t: Any, rows: Any, iv: Any, iv_scale: float) -> None:
    """Set bid_iv and ask_iv (percent) from the 2n implied vols of `sides`; 0 where there is none."""
    n = rows.shape[0]
    for i in range(n):
        bid, ask = iv[i], iv[i + n]
        cell = t[rows[i]]
        cell.bid_iv = min(_round_to(100.0 * bid, iv_scale), IV_CAP_PERCENT) if bid - bid == 0.0 else 0.0
        cell.ask_iv = min(_round_to(100.0 * ask, iv_scale), IV_CAP_PERCENT) if ask - ask == 0.0 else 0.0
