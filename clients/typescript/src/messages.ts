/* Generated from src/derivasys/wire/schemas.json by `npm run types`: do not edit. `npm run types:check` fails when out of date. */

export type ClientMessage = SelectCurrency | Subscribe | Unsubscribe | Resync | Ping
export type ExpandedServerMessage =
  | ExpandedSurfaceSnapshot
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
export type ServerMessage =
  | SurfaceSnapshot
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

/**
 * Every definition of the wire, by name; only here so that all of them are generated.
 */
export interface Wire {
  Axis: Axis
  Certificate: Certificate
  ClientMessage: ClientMessage
  ClockStatus: ClockStatus
  ConventionChoice: ConventionChoice
  Conventions: Conventions
  DiagnosticsDocument: DiagnosticsDocument
  ErrorMessage: ErrorMessage
  ExpandedLevelsDocument: ExpandedLevelsDocument
  ExpandedLevelsPatch: ExpandedLevelsPatch
  ExpandedLevelsSnapshot: ExpandedLevelsSnapshot
  ExpandedServerMessage: ExpandedServerMessage
  ExpandedSmile: ExpandedSmile
  ExpandedSurfaceDocument: ExpandedSurfaceDocument
  ExpandedSurfacePatch: ExpandedSurfacePatch
  ExpandedSurfaceSnapshot: ExpandedSurfaceSnapshot
  ExpandedTenorPatch: ExpandedTenorPatch
  ExpandedTenorSnapshot: ExpandedTenorSnapshot
  ExpandedTenorsDocument: ExpandedTenorsDocument
  ExpandedThroughDocument: ExpandedThroughDocument
  ExpandedThroughPatch: ExpandedThroughPatch
  ExpandedThroughSnapshot: ExpandedThroughSnapshot
  ExpiryFit: ExpiryFit
  ExpiryLevels: ExpiryLevels
  ExpiryThrough: ExpiryThrough
  FitStatus: FitStatus
  ForwardPrice: ForwardPrice
  GatewayStatus: GatewayStatus
  Health: Health
  Level: Level
  LevelPoint: LevelPoint
  LevelsDocument: LevelsDocument
  LevelsPatch: LevelsPatch
  LevelsSnapshot: LevelsSnapshot
  Node: Node
  NodePoint: NodePoint
  Ping: Ping
  Pong: Pong
  PriceDocument: PriceDocument
  PriceGreeks: PriceGreeks
  PriceOption: PriceOption
  PriceRequest: PriceRequest
  PricedOption: PricedOption
  Problem: Problem
  Quantiles: Quantiles
  QuotePoint: QuotePoint
  RecorderStatus: RecorderStatus
  Resync: Resync
  SelectCurrency: SelectCurrency
  ServerMessage: ServerMessage
  SiteConfig: SiteConfig
  Smile: Smile
  SmileFit: SmileFit
  SourceStatus: SourceStatus
  Stage: Stage
  StatusMessage: StatusMessage
  Subscribe: Subscribe
  SurfaceDocument: SurfaceDocument
  SurfacePatch: SurfacePatch
  SurfaceSnapshot: SurfaceSnapshot
  SviParams: SviParams
  TenorPatch: TenorPatch
  TenorRow: TenorRow
  TenorSnapshot: TenorSnapshot
  TenorsDocument: TenorsDocument
  ThroughCell: ThroughCell
  ThroughDocument: ThroughDocument
  ThroughPatch: ThroughPatch
  ThroughPoint: ThroughPoint
  ThroughSnapshot: ThroughSnapshot
  Unsubscribe: Unsubscribe
  VenueStatus: VenueStatus
}
/**
 * Where the curves of a smile are drawn.
 */
export interface Axis {
  kind: 'log_moneyness'
  values: number[]
}
/**
 * Static arbitrage of the parameters as published; `unchecked` where nothing was proved.
 */
