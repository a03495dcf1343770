/** The four horizontal axes of a smile, from log-moneyness. */
import type { Axis } from '../../app/view'
import { d1, normalCdf, type Smile, type Svi, totalVariance, volPoints } from '@derivasys/client'
import { fixed, signed, strike } from '../../lib/format'

/** A smile that can be drawn. */
export interface Drawable {
  smile: Smile
  params: Svi
  forward: number
  tau: number
  /** iv·√tau at the money. */
  deviation: number
}

export function drawable(smile: Smile | undefined): Drawable | undefined {
  const forward = smile?.atm ?? smile?.forward?.price
  if (!smile?.params || forward === undefined || !(smile.tau > 0)) return undefined
  const deviation = Math.sqrt(totalVariance(smile.params, 0))
  return deviation > 0 ? { smile, params: smile.params, forward, tau: smile.tau, deviation } : undefined
}

/** Where log-moneyness k lies on the axis. Delta runs as N(−d1): 25P at 0.25, the money near 0.5, 25C at 0.75. */
export function toAxis(d: Drawable, kind: Axis, k: number): number {
  switch (kind) {
    case 'k':
      return k
    case 'strike':
      return d.forward * Math.exp(k)
    case 'sd':
      return k / d.deviation
    case 'delta':
      return normalCdf(-d1(k, Math.sqrt(totalVariance(d.params, k))))
  }
}

/** The log-moneyness at a place on the axis. */
export function fromAxis(d: Drawable, kind: Axis, x: number): number {
  switch (kind) {
    case 'k':
      return x
    case 'strike':
      return Math.log(x / d.forward)
    case 'sd':
      return x * d.deviation
    case 'delta': {
      // N(−d1) grows with k wherever the slice is a smile: bisection needs no derivative
      let low = -12 * d.deviation
      let high = 12 * d.deviation
      for (let i = 0; i < 60; i += 1) {
        const middle = (low + high) / 2
        if (toAxis(d, 'delta', middle) < x) low = middle
        else high = middle
      }
      return (low + high) / 2
    }
  }
}

const CURVE_POINTS = 97

export interface Curve {
  k: number[]
  x: number[]
  vol: number[]
}

/** The fitted curve over the axis: to the 5-delta nodes and a little further, or as far as the quotes go. */
export function curveOf(d: Drawable, kind: Axis, quotedK?: readonly [number, number]): Curve {
  const nodes = d.smile.nodes ?? {}
  let low = nodes['5P']?.log_moneyness ?? -2 * d.deviation
  let high = nodes['5C']?.log_moneyness ?? 2 * d.deviation
  low -= 0.25 * d.deviation
  high += 0.25 * d.deviation
  if (quotedK) {
    low = Math.min(low, Math.max(quotedK[0], -3.2 * d.deviation))
    high = Math.max(high, Math.min(quotedK[1], 3.2 * d.deviation))
  }
  const k: number[] = []
  const x: number[] = []
  const vol: number[] = []
  for (let i = 0; i < CURVE_POINTS; i += 1) {
    const at = low + ((high - low) * i) / (CURVE_POINTS - 1)
    k.push(at)
    x.push(toAxis(d, kind, at))
    vol.push(volPoints(d.params, at, d.tau))
  }
  return { k, x, vol }
}

/** Forward delta as traders say it: 25P, 50, 25C. */
export function deltaName(x: number): string {
  const share = Math.round(x * 100)
  if (share === 50) return '50'
  return share < 50 ? `${share}P` : `${100 - share}C`
}

/** A tick of the axis; `digits` are those that its neighbours need. */
export function axisText(kind: Axis, x: number, digits: number): string {
  switch (kind) {
    case 'k':
      return signed(x, digits)
    case 'strike':
      return compactStrike(x)
    case 'sd':
      return signed(x, digits)
    case 'delta':
      return deltaName(x)
  }
}

export function compactStrike(x: number): string {
  return x >= 10_000 ? `${fixed(x / 1000, x % 1000 === 0 ? 0 : 1)}k` : strike(x)
}

/** Where the ticks of the delta axis go, and what part of the axis is drawn. */
export const DELTA_SPLITS = [0.05, 0.25, 0.5, 0.75, 0.95]


