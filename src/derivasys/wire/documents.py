"""The bodies of REST replies and requests, as types; units as in `wire.messages`."""

from __future__ import annotations

from msgspec import UNSET, UnsetType

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
    tenors: list[TenorRow]


class ThroughDocument(Document, frozen=True, kw_only=True):
    cells: dict[str, dict[str, dict[str, ThroughCell]]]


class DiagnosticsDocument(Document, frozen=True, kw_only=True):
    objective: float | UnsetType = UNSET
    rmse: float | UnsetType = UNSET
    inside: float | UnsetType = UNSET
    elapsed_ms: float | UnsetType = UNSET
    stages_ms: dict[str, float] | UnsetType = UNSET
    expiries: list[ExpiryFit]


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
