import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffPatch } from '../src/mergePatch.js'
import type { Levels } from '../src/reducer.js'
import { awaitAll, initialState, reduce } from '../src/reducer.js'
import { EXPIRY, fit, levels, smileOf, status, surface, surfacePatch } from './messages.js'

const OTHER = EXPIRY + 7 * 86_400_000

function map<T>(keys: string[], value: fc.Arbitrary<T>) {
  return fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: keys.length })
}

function after(...messages: Parameters<typeof reduce>[1][]) {
  let state = initialState('BTC')
  let resync: string[] = []
  for (const message of messages) {
    const step = reduce(state, message)
    state = step.state
    resync = resync.concat(step.resync)
  }
  return { state, resync }
}

describe('reducer', () => {
  it('replaces by a snapshot and never merges: what it lacks is gone', () => {
    const { state } = after(surface({ smiles: { [EXPIRY]: smileOf(), [OTHER]: smileOf(OTHER) } }), surface({ seq: 9, version: 18 }))
    expect(Object.keys(state.channels.surface?.smiles ?? {})).toEqual([String(EXPIRY)])
    expect(state.channels.surface?.seq).toBe(9)
    expect(state.awaiting.surface).toBeUndefined()
  })

  it('merges a contiguous patch, null removing', () => {
    const { state, resync } = after(
      surface({ smiles: { [EXPIRY]: smileOf(), [OTHER]: smileOf(OTHER) } }),
      surfacePatch(2, { [EXPIRY]: { atm_vol: 46, fit: { rmse: null } }, [OTHER]: null }),
    )
    const smile = state.channels.surface?.smiles[EXPIRY]
    expect(resync).toEqual([])
    expect(smile?.atm_vol).toBe(46)
    expect(smile?.fit).toEqual({ state: 'fitted', reasons: [] })
    expect(smile?.params).toEqual(smileOf().params)
    expect(state.channels.surface?.smiles[OTHER]).toBeUndefined()
    expect(state.channels.surface).toMatchObject({ seq: 2, version: 11, epoch: 'e1' })
  })

  it('merges conventions as well as smiles', () => {
    const { state } = after(surface(), surfacePatch(2, {}, { conventions: { delta: 'premium_adjusted' } }))
    expect(state.channels.surface?.conventions).toMatchObject({ delta: 'premium_adjusted', fly: 'full' })
  })

  it('asks for a resync at a gap, applies nothing until the snapshot, then goes on', () => {
    const gap = after(surface(), surfacePatch(3, { [EXPIRY]: { atm_vol: 99 } }))
    expect(gap.resync).toEqual(['surface'])
    expect(gap.state.gaps).toBe(1)
    expect(gap.state.channels.surface?.smiles[EXPIRY]?.atm_vol).toBe(45)
    const waiting = reduce(gap.state, surfacePatch(4, { [EXPIRY]: { atm_vol: 98 } }))
    expect(waiting.resync).toEqual([])
    expect(waiting.changed).toBeUndefined()
    const fresh = reduce(waiting.state, surface({ seq: 4, version: 13 }))
    const next = reduce(fresh.state, surfacePatch(5, { [EXPIRY]: { atm_vol: 47 } }))
    expect(next.state.channels.surface?.smiles[EXPIRY]?.atm_vol).toBe(47)
  })

  it('asks for a resync when a message is repeated', () => {
    expect(after(surface(), surfacePatch(1, {})).resync).toEqual(['surface'])
  })

  it('asks for a resync at a new epoch, even where seq happens to fit', () => {
    const { state, resync } = after(surface(), surfacePatch(2, { [EXPIRY]: { atm_vol: 99 } }, { epoch: 'e2' }))
    expect(resync).toEqual(['surface'])
    expect(state.channels.surface?.smiles[EXPIRY]?.atm_vol).toBe(45)
  })

  it('a patch before any snapshot changes nothing; the watchdog asks, not the reducer', () => {
    const { state, resync } = after(surfacePatch(2, {}))
    expect(state.channels.surface).toBeUndefined()
    expect(resync).toEqual([])
  })

  it('keeps channels apart: a gap in one does not stop another', () => {
    const { state } = after(surface(), levels(), surfacePatch(5, {}))
    const step = reduce(state, { ...levels(), type: 'smile_levels_patch', seq: 2, version: 11, levels: { [EXPIRY]: { '70000': { deribit: { bid_vol: 44.6 } } } } })
    expect(step.changed).toBe('levels')
    expect(step.state.channels.levels?.levels[EXPIRY]?.['70000']?.deribit?.bid_vol).toBe(44.6)
    expect(step.state.awaiting).toMatchObject({ surface: true })
  })

  it('ignores the other currency', () => {
    const { state } = after(surface({ ccy: 'ETH' }))
    expect(state.channels.surface).toBeUndefined()
  })

  it('takes fit and status whole, gaps and all', () => {
    const { state, resync } = after(fit(), fit({ seq: 7, rmse: 0.5, inside: undefined }), status(), status({ clients: 3 }))
    expect(resync).toEqual([])
    expect(state.channels.fit?.rmse).toBe(0.5)
    expect(state.status?.clients).toBe(3)
  })

  it('after a lost connection keeps the picture and takes no patch', () => {
    const { state } = after(surface())
    const step = reduce(awaitAll(state), surfacePatch(2, { [EXPIRY]: { atm_vol: 50 } }))
    expect(step.state.channels.surface?.smiles[EXPIRY]?.atm_vol).toBe(45)
  })

  it('[property] snapshot(n) + patches(n+1…m) = snapshot(m) on random streams', () => {
    const level = fc.record(
      { option_type: fc.constantFrom('C' as const, 'P' as const), used: fc.boolean(), bid_vol: fc.integer({ min: 0, max: 9 }), ask_vol: fc.integer({ min: 0, max: 9 }) },
      { requiredKeys: ['option_type', 'used'] },
    )
    const states = fc.array(map(['1', '2', '3'], map(['60', '70', '80'], map(['deribit', 'okx'], level))), { minLength: 2, maxLength: 8 })
    fc.assert(
      fc.property(states, (stream) => {
        let state = reduce(initialState('BTC'), levels({ seq: 1, levels: stream[0] as Levels })).state
        for (const [i, next] of stream.entries()) {
          if (i === 0) continue
          const patch = diffPatch(stream[i - 1], next)
          const message = { ...levels(), type: 'smile_levels_patch' as const, seq: 1 + i, version: 10 + i, levels: (patch ?? {}) as Record<string, unknown> }
          const step = reduce(state, JSON.parse(JSON.stringify(message)))
          expect(step.resync).toEqual([])
          state = step.state
          const direct = reduce(initialState('BTC'), levels({ seq: 1 + i, version: 10 + i, levels: next as Levels })).state
          expect(state.channels.levels).toEqual(direct.channels.levels)
        }
      }),
      { seed: 11, numRuns: 150 },
    )
  })
})
