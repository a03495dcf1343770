/** The same curves as Python computes: tests/golden/numerics/test_shared_curves.py writes the file and checks it. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { d1, density, derivatives, forwardDelta, g, logMoneynessOfSviDelta, premiumAdjustedDelta, type Svi, totalVariance, volPoints } from '../src/index.js'

interface Curve {
  tau: number
  params: Svi
  k: number[]
  w: number[]
  w1: number[]
  w2: number[]
  vol: number[]
  g: number[]
  density: number[]
  forward_delta_call: number[]
  forward_delta_put: number[]
  premium_adjusted_delta_call: number[]
  premium_adjusted_delta_put: number[]
  targets: number[]
  k_put: number[]
  k_call: number[]
}

const curves = JSON.parse(readFileSync(new URL('fixtures/curves.json', import.meta.url), 'utf8')) as Curve[]
const TOLERANCE = 1e-12

/** Relative, and absolute for what is smaller than one. */
function agree(ours: number, theirs: number | undefined, what: string): void {
  const error = Math.abs(ours - (theirs ?? Number.NaN)) / Math.max(1, Math.abs(theirs ?? 0))
  expect(error, `${what}: ${ours} and ${theirs}`).toBeLessThanOrEqual(TOLERANCE)
}

describe('agrees with Python to 1e-12', () => {
  it('has every expiry of the shipped chain and a slice with negative density', () => {
    expect(curves.length).toBeGreaterThan(10)
    expect(curves.some((curve) => curve.g.some((value) => value < 0))).toBe(true)
  })

  it.each(curves.map((curve, i) => [i, curve] as const))('curve %i', (_i, curve) => {
    const { params, tau } = curve
    for (const [i, k] of curve.k.entries()) {
      const deviation = Math.sqrt(totalVariance(params, k))
      const [w, w1, w2] = derivatives(params, k)
      agree(totalVariance(params, k), curve.w[i], 'w')
      agree(w, curve.w[i], 'w')
      agree(w1, curve.w1[i], 'w′')
      agree(w2, curve.w2[i], 'w″')
      agree(volPoints(params, k, tau), curve.vol[i], 'vol')
      agree(g(params, k), curve.g[i], 'g')
      agree(density(params, k), curve.density[i], 'density')
      expect(Number.isFinite(d1(k, deviation))).toBe(true)
      agree(forwardDelta(k, deviation, 'C'), curve.forward_delta_call[i], 'delta of the call')
      agree(forwardDelta(k, deviation, 'P'), curve.forward_delta_put[i], 'delta of the put')
      agree(premiumAdjustedDelta(k, deviation, 'C'), curve.premium_adjusted_delta_call[i], 'premium-adjusted delta of the call')
      agree(premiumAdjustedDelta(k, deviation, 'P'), curve.premium_adjusted_delta_put[i], 'premium-adjusted delta of the put')
    }
    for (const [i, target] of curve.targets.entries()) {
      agree(logMoneynessOfSviDelta(params, -target), curve.k_put[i], `k of the ${target} put`)
      agree(logMoneynessOfSviDelta(params, target), curve.k_call[i], `k of the ${target} call`)
    }
  })
})
