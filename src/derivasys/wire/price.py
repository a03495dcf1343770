"""Options priced on a published state: a list of (expiry or tenor, strike or delta, type) → vol, price, greeks.

Everything follows from the state's parameters, times and forwards, so that any reader of a state can check it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from derivasys.analytics.black import black_price, greeks
from derivasys.smiles import Curve, DeltaConvention, NodeConventions, Smiles
from derivasys.surface import STATES
from derivasys.wire.conventions import column, params_of
from derivasys.wire.documents import PricedOption, PriceGreeks, PriceOption, PriceRequest
from derivasys.wire.published import State
from derivasys.wire.table import Table

Floats = NDArray[np.float64]
K_MAX = 50.0
"""No strike further out in log-moneyness is priced, or given for a delta."""
_DAYS = {"D": 1, "W": 7, "M": 30, "Y": 365}


class FieldError(ValueError):
    """A field of a request that cannot be; `path` names it."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(message)
        self.path = path


class StateSmiles(Smiles):
    """The smiles of a published state."""

    def __init__(self, state: State, delta: DeltaConvention) -> None:
        table = state.tables["surface"]
        self.expiries = tuple(int(key[0]) for key in table.keys)
        self.tau = column(table, "tau")
        self.forward = column(table, "forward", "price")
        self.params = params_of(table)
        self.conventions = NodeConventions(delta=delta)
        self._is_live = np.isfinite(self.params).all(axis=1) & (self.forward > 0) & (self.tau > 0)
        self._spans = _used_spans(state, self.forward)
        self._notes = table.notes
        self._state = column(table, "fit", "state")

        self._curves: dict[int | str, Curve | str] = {}

    def at(self, option: PriceOption) -> Curve | str:
        """Return the smile of an option's expiry (which is listed) or tenor, or why there is none."""
        key = option.tenor if option.expiry is UNSET else option.expiry
        assert key is not UNSET
        if key not in self._curves:
            self._curves[key] = self._tenor(key) if isinstance(key, str) else self._expiry(key)
        return self._curves[key]

    def _tenor(self, tenor: str) -> Curve | str:
        curve = self.curve(None, tenor_days(tenor) / 365.0)
        return curve if curve.forward > 0 else "no expiry is fitted"

    def _expiry(self, expiry: int) -> Curve | str:
        at = self.expiries.index(expiry)
        if self._is_live[at]:
            return self.curve(expiry, None)
        reasons = "; ".join(self._notes[at].get(("fit", "reasons"), ())) if self._notes else ""
        return f"the expiry is {STATES[int(self._state[at])]}" + (f": {reasons}" if reasons else "")

    def is_extrapolated(self, tau: float, k: float) -> bool:
        """Return whether a point lies outside the quotes of an expiry that it rests on, or outside the expiries."""
        live = np.flatnonzero(self._is_live)
        right = int(np.searchsorted(self.tau[live], tau))
        if right < len(live) and self.tau[live[right]] == tau:
            around = [live[right]]
        elif 0 < right < len(live):
            around = [live[right - 1], live[right]]
        else:
            return True
        return not all(self._spans[at, 0] <= k <= self._spans[at, 1] for at in around)


def price(state: State, request: PriceRequest) -> tuple[DeltaConvention, list[PricedOption]]:
    """Return the convention of the deltas, and the options priced in order. Raises FieldError."""
    convention: Any = state.conventions["delta"]
    if request.delta_convention is not UNSET:
        convention = request.delta_convention
    smiles = StateSmiles(state, convention)
    placed = [_place(smiles, option, f"$.options[{at}]") for at, option in enumerate(request.options)]
    points = [at for at in placed if isinstance(at, _Point)]
    rows = [(at.curve.forward, at.strike, at.curve.tau, at.vol) for at in points]
    numbers = np.array(rows, np.float64).reshape(-1, 4).T
    is_call = np.array([at.option.type == "C" for at in points], np.bool_)
    prices = black_price(numbers[0], numbers[1], numbers[2], numbers[3], is_call).tolist()
    values = iter(zip(prices, _greeks(numbers, is_call), strict=True))
    return convention, [_priced(smiles, at, *next(values)) if isinstance(at, _Point) else at for at in placed]


