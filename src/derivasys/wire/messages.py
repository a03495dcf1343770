"""The contract: every message of the WebSocket in the compact form, as types.

`wire.expanded_messages` has the other form and `wire.documents` the bodies of REST. JSON Schemas (`schemas.json`), the
AsyncAPI and OpenAPI documents and the TypeScript types are generated from them by `make types`; a test fails when they
are out of date.

Units: vols, risk reversals and flies in vol points (44.18 means 44.18 %), `tau` in years, `days` in
days, instants in integer milliseconds UTC, prices in quote currency unless the field says `_coin`.
An absent field is a missing value; 0 is zero; null appears only in patches, where it removes.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

SCHEMA = 1

Source = Literal["live", "replay", "simulated", "file"]
FeedState = Literal["connecting", "live", "stale", "down"]
SmileState = Literal["fitted", "held", "rejected"]
Verdict = Literal["certified", "violated", "unchecked"]
Channel = Literal["surface", "levels", "tenors", "through", "fit", "status"]


class Part(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, kw_only=True):
    """A piece of a message: absent fields are missing values."""


# --- surface -------------------------------------------------------------------------------------


class Conventions(Part, frozen=True, kw_only=True):
    """What the numbers mean. Every node follows these."""

    delta: Literal["forward", "premium_adjusted"]
    fly: Literal["full", "half", "market_strangle"]
    atm: Literal["forward"]
    day_count: Literal["ACT/365"]
    expiry_time: Literal["08:00 UTC"]


class ForwardPrice(Part, frozen=True, kw_only=True):
    """The forward of an expiry in quote currency, where it comes from, and how sure it is."""

    price: float
    source: Literal["venue", "future", "parity", "index", "given"]
    stderr_bp: float | UnsetType = UNSET
    age_ms: int | UnsetType = UNSET
    parity_gap_bp: float | UnsetType = UNSET
    """Put-call parity of the quotes above the venue's statements."""
    parity_stderr_bp: float | UnsetType = UNSET


class SviParams(Part, frozen=True, kw_only=True):
    """Raw SVI in total variance: w(k) = a + b(rho(k-m) + sqrt((k-m)^2 + sigma^2))."""

    a: float
    b: float
    rho: float
    m: float
    sigma: float


class Node(Part, frozen=True, kw_only=True):
    """One delta node of a smile."""

    option_type: Literal["C", "P"]
    target_delta: float
    """Signed: -0.25 for 25P."""
    delta: float
    delta_error: float
    log_moneyness: float
    strike: float
    vol: float
    bid_vol: float | UnsetType = UNSET
    ask_vol: float | UnsetType = UNSET
    quotes: int
    """Used quotes between this node's neighbours."""
    age_ms: int | UnsetType = UNSET
    is_extrapolated: bool


class Certificate(Part, frozen=True, kw_only=True):
    """Static arbitrage of the parameters as published; `unchecked` where nothing was proved."""

    butterfly: Verdict
    calendar: Verdict
    """Against the next shorter expiry."""
    lee: Verdict
    min_g: float | UnsetType = UNSET
    min_g_k: float | UnsetType = UNSET
    calendar_margin: float | UnsetType = UNSET
    """Least w(k, this) - w(k, shorter) over k."""


class SmileFit(Part, frozen=True, kw_only=True):
    """How the smile was obtained."""

    state: SmileState
    rmse: float | UnsetType = UNSET
    """Vol points."""
    cost_rmse: float | UnsetType = UNSET
    """What freedom from arbitrage cost: vol points of rmse above the free fit."""
    cost_inside: float | UnsetType = UNSET
    """… and share of quotes inside bid–ask below the free fit, 0..1."""
    reasons: list[str]


class QuotePoint(Part, frozen=True, kw_only=True):
    """One quote as the fit saw it (`derivasys fit --json` only)."""

    strike: float
    log_moneyness: float
    type: Literal["C", "P"]
    venue: str
    bid_iv: float | UnsetType = UNSET
    ask_iv: float | UnsetType = UNSET
    used: bool
    reason: str | UnsetType = UNSET


