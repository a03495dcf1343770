import { describe, expect, it } from 'vitest'
import type { Axis } from '../src/app/view'
import { axisText, curveOf, deltaName, drawable, fromAxis, toAxis } from '../src/features/smiles/coordinates'
import { HOME, labelsOf, meshOf, pick, project, widen } from '../src/features/surface/geometry'
import { totalVariance, volPoints } from '@derivasys/client'
import { EXPIRY, smileOf } from './messages'

const smile = smileOf()
const d = drawable(smile)
if (!d) throw new Error('the test smile cannot be drawn')

describe('smile axes', () => {
  it.each(['k', 'strike', 'delta', 'sd'] as Axis[])('%s and back', (kind) => {
    for (const k of [-0.15, -0.02, 0, 0.07, 0.2]) expect(fromAxis(d, kind, toAxis(d, kind, k))).toBeCloseTo(k, 9)
  })

  it('delta runs from puts to calls, with 25P at a quarter', () => {
    const k = fromAxis(d, 'delta', 0.25)
    expect(k).toBeLessThan(0)
    expect(deltaName(0.25)).toBe('25P')
    expect(deltaName(0.75)).toBe('25C')
    expect(axisText('strike', 95_000, 0)).toBe('95k')
    expect(axisText('k', -0.075, 3)).toBe('−0.075')
  })

  it('the curve comes from the five parameters and reaches past the 5-delta nodes', () => {
    const curve = curveOf(d, 'k')
    expect(curve.vol[40]).toBe(volPoints(d.params, curve.k[40] ?? 0, d.tau))
    expect(curve.k[0]).toBeLessThan(-0.1)
    expect(curve.k.at(-1)).toBeGreaterThan(0.1)
    const wide = curveOf(d, 'k', [-0.3, 0.3])
    expect(wide.k[0]).toBeCloseTo(-0.3, 12)
  })

  it('a smile without parameters is not drawn', () => {
    expect(drawable(smileOf(EXPIRY, { params: undefined }))).toBeUndefined()
    expect(drawable(undefined)).toBeUndefined()
    expect(d.deviation).toBe(Math.sqrt(totalVariance(d.params, 0)))
  })
})

describe('surface', () => {
  const later = smileOf(EXPIRY + 60 * 86_400_000, { days: 90, tau: 90 / 365, params: { a: 0.012, b: 0.08, rho: -0.2, m: 0.02, sigma: 0.3 } })
  const mesh = meshOf([later, smile], 'delta')
  if (!mesh) throw new Error('no mesh')

  it('has a row an expiry, short ones first, and vols of the curves', () => {
    expect(mesh.rows).toBe(2)
    expect(mesh.days).toEqual([30, 90])
    const middle = (mesh.columns - 1) / 2
    expect(mesh.vol[middle]).toBeCloseTo(volPoints(d.params, mesh.k[middle] ?? 0, d.tau), 10)
    expect(mesh.low % 10).toBe(0)
    expect(mesh.high % 10).toBe(0)
  })

  it('its colour scale only widens', () => {
    expect(widen(41, 58)).toEqual([40, 60])
    expect(widen(45, 52, [40, 60])).toEqual([40, 60])
    expect(widen(45, 63, [40, 60])).toEqual([40, 70])
  })

  it('needs two expiries', () => {
    expect(meshOf([smile], 'sd')).toBeUndefined()
  })

  it('the pointer finds the vertex under it', () => {
    const view = { width: 800, height: 430 }
    const n = mesh.columns + 10
    const [x, y] = project(HOME, view, mesh.position[3 * n] ?? 0, mesh.position[3 * n + 1] ?? 0, mesh.position[3 * n + 2] ?? 0)
    expect(pick(mesh, HOME, view, x, y)).toBe(n)
    expect(pick(mesh, HOME, view, -500, -500)).toBeUndefined()
    const texts = labelsOf(mesh, HOME, view, 'delta').map((label) => label.text)
    expect(texts).toContain('25P')
    expect(texts).toContain('90d')
  })
})