def tenor_days(tenor: str) -> int:
    """Return the days of a tenor such as 45D, 2W, 1M (30 days) or 1Y (365 days)."""
    return int(tenor[:-1]) * _DAYS[tenor[-1]]


class _Point(NamedTuple):
    """Where an option stands on its smile; vol is a decimal."""

    option: PriceOption
    curve: Curve
    k: float
    strike: float
    vol: float


def _place(smiles: StateSmiles, option: PriceOption, path: str) -> _Point | PricedOption:
    """Return where the option stands, or the reply that says why nowhere."""
    if (option.expiry is UNSET) == (option.tenor is UNSET):
        raise FieldError(path, "give either expiry or tenor")
    if (option.strike is UNSET) == (option.delta is UNSET):
        raise FieldError(path, "give either strike or delta")
    if option.delta is not UNSET and not (option.delta > 0 if option.type == "C" else option.delta < 0):
        raise FieldError(f"{path}.delta", "the delta of a call is above zero, that of a put below")
    if option.expiry is not UNSET and option.expiry not in smiles.expiries:
        listed = ", ".join(map(str, smiles.expiries)) or "none"
        raise FieldError(f"{path}.expiry", f"expiry {option.expiry} is not listed; listed are {listed}")
    curve = smiles.at(option)
    if isinstance(curve, str):
        return _without(option, curve)
    strike = None if option.strike is UNSET else option.strike
    delta = None if option.delta is UNSET else option.delta
    k = float(smiles.k_of(curve, strike, None, delta))
    if not abs(k) < K_MAX:
        why = f"no strike has delta {delta:g} on this smile" if strike is None else "the strike is beyond any smile"
        return _without(option, why)
    w = float(smiles.w_of(curve, np.array([k]))[0])
    return _Point(option, curve, k, strike or curve.forward * math.exp(k), math.sqrt(w / curve.tau))


def _without(option: PriceOption, reason: str) -> PricedOption:
    return PricedOption(expiry=option.expiry, tenor=option.tenor, type=option.type, reason=reason)


def _priced(smiles: StateSmiles, at: _Point, value: float, of: PriceGreeks) -> PricedOption:
    forward, tau = at.curve.forward, at.curve.tau
    return PricedOption(
        expiry=at.option.expiry,
        tenor=at.option.tenor,
        type=at.option.type,
        days=round(365.0 * tau, 3),
        tau=tau,
        forward=forward,
        strike=at.strike,
        log_moneyness=at.k,
        vol=100.0 * at.vol,
        price=value,
        price_coin=value / forward,
        greeks=of,
        is_extrapolated=smiles.is_extrapolated(tau, at.k),
    )


def _greeks(numbers: Floats, is_call: NDArray[np.bool_]) -> list[PriceGreeks]:
    """Return the greeks of (forward, strike, tau, vol) in the units of the wire: vol points and days."""
    each = greeks(numbers[0], numbers[1], numbers[2], numbers[3], is_call)
    scaled = (
        each.delta_forward, each.delta_premium_adjusted, each.gamma, each.vega / 100.0, each.theta / 365.0,
        each.vanna / 100.0, each.volga / 10_000.0,
    )  # fmt: skip
    names = PriceGreeks.__struct_fields__
    return [PriceGreeks(**dict(zip(names, row, strict=True))) for row in np.stack(scaled, axis=1).tolist()]


def _used_spans(state: State, forward: Floats) -> Floats:
    """Return (n, 2): the log-moneyness that each expiry's used quotes span; none is (inf, -inf)."""
    levels: Table = state.tables["levels"]
    slots = {key[0]: at for at, key in enumerate(state.tables["surface"].keys)}
    spans = np.tile([np.inf, -np.inf], (len(slots), 1))
    for at in np.flatnonzero(column(levels, "used") == 1.0).tolist():
        slot = slots[levels.keys[at][0]]
        k = math.log(float(levels.keys[at][1]) / forward[slot]) if forward[slot] > 0 else math.nan
        spans[slot] = min(spans[slot, 0], k), max(spans[slot, 1], k)
    return spans
