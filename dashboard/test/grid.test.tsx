// @vitest-environment jsdom
import { act, cleanup, fireEvent, render, screen } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { DEFAULTS, useView } from '../src/app/view'
import { feed } from '../src/data/feed'
import { type ServerMessage, Session } from '@derivasys/client'
import { Grid } from '../src/features/rrfly/Grid'
import { gridCsv } from '../src/features/rrfly/csv'
import { EXPIRY, fit, levels, smileOf, surface, surfacePatch, tenors, through } from './messages'

const OTHER = EXPIRY + 7 * 86_400_000
let session: Session
let now = 1000

function say(...messages: ServerMessage[]) {
  for (const message of messages) session.receive(JSON.stringify(message), now)
  session.tick(now + 200)
  act(() => feed.take(session.view(now + 200)))
}

/** Time for the painter's interval and its frame. */
async function frames(ms = 130) {
  await act(() => vi.advanceTimersByTimeAsync(ms))
}

const cell = (name: string) => document.querySelector<HTMLElement>(`[data-cell="${name}"]`)
const number = (name: string) => cell(name)?.firstElementChild?.textContent

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'requestAnimationFrame', 'performance'] })
  session = new Session('BTC')
  session.opened(now)
  useView.setState(DEFAULTS)
  const rejected = smileOf(OTHER, {
    label: '03APR26',
    days: 37,
    params: undefined,
    nodes: undefined,
    risk_reversals: undefined,
    flies: undefined,
    atm_vol: undefined,
    certificate: { butterfly: 'unchecked', calendar: 'unchecked', lee: 'unchecked' },
    fit: { state: 'rejected', reasons: ['rmse 4.1 exceeds 3.0'] },
  })
  say(surface({ smiles: { [OTHER]: rejected, [EXPIRY]: smileOf() } }), levels(), tenors(), through(), fit())
})

afterEach(() => {
  cleanup()
  vi.useRealTimers()
  now += 100_000
})

