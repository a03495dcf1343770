/**
 * Raw SVI in total variance: w(k) = a + b(rho(k−m) + √((k−m)² + sigma²)), k = ln(strike/forward).
 * Gatheral and Jacquier, "Arbitrage-free SVI volatility surfaces" (2014).
 */
import { blackPrice, logMoneynessOfDelta, normalPdf } from './black.js'

export interface Svi {
  a: number
  b: number
  rho: number
  m: number
  sigma: number
}

/** w(k). */
export function totalVariance({ a, b, rho, m, sigma }: Svi, k: number): number {
  const x = k - m
  return a + b * (rho * x + Math.hypot(x, sigma))
}

/** [w, w', w''] at k. */
export function derivatives({ a, b, rho, m, sigma }: Svi, k: number): [number, number, number] {
  const x = k - m
  const r = Math.hypot(x, sigma)
  return [a + b * (rho * x + r), b * (rho + x / r), (b * sigma * sigma) / (r * r * r)]
}

/** Vol in vol points at k; NaN where the total variance is not positive. */
export function volPoints(params: Svi, k: number, tau: number): number {
  return 100 * Math.sqrt(totalVariance(params, k) / tau)
}

/** g(k) = (1 − kw'/2w)² − (w'²/4)(1/w + 1/4) + w''/2: the density is a positive multiple of it. */
export function g(params: Svi, k: number): number {
  const [w, w1, w2] = derivatives(params, k)
  const left = 1 - (k * w1) / (2 * w)
  return left * left - ((w1 * w1) / 4) * (1 / w + 0.25) + w2 / 2
}

/** Risk-neutral density of ln(S/forward) at k. */
export function density(params: Svi, k: number): number {
  const w = totalVariance(params, k)
  const deviation = Math.sqrt(w)
  const d2 = -k / deviation - deviation / 2
  return (g(params, k) / deviation) * normalPdf(d2)
}

/** Undiscounted price over the forward on this slice. */
export function price(params: Svi, k: number, type: 'C' | 'P'): number {
  return blackPrice(k, Math.sqrt(totalVariance(params, k)), type)
}

/** Smallest total variance on the slice. */
export function leastVariance({ a, b, rho, sigma }: Svi): number {
  return a + b * sigma * Math.sqrt(1 - rho * rho)
}

/** The slice of SSVI with at-the-money variance theta, curvature phi and correlation rho. */
export function fromSsvi(theta: number, phi: number, rho: number): Svi {
  const root = Math.sqrt(1 - rho * rho)
  return {
    a: (theta / 2) * (1 - rho * rho),
    b: (theta * phi) / 2,
    rho,
    m: -rho / phi,
    sigma: root / phi,
  }
}

export interface Jump {
  /** At-the-money variance, skew, put slope, call slope, least variance: SVI-JW. */
  v: number
  psi: number
  p: number
  c: number
  least: number
}

/** SVI-JW of a slice (Gatheral and Jacquier 2014, section 3.3). */
export function toJumpWings(params: Svi, tau: number): Jump {
  const { b, rho, m, sigma } = params
  const w = totalVariance(params, 0)
  const root = Math.sqrt(w)
  return {
    v: w / tau,
    psi: ((b / 2) * (rho - m / Math.hypot(m, sigma))) / root,
    p: (b * (1 - rho)) / root,
    c: (b * (1 + rho)) / root,
    least: leastVariance(params) / tau,
  }
}

/**
 * Log-moneyness on the slice where the option has the signed forward delta; NaN when the iteration does not
 * settle. For display only: the nodes on the wire are the server's.
 */
export function logMoneynessOfSviDelta(params: Svi, delta: number): number {
  let k = 0
  for (let i = 0; i < 60; i += 1) {
    const next = logMoneynessOfDelta(delta, Math.sqrt(totalVariance(params, k)))
    if (Math.abs(next - k) < 1e-12) return next
    // half steps: the plain fixed point may cycle in steep wings
    k = i < 8 ? next : (k + next) / 2
  }
  return Math.abs(logMoneynessOfDelta(delta, Math.sqrt(totalVariance(params, k))) - k) < 1e-6 ? k : Number.NaN
}
