import app from '../../app/app.module.css'
import { arrivalToPaint, feed, useFeed } from '../../data/feed'
import type { RecorderStatus } from '@derivasys/client'
import { age, clock, count, fixed, instant, millis } from '../../lib/format'
import { Panel } from '../../ui/Panel'
import { useNow } from '../header/Header'
import { isQuiet, venueAgeMs } from '../smiles/venues'
import styles from './System.module.css'

/** Feeds, stages and this page's own connection. */
export default function SystemPage() {
  return (
    <>
      <Venues />
      <div className={app.pair}>
        <Stages />
        <Stream />
      </div>
    </>
  )
}

interface TableProps {
  label: string
  head: readonly string[]
  rows: readonly (readonly string[])[]
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
          {rows.map(([first, ...rest]) => (
            <tr key={first}>
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

function Venues() {
  useFeed('status', () => feed.view().status)
  const now = useNow(500)
  const venues = feed.view().status?.venues ?? []
  return (
    <Panel id="venues" title="Venue feeds" skeletonPx={160} empty={venues.length === 0 ? 'no venue status yet' : undefined}>
      <Table
        label="Venue feeds, table"
        head={['Venue', 'State', 'Age', 'Frames/s', 'Messages', 'Reconnects', 'Gaps', 'Drops', 'Rejects', 'Currencies', 'Detail']}
        rows={venues.map((venue) => [
          venue.venue,
          venue.state === 'live' && isQuiet(venue) ? 'stale' : venue.state,
          age(venueAgeMs(venue, now)),
          fixed(venue.rate, 1),
          count(venue.messages),
          count(venue.reconnects),
          count(venue.gaps),
          count(venue.drops),
          Object.entries(venue.rejects)
            .map(([reason, n]) => `${count(n)} ${reason}`)
            .join(', ') || '0',
          venue.ccys.join(' '),
          venue.detail ?? '',
        ])}
      />
    </Panel>
  )
}

function Stages() {
  useFeed('status', () => feed.view().status)
  const stages = Object.entries(feed.view().status?.latency_ms ?? {})
  const fit = Object.entries(feed.cut()?.fit?.stages_ms ?? {})
  return (
    <Panel id="stages" title="Latency by stage" note="over the last seconds" skeletonPx={200} empty={stages.length + fit.length === 0 ? 'no stage measured yet' : undefined}>
      <Table
        label="Latency by stage, table"
        head={['Stage', 'p50', 'p99']}
        rows={[...stages.map(([name, { p50, p99 }]) => [name, millis(p50), millis(p99)]), ...fit.map(([name, ms]) => [`last cycle: ${name}`, millis(ms), ''])]}
      />
    </Panel>
  )
}

function recorderText({ state, detail, records, lost, bytes }: RecorderStatus): string {
  return `${state}${detail ? `, ${detail}` : ''}; ${count(records)} records, ${count(lost)} lost, ${fixed(bytes / 1e6, 1)} MB`
}

function Stream() {
  useFeed('status', () => feed.view().status)
  const now = useNow(1000)
  const { connection, last, status, ccy } = feed.view()
  const paint = arrivalToPaint.quantiles()
  const facts = [
    ['This page', `${connection.state}, ${connection.reconnects} reconnects, ${connection.gaps} gaps in seq`],
    ['Server', `build ${status?.build ?? feed.build()}, clients: ${count(status?.clients)}, its clock ${clock(status?.ts)} UTC`],
    ...(status?.recorder ? [['Recorder', recorderText(status.recorder)]] : []),
    ['Painting', paint ? `arrival to numbers on screen: p50 ${millis(paint.p50)}, p95 ${millis(paint.p95)}, p99 ${millis(paint.p99)}` : 'nothing painted yet (the Market page measures it)'],
    ['Shown', `${ccy} v ${feed.cut()?.version ?? '–'}, epoch ${feed.cut()?.surface?.epoch ?? '–'}, data of ${instant(feed.cut()?.surface?.ts)}`],
  ]
  return (
    <Panel id="stream" title="This page’s stream" skeletonPx={200}>
      <dl className={styles.facts}>
        {facts.map(([name, text]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{text}</dd>
          </div>
        ))}
      </dl>
      <Table
        label="Messages received"
        head={['Message', 'Received', 'Last', 'seq', 'Version', 'Characters']}
        rows={Object.entries(last)
          .toSorted(([left], [right]) => left.localeCompare(right))
          .map(([type, entry]) => [type, count(entry.count), age(now - entry.at), String(entry.seq ?? '–'), String(entry.version ?? '–'), count(entry.bytes)])}
      />
    </Panel>
  )
}
