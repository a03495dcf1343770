import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { diffPatch } from '../src/mergePatch.js'
import type { ServerMessage } from '../src/messages.js'
import { backoffMs, Session, SETTLE_MS, STALE_AFTER_MS } from '../src/session.js'
import { EXPIRY, fit, levels, status, surface, surfacePatch, tenors, through } from './messages.js'

function live(now = 1000): Session {
  const session = new Session('BTC')
  session.opened(now)
  for (const message of [status(), surface(), levels(), tenors(), through(), fit()]) say(session, message, now)
  return session
}

function say(session: Session, message: ServerMessage, now: number) {
  return session.receive(JSON.stringify(message), now)
}

const stateAt = (session: Session, now: number) => session.view(now).connection.state

describe('connection states', () => {
  it('connecting, then live with the first snapshots', () => {
    const session = new Session('BTC')
    expect(stateAt(session, 0)).toBe('connecting')
    session.opened(10)
    expect(stateAt(session, 10)).toBe('connecting')
    expect(stateAt(live(), 1001)).toBe('live')
  })

  it('stale after 3 s without surface data, though status keeps coming', () => {
    const session = live(1000)
    say(session, status(), 4000)
    expect(stateAt(session, 1000 + STALE_AFTER_MS)).toBe('live')
    expect(stateAt(session, 1001 + STALE_AFTER_MS)).toBe('stale')
    say(session, fit({ seq: 2 }), 5000)
    expect(stateAt(session, 5001)).toBe('live')
  })

  it('judges staleness by arrival, never by the recorded time of the data', () => {
    const session = live(1_800_000_000_000)
    expect(stateAt(session, 1_800_000_000_500)).toBe('live')
  })

  it('reconnecting keeps what was shown; resyncing until the new snapshot', () => {
    const session = live(1000)
    const wait = session.closed(2000, 0.5, 'server restarts')
    expect(wait).toBeLessThanOrEqual(200)
    expect(session.view(2001).connection).toMatchObject({ state: 'reconnecting', detail: 'server restarts', retryAt: 2000 + wait })
    expect(session.view(2001).cut?.version).toBe(10)
    session.connecting()
    session.opened(2200)
    expect(stateAt(session, 2201)).toBe('resyncing')
    // a patch cannot be applied to what was there before
    say(session, surfacePatch(2, { [EXPIRY]: { atm_vol: 99 } }), 2210)
    expect(session.view(2300).cut?.surface?.smiles[EXPIRY]?.atm_vol).toBe(45)
    for (const message of [surface({ epoch: 'e2', version: 3 }), levels({ epoch: 'e2', version: 3 }), tenors({ epoch: 'e2', version: 3 }), through({ epoch: 'e2', version: 3 }), fit({ epoch: 'e2', version: 3 })]) say(session, message, 2300)
    expect(session.view(2301)).toMatchObject({ connection: { state: 'live', reconnects: 1 }, cut: { version: 3 } })
  })

  it('disconnected after many failures, and still trying', () => {
    const session = new Session('BTC')
    for (let i = 0; i < 6; i += 1) expect(session.closed(i * 1000, 1)).toBeLessThanOrEqual(5000)
    expect(stateAt(session, 7000)).toBe('disconnected')
  })

  it('backs off from a fast first try to a cap of 5 s, with jitter', () => {
    expect(backoffMs(0, 1)).toBeLessThanOrEqual(200)
    expect(backoffMs(1, 0)).toBe(250)
    expect(backoffMs(1, 1)).toBe(500)
    expect(backoffMs(30, 1)).toBe(5000)
    expect(backoffMs(30, 0)).toBe(2500)
  })

  it('a socket without frames is pinged, then given up', () => {
    const session = live(1000)
    expect(session.tick(6500).send).toEqual([{ type: 'ping', id: 6500 }])
    expect(session.tick(6600).send).toEqual([])
    expect(session.tick(15_000).dead).toBe(false)
    expect(session.tick(16_100).dead).toBe(true)
  })
})

describe('resync', () => {
  it('asks at once at a gap, and again when no snapshot comes', () => {
    const session = live(1000)
    expect(say(session, surfacePatch(4, {}), 1100)).toEqual([{ type: 'resync', channel: 'surface', ccy: 'BTC' }])
    expect(stateAt(session, 1101)).toBe('resyncing')
    expect(session.tick(2000).send).toEqual([])
    expect(session.tick(3101).send).toEqual([{ type: 'resync', channel: 'surface', ccy: 'BTC' }])
  })
})

describe('refresh', () => {
  it('asks for a snapshot of every channel, and only on an open socket', () => {
    const session = live(1000)
    expect(session.refresh(1100).map((message) => message.type === 'resync' && message.channel)).toEqual(['surface', 'levels', 'tenors', 'through', 'fit'])
    session.closed(1200, 0.5)
    expect(session.refresh(1300)).toEqual([])
  })
})