export interface Certificate {
  butterfly: 'certified' | 'unchecked' | 'violated'
  calendar: 'certified' | 'unchecked' | 'violated'
  lee: 'certified' | 'unchecked' | 'violated'
  min_g?: number
  min_g_k?: number
  calendar_margin?: number
}
export interface SelectCurrency {
  type: 'select_currency'
  ccy: string
}
/**
 * Adds channels and currencies; changes rate, form and conventions, which a client has one of each.
 */
export interface Subscribe {
  type: 'subscribe'
  channels?: ('fit' | 'levels' | 'status' | 'surface' | 'tenors' | 'through')[]
  ccys?: string[]
  rate_ms?: 50 | 200 | 1000
  form?: 'compact' | 'expanded'
  conventions?: ConventionChoice
}
/**
 * Conventions of nodes, risk reversals and flies; what is absent stays as it is.
 */
export interface ConventionChoice {
  delta?: 'forward' | 'premium_adjusted'
  fly?: 'full' | 'half' | 'market_strangle'
}
export interface Unsubscribe {
  type: 'unsubscribe'
  channels?: ('fit' | 'levels' | 'status' | 'surface' | 'tenors' | 'through')[]
  ccys?: string[]
}
export interface Resync {
  type: 'resync'
  channel: 'fit' | 'levels' | 'status' | 'surface' | 'tenors' | 'through'
  ccy: string
}
export interface Ping {
  type: 'ping'
  id?: string | number
}
/**
 * What is known of a venue's clock; what is absent is not known.
 */
export interface ClockStatus {
  skew_ms?: number
  round_trip_ms?: number
  transit_ms?: Quantiles
}
export interface Quantiles {
  p50: number
  p99: number
}
/**
 * What the numbers mean. Every node follows these.
 */
export interface Conventions {
  delta: 'forward' | 'premium_adjusted'
  fly: 'full' | 'half' | 'market_strangle'
  atm: 'forward'
  day_count: 'ACT/365'
  expiry_time: '08:00 UTC'
}
export interface DiagnosticsDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  objective?: number
  rmse?: number
  inside?: number
  elapsed_ms?: number
  stages_ms?: {
    [k: string]: number
  }
  waterfall_ms?: {
    [k: string]: number
  }
  expiries: ExpiryFit[]
}
/**
 * Fit diagnostics of one expiry.
 */
export interface ExpiryFit {
  expiry: number
  label: string
  state: 'fitted' | 'held' | 'rejected'
  reasons: string[]
  rmse?: number
  inside?: number
  quotes: number
  used: number
  rejected: {
    [k: string]: number
  }
}
export interface ErrorMessage {
  type: 'error'
  schema: number
  ts: number
  code: string
  message: string
  path?: string
}
export interface ExpandedLevelsDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  form: 'expanded'
  levels: ExpiryLevels[]
}
/**
 * The levels of one expiry in order of strike, and the same by exchange.
 */
export interface ExpiryLevels {
  expiry: number
  label: string
  points: LevelPoint[]
  by_exchange: {
    [k: string]: LevelPoint[]
  }
}
/**
 * The market at one strike on one exchange: the out-of-the-money option. Vols in vol points.
 */
export interface LevelPoint {
  strike: number
  exchange: string
  log_moneyness?: number
  option_type: 'C' | 'P'
  best_bid_iv?: number
  best_ask_iv?: number
  last_trade_iv?: number
  last_trade_ts?: number
  mark_iv?: number
  best_bid?: number
  best_ask?: number
  best_bid_size?: number
  best_ask_size?: number
  ts?: number
  used: boolean
  reason?: string
}
export interface ExpandedLevelsPatch {
  type: 'smile_levels_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  levels?: ExpiryLevels[]
  removed?: number[]
}
export interface ExpandedLevelsSnapshot {
  type: 'smile_levels_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  levels: ExpiryLevels[]
}
export interface ExpandedSurfaceSnapshot {
  type: 'svi_surface_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  conventions: Conventions
  vol_index_30d?: number
  smiles: ExpandedSmile[]
}
/**
 * A smile with its curves on an axis and its nodes in a list; the curves are absent where it has no parameters.
 */