class Smile(Part, frozen=True, kw_only=True):
    """The fitted smile of one expiry."""

    expiry: int
    label: str
    days: float
    tau: float
    forward: ForwardPrice | UnsetType = UNSET
    atm: float | UnsetType = UNSET
    """Forward level of the at-the-money node, quote currency."""
    atm_vol: float | UnsetType = UNSET
    variance_swap_vol: float | UnsetType = UNSET
    """Strike of the variance swap, as a vol."""
    variance_swap_extrapolated: float | UnsetType = UNSET
    """Share of its variance that is owed to strikes outside the used quotes, 0..1."""
    params: SviParams | UnsetType = UNSET
    risk_reversals: dict[str, float] | UnsetType = UNSET
    flies: dict[str, float] | UnsetType = UNSET
    nodes: dict[str, Node] | UnsetType = UNSET
    certificate: Certificate
    fit: SmileFit
    quotes: list[QuotePoint] | UnsetType = UNSET


# --- levels --------------------------------------------------------------------------------------


class Level(Part, frozen=True, kw_only=True):
    """The market at one strike on one venue: the out-of-the-money option."""

    option_type: Literal["C", "P"]
    bid_vol: float | UnsetType = UNSET
    ask_vol: float | UnsetType = UNSET
    last_vol: float | UnsetType = UNSET
    """Of the last trade on the book, at its own time."""
    last_ts: int | UnsetType = UNSET
    mark_vol: float | UnsetType = UNSET
    bid: float | UnsetType = UNSET
    ask: float | UnsetType = UNSET
    bid_size: float | UnsetType = UNSET
    """Coins."""
    ask_size: float | UnsetType = UNSET
    ts: int | UnsetType = UNSET
    """Receive time of the quote."""
    used: bool
    reason: str | UnsetType = UNSET
    """Why the fit did not use it."""


# --- tenors --------------------------------------------------------------------------------------


class TenorRow(Part, frozen=True, kw_only=True):
    """The surface at a fixed tenor, between certified or fitted expiries."""

    label: str
    days: float
    tau: float
    forward: float | UnsetType = UNSET
    atm_vol: float | UnsetType = UNSET
    risk_reversals: dict[str, float] | UnsetType = UNSET
    flies: dict[str, float] | UnsetType = UNSET
    vols: dict[str, float] | UnsetType = UNSET
    is_extrapolated: bool
    method: Literal["linear_total_variance", "convex_price", "slice", "scaled_slice", "shifted_slice"]
    """Between two expiries: at constant k, linear in total variance or in price; a listed expiry; outside them: the
    nearest slice with vols by delta kept (before the first) or at-the-money vol kept (after the last)."""
    butterfly: Verdict
    """Proved on the whole line of the row's curve."""
    calendar: Verdict
    """Against the expiries around the row and the other rows."""


# --- through -------------------------------------------------------------------------------------


class ThroughCell(Part, frozen=True, kw_only=True):
    """A quote through the certified smile as published: a bid above it or an ask below.

    Of a strike's call and put on one venue, the one of the larger `net`. Stale, crossed and settling quotes and smiles
    that are held or not certified give no cell.
    """

    side: Literal["bid", "ask"]
    option_type: Literal["C", "P"]
    excess_vol: float | UnsetType = UNSET
    """Bid − fit or fit − ask, vol points; absent where the price has no implied vol (below intrinsic value)."""
    excess: float
    """The same of prices: quote currency per coin, on the forward of the quote's venue."""
    net_vol: float | UnsetType = UNSET
    """`excess_vol` after the venue's taker fee; absent where that price has no implied vol."""
    net: float
    """`excess` less the venue's taker fee; negative where the fee is larger."""
    size: float | UnsetType = UNSET
    """Coins."""
    since: int
    """When this option first was through on this side, without a break since."""


# --- fit -----------------------------------------------------------------------------------------