describe('cuts', () => {
  it('no panel sees a version before the others: a cycle in four frames is one cut', () => {
    const session = live(1000)
    say(session, surfacePatch(2, { [EXPIRY]: { atm_vol: 46 } }), 1200)
    expect(session.view(1201).cut?.version).toBe(10)
    expect(session.view(1201).cut?.surface?.smiles[EXPIRY]?.atm_vol).toBe(45)
    say(session, levels({ seq: 2, version: 11 }), 1202)
    say(session, tenors({ seq: 2, version: 11 }), 1203)
    expect(session.view(1203).cut?.version).toBe(10)
    say(session, fit({ seq: 2, version: 11 }), 1204)
    expect(session.view(1204).cut).toMatchObject({ version: 11, surface: { smiles: { [EXPIRY]: { atm_vol: 46 } } } })
  })

  it('the fit closes its surface’s cycle, though other channels had nothing to say', () => {
    const session = live(1000)
    say(session, surfacePatch(2, { [EXPIRY]: { atm_vol: 46 } }), 1200)
    say(session, fit({ seq: 2, version: 11 }), 1201)
    expect(session.view(1201).cut).toMatchObject({ version: 11, surface: { version: 11 }, levels: { version: 10 } })
  })

  it('a fit before its surface does not', () => {
    const session = live(1000)
    say(session, fit({ seq: 2, version: 11 }), 1200)
    expect(session.view(1200).cut?.version).toBe(10)
  })

  it('channels with nothing to say do not hold a cycle back for long', () => {
    const session = live(1000)
    say(session, surfacePatch(2, { [EXPIRY]: { atm_vol: 46 } }), 1200)
    expect(session.settleInMs(1200)).toBe(SETTLE_MS)
    session.tick(1200 + SETTLE_MS)
    expect(session.view(1261).cut?.version).toBe(11)
    expect(session.settleInMs(1261)).toBeUndefined()
  })
})

describe('conventions', () => {
  const conventions = { ...surface().conventions, delta: 'premium_adjusted' } as const

  it('are asked for at once; nothing is shown until both channels have come in them [W34]', () => {
    const session = live(1000)
    expect(session.choose({ delta: 'premium_adjusted' }, 1100)).toEqual([{ type: 'subscribe', conventions: { delta: 'premium_adjusted' } }])
    expect(stateAt(session, 1101)).toBe('resyncing')
    const before = session.view(1101).cut
    // on their way when the choice was made: a patch, and snapshots after a pause
    say(session, surfacePatch(2, { [EXPIRY]: { atm_vol: 46 } }), 1110)
    say(session, surface({ version: 11 }), 1111)
    say(session, tenors({ version: 11 }), 1112)
    say(session, fit({ seq: 2, version: 11 }), 1113)
    say(session, surface({ version: 12, conventions }), 1120)
    session.tick(1120 + 10 * SETTLE_MS)
    expect(session.view(1900).cut).toBe(before)
    expect(session.settleInMs(1900)).toBeUndefined()
    say(session, tenors({ version: 12 }), 1901)
    say(session, fit({ seq: 3, version: 12 }), 1902)
    expect(session.view(1903)).toMatchObject({ connection: { state: 'live' }, cut: { version: 12, surface: { conventions }, tenors: { version: 12 } } })
  })

  it('chosen to and fro: snapshots of a choice that was taken back are dropped', () => {
    const session = live(1000)
    session.choose({ delta: 'premium_adjusted' }, 1100)
    session.choose({ delta: 'forward' }, 1101)
    session.choose({ delta: 'premium_adjusted' }, 1102)
    for (const message of [surface({ version: 11, conventions }), tenors({ version: 11 }), surface({ version: 11 }), tenors({ version: 11 })]) say(session, message, 1200)
    expect(session.view(1300)).toMatchObject({ connection: { state: 'resyncing' } })
    for (const message of [surface({ version: 12, conventions }), tenors({ version: 12 }), fit({ seq: 2, version: 12 })]) say(session, message, 1400)
    expect(session.view(1401)).toMatchObject({ connection: { state: 'live' }, cut: { version: 12, surface: { conventions } } })
  })

  it('the server’s own again takes a new connection, and so does a choice while none is open', () => {
    const session = live(1000)
    expect(session.choose({}, 1100)).toEqual([])
    expect(session.choose({ fly: 'half' }, 1100)).toHaveLength(1)
    expect(session.choose({ fly: 'half' }, 1101)).toEqual([])
    expect(session.choose({ fly: null }, 1102)).toBeUndefined()
    expect(session.query()).toEqual({ ccy: 'BTC' })
    session.closed(1200, 0.5)
    expect(session.choose({ fly: 'full', delta: 'forward' }, 1300)).toBeUndefined()
    expect(session.query()).toEqual({ ccy: 'BTC', delta: 'forward', fly: 'full' })
  })
})