export interface ExpandedSmile {
  expiry: number
  label: string
  days: number
  tau: number
  forward?: ForwardPrice
  atm?: number
  atm_vol?: number
  variance_swap_vol?: number
  variance_swap_extrapolated?: number
  params?: SviParams
  risk_reversals?: {
    [k: string]: number
  }
  flies?: {
    [k: string]: number
  }
  nodes?: {
    [k: string]: Node
  }
  certificate: Certificate
  fit: SmileFit
  quotes?: QuotePoint[]
  x_axis?: Axis
  var?: number[]
  vol?: number[]
  g_test?: number[]
  risk_reversal_node_points?: NodePoint[]
}
/**
 * The forward of an expiry in quote currency, where it comes from, and how sure it is.
 */
export interface ForwardPrice {
  price: number
  source: 'future' | 'given' | 'index' | 'parity' | 'venue'
  stderr_bp?: number
  age_ms?: number
  parity_gap_bp?: number
  parity_stderr_bp?: number
}
/**
 * Raw SVI in total variance: w(k) = a + b(rho(k-m) + sqrt((k-m)^2 + sigma^2)).
 */
export interface SviParams {
  a: number
  b: number
  rho: number
  m: number
  sigma: number
}
/**
 * One delta node of a smile.
 */
export interface Node {
  option_type: 'C' | 'P'
  target_delta: number
  delta: number
  delta_error: number
  log_moneyness: number
  strike: number
  vol: number
  bid_vol?: number
  ask_vol?: number
  quotes: number
  age_ms?: number
  is_extrapolated: boolean
}
/**
 * How the smile was obtained.
 */
export interface SmileFit {
  state: 'fitted' | 'held' | 'rejected'
  rmse?: number
  cost_rmse?: number
  cost_inside?: number
  reasons: string[]
}
/**
 * One quote as the fit saw it (`derivasys fit --json` only).
 */
export interface QuotePoint {
  strike: number
  log_moneyness: number
  type: 'C' | 'P'
  venue: string
  bid_iv?: number
  ask_iv?: number
  used: boolean
  reason?: string
}
/**
 * A delta node with its name.
 */
export interface NodePoint {
  option_type: 'C' | 'P'
  target_delta: number
  delta: number
  delta_error: number
  log_moneyness: number
  strike: number
  vol: number
  bid_vol?: number
  ask_vol?: number
  quotes: number
  age_ms?: number
  is_extrapolated: boolean
  label: string
}
/**
 * The whole object of each expiry that changed, and the expiries that are gone.
 */
export interface ExpandedSurfacePatch {
  type: 'svi_surface_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  conventions?: Conventions
  vol_index_30d?: number | null
  smiles?: ExpandedSmile[]
  removed?: number[]
}
export interface ExpandedTenorSnapshot {
  type: 'svi_tenor_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  rows: TenorRow[]
}
/**
 * The surface at a fixed tenor, between certified or fitted expiries.
 */
export interface TenorRow {
  label: string
  days: number
  tau: number
  forward?: number
  atm_vol?: number
  risk_reversals?: {
    [k: string]: number
  }
  flies?: {
    [k: string]: number
  }
  vols?: {
    [k: string]: number
  }
  is_extrapolated: boolean
  method: 'convex_price' | 'linear_total_variance' | 'scaled_slice' | 'shifted_slice' | 'slice'
  butterfly: 'certified' | 'unchecked' | 'violated'
  calendar: 'certified' | 'unchecked' | 'violated'
}
export interface ExpandedTenorPatch {
  type: 'svi_tenor_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  rows?: TenorRow[]
  removed?: string[]
}
export interface ExpandedThroughSnapshot {
  type: 'svi_through_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  cells: ExpiryThrough[]
}
/**
 * The quotes through the fit of one expiry in order of strike.
 */
export interface ExpiryThrough {
  expiry: number
  label: string
  points: ThroughPoint[]
}
/**
 * A quote through the fit with its place.
 */