describe('risk-reversal grid', () => {
  it('shows every column of every expiry in order of time, with the version on each cell', async () => {
    render(<Grid kind="rr" />)
    await frames()
    const rows = screen.getAllByRole('row').slice(2)
    expect(rows.map((row) => row.dataset.row)).toEqual([String(EXPIRY), String(OTHER)])
    expect(rows[0]?.querySelectorAll('td')).toHaveLength(2 + 8 + 17)
    expect(number(`rr:${EXPIRY}:RR25`)).toBe('−1.75')
    expect(number(`rr:${EXPIRY}:FWD`)).toBe('70,000')
    expect(number(`rr:${EXPIRY}:25P`)).toBe('52.50')
    for (const element of document.querySelectorAll<HTMLElement>(`[data-cell^="rr:${EXPIRY}"]`)) expect(element.dataset.version).toBe('10')
  })

  it('says where the number is that it is extrapolated or rejected', async () => {
    render(<Grid kind="rr" />)
    await frames()
    expect(cell(`rr:${EXPIRY}:5P`)?.dataset.flag).toBe('extrapolated')
    expect(cell(`rr:${EXPIRY}:RR05`)?.dataset.flag).toBe('extrapolated')
    expect(cell(`rr:${EXPIRY}:10P`)?.dataset.flag).toBeUndefined()
    expect(cell(`rr:${OTHER}:RR25`)?.dataset.flag).toBe('rejected')
    expect(number(`rr:${OTHER}:RR25`)).toBe('–')
  })

  it('a patch writes the changed number and the version of all, and flashes what changed', async () => {
    render(<Grid kind="rr" />)
    await frames()
    say(surfacePatch(2, { [EXPIRY]: { risk_reversals: { RR25: -1.5 } } }))
    await frames()
    expect(number(`rr:${EXPIRY}:RR25`)).toBe('−1.50')
    expect(cell(`rr:${EXPIRY}:RR25`)?.dataset).toMatchObject({ version: '11', flash: 'up' })
    expect(cell(`rr:${EXPIRY}:RR10`)?.dataset.flash).toBeUndefined()
    expect(cell(`rr:${EXPIRY}:RR10`)?.dataset.version).toBe('11')
    // no second flash so soon
    say(surfacePatch(3, { [EXPIRY]: { risk_reversals: { RR25: -1.2 } } }))
    await frames()
    expect(number(`rr:${EXPIRY}:RR25`)).toBe('−1.20')
    expect(cell(`rr:${EXPIRY}:RR25`)?.dataset.flash).toBe('up')
    await frames(1500)
    expect(cell(`rr:${EXPIRY}:RR25`)?.dataset.flash).toBeUndefined()
  })

  it('a change below what is displayed does not flash', async () => {
    render(<Grid kind="rr" />)
    await frames()
    say(surfacePatch(2, { [EXPIRY]: { risk_reversals: { RR25: -1.7501 } } }))
    await frames()
    expect(cell(`rr:${EXPIRY}:RR25`)?.dataset.flash).toBeUndefined()
  })

  it('shows strike or log-moneyness under node vols when asked', async () => {
    useView.setState({ sub: 'strike' })
    render(<Grid kind="rr" />)
    await frames()
    expect(cell(`rr:${EXPIRY}:25P`)?.lastElementChild?.textContent).toBe('63,339')
    act(() => useView.setState({ sub: 'k' }))
    await frames()
    expect(cell(`rr:${EXPIRY}:25P`)?.lastElementChild?.textContent).toBe('−0.100')
  })

  it('shows fixed tenors when asked, with strikes worked out from the vol', async () => {
    useView.setState({ rows: 'tenor', sub: 'k' })
    render(<Grid kind="rr" />)
    await frames()
    expect(number('rr:1M:RR25')).toBe('−2.00')
    expect(cell('rr:1M:25C')?.lastElementChild?.textContent).toMatch(/^\+0\.0/)
    expect(cell('rr:1M:ATMF')?.lastElementChild?.textContent).toBe('0.000')
  })

  it('explains a number on focus: both legs, band, quotes and age', async () => {
    // loaded when first asked for; here before, so that no machine is too slow for it
    await import('../src/features/rrfly/CellTip')
    render(<Grid kind="rr" />)
    await frames()
    fireEvent.click(cell(`rr:${EXPIRY}:RR25`) as HTMLElement)
    vi.useRealTimers()
    const tip = await screen.findByRole('tooltip', undefined, { timeout: 10_000 })
    expect(tip.textContent).toContain('27MAR26 · RR25')
    expect(tip.textContent).toContain('52.00 – 53.00')
    expect(tip.textContent).toContain('800 ms')
    expect(tip.textContent).toContain('forward delta · v 10')
  })

  it('has one tab stop, and the arrow keys move it', async () => {
    render(<Grid kind="rr" />)
    await frames()
    expect(document.querySelectorAll('td[tabindex="0"]')).toHaveLength(1)
    const first = cell(`rr:${EXPIRY}:FWD`) as HTMLElement
    act(() => first.focus())
    fireEvent.keyDown(first, { key: 'ArrowRight' })
    expect(document.activeElement).toBe(cell(`rr:${EXPIRY}:ATMVOL`))
    expect(document.querySelectorAll('td[tabindex="0"]')).toHaveLength(1)
  })
})

describe('fly grid', () => {
  it('has the same shape with flies', async () => {
    render(<Grid kind="fly" />)
    await frames()
    expect(number(`fly:${EXPIRY}:FLY25`)).toBe('+0.80')
    expect(cell(`fly:${EXPIRY}:ATMF`)).not.toBeNull()
  })
})

describe('frozen', () => {
  it('keeps the shown version and counts those behind', async () => {
    render(<Grid kind="rr" />)
    await frames()
    act(() => feed.freeze(true))
    say(surfacePatch(2, { [EXPIRY]: { risk_reversals: { RR25: -1 } } }))
    await frames()
    expect(number(`rr:${EXPIRY}:RR25`)).toBe('−1.75')
    expect(feed.versionsBehind()).toBe(1)
    act(() => feed.freeze(false))
    await frames()
    expect(number(`rr:${EXPIRY}:RR25`)).toBe('−1.00')
  })
})

describe('export', () => {
  it('carries currency, version and time on every line', () => {
    const cut = feed.cut()
    if (!cut) throw new Error('no cut')
    const [head = '', first = ''] = gridCsv(cut, 'rr', 'expiry').split('\n')
    expect(head).toMatch(/^ccy,source,version,surface_ts_utc,expiry_utc,label,days,state,extrapolated,convention,delta,forward,atm_vol,RR05/)
    expect(first).toMatch(/^BTC,unknown,10,2026-02-25T06:13:20\.000Z,2026-03-27T08:00:00\.000Z,27MAR26,30,fitted,RR05 5P,call_minus_put,forward,70000,45,-1\.55/)
    expect(first.split(',')).toHaveLength(head.split(',').length)
  })
})