class ExpiryFit(Part, frozen=True, kw_only=True):
    """Fit diagnostics of one expiry."""

    expiry: int
    label: str
    state: SmileState
    reasons: list[str]
    rmse: float | UnsetType = UNSET
    inside: float | UnsetType = UNSET
    """Share of used two-sided quotes whose band holds the fit, 0..1."""
    quotes: int
    used: int
    rejected: dict[str, int]
    """Unused quotes by reason."""


# --- envelopes -----------------------------------------------------------------------------------


class Envelope(Part, frozen=True, kw_only=True):
    """What every server message carries."""

    schema: int
    ts: int


class SurfaceEnvelope(Envelope, frozen=True, kw_only=True):
    """What every message with surface data carries."""

    ccy: str
    epoch: str
    seq: int
    version: int


class SurfaceSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_surface_snapshot"):
    conventions: Conventions
    vol_index_30d: float | UnsetType = UNSET
    """Variance-swap vol at 30 days; absent where that lies outside the listed expiries."""
    smiles: dict[str, Smile]


class SurfacePatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_surface_patch"):
    """A merge patch: `smiles` and `conventions` hold what changed, null what is gone."""

    conventions: dict[str, Any] | UnsetType = UNSET
    vol_index_30d: float | UnsetType | None = UNSET
    smiles: dict[str, Any] | UnsetType = UNSET


class LevelsSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="smile_levels_snapshot"):
    levels: dict[str, dict[str, dict[str, Level]]]


class LevelsPatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="smile_levels_patch"):
    levels: dict[str, Any] | UnsetType = UNSET


class TenorSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_tenor_snapshot"):
    tenors: dict[str, TenorRow]


class TenorPatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_tenor_patch"):
    tenors: dict[str, Any] | UnsetType = UNSET


