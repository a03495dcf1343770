/** Small messages that tests start from. */
import type { FitStatus, LevelsSnapshot, Smile, StatusMessage, SurfacePatch, SurfaceSnapshot, TenorSnapshot, ThroughSnapshot } from '../src/messages.js'
import { NODES, RISK_REVERSALS, FLIES, targetDelta } from '../src/nodes.js'

export const EXPIRY = 1_774_598_400_000
const envelope = { schema: 1, ts: 1_772_000_000_000, ccy: 'BTC', epoch: 'e1', seq: 1, version: 10 }

function vol(node: string): number {
  return 45 + (node.endsWith('P') ? 3 : 1) * (0.5 - Math.abs(targetDelta(node) ?? 0.5)) * 10
}

export function smileOf(expiry = EXPIRY, more: Partial<Smile> = {}): Smile {
  return {
    expiry,
    label: '27MAR26',
    days: 30,
    tau: 30 / 365,
    forward: { price: 70_000, source: 'venue', stderr_bp: 0.4, age_ms: 120 },
    atm: 70_000,
    atm_vol: 45,
    params: { a: 0.004, b: 0.05, rho: -0.3, m: 0.01, sigma: 0.2 },
    risk_reversals: Object.fromEntries(RISK_REVERSALS.map((name) => [name, -1.5 - Number(name.slice(2)) / 100])),
    flies: Object.fromEntries(FLIES.map((name) => [name, 0.8])),
    nodes: Object.fromEntries(
      NODES.map((node) => [
        node,
        {
          option_type: node.endsWith('P') ? 'P' : 'C',
          target_delta: targetDelta(node) ?? 0.5,
          delta: targetDelta(node) ?? 0.52,
          delta_error: 0,
          log_moneyness: node.endsWith('P') ? -0.1 : 0.1,
          strike: node.endsWith('P') ? 63_338.6 : 77_361.9,
          vol: vol(node),
          bid_vol: vol(node) - 0.5,
          ask_vol: vol(node) + 0.5,
          quotes: 4,
          age_ms: 800,
          is_extrapolated: node === '5P',
        },
      ]),
    ),
    certificate: { butterfly: 'certified', calendar: 'unchecked', lee: 'certified', min_g: 0.3, min_g_k: -0.2 },
    fit: { state: 'fitted', rmse: 0.21, reasons: [] },
    ...more,
  }
}

export function surface(more: Partial<SurfaceSnapshot> = {}): SurfaceSnapshot {
  return {
    type: 'svi_surface_snapshot',
    ...envelope,
    conventions: { delta: 'forward', fly: 'full', atm: 'forward', day_count: 'ACT/365', expiry_time: '08:00 UTC' },
    smiles: { [EXPIRY]: smileOf() },
    ...more,
  }
}

export function surfacePatch(seq: number, smiles: Record<string, unknown>, more: Partial<SurfacePatch> = {}): SurfacePatch {
  return { type: 'svi_surface_patch', ...envelope, seq, version: 10 + seq - 1, smiles, ...more }
}

export function levels(more: Partial<LevelsSnapshot> = {}): LevelsSnapshot {
  return {
    type: 'smile_levels_snapshot',
    ...envelope,
    levels: { [EXPIRY]: { '70000': { deribit: { option_type: 'C', bid_vol: 44.5, ask_vol: 45.5, used: true } } } },
    ...more,
  }
}

export function tenors(more: Partial<TenorSnapshot> = {}): TenorSnapshot {
  const vols = Object.fromEntries(NODES.map((node) => [node, 45]))
  return {
    type: 'svi_tenor_snapshot',
    ...envelope,
    tenors: { '1M': { label: '1M', days: 30, tau: 30 / 365, forward: 70_000, atm_vol: 45, vols, risk_reversals: { RR25: -2 }, flies: { FLY25: 1 }, is_extrapolated: false, method: 'linear_total_variance', butterfly: 'certified', calendar: 'certified' } },
    ...more,
  }
}

export function through(more: Partial<ThroughSnapshot> = {}): ThroughSnapshot {
  const cell = { side: 'bid', option_type: 'C', excess_vol: 0.8, excess: 21.5, net_vol: 0.1, net: 2.5, size: 4, since: 1_772_000_000_000 } as const
  return { type: 'svi_through_snapshot', ...envelope, cells: { [EXPIRY]: { '72000': { deribit: cell } } }, ...more }
}

export function fit(more: Partial<FitStatus> = {}): FitStatus {
  return { type: 'surface_fit_status', ...envelope, rmse: 0.3, inside: 0.95, expiries: [], ...more }
}

export function status(more: Partial<StatusMessage> = {}): StatusMessage {
  return {
    type: 'status',
    schema: 1,
    ts: 1_795_000_000_000,
    available_ccys: ['BTC', 'ETH'],
    source: { kind: 'replay', label: 'recording of March 2026' },
    venues: [],
    latency_ms: {},
    clients: 1,
    build: 'test',
    ...more,
  }
}
