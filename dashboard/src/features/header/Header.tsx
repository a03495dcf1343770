import { useEffect, useReducer, useState } from 'react'
import { type Page, usePage } from '../../app/page'
import { type Theme, useView } from '../../app/view'
import { arrivalToPaint, feed, useFeed } from '../../data/feed'
import type { ConnectionState, Quantiles, StatusMessage } from '@derivasys/client'
import { venueMark } from '../../lib/colour'
import { age, clock, count, fixed, instant, millis, MISSING, percent } from '../../lib/format'
import { Tool } from '../../ui/controls'
import { currenciesInOrder, isQuiet, venueAgeMs } from '../smiles/venues'
import styles from './Header.module.css'

const SOURCES: Record<string, string> = { live: 'LIVE', replay: 'REPLAY', simulated: 'SIMULATED', file: 'FILE' }
const CONNECTIONS: Record<ConnectionState, [glyph: string, text: string]> = {
  connecting: ['◌', 'Connecting'],
  live: ['●', 'Live'],
  stale: ['▲', 'Stale'],
  reconnecting: ['↻', 'Reconnecting'],
  resyncing: ['⇅', 'Resyncing'],
  disconnected: ['■', 'Disconnected'],
}

export function useNow(everyMs: number): number {
  const [now, tick] = useReducer(() => Date.now(), undefined, () => Date.now())
  useEffect(() => {
    const timer = setInterval(tick, everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}

/** What is shown, whence, how fresh and how good. */
export function Header({ onOpen }: { onOpen: (what: 'help' | 'settings') => void }) {
  return (
    <header className={styles.header}>
      <div className={styles.bar}>
        <a href="#/" className={styles.brand}>
          <Mark />
          <span>DerivaSys</span>
        </a>
        <Currencies />
        <nav className={styles.tabs} aria-label="Pages">
          <Tab page="market" name="Market" />
          <Tab page="fit" name="Fit" />
          <Tab page="system" name="System" />
          <Tab page="guide" name="Guide" />
        </nav>
      </div>
      <div className={styles.state}>
        <Source />
        <Connected />
        <ShownVersion />
      </div>
      <Tools onOpen={onOpen} />
      <div className={styles.strip}>
        <Venues />
        <Quality />
      </div>
      <Notice />
    </header>
  )
}

function Mark() {
  return (
    <svg viewBox="0 0 24 20" width="24" height="20" aria-hidden="true">
      <path d="M2 3c3 10 6 13 9 13s8-3 11-14" fill="none" stroke="var(--amber)" strokeWidth="2.4" strokeLinecap="round" />
      <circle cx="11" cy="16" r="2.2" fill="var(--accent)" />
    </svg>
  )
}

function Tab({ page, name }: { page: Page; name: string }) {
  const isShown = usePage() === page
  return (
    <a href={page === 'market' ? '#/' : `#/${page}`} className={styles.tab} aria-current={isShown ? 'page' : undefined}>
      {name}
    </a>
  )
}

function Currencies() {
  const ccy = useFeed('connection', () => feed.view().ccy)
  const list = useFeed('status', () => currenciesInOrder(feed.view().status?.available_ccys ?? []).join())
  const available = list === '' ? [ccy] : list.split(',')
  return (
    <div className={styles.ccys} role="group" aria-label="Currency">
      {available.map((name) => (
        <button
          key={name}
          type="button"
          aria-pressed={name === ccy}
          data-testid={`ccy-${name}`}
          onClick={() => {
            feed.select(name)
            useView.setState({ ccy: name, focus: '' })
          }}
        >
          {name}
        </button>
      ))}
    </div>
  )
}

/** Always on screen: whether this is the market, a recording or a simulation. */
function Source() {
  const source = useFeed('status', () => feed.view().status?.source)
  const ccy = useFeed('connection', () => feed.view().ccy)
  const kind = source?.kind ?? ''
  const label = source?.label ?? ''
  const from = source?.recorded?.[ccy]
  return (
    <span className={styles.source} data-testid="header-source" data-kind={kind || 'unknown'} title={from === undefined ? label : `${label}; recorded from ${instant(from)}`}>
      <b>{SOURCES[kind] ?? 'SOURCE UNKNOWN'}</b>
      <span>{label}</span>
    </span>
  )
}

function Connected() {
  const state = useFeed('connection', () => feed.view().connection.state)
  const [glyph, text] = CONNECTIONS[state]
  return (
    <span className={styles.connection} data-testid="header-connection" data-state={state} role="status">
      <i aria-hidden="true">{glyph}</i>
      {text}
    </span>
  )
}

function ShownVersion() {
  const version = useFeed('cut', () => feed.cut()?.version)
  const isFrozen = useFeed('connection', () => feed.isFrozen())
  const behind = useFeed('connection', () => feed.versionsBehind())
  return (
    <span className={styles.version} data-testid="header-version" data-version={version} data-frozen={isFrozen || undefined}>
      v <b>{version ?? '–'}</b>
      {isFrozen ? (
        <em>
          frozen, {count(behind)} {behind === 1 ? 'version' : 'versions'} behind
        </em>
      ) : null}
    </span>
  )
}

const NEXT_THEME: Record<Theme, Theme> = { system: 'dark', dark: 'light', light: 'system' }
const THEME_GLYPH: Record<Theme, string> = { system: '◐', dark: '☾', light: '☀' }

function Tools({ onOpen }: { onOpen: (what: 'help' | 'settings') => void }) {
  const theme = useView((view) => view.theme)
  const isFrozen = useFeed('connection', () => feed.isFrozen())
  const [isCopied, setCopied] = useState(false)
  useEffect(() => {
    if (!isCopied) return undefined
    const timer = setTimeout(() => setCopied(false), 1500)
    return () => clearTimeout(timer)
  }, [isCopied])
  return (
    <div className={styles.tools}>
      <Tool label={isFrozen ? 'Resume (Space)' : 'Freeze (Space)'} pressed={isFrozen} onClick={() => feed.freeze(!isFrozen)} testId="freeze">
        {isFrozen ? 'Resume' : 'Freeze'}
      </Tool>
      <Tool label="Copy a link to this view" onClick={() => void navigator.clipboard?.writeText(location.href).then(() => setCopied(true))} testId="copy-link">
        {isCopied ? 'Copied' : 'Link'}
      </Tool>
      <Tool label={`Theme: ${theme}`} onClick={() => useView.setState({ theme: NEXT_THEME[theme] })} testId="theme">
        {THEME_GLYPH[theme]}
      </Tool>
      <Tool label="Settings: conventions, units, thresholds (,)" onClick={() => onOpen('settings')} testId="settings-open">
        Settings
      </Tool>
      <Tool label="Keys and help (?)" onClick={() => onOpen('help')}>
        ?
      </Tool>
    </div>
  )
}

const VENUE_STATES: Record<string, string> = { live: 'live', connecting: 'connecting', stale: 'stale', down: 'down', unknown: 'unknown' }
/** The server says how its venues are every second; without word for this long nobody knows. */
const UNKNOWN_AFTER_MS = 5000

/** Each venue by shape, colour, word and age. */
function Venues() {
  useFeed('status', () => feed.view().status)
  const now = useNow(500)
  const venues = feed.view().status?.venues ?? []
  const names = venues.map((venue) => venue.venue)
  return (
    <ul className={styles.venues} aria-label="Venue feeds">
      {venues.length === 0 ? <li className={styles.waiting}>no venue status yet</li> : null}
      {venues.map((venue) => {
        const mark = venueMark(venue.venue, names)
        const isUnknown = now - (feed.view().statusAt ?? now) > UNKNOWN_AFTER_MS
        const known = venue.state === 'live' && isQuiet(venue) ? 'stale' : venue.state
        const state = isUnknown ? 'unknown' : known
        return (
          <li
            key={venue.venue}
            data-state={state}
            data-testid={`venue-${venue.venue}`}
            title={`${venue.venue}: ${VENUE_STATES[state] ?? state}${venue.detail ? `, ${venue.detail}` : ''}; ${fixed(venue.rate, 0)} frames/s; ${count(venue.messages)} messages; ${venue.reconnects} reconnects; ${venue.gaps} gaps; ${venue.drops} drops`}
          >
            <i style={{ color: `var(${mark.property})` }} aria-hidden="true">
              {mark.glyph}
            </i>
            <span>{venue.venue}</span>
            <b>{[state === 'live' ? '' : (VENUE_STATES[state] ?? state), venue.age_ms === undefined && state !== 'live' ? '' : age(venueAgeMs(venue, now))].filter(Boolean).join(' ')}</b>
          </li>
        )
      })}
    </ul>
  )
}

/** The whole path's quantiles: from receipt to the last client's socket, else the stage called total, else the slowest one. */
export function wholeLatency(status: Pick<StatusMessage, 'latency_ms' | 'waterfall'> | undefined): [name: string, Quantiles] | undefined {
  const total = status?.waterfall?.find(({ stage }) => stage === 'total')
  if (total) return ['frame received to patch written', total]
  const entries = Object.entries(status?.latency_ms ?? {})
  return entries.find(([name]) => /^(total|end_to_end|exchange_to_|frame_to_patch)/.test(name)) ?? entries.toSorted((left, right) => right[1].p50 - left[1].p50)[0]
}

/** Milliseconds without their unit. */
function bare(ms: number): string {
  return millis(ms).replace(' ms', '')
}

/** Fit objective, error, share inside, time and latency. */
function Quality() {
  useFeed('cut', () => feed.cut()?.version)
  useFeed('status', () => feed.view().status)
  const now = useNow(500)
  const cut = feed.cut()
  const fit = cut?.fit
  const whole = wholeLatency(feed.view().status)
  const pushed = feed.view().connection.dataAt
  const paint = arrivalToPaint.quantiles()
  const server = whole ? `server ${bare(whole[1].p50)} / ${bare(whole[1].p99)}` : ''
  const page = paint ? `page ${bare(paint.p50)} / ${bare(paint.p99)}` : ''
  const latency = [server, page].filter(Boolean).join(' + ')
  const figures: [name: string, value: string, title: string, key: string][] = [
    ['push', pushed === undefined ? MISSING : age(now - pushed), 'Time since the last surface data came to this page', 'push'],
    ['data', cut?.surface ? `${clock(cut.surface.ts)} UTC` : MISSING, `Time of the data: ${instant(cut?.surface?.ts)}`, 'time'],
    ['objective', fixed(fit?.objective, 1), 'Fit objective of the whole surface: weighted squared errors; smaller is closer', 'objective'],
    ['rmse', fit?.rmse === undefined ? MISSING : `${fixed(fit.rmse, 2)} vp`, 'Root mean square error of the fit over all used quotes, vol points', 'rmse'],
    ['inside', percent(fit?.inside), 'Share of used two-sided quotes between whose bid and ask the fit lies', 'inside'],
    ['fit', millis(fit?.elapsed_ms), 'Time of the whole calibration cycle; not measured in a replay', 'fit'],
    ['latency p50 / p99', latency ? `${latency} ms` : MISSING, `${whole ? `Server: ${whole[0].replaceAll('_', ' ')}` : 'No stage measured yet'}${paint ? '; then this page: from a patch’s arrival to its numbers on screen' : ''}. All stages on the System page`, 'latency'],
  ]
  return (
    <dl className={styles.quality}>
      {figures.map(([name, value, title, key]) => (
        <div key={name} title={title} data-figure={key}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** What is wrong, in one line, while something is. */
function Notice() {
  const state = useFeed('connection', () => feed.view().connection.state)
  useFeed('status', () => feed.view().status)
  const now = useNow(500)
  const text = noticeOf(state, now)
  if (text === '') return null
  return (
    <p className={styles.notice} data-state={state} data-testid="notice">
      {text}
    </p>
  )
}

function noticeOf(state: ConnectionState, now: number): string {
  const { connection, status, statusAt } = feed.view()
  const quiet = (status?.venues ?? []).filter(isQuiet).map((venue) => {
    const ms = venueAgeMs(venue, now)
    return [venue.venue, venue.state === 'down' ? 'down' : '', ms === undefined ? '' : age(ms)].filter(Boolean).join(' ')
  })
  const since = connection.dataAt === undefined ? '' : `, shown data is ${age(now - connection.dataAt)} old`
  const detail = connection.detail ? ` (${connection.detail})` : ''
  switch (state) {
    case 'stale': {
      const who = quiet.length > 0 ? `quiet: ${quiet.join(', ')}` : 'the venues report live, so the server has stopped publishing'
      return `No data for ${age(now - (connection.dataAt ?? now))}; ${statusAt === undefined ? 'no status either' : who}`
    }
    case 'reconnecting':
      return `Connection lost${detail}; ${connection.retryAt === undefined ? 'connecting' : `next attempt in ${age(Math.max(0, connection.retryAt - now))}`}${since}`
    case 'disconnected':
      return `Disconnected after ${connection.attempts} attempts${detail}; ${connection.retryAt === undefined ? 'trying again' : `next attempt in ${age(Math.max(0, connection.retryAt - now))}`}${since}`
    case 'resyncing':
      return 'A message was missed: waiting for a fresh snapshot'
    case 'connecting':
      return connection.detail ? `Connecting${detail}` : ''
    case 'live':
      if (feed.delisted()) return `The server does not offer ${feed.delisted()}; ${feed.view().ccy} is shown instead`
      if (quiet.length > 0) return `No fresh data from ${quiet.join(', ')}: those quotes are out of date`
      return connection.detail ? `The server says: ${connection.detail}` : ''
  }
}
