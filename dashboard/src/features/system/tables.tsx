import type { RecorderStatus } from '@derivasys/client'
import type { ReactNode } from 'react'
import { arrivalToPaint, feed, useFeed } from '../../data/feed'
import { age, clock, count, fixed, instant, millis, MISSING, signed } from '../../lib/format'
import { Panel } from '../../ui/Panel'
import { useNow } from '../header/Header'
import { isQuiet, venueAgeMs } from '../smiles/venues'
import styles from './System.module.css'

interface TableProps {
  label: string
  head: readonly string[]
  rows: readonly (readonly ReactNode[])[]
}

function Table({ label, head, rows }: TableProps) {
  return (
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={label}>
      <table className={styles.table}>
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([first, ...rest], n) => (
            <tr key={n}>
              <th scope="row">{first}</th>
              {rest.map((cell, i) => (
                <td key={i}>{cell}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

const statusNow = () => feed.view().status

const HEAD = ['Venue', 'State', 'Age', 'Frames/s', 'Messages', 'Reconnects', 'Gaps', 'Drops', 'Rejects', 'Transit p50 / p99', 'Clock skew', 'Round trip', 'Currencies', 'Detail']

/** Each venue's feed: fresh or not, how fast, and what went wrong on it. */
export function Venues() {
  useFeed('status', () => feed.view().status)
  const now = useNow(500)
  const venues = statusNow()?.venues ?? []
  return (
    <Panel id="venues" title="Venue feeds" note="counted since the server started" skeletonPx={160} empty={venues.length === 0 ? 'no venue status yet' : undefined}>
      <Table
        label="Venue feeds, table"
        head={HEAD}
        rows={venues.map((venue) => {
          const state = venue.state === 'live' && isQuiet(venue) ? 'stale' : venue.state
          const transit = venue.clock?.transit_ms
          return [
            venue.venue,
            <span key="state" className={styles.state} data-state={state}>
              {state}
            </span>,
            age(venueAgeMs(venue, now)),
            fixed(venue.rate, 1),
            count(venue.messages),
            count(venue.reconnects),
            count(venue.gaps),
            count(venue.drops),
            Object.entries(venue.rejects)
              .map(([reason, n]) => `${count(n)} ${reason.replaceAll('_', ' ')}`)
              .join(', ') || '0',
            transit ? `${millis(transit.p50)} / ${millis(transit.p99)}` : MISSING,
            venue.clock?.skew_ms === undefined ? MISSING : `${signed(venue.clock.skew_ms, 1)} ms`,
            millis(venue.clock?.round_trip_ms),
            venue.ccys.join(' '),
            venue.detail ?? '',
          ]
        })}
      />
    </Panel>
  )
}

/** The stages of a calibration. */
export function Stages() {
  useFeed('status', () => feed.view().status)
  const stages = Object.entries(statusNow()?.latency_ms ?? {})
  const cycle = feed.cut()?.fit?.stages_ms ?? {}
  return (
    <Panel id="stages" title="Latency by stage" note="over the last seconds; last: of the cycle shown" skeletonPx={200} empty={stages.length === 0 ? 'no stage measured yet' : undefined}>
      <Table label="Latency by stage, table" head={['Stage', 'p50', 'p99', 'Last']} rows={stages.map(([name, { p50, p99 }]) => [name.replaceAll('_', ' '), millis(p50), millis(p99), millis(cycle[name])])} />
    </Panel>
  )
}

function recorderText({ state, detail, records, lost, bytes }: RecorderStatus): string {
  return `${state}${detail ? `, ${detail}` : ''}; ${count(records)} records, ${count(lost)} lost, ${fixed(bytes / 1e6, 1)} MB`
}

/** Clients, what was spared them, and what stands in queues. */
export function Server() {
  useFeed('status', () => feed.view().status)
  const status = statusNow()
  const gateway = status?.gateway
  const facts: [string, string][] = [
    ['Source', status ? `${status.source.kind}: ${status.source.label}` : MISSING],
    ['Build', status?.build ?? feed.build()],
    ['Clock', `${clock(status?.ts)} UTC`],
    ['Clients', `${count(status?.clients)} connected`],
    ['Queues', 'none for patches: a client that does not read gets a snapshot when it does'],
    ['Written', gateway?.delivered === undefined ? MISSING : `${count(gateway.delivered)} writes, ${fixed(gateway.sent_bytes / 1e6, 1)} MB`],
    ['Dropped', gateway ? `${count(gateway.skipped)} writes spared slow clients, ${count(gateway.stuck)} stuck clients closed` : MISSING],
    [
      'Refused',
      gateway?.refused
        ? Object.entries(gateway.refused)
            .map(([cause, n]) => `${cause} ${count(n)}`)
            .join(', ') || 'none'
        : MISSING,
    ],
    ['Cycles missed', count(gateway?.missed_cycles)],
    ['Recorder', status?.recorder ? recorderText(status.recorder) : 'not recording'],
  ]
  return (
    <Panel id="server" title="Server" skeletonPx={300} empty={status ? undefined : 'no status yet'}>
      <Facts facts={facts} />
    </Panel>
  )
}

function Facts({ facts }: { facts: readonly (readonly [string, string])[] }) {
  return (
    <dl className={styles.facts}>
      {facts.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{text}</dd>
        </div>
      ))}
    </dl>
  )
}

/** This page's own connection. */
export function Stream() {
  useFeed('status', () => feed.view().status)
  const now = useNow(1000)
  const { connection, last, ccy } = feed.view()
  const paint = arrivalToPaint.quantiles()
  const facts: [string, string][] = [
    ['This page', `${connection.state}, ${connection.reconnects} reconnects, ${connection.gaps} gaps in seq`],
    ['Painting', paint ? `arrival to numbers on screen: p50 ${millis(paint.p50)}, p95 ${millis(paint.p95)}, p99 ${millis(paint.p99)}` : 'nothing painted yet (the Market page measures it)'],
    ['Shown', `${ccy} v ${feed.cut()?.version ?? MISSING}, epoch ${feed.cut()?.surface?.epoch ?? MISSING}, data of ${instant(feed.cut()?.surface?.ts)}`],
  ]
  return (
    <Panel id="stream" title="This page’s stream" skeletonPx={200}>
      <Facts facts={facts} />
      <Table
        label="Messages received"
        head={['Message', 'Received', 'Last', 'seq', 'Version', 'Characters']}
        rows={Object.entries(last)
          .toSorted(([left], [right]) => left.localeCompare(right))
          .map(([type, entry]) => [type, count(entry.count), age(now - entry.at), String(entry.seq ?? MISSING), String(entry.version ?? MISSING), count(entry.bytes)])}
      />
    </Panel>
  )
}
