"""The bodies of REST replies and requests, as types; units as in `wire.messages`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from derivasys.wire.expanded_messages import ExpandedSmile, ExpiryLevels, ExpiryThrough
from derivasys.wire.messages import (
    Conventions,
    ExpiryFit,
    Level,
    Part,
    Smile,
    Source,
    TenorRow,
    ThroughCell,
)


class Document(Part, frozen=True, kw_only=True):
    """What every REST body of one currency carries."""

    schema: int
    ts: int
    ccy: str
    epoch: str
    version: int
    source: Source


class SurfaceDocument(Document, frozen=True, kw_only=True):
    conventions: Conventions
    vol_index_30d: float | UnsetType = UNSET
    smiles: list[Smile]


class LevelsDocument(Document, frozen=True, kw_only=True):
    levels: dict[str, dict[str, dict[str, Level]]]


class TenorsDocument(Document, frozen=True, kw_only=True):
    conventions: Conventions
    tenors: list[TenorRow]


class ThroughDocument(Document, frozen=True, kw_only=True):
    cells: dict[str, dict[str, dict[str, ThroughCell]]]


class DiagnosticsDocument(Document, frozen=True, kw_only=True):
    objective: float | UnsetType = UNSET
    rmse: float | UnsetType = UNSET
    inside: float | UnsetType = UNSET
    elapsed_ms: float | UnsetType = UNSET
    stages_ms: dict[str, float] | UnsetType = UNSET
    waterfall_ms: dict[str, float] | UnsetType = UNSET
    expiries: list[ExpiryFit]


class ExpandedSurfaceDocument(Document, frozen=True, kw_only=True):
    form: Literal["expanded"]
    conventions: Conventions
    vol_index_30d: float | UnsetType = UNSET
    smiles: list[ExpandedSmile]


class ExpandedLevelsDocument(Document, frozen=True, kw_only=True):
    form: Literal["expanded"]
    levels: list[ExpiryLevels]


class ExpandedTenorsDocument(Document, frozen=True, kw_only=True):
    form: Literal["expanded"]
    conventions: Conventions
    rows: list[TenorRow]


class ExpandedThroughDocument(Document, frozen=True, kw_only=True):
    form: Literal["expanded"]
    cells: list[ExpiryThrough]


class Health(Part, frozen=True, kw_only=True):
    """`/healthz` and `/readyz`."""

    status: Literal["ok", "ready", "not ready"]
    reasons: list[str] | UnsetType = UNSET
    """Why it is not ready."""


class SiteConfig(Part, frozen=True, kw_only=True):
    """`/config.json`: what the static page needs to find its socket."""

    ws_path: str
    ws_url: str | UnsetType = UNSET
    """Absolute address when the socket lives on another host."""
    build: str


class Problem(Part, frozen=True, kw_only=True):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str | UnsetType = UNSET
    path: str | UnsetType = UNSET
    """The parameter, header or field (`$.options[3].strike`) that is wrong."""


# --- POST /price -----------------------------------------------------------------------------------

OPTIONS_MAX = 1000
"""Options of one request."""
Delta = Annotated[float, Meta(gt=-1.0, lt=1.0, description="Signed, in the request's convention: -0.25 is a put.")]
Strike = Annotated[float, Meta(ge=1e-12, le=1e15, description="Quote currency.")]
Tenor = Annotated[
    str, Meta(pattern="^[1-9][0-9]{0,3}[DWMY]$", description="Days, weeks (7), months (30) or years (365): 45D, 1M.")
]


class PriceOption(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One option: an `expiry` or a `tenor`, a `strike` or a `delta`, and its type."""

    expiry: int | UnsetType = UNSET
    """A listed expiry, ms UTC."""
    tenor: Tenor | UnsetType = UNSET
    strike: Strike | UnsetType = UNSET
    delta: Delta | UnsetType = UNSET
    type: Literal["C", "P"]


class PriceRequest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    ccy: str
    options: Annotated[list[PriceOption], Meta(min_length=1, max_length=OPTIONS_MAX)]
    delta_convention: Literal["forward", "premium_adjusted"] | UnsetType = UNSET
    """Of the deltas asked for; the server's own when absent."""


class PriceGreeks(Part, frozen=True, kw_only=True):
    """Of the undiscounted Black-76 price, by the names and units of each field."""

    delta_forward: float
    """Per unit of forward."""
    delta_premium_adjusted: float
    """The same less price over forward."""
    gamma: float
    """Of delta_forward, per unit of forward (quote currency)."""
    vega: float
    """Quote currency per vol point."""
    theta: float
    """Quote currency per day that passes."""
    vanna: float
    """Of delta_forward, per vol point."""
    volga: float
    """Of vega, quote currency per vol point squared."""


class PricedOption(Part, frozen=True, kw_only=True):
    """One option priced on the smile as published; without the numbers where there is a `reason`."""

    expiry: int | UnsetType = UNSET
    tenor: str | UnsetType = UNSET
    type: Literal["C", "P"]
    days: float | UnsetType = UNSET
    tau: float | UnsetType = UNSET
    forward: float | UnsetType = UNSET
    strike: float | UnsetType = UNSET
    log_moneyness: float | UnsetType = UNSET
    vol: float | UnsetType = UNSET
    """Vol points."""
    price: float | UnsetType = UNSET
    """Quote currency per coin, undiscounted."""
    price_coin: float | UnsetType = UNSET
    """The same in coins: price over forward."""
    greeks: PriceGreeks | UnsetType = UNSET
    is_extrapolated: bool | UnsetType = UNSET
    """Outside the listed expiries, or the strike outside the used quotes of an expiry that it rests on."""
    reason: str | UnsetType = UNSET
    """Why there is no price: the expiry is rejected, or no strike has that delta."""


class PriceDocument(Document, frozen=True, kw_only=True):
    delta_convention: Literal["forward", "premium_adjusted"]
    options: list[PricedOption]
    """In the order of the request."""
