/** The development feed may not drift from the contract: every message is checked against the wire's schema. */
import { readFileSync } from 'node:fs'
import Ajv2020 from 'ajv/dist/2020'
import { describe, expect, it } from 'vitest'
import { Market, random, status } from '../dev/market.mjs'
import { initialState, reduce, type ServerMessage } from '@derivasys/client'

const schema = JSON.parse(readFileSync(new URL('../../src/derivasys/wire/schemas.json', import.meta.url), 'utf8'))
const ajv = new Ajv2020({ strict: false, allErrors: true })
ajv.addSchema({ ...schema, $id: 'wire' })

function check(message: ServerMessage, name = 'ServerMessage'): void {
  const validate = ajv.getSchema(`wire#/$defs/${name}`)
  if (!validate) throw new Error(`no definition ${name}`)
  const isValid = validate(message)
  expect(isValid, `${message.type}: ${ajv.errorsText(validate.errors?.slice(0, 5))}`).toBe(true)
}

const NOW = Date.UTC(2026, 2, 22, 12)
const DEFINITIONS: Record<string, string> = {
  svi_surface_snapshot: 'SurfaceSnapshot',
  svi_surface_patch: 'SurfacePatch',
  smile_levels_snapshot: 'LevelsSnapshot',
  smile_levels_patch: 'LevelsPatch',
  svi_tenor_snapshot: 'TenorSnapshot',
  svi_tenor_patch: 'TenorPatch',
  surface_fit_status: 'FitStatus',
}

describe.each(['BTC', 'ETH'] as const)('development feed, %s', (ccy) => {
  it('speaks the contract', () => {
    const market = new Market(ccy, { seed: 5, now: NOW })
    const messages: ServerMessage[] = Object.values(market.snapshots())
    for (let i = 1; i <= 60; i += 1) messages.push(...market.step(NOW + 200 * i))
    for (const message of messages) check(message, DEFINITIONS[message.type])
    expect(new Set(messages.map((message) => message.type)).size).toBe(9)
  })

  it.each([undefined, { delta: 'premium_adjusted', fly: 'market_strangle' }] as const)('snapshot + patches = snapshot, in conventions %o', (choice) => {
    const market = new Market(ccy, { seed: 6, now: NOW })
    let state = initialState(ccy)
    const take = (messages: ServerMessage[]) => {
      for (const message of JSON.parse(JSON.stringify(messages)) as ServerMessage[]) {
        const step = reduce(state, message)
        expect(step.resync).toEqual([])
        state = step.state
      }
    }
    take(Object.values(market.snapshots(choice)))
    for (let i = 1; i <= 30; i += 1) {
      market.step(NOW + 200 * i)
      const messages = market.messages(choice)
      for (const message of messages) check(message, DEFINITIONS[message.type])
      take(messages)
    }
    let direct = initialState(ccy)
    for (const message of Object.values(market.snapshots(choice))) direct = reduce(direct, JSON.parse(JSON.stringify(message))).state
    const { surface, levels, tenors, through } = state.channels
    // a channel that had nothing to say in the last cycle keeps its own version
    expect({ ...surface, version: 0, ts: 0 }).toEqual({ ...direct.channels.surface, version: 0, ts: 0 })
    expect({ ...levels, version: 0, ts: 0 }).toEqual({ ...direct.channels.levels, version: 0, ts: 0 })
    expect({ ...tenors, version: 0, ts: 0 }).toEqual({ ...direct.channels.tenors, version: 0, ts: 0 })
    expect({ ...through, version: 0, ts: 0 }).toEqual({ ...direct.channels.through, version: 0, ts: 0 })
  })
})

describe('scenarios of the development feed', () => {
  it('an empty currency speaks the contract too', () => {
    const market = new Market('XRP', { now: NOW })
    const messages: ServerMessage[] = [...Object.values(market.snapshots()), ...market.step(NOW + 200)]
    for (const message of messages) check(message, DEFINITIONS[message.type])
    expect(market.snapshots().surface.smiles).toEqual({})
  })

  it('busy: about 1,500 instruments on four venues, all certified', () => {
    const { surface, levels } = new Market('BTC', { now: NOW, scenario: 'busy' }).snapshots()
    const strikes = Object.values(levels.levels).reduce((sum, rows) => sum + Object.keys(rows).length, 0)
    expect(2 * strikes).toBeGreaterThan(1400)
    expect(2 * strikes).toBeLessThan(1600)
    for (const smile of Object.values(surface.smiles)) expect(smile.certificate).toMatchObject({ butterfly: 'certified', calendar: 'certified' })
  })

  it('huge: 64 expiries of 900 strikes', () => {
    const { levels } = new Market('BTC', { now: NOW, scenario: 'huge' }).snapshots()
    expect(Object.keys(levels.levels)).toHaveLength(64)
    for (const rows of Object.values(levels.levels)) expect(Object.keys(rows).length).toBe(900)
  })

  it('usual: what the certificate says is so', () => {
    const smiles = Object.values(new Market('BTC', { now: NOW }).snapshots().surface.smiles)
    expect(smiles.filter((smile) => smile.certificate.butterfly === 'violated')).toHaveLength(1)
    expect(smiles.filter((smile) => smile.certificate.calendar === 'violated').length).toBeGreaterThan(0)
  })
})

describe('development feed', () => {
  it('has 12 and 11 expiries and says that it is simulated', () => {
    expect(Object.keys(new Market('BTC', { now: NOW }).snapshots().surface.smiles)).toHaveLength(12)
    expect(Object.keys(new Market('ETH', { now: NOW }).snapshots().surface.smiles)).toHaveLength(11)
    const message = status({ now: NOW, venues: [{ venue: 'deribit', state: 'live', age_ms: 4 }], clients: 1, build: 'test', startedAt: NOW })
    check(message, 'StatusMessage')
    expect(message.source.kind).toBe('simulated')
  })

  it('is the same for the same seed', () => {
    const one = new Market('BTC', { seed: 9, now: NOW })
    const two = new Market('BTC', { seed: 9, now: NOW })
    expect(one.step(NOW + 200)).toEqual(two.step(NOW + 200))
    expect(random(1)()).toBe(random(1)())
  })
})
