// @vitest-environment jsdom
import { act, cleanup, render, screen } from '@testing-library/react'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { feed } from '../src/data/feed'
import { Session, type StatusMessage, type VenueStatus } from '@derivasys/client'
import { Header } from '../src/features/header/Header'
import { currenciesInOrder } from '../src/features/smiles/venues'
import { Panel } from '../src/ui/Panel'
import { fit, levels, status, surface, tenors, through } from './messages'

let now = 50_000
const say = (session: Session, ...messages: object[]) => {
  for (const message of messages) session.receive(JSON.stringify(message), now)
  act(() => feed.take(session.view(now)))
}

function venue(name: string, more: Partial<VenueStatus> = {}): VenueStatus {
  return { venue: name, state: 'live', age_ms: 40, rate: 10, messages: 5, reconnects: 0, gaps: 0, drops: 0, rejects: {}, ccys: ['BTC'], ...more }
}

let session: Session

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] })
  now += 1_000_000
  vi.setSystemTime(now)
  session = new Session('BTC')
  session.opened(now)
})

afterEach(() => {
  cleanup()
  vi.useRealTimers()
})

const snapshots = () => [surface(), levels(), tenors(), through(), fit({ objective: 0.82, elapsed_ms: 1.27 })]

describe('header', () => {
  it.each([
    ['live', 'LIVE'],
    ['replay', 'REPLAY'],
    ['simulated', 'SIMULATED'],
    ['file', 'FILE'],
  ] as const)('a %s source is labelled %s, with its label', (kind, text) => {
    say(session, status({ source: { kind, label: 'where it comes from' } as StatusMessage['source'] }), ...snapshots())
    render(<Header onOpen={() => undefined} />)
    expect(screen.getByTestId('header-source').textContent).toBe(`${text}where it comes from`)
  })

  it('without a status it does not pretend to know the source', () => {
    const other = new Session('BTC')
    act(() => feed.take(other.view(now)))
    render(<Header onOpen={() => undefined} />)
    expect(screen.getByTestId('header-source').textContent).toBe('SOURCE UNKNOWN')
    expect(screen.getByTestId('header-connection').dataset.state).toBe('connecting')
  })

  it('shows version, fit and latency of the whole path', () => {
    say(session, status({ latency_ms: { decode: { p50: 0.02, p99: 0.2 }, frame_to_patch: { p50: 31.2, p99: 78.4 } } }), ...snapshots())
    render(<Header onOpen={() => undefined} />)
    expect(screen.getByTestId('header-version').textContent).toBe('v 10')
    expect(screen.getByRole('banner').textContent).toContain('objective0.8')
    expect(screen.getByRole('banner').textContent).toContain('inside95.0%')
    expect(screen.getByRole('banner').textContent).toContain('31.2 / 78.4 ms')
    expect(screen.getByTestId('header-connection').dataset.state).toBe('live')
  })

  it('names the quiet venue, though the stream is live', () => {
    say(session, status({ venues: [venue('deribit'), venue('okx', { age_ms: 4200 })] }), ...snapshots())
    render(<Header onOpen={() => undefined} />)
    expect(screen.getByTestId('venue-deribit').dataset.state).toBe('live')
    expect(screen.getByTestId('venue-okx').dataset.state).toBe('stale')
    expect(screen.getByTestId('notice').textContent).toBe('No fresh data from okx 4.2 s: those quotes are out of date')
  })

  it('says why the connection was lost and when it tries again', () => {
    say(session, status(), ...snapshots())
    session.closed(now, 1, 'server restarts')
    act(() => feed.take(session.view(now)))
    render(<Header onOpen={() => undefined} />)
    expect(screen.getByTestId('header-connection').dataset.state).toBe('reconnecting')
    expect(screen.getByTestId('notice').textContent).toContain('Connection lost (server restarts); next attempt in 200 ms')
  })

  it('keeps currencies in one order whatever the server says first', () => {
    expect(currenciesInOrder(['ZZZ', 'ETH', 'AVAX', 'BTC'])).toEqual(['BTC', 'ETH', 'AVAX', 'ZZZ'])
  })
})

describe('panel', () => {
  it('holds its place until the first snapshot', () => {
    const other = new Session('BTC')
    act(() => feed.take(other.view(now)))
    render(
      <Panel id="one" title="One" skeletonPx={300}>
        numbers
      </Panel>,
    )
    expect(screen.getByRole('status').style.height).toBe('300px')
    expect(screen.queryByText('numbers')).toBeNull()
    say(session, status(), ...snapshots())
    expect(screen.getByText('numbers')).toBeDefined()
    expect(screen.getByText('v 10')).toBeDefined()
  })

  it('says when there is nothing to show', () => {
    say(session, status(), ...snapshots())
    render(
      <Panel id="one" title="One" skeletonPx={300} empty="no expiries">
        numbers
      </Panel>,
    )
    expect(screen.getByText('no expiries')).toBeDefined()
  })

  it('a fault in one panel leaves the other working', () => {
    vi.spyOn(console, 'error').mockImplementation(() => undefined)
    say(session, status(), ...snapshots())
    render(
      <>
        <Panel id="one" title="One" skeletonPx={300}>
          <Broken />
        </Panel>
        <Panel id="two" title="Two" skeletonPx={300}>
          numbers
        </Panel>
      </>,
    )
    expect(screen.getByRole('alert').textContent).toContain('One cannot be drawn: out of order')
    expect(screen.getByText('numbers')).toBeDefined()
  })
})

function Broken(): never {
  throw new Error('out of order')
}