export interface ThroughPoint {
  side: 'ask' | 'bid'
  option_type: 'C' | 'P'
  excess_vol?: number
  excess: number
  net_vol?: number
  net: number
  size?: number
  since: number
  strike: number
  exchange: string
  log_moneyness?: number
}
export interface ExpandedThroughPatch {
  type: 'svi_through_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  form: 'expanded'
  cells?: ExpiryThrough[]
  removed?: number[]
}
/**
 * Whole each time.
 */
export interface FitStatus {
  type: 'surface_fit_status'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  objective?: number
  rmse?: number
  inside?: number
  elapsed_ms?: number
  stages_ms?: {
    [k: string]: number
  }
  waterfall_ms?: {
    [k: string]: number
  }
  expiries: ExpiryFit[]
}
/**
 * Whole each time; `ts` is the server's own clock, also in a replay.
 */
export interface StatusMessage {
  type: 'status'
  schema: number
  ts: number
  available_ccys: string[]
  source: SourceStatus
  venues: VenueStatus[]
  latency_ms: {
    [k: string]: Quantiles
  }
  waterfall?: Stage[]
  gateway?: GatewayStatus
  clients: number
  recorder?: RecorderStatus
  build: string
}
export interface SourceStatus {
  kind: 'file' | 'live' | 'replay' | 'simulated'
  label: string
  recorded?: {
    [k: string]: number
  }
}
export interface VenueStatus {
  venue: string
  state: 'connecting' | 'down' | 'live' | 'stale'
  detail?: string
  age_ms?: number
  rate: number
  messages: number
  reconnects: number
  gaps: number
  drops: number
  rejects: {
    [k: string]: number
  }
  clock?: ClockStatus
  ccys: string[]
}
/**
 * One stage of the waterfall, ms over the last seconds.
 */
export interface Stage {
  stage: string
  p50: number
  p99: number
}
/**
 * Counters since start.
 */
export interface GatewayStatus {
  delivered: number
  sent_bytes: number
  skipped: number
  stuck: number
  refused: {
    [k: string]: number
  }
  missed_cycles: number
}
export interface RecorderStatus {
  state: 'recording' | 'stopped'
  detail?: string
  records: number
  lost: number
  bytes: number
}
export interface Pong {
  type: 'pong'
  schema: number
  ts: number
  id?: string | number
}
export interface ExpandedSurfaceDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  form: 'expanded'
  conventions: Conventions
  vol_index_30d?: number
  smiles: ExpandedSmile[]
}
export interface ExpandedTenorsDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  form: 'expanded'
  conventions: Conventions
  rows: TenorRow[]
}
export interface ExpandedThroughDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  form: 'expanded'
  cells: ExpiryThrough[]
}
/**
 * `/healthz` and `/readyz`.
 */
export interface Health {
  status: 'not ready' | 'ok' | 'ready'
  reasons?: string[]
}
/**
 * The market at one strike on one venue: the out-of-the-money option.
 */
export interface Level {
  option_type: 'C' | 'P'
  bid_vol?: number
  ask_vol?: number
  last_vol?: number
  last_ts?: number
  mark_vol?: number
  bid?: number
  ask?: number
  bid_size?: number
  ask_size?: number
  ts?: number
  used: boolean
  reason?: string
}
export interface LevelsDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  levels: {
    [k: string]: {
      [k: string]: {
        [k: string]: Level
      }
    }
  }
}
export interface LevelsPatch {
  type: 'smile_levels_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  levels?: {}
}
export interface LevelsSnapshot {
  type: 'smile_levels_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  levels: {
    [k: string]: {
      [k: string]: {
        [k: string]: Level
      }
    }
  }
}
export interface PriceDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  delta_convention: 'forward' | 'premium_adjusted'
  options: PricedOption[]
}
/**
 * One option priced on the smile as published; without the numbers where there is a `reason`.
 */
