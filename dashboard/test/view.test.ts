import { describe, expect, it } from 'vitest'
import { DEFAULTS, fromSearch, toggled, toSearch } from '../src/app/view'

describe('view in the address', () => {
  it('survives the round trip', () => {
    const view = {
      ...DEFAULTS,
      ccy: 'ETH',
      rows: 'tenor' as const,
      sub: 'k' as const,
      axis: 'delta' as const,
      theme: 'light' as const,
      surface: 'sd' as const,
      delta: 'premium_adjusted' as const,
      fly: 'market_strangle' as const,
      hiddenVenues: ['okx', 'bybit'],
      hiddenSeries: { ...DEFAULTS.hiddenSeries, rr: ['RR10'], nodes: ['27MAR26'] },
      tables: ['rr', 'smiles'],
      focus: '1774598400000',
    }
    expect(fromSearch(toSearch(view))).toEqual(view)
  })

  it('says no more than it must', () => {
    expect(toSearch(DEFAULTS)).toBe('?ccy=BTC')
  })

  it('leaves at its default what an address says wrongly', () => {
    expect(fromSearch('?ccy=<script>&rows=x&axis=&tables=a b,ok&focus=abc')).toEqual({ ...DEFAULTS, tables: ['ok'] })
  })

  it('toggles', () => {
    expect(toggled(['a'], 'b')).toEqual(['a', 'b'])
    expect(toggled(['a', 'b'], 'a')).toEqual(['b'])
  })
})
