import { describe, expect, it } from 'vitest'
import { linear, parseColour, venueMark, viridis } from '../src/lib/colour'
import { Recent } from '../src/lib/quantiles'

describe('colours', () => {
  it.each([
    ['#0b1220', [11, 18, 32, 1]],
    ['#fff', [255, 255, 255, 1]],
    ['rgba(139, 155, 184, 0.5)', [139, 155, 184, 0.5]],
    ['rgb(1 2 3)', [1, 2, 3, 1]],
  ])('parses %s', (text, expected) => {
    expect(parseColour(text)).toEqual(expected)
  })

  it('parses alpha in hexadecimal, which the minifier writes', () => {
    const [r, g, b, alpha] = parseColour('#3b4b685c')
    expect([r, g, b]).toEqual([59, 75, 104])
    expect(alpha).toBeCloseTo(0.36, 2)
  })

  it('viridis runs from violet to yellow and stays within bounds', () => {
    expect(viridis(0)).toEqual([68, 1, 84])
    expect(viridis(1)).toEqual([253, 231, 37])
    expect(viridis(7)).toEqual(viridis(1))
    expect(viridis(Number.NaN)).toEqual(viridis(0))
    expect(linear(1)).toBe(1)
    expect(linear(0.5)).toBeCloseTo(0.21404, 5)
  })

  it('venues keep their mark whoever else is there, and differ in shape as well as colour', () => {
    expect(venueMark('okx', ['okx'])).toEqual(venueMark('okx', ['bybit', 'deribit', 'okx']))
    const marks = ['deribit', 'okx', 'bybit', 'binance', 'other'].map((venue) => venueMark(venue, ['other']))
    expect(new Set(marks.map((mark) => mark.shape)).size).toBe(5)
    expect(new Set(marks.map((mark) => mark.property)).size).toBe(5)
  })
})

describe('quantiles', () => {
  it('are of the last values only', () => {
    const recent = new Recent(4)
    expect(recent.quantiles()).toBeUndefined()
    for (const value of [100, 1, 2, 3, 4]) recent.add(value)
    expect(recent.quantiles()).toEqual({ p50: 2, p95: 4, p99: 4, count: 5 })
  })
})
