/** The cases that Python and TypeScript share; the rules are those of src/derivasys/wire/SPEC.md. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { blackPrice, forwardDelta, premiumAdjustedDelta } from '../src/black.js'
import { mergePatch } from '../src/mergePatch.js'
import type { ClientMessage, ServerMessage } from '../src/messages.js'
import { CHANNELS, initialState, reduce } from '../src/reducer.js'
import { Session } from '../src/session.js'
import { density, g, type Svi, totalVariance, volPoints } from '../src/svi.js'

interface Case {
  rule: string
  name: string
}

function cases<T>(name: string): (T & Case)[] {
  const file = fileURLToPath(new URL(`../../../src/derivasys/wire/fixtures/${name}`, import.meta.url))
  return (JSON.parse(readFileSync(file, 'utf8')) as { cases: (T & Case)[] }).cases
}

describe('merge patch', () => {
  it.each(cases<{ target: unknown; patch: unknown; result: unknown }>('merge-patch.json'))('$rule: $name', ({ target, patch, result }) => {
    expect(mergePatch(target, patch)).toEqual(result)
  })
})

describe('streams', () => {
  it.each(cases<{ messages: ServerMessage[]; resync: string[]; held: Record<string, unknown>; awaiting: string[] }>('streams.json'))(
    '$rule: $name',
    ({ messages, resync, held, awaiting }) => {
      let state = initialState('BTC')
      const asked: string[] = []
      for (const message of messages) {
        const step = reduce(state, message)
        state = step.state
        asked.push(...step.resync)
      }
      const { fit, ...tables } = state.channels
      // the fit is kept as the message that it is
      const whole = fit ? Object.fromEntries(Object.entries(fit).filter(([name]) => !['type', 'schema', 'ccy'].includes(name))) : undefined
      expect(asked).toEqual(resync)
      expect({ ...tables, ...(whole && { fit: whole }) }).toEqual(held)
      expect(Object.keys(state.awaiting).toSorted()).toEqual(awaiting)
    },
  )
})

describe('smiles', () => {
  it.each(
    cases<{ params: Svi; k: number; tau: number } & Record<'total_variance' | 'vol' | 'g' | 'density' | 'call' | 'forward_delta' | 'premium_adjusted_delta', number>>(
      'smiles.json',
    ),
  )('$rule: $name', (at) => {
    const deviation = Math.sqrt(totalVariance(at.params, at.k))
    expect(totalVariance(at.params, at.k) / at.total_variance).toBeCloseTo(1, 9)
    expect(volPoints(at.params, at.k, at.tau) / at.vol).toBeCloseTo(1, 9)
    expect(g(at.params, at.k) / at.g).toBeCloseTo(1, 9)
    expect(density(at.params, at.k) / at.density).toBeCloseTo(1, 9)
    expect(blackPrice(at.k, deviation, 'C') / at.call).toBeCloseTo(1, 9)
    expect(forwardDelta(at.k, deviation, 'C') / at.forward_delta).toBeCloseTo(1, 9)
    expect(premiumAdjustedDelta(at.k, deviation, 'C') / at.premium_adjusted_delta).toBeCloseTo(1, 9)
  })
})

describe('requests', () => {
  const accepted = cases<{ send: ClientMessage; snapshots?: [string, string][]; error?: unknown }>('requests.json')

  it('what the client sends is what the server takes', () => {
    const taken = new Set(accepted.filter((request) => !request.error).map(({ send }) => send.type))
    const session = new Session('BTC')
    session.opened(0)
    const sent = [...session.select('ETH'), ...session.tick(60_000).send]
    expect(sent.map(({ type }) => type)).toEqual(['select_currency', ...CHANNELS.map(() => 'resync'), 'ping'])
    for (const { type } of sent) expect(taken).toContain(type)
  })
})
