import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { blackPrice, d1, forwardDelta, logMoneynessOfDelta, normalCdf, normalInverse, premiumAdjustedDelta } from '../src/black.js'
import { density, derivatives, fromSsvi, g, leastVariance, logMoneynessOfSviDelta, type Svi, toJumpWings, totalVariance } from '../src/svi.js'

// Axel Vogt's slice (Gatheral and Jacquier 2014, example 3.1), values computed independently with mpmath
const VOGT: Svi = { a: -0.041, b: 0.1331, m: 0.3586, rho: 0.306, sigma: 0.4153 }

describe('raw SVI', () => {
  it.each([
    [0, 1.03864973128],
    [-1.5, 0.247830695258],
    [0.9, -0.032685130709],
    [0.879, -0.0328635],
  ])('g(%d) of Vogt’s slice', (k, expected) => {
    expect(g(VOGT, k)).toBeCloseTo(expected, k === 0.879 ? 7 : 11)
  })

  it('g changes sign at the known roots', () => {
    expect(g(VOGT, 0.642407877869)).toBeCloseTo(0, 11)
    // 40 digits: 1.256912991932127382961842…
    expect(g(VOGT, 1.256912991932)).toBeCloseTo(0, 11)
  })

  it('jump wings of Vogt’s slice', () => {
    const { v, psi, p, c, least } = toJumpWings(VOGT, 1)
    expect(v).toBeCloseTo(0.0174262525552, 12)
    expect(psi).toBeCloseTo(-0.175211140809, 11)
    expect(p).toBeCloseTo(0.699738104117, 11)
    expect(c).toBeCloseTo(1.31679821899, 10)
    expect(least).toBeCloseTo(0.0116249032355, 12)
  })

  it('the optimal repair has a positive least g', () => {
    const repaired: Svi = { a: -0.03051990507, b: 0.1027167896, rho: 0.1007176103, m: 0.2723442051, sigma: 0.4123980571 }
    expect(g(repaired, 0.811)).toBeCloseTo(0.0081183, 6)
  })

  it('SSVI as raw SVI', () => {
    const slice = fromSsvi(0.01, 7.9603, -0.7)
    expect(slice.a).toBeCloseTo(0.00255, 12)
    expect(slice.b).toBeCloseTo(0.0398015, 10)
    expect(slice.m).toBeCloseTo(-(-0.7) / 7.9603, 12)
    expect(slice.m).toBeCloseTo(0.08793638431, 10)
    expect(slice.sigma).toBeCloseTo(0.0897130564, 9)
  })

  it('derivatives agree with finite differences', () => {
    const h = 1e-5
    for (const k of [-1, -0.2, 0, 0.3586, 0.9]) {
      const [w, w1, w2] = derivatives(VOGT, k)
      expect(w).toBe(totalVariance(VOGT, k))
      expect(w1).toBeCloseTo((totalVariance(VOGT, k + h) - totalVariance(VOGT, k - h)) / (2 * h), 8)
      expect(w2).toBeCloseTo((totalVariance(VOGT, k + h) - 2 * w + totalVariance(VOGT, k - h)) / (h * h), 4)
    }
  })

  it('the density integrates to one and has mean forward', () => {
    const slice = fromSsvi(0.03, 4, -0.3)
    let mass = 0
    let mean = 0
    const h = 0.002
    for (let k = -4; k <= 3; k += h) {
      mass += density(slice, k) * h
      mean += density(slice, k) * Math.exp(k) * h
    }
    expect(mass).toBeCloseTo(1, 5)
    expect(mean).toBeCloseTo(1, 4)
    expect(leastVariance(slice)).toBeGreaterThan(0)
  })
})

describe('delta nodes', () => {
  const tau = 30 / 365
  const theta = 0.36 * tau
  const slice = fromSsvi(theta, 1.2 / Math.sqrt(theta), -0.3)

  it.each([
    [-0.25, 89156.5941],
    [0.25, 113350.5632],
  ])('strike of forward delta %d', (delta, expected) => {
    expect(1e5 * Math.exp(logMoneynessOfSviDelta(slice, delta))).toBeCloseTo(expected, 3)
  })

  it.each([
    [87190.3546, 'P', -0.25],
    [111810.2237, 'C', 0.25],
  ] as const)('premium-adjusted delta at strike %d', (strike, type, delta) => {
    const k = Math.log(strike / 1e5)
    expect(premiumAdjustedDelta(k, Math.sqrt(totalVariance(slice, k)), type)).toBeCloseTo(delta, 8)
  })
})

describe('Black', () => {
  it('normal distribution at known points', () => {
    expect(normalCdf(0)).toBe(0.5)
    expect(normalCdf(1)).toBeCloseTo(0.8413447460685429, 14)
    expect(normalCdf(-1.959963984540054)).toBeCloseTo(0.025, 15)
    expect(normalCdf(-10) / 7.61985302416053e-24).toBeCloseTo(1, 6)
    expect(normalInverse(0.25)).toBeCloseTo(-0.6744897501960817, 14)
    expect(normalInverse(0)).toBeNaN()
  })

  it('parity, and deltas that invert', () => {
    fc.assert(
      fc.property(fc.double({ min: -1, max: 1, noNaN: true }), fc.double({ min: 0.05, max: 2, noNaN: true }), (k, deviation) => {
        expect(blackPrice(k, deviation, 'C') - blackPrice(k, deviation, 'P')).toBeCloseTo(1 - Math.exp(k), 12)
        expect(forwardDelta(k, deviation, 'C') - forwardDelta(k, deviation, 'P')).toBeCloseTo(1, 12)
        const delta = forwardDelta(k, deviation, 'P')
        fc.pre(delta < -1e-4 && delta > -0.9999)
        expect(logMoneynessOfDelta(delta, deviation)).toBeCloseTo(k, 8)
        expect(d1(0, deviation)).toBe(deviation / 2)
      }),
      { seed: 3, numRuns: 200 },
    )
  })
})
