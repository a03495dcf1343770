import { describe, expect, it } from 'vitest'
import { age, count, days, fixed, instant, millis, percent, price, signed, strike, tiny } from '../src/lib/format'
import { heat, RR_EDGES } from '../src/lib/heat'
import { FLIES, legsOf, NODES, RISK_REVERSALS, targetDelta } from '@derivasys/client'

describe('numbers', () => {
  it('have explicit signs and a true minus; a missing one is a dash, never zero', () => {
    expect(signed(1.234, 2)).toBe('+1.23')
    expect(signed(-1.236, 2)).toBe('−1.24')
    expect(signed(0, 2)).toBe('0.00')
    expect(signed(-0.001, 2)).toBe('0.00')
    expect(signed(0.001, 2)).toBe('0.00')
    expect(signed(undefined, 2)).toBe('–')
    expect(fixed(Number.NaN, 2)).toBe('–')
    expect(fixed(-0.4, 0)).toBe('0')
  })

  it('prices and strikes', () => {
    expect(price(104_250.4)).toBe('104,250')
    expect(price(2612.34)).toBe('2,612.3')
    expect(price(2.34567)).toBe('2.35')
    expect(price(0.12345)).toBe('0.1235')
    expect(price(1_234_567)).toBe('1,234,567')
    expect(strike(2600)).toBe('2,600')
    expect(strike(95_000)).toBe('95,000')
    expect(price(undefined)).toBe('–')
    expect(tiny(0.0123, 4)).toBe('0.0123')
    expect(tiny(-2.94e-7, 4)).toBe('−2.9e−7')
    expect(tiny(0, 4)).toBe('0')
  })

  it('shares, counts, work', () => {
    expect(percent(0.9561)).toBe('95.6%')
    expect(count(12_345.6)).toBe('12,346')
    expect(millis(1.234)).toBe('1.23 ms')
    expect(millis(78.44)).toBe('78.4 ms')
    expect(millis(undefined)).toBe('–')
  })
})

describe('times', () => {
  it('ages in the unit that reads at a glance', () => {
    expect(age(12)).toBe('12 ms')
    expect(age(999)).toBe('999 ms')
    expect(age(1234)).toBe('1.2 s')
    expect(age(61_000)).toBe('1 m 01 s')
    expect(age(3_660_000)).toBe('1 h 01 m')
    expect(age(400_000_000)).toBe('4 d')
    expect(age(-5)).toBe('0 ms')
  })

  it('days and instants', () => {
    expect(days(0.93)).toBe('0.93d')
    expect(days(1)).toBe('1d')
    expect(days(8.93)).toBe('8.9d')
    expect(days(163.2)).toBe('163d')
    expect(instant(1_774_598_400_000)).toBe('2026-03-27 08:00:00 UTC')
  })
})

describe('heat', () => {
  it('has eleven steps, symmetric, on fixed edges', () => {
    const steps = new Set<number>()
    for (let x = -10; x <= 10; x += 0.1) steps.add(heat(x, RR_EDGES))
    expect(steps.size).toBe(11)
    expect(heat(-2, RR_EDGES)).toBe(-heat(2, RR_EDGES))
    expect(heat(0.49, RR_EDGES)).toBe(0)
    expect(Object.is(heat(-0.49, RR_EDGES), 0)).toBe(true)
    expect(heat(undefined, RR_EDGES)).toBe(0)
  })
})

describe('names', () => {
  it('follow the wire', () => {
    expect(NODES).toHaveLength(17)
    expect(NODES[0]).toBe('5P')
    expect(NODES[8]).toBe('ATMF')
    expect(NODES.at(-1)).toBe('5C')
    expect(RISK_REVERSALS).toEqual(['RR05', 'RR10', 'RR15', 'RR20', 'RR25', 'RR30', 'RR35', 'RR40'])
    expect(FLIES[0]).toBe('FLY05')
    expect(legsOf('RR05')).toEqual(['5P', '5C'])
    expect(legsOf('FLY25')).toEqual(['25P', '25C'])
    expect(targetDelta('25P')).toBe(-0.25)
    expect(targetDelta('ATMF')).toBeUndefined()
  })
})
