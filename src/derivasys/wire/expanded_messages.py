"""The contract: messages and pieces of the expanded form, as types; units as in `wire.messages`.

Message types are those of the compact form with `"form": "expanded"`; `surface_fit_status`, `status`, `error` and
`pong` have one form only.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from derivasys.wire.messages import (
    Conventions,
    ErrorMessage,
    FitStatus,
    Node,
    Part,
    Pong,
    Smile,
    StatusMessage,
    SurfaceEnvelope,
    TenorRow,
    ThroughCell,
)

Expanded = Literal["expanded"]


class Axis(Part, frozen=True, kw_only=True):
    """Where the curves of a smile are drawn."""

    kind: Literal["log_moneyness"]
    values: list[float]


class NodePoint(Node, frozen=True, kw_only=True):
    """A delta node with its name."""

    label: str


class ExpandedSmile(Smile, frozen=True, kw_only=True):
    """A smile with its curves on an axis and its nodes in a list; the curves are absent where it has no parameters."""

    x_axis: Axis | UnsetType = UNSET
    var: list[float] | UnsetType = UNSET
    """Total variance."""
    vol: list[float] | UnsetType = UNSET
    """Vol points."""
    g_test: list[float] | UnsetType = UNSET
    """Durrleman's g: the density is a positive multiple of it."""
    risk_reversal_node_points: list[NodePoint] | UnsetType = UNSET


class LevelPoint(Part, frozen=True, kw_only=True):
    """The market at one strike on one exchange: the out-of-the-money option. Vols in vol points."""

    strike: float
    exchange: str
    log_moneyness: float | UnsetType = UNSET
    """Against the expiry's forward as published."""
    option_type: Literal["C", "P"]
    best_bid_iv: float | UnsetType = UNSET
    best_ask_iv: float | UnsetType = UNSET
    last_trade_iv: float | UnsetType = UNSET
    last_trade_ts: int | UnsetType = UNSET
    mark_iv: float | UnsetType = UNSET
    best_bid: float | UnsetType = UNSET
    best_ask: float | UnsetType = UNSET
    best_bid_size: float | UnsetType = UNSET
    """Coins."""
    best_ask_size: float | UnsetType = UNSET
    ts: int | UnsetType = UNSET
    used: bool
    reason: str | UnsetType = UNSET


class ExpiryLevels(Part, frozen=True, kw_only=True):
    """The levels of one expiry in order of strike, and the same by exchange."""

    expiry: int
    label: str
    points: list[LevelPoint]
    by_exchange: dict[str, list[LevelPoint]]


class ThroughPoint(ThroughCell, frozen=True, kw_only=True):
    """A quote through the fit with its place."""

    strike: float
    exchange: str
    log_moneyness: float | UnsetType = UNSET


class ExpiryThrough(Part, frozen=True, kw_only=True):
    """The quotes through the fit of one expiry in order of strike."""

    expiry: int
    label: str
    points: list[ThroughPoint]


class ExpandedSurfaceSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_surface_snapshot"):
    form: Expanded
    conventions: Conventions
    vol_index_30d: float | UnsetType = UNSET
    smiles: list[ExpandedSmile]


class ExpandedSurfacePatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_surface_patch"):
    """The whole object of each expiry that changed, and the expiries that are gone."""

    form: Expanded
    conventions: Conventions | UnsetType = UNSET
    vol_index_30d: float | UnsetType | None = UNSET
    smiles: list[ExpandedSmile] | UnsetType = UNSET
    removed: list[int] | UnsetType = UNSET


class ExpandedLevelsSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="smile_levels_snapshot"):
    form: Expanded
    levels: list[ExpiryLevels]


class ExpandedLevelsPatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="smile_levels_patch"):
    form: Expanded
    levels: list[ExpiryLevels] | UnsetType = UNSET
    removed: list[int] | UnsetType = UNSET


class ExpandedTenorSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_tenor_snapshot"):
    form: Expanded
    rows: list[TenorRow]


class ExpandedTenorPatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_tenor_patch"):
    form: Expanded
    rows: list[TenorRow] | UnsetType = UNSET
    removed: list[str] | UnsetType = UNSET


class ExpandedThroughSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_through_snapshot"):
    form: Expanded
    cells: list[ExpiryThrough]


class ExpandedThroughPatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_through_patch"):
    form: Expanded
    cells: list[ExpiryThrough] | UnsetType = UNSET
    removed: list[int] | UnsetType = UNSET


ExpandedServerMessage = (
    ExpandedSurfaceSnapshot
    | ExpandedSurfacePatch
    | ExpandedLevelsSnapshot
    | ExpandedLevelsPatch
    | ExpandedTenorSnapshot
    | ExpandedTenorPatch
    | ExpandedThroughSnapshot
    | ExpandedThroughPatch
    | FitStatus
    | StatusMessage
    | ErrorMessage
    | Pong
)