export interface PricedOption {
  expiry?: number
  tenor?: string
  type: 'C' | 'P'
  days?: number
  tau?: number
  forward?: number
  strike?: number
  log_moneyness?: number
  vol?: number
  price?: number
  price_coin?: number
  greeks?: PriceGreeks
  is_extrapolated?: boolean
  reason?: string
}
/**
 * Of the undiscounted Black-76 price, by the names and units of each field.
 */
export interface PriceGreeks {
  delta_forward: number
  delta_premium_adjusted: number
  gamma: number
  vega: number
  theta: number
  vanna: number
  volga: number
}
/**
 * One option: an `expiry` or a `tenor`, a `strike` or a `delta`, and its type.
 */
export interface PriceOption {
  expiry?: number
  /**
   * Days, weeks (7), months (30) or years (365): 45D, 1M.
   */
  tenor?: string
  /**
   * Quote currency.
   */
  strike?: number
  /**
   * Signed, in the request's convention: -0.25 is a put.
   */
  delta?: number
  type: 'C' | 'P'
}
export interface PriceRequest {
  ccy: string
  /**
   * @minItems 1
   * @maxItems 1000
   */
  options: [PriceOption, ...PriceOption[]]
  delta_convention?: 'forward' | 'premium_adjusted'
}
/**
 * RFC 9457 problem details.
 */
export interface Problem {
  type: string
  title: string
  status: number
  detail?: string
  path?: string
}
export interface SurfaceSnapshot {
  type: 'svi_surface_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  conventions: Conventions
  vol_index_30d?: number
  smiles: {
    [k: string]: Smile
  }
}
/**
 * The fitted smile of one expiry.
 */
export interface Smile {
  expiry: number
  label: string
  days: number
  tau: number
  forward?: ForwardPrice
  atm?: number
  atm_vol?: number
  variance_swap_vol?: number
  variance_swap_extrapolated?: number
  params?: SviParams
  risk_reversals?: {
    [k: string]: number
  }
  flies?: {
    [k: string]: number
  }
  nodes?: {
    [k: string]: Node
  }
  certificate: Certificate
  fit: SmileFit
  quotes?: QuotePoint[]
}
/**
 * A merge patch: `smiles` and `conventions` hold what changed, null what is gone.
 */
export interface SurfacePatch {
  type: 'svi_surface_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  conventions?: {}
  vol_index_30d?: number | null
  smiles?: {}
}
export interface TenorSnapshot {
  type: 'svi_tenor_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  tenors: {
    [k: string]: TenorRow
  }
}
export interface TenorPatch {
  type: 'svi_tenor_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  tenors?: {}
}
export interface ThroughSnapshot {
  type: 'svi_through_snapshot'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  cells: {
    [k: string]: {
      [k: string]: {
        [k: string]: ThroughCell
      }
    }
  }
}
/**
 * A quote through the certified smile as published: a bid above it or an ask below.
 *
 *     Of a strike's call and put on one venue, the one of the larger `net`. Stale, crossed and settling quotes and smiles
 *     that are held or not certified give no cell.
 */
export interface ThroughCell {
  side: 'ask' | 'bid'
  option_type: 'C' | 'P'
  excess_vol?: number
  excess: number
  net_vol?: number
  net: number
  size?: number
  since: number
}
export interface ThroughPatch {
  type: 'svi_through_patch'
  schema: number
  ts: number
  ccy: string
  epoch: string
  seq: number
  version: number
  cells?: {}
}
/**
 * `/config.json`: what the static page needs to find its socket.
 */
export interface SiteConfig {
  ws_path: string
  ws_url?: string
  build: string
}
export interface SurfaceDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  conventions: Conventions
  vol_index_30d?: number
  smiles: Smile[]
}
export interface TenorsDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  conventions: Conventions
  tenors: TenorRow[]
}
export interface ThroughDocument {
  schema: number
  ts: number
  ccy: string
  epoch: string
  version: number
  source: 'file' | 'live' | 'replay' | 'simulated'
  cells: {
    [k: string]: {
      [k: string]: {
        [k: string]: ThroughCell
      }
    }
  }
}