describe('currency', () => {
  it('switching drops the other currency at once', () => {
    const session = live(1000)
    expect(session.select('ETH')).toEqual([{ type: 'select_currency', ccy: 'ETH' }])
    expect(session.view(1001)).toMatchObject({ ccy: 'ETH', connection: { state: 'resyncing' } })
    expect(session.view(1001).cut).toBeUndefined()
    say(session, surfacePatch(2, { [EXPIRY]: { atm_vol: 1 } }), 1002)
    expect(session.view(1200).cut).toBeUndefined()
    for (const message of [surface({ ccy: 'ETH' }), levels({ ccy: 'ETH' }), tenors({ ccy: 'ETH' }), through({ ccy: 'ETH' }), fit({ ccy: 'ETH' })]) say(session, message, 1300)
    expect(session.view(1301)).toMatchObject({ cut: { ccy: 'ETH' }, connection: { state: 'live' } })
  })

  it('waits for a currency that may come, then falls back to one that the server has', () => {
    const session = new Session('DOGE')
    session.opened(0)
    expect(say(session, status(), 1)).toEqual([])
    expect(say(session, status(), 7000)).toEqual([{ type: 'select_currency', ccy: 'BTC' }])
    expect(session.view(7001).ccy).toBe('BTC')
  })
})

describe('bad input', () => {
  it('says so and lives on', () => {
    const session = live(1000)
    expect(session.receive('not json', 1100)).toEqual([])
    expect(session.view(1100).connection.detail).toMatch(/not JSON/)
    say(session, { ...status(), schema: 2 }, 1200)
    expect(session.view(1200).connection.detail).toMatch(/schema 2/)
    say(session, { type: 'error', schema: 1, ts: 1, code: 'unknown_ccy', message: 'no currency X' }, 1300)
    expect(session.view(1300).connection.detail).toBe('unknown_ccy: no currency X')
    expect(stateAt(session, 1300)).toBe('live')
  })
})

describe('random streams with drops, resyncs and reconnects [W21]', () => {
  const levelsState = fc.dictionary(
    fc.constantFrom('1', '2', '3'),
    fc.dictionary(fc.constantFrom('60', '70'), fc.dictionary(fc.constantFrom('deribit', 'okx'), fc.record({ option_type: fc.constant('C' as const), used: fc.boolean(), bid_vol: fc.integer({ min: 0, max: 5 }) }))),
  )
  const step = fc.record({ state: levelsState, fate: fc.constantFrom('sent', 'sent', 'sent', 'lost', 'reconnect', 'epoch') })

  it('once a message arrives after the last loss, what is held is the server’s state', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 14 }), (steps) => {
        const session = new Session('BTC', { channels: ['levels'] })
        session.opened(0)
        let now = 1
        let at = { epoch: 'e1', seq: 1, state: {} as Record<string, unknown> }
        const hear = (message: unknown) => session.receive(JSON.stringify(message), (now += 10))
        const snapshot = () => levels({ epoch: at.epoch, seq: at.seq, version: at.seq, levels: at.state as never })
        const answer = (requests: { type: string }[]) => {
          for (const request of requests) if (request.type === 'resync') hear(snapshot())
        }
        hear(snapshot())
        let fresh = true
        const seen: [unknown, unknown][] = []
        for (const { state, fate } of steps) {
          const patch = diffPatch(at.state, state) ?? {}
          at = fate === 'epoch' ? { epoch: `${at.epoch}+`, seq: 1, state } : { ...at, seq: at.seq + 1, state }
          if (fate === 'reconnect') {
            session.closed((now += 10), 0.5)
            session.opened((now += 10))
            hear(snapshot())
          } else if (fate !== 'lost') {
            const message = { ...levels(), type: 'smile_levels_patch', epoch: at.epoch, seq: at.seq, version: at.seq, levels: patch }
            answer(hear(message))
          }
          fresh = fate !== 'lost'
          const { epoch, seq, levels: held } = session.feed.channels.levels ?? {}
          if (fresh) seen.push([{ epoch, seq, state: held }, at])
        }
        if (!fresh) answer(hear({ ...levels(), type: 'smile_levels_patch', epoch: at.epoch, seq: at.seq + 1, version: at.seq + 1, levels: {} }))
        for (const [held, truth] of seen) expect(held).toEqual(truth)
        expect(session.feed.channels.levels?.levels).toEqual(at.state)
      }),
      { seed: 23, numRuns: 100 },
    )
  }, 30_000)
})