class ThroughSnapshot(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_through_snapshot"):
    cells: dict[str, dict[str, dict[str, ThroughCell]]]
    """By expiry, strike and venue."""


class ThroughPatch(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="svi_through_patch"):
    cells: dict[str, Any] | UnsetType = UNSET


class FitStatus(SurfaceEnvelope, frozen=True, kw_only=True, tag_field="type", tag="surface_fit_status"):
    """Whole each time."""

    objective: float | UnsetType = UNSET
    rmse: float | UnsetType = UNSET
    inside: float | UnsetType = UNSET
    elapsed_ms: float | UnsetType = UNSET
    """Time of the whole cycle; absent in a replay, where no clock is read."""
    stages_ms: dict[str, float] | UnsetType = UNSET
    waterfall_ms: dict[str, float] | UnsetType = UNSET
    """The newest frame's way here by stage (see `Stage`); encode and write are those of the cycle before."""
    expiries: list[ExpiryFit]


class Quantiles(Part, frozen=True, kw_only=True):
    p50: float
    p99: float


class ClockStatus(Part, frozen=True, kw_only=True):
    """What is known of a venue's clock; what is absent is not known."""

    skew_ms: float | UnsetType = UNSET
    """How far it is behind ours (negative: ahead), with what the venue holds every message back for: nobody outside can
    tell the two apart. The least (received − exchange time) of a minute, less half of the least round trip."""
    round_trip_ms: float | UnsetType = UNSET
    """The least of the venue's connections, as the kernel measures it."""
    transit_ms: Quantiles | UnsetType = UNSET
    """Exchange time to receipt, the skew taken off."""


class VenueStatus(Part, frozen=True, kw_only=True):
    venue: str
    state: FeedState
    detail: str | UnsetType = UNSET
    age_ms: int | UnsetType = UNSET
    """Since the last market-data frame."""
    rate: float
    """Frames a second over the last seconds."""
    messages: int
    reconnects: int
    gaps: int
    drops: int
    rejects: dict[str, int]
    clock: ClockStatus | UnsetType = UNSET
    ccys: list[str]


class SourceStatus(Part, frozen=True, kw_only=True):
    kind: Source
    label: str
    """For the screen: what is shown, where it comes from."""
    recorded: dict[str, int] | UnsetType = UNSET
    """By currency, the recorded instant that a replay or simulation starts from."""


class RecorderStatus(Part, frozen=True, kw_only=True):
    state: Literal["recording", "stopped"]
    detail: str | UnsetType = UNSET
    """Why it stopped."""
    records: int
    lost: int
    """Records that came after it stopped."""
    bytes: int


class Stage(Part, frozen=True, kw_only=True):
    """One stage of the waterfall, ms over the last seconds."""

    stage: str
    """Exchange time → (transit) received → (decode) decoded → (wait) cycle start → (fit) fitted → (encode) encoded →
    (write) written; `total` is from received to written, `net` the same without the wait for the cycle."""
    p50: float
    p99: float


class GatewayStatus(Part, frozen=True, kw_only=True):
    """Counters since start."""

    delivered: int
    """Writes to clients; one joins all that a cycle says to them."""
    sent_bytes: int
    skipped: int
    """Writes that slow clients were spared, who get a snapshot instead."""
    stuck: int
    """Clients dropped because they stopped reading or answering."""
    refused: dict[str, int]
    """Requests and connections by cause: connections, rate, origin, key."""
    missed_cycles: int


class StatusMessage(Envelope, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """Whole each time; `ts` is the server's own clock, also in a replay."""

    available_ccys: list[str]
    source: SourceStatus
    venues: list[VenueStatus]
    latency_ms: dict[str, Quantiles]
    """By stage, over the last seconds."""
    waterfall: list[Stage] | UnsetType = UNSET
    """In the order of the flow."""
    gateway: GatewayStatus | UnsetType = UNSET
    clients: int
    recorder: RecorderStatus | UnsetType = UNSET
    build: str


class ErrorMessage(Envelope, frozen=True, kw_only=True, tag_field="type", tag="error"):
    code: str
    message: str
    path: str | UnsetType = UNSET


class Pong(Envelope, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    id: str | int | UnsetType = UNSET


ServerMessage = (
    SurfaceSnapshot
    | SurfacePatch
    | LevelsSnapshot
    | LevelsPatch
    | TenorSnapshot
    | TenorPatch
    | ThroughSnapshot
    | ThroughPatch
    | FitStatus
    | StatusMessage
    | ErrorMessage
    | Pong
)


# --- client to server ----------------------------------------------------------------------------


class Request(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="type"):
    """What a client may say; all of it is optional."""


class SelectCurrency(Request, frozen=True, kw_only=True, tag="select_currency"):
    ccy: str


class ConventionChoice(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conventions of nodes, risk reversals and flies; what is absent stays as it is."""

    delta: Literal["forward", "premium_adjusted"] | UnsetType = UNSET
    fly: Literal["full", "half", "market_strangle"] | UnsetType = UNSET


class Subscribe(Request, frozen=True, kw_only=True, tag="subscribe"):
    """Adds channels and currencies; changes rate, form and conventions, which a client has one of each."""

    channels: list[Channel] | UnsetType = UNSET
    ccys: list[str] | UnsetType = UNSET
    rate_ms: Literal[50, 200, 1000] | UnsetType = UNSET
    form: Literal["compact", "expanded"] | UnsetType = UNSET
    conventions: ConventionChoice | UnsetType = UNSET


class Unsubscribe(Request, frozen=True, kw_only=True, tag="unsubscribe"):
    channels: list[Channel] | UnsetType = UNSET
    ccys: list[str] | UnsetType = UNSET


class Resync(Request, frozen=True, kw_only=True, tag="resync"):
    channel: Channel
    ccy: str


class Ping(Request, frozen=True, kw_only=True, tag="ping"):
    id: str | int | UnsetType = UNSET


ClientMessage = SelectCurrency | Subscribe | Unsubscribe | Resync | Ping


DECODE_CLIENT = msgspec.json.Decoder(ClientMessage)
