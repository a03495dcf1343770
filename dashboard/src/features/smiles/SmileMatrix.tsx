import { useUnits, vol as volText } from '../../app/units'
import { toggled, useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { venueMark } from '../../lib/colour'
import { days, fixed, price } from '../../lib/format'
import { Segmented, TableToggle } from '../../ui/controls'
import { Panel } from '../../ui/Panel'
import { smilesInOrder } from './order'
import { SmileChart } from './SmileChart'
import styles from './smiles.module.css'
import { QuoteTable } from './QuoteTable'
import { isQuiet, venuesOf } from './venues'

/** One small chart for each expiry, all of one version, with one hover. */
export function SmileMatrix() {
  const kind = useView((view) => view.axis)
  const isTable = useView((view) => view.tables.includes('smiles'))
  const expiries = useFeed('cut', () => smilesInOrder().map((smile) => smile.expiry).join())
  const list = expiries === '' ? [] : expiries.split(',')
  return (
    <Panel
      id="smiles"
      title="Smiles"
      note="fitted curve; bid filled, ask hollow, last ×"
      skeletonPx={660}
      empty={list.length === 0 ? 'no expiries on this surface yet' : undefined}
      tools={
        <>
          <VenueToggles />
          <Segmented
            label="Horizontal axis"
            value={kind}
            options={[
              ['k', 'ln K/F'],
              ['strike', 'Strike'],
              ['delta', 'Fwd delta'],
              ['sd', 'Std dev'],
            ]}
            onChange={(next) => useView.setState({ axis: next })}
          />
          <TableToggle on={isTable} name="smiles" onClick={() => useView.setState((view) => ({ tables: toggled(view.tables, 'smiles') }))} />
        </>
      }
    >
      <div className={styles.matrix} data-testid="smile-matrix">
        {list.map((expiry) => (
          <SmileCell key={expiry} expiry={expiry} isTable={isTable} />
        ))}
      </div>
    </Panel>
  )
}

function SmileCell({ expiry, isTable }: { expiry: string; isTable: boolean }) {
  const kind = useView((view) => view.axis)
  const head = useFeed('cut', () => {
    const smile = feed.cut()?.surface?.smiles[expiry]
    return JSON.stringify(smile ? [smile.label, days(smile.days), smile.fit.state, smile.fit.reasons.join('; '), smile.params ? 'fit' : ''] : [])
  })
  const [label = '', toExpiry = '', state = '', reasons = '', hasFit = ''] = JSON.parse(head) as string[]
  return (
    <article className={styles.cell} data-testid={`smile-${expiry}`} data-state={state} aria-label={`Smile of ${label}`}>
      <header className={styles.cellHead}>
        <h3>{label}</h3>
        <span className={styles.muted}>{toExpiry}</span>
        {state === 'fitted' || state === '' ? null : (
          <span className={styles.badge} data-flag={state} title={reasons}>
            {state}
          </span>
        )}
        <Figures expiry={expiry} />
        <button type="button" className={styles.enlarge} aria-label={`Enlarge ${label}`} title="Enlarge" onClick={() => useView.setState({ focus: expiry })}>
          ⤢
        </button>
      </header>
      {hasFit === '' ? (
        <p className={styles.none}>
          No fit. <span>{reasons || 'no reason given'}</span>
        </p>
      ) : isTable ? (
        <QuoteTable expiry={expiry} />
      ) : (
        <SmileChart expiry={expiry} kind={kind} size="small" />
      )}
    </article>
  )
}

/** Level, vol and fit error of an expiry. */
export function Figures({ expiry }: { expiry: string }) {
  useUnits()
  const text = useFeed('cut', () => {
    const smile = feed.cut()?.surface?.smiles[expiry]
    return [volText(smile?.atm_vol), price(smile?.atm ?? smile?.forward?.price), fixed(smile?.fit.rmse, 2)].join('|')
  })
  const [vol, level, rmse] = text.split('|')
  return (
    <dl className={styles.figures}>
      <dt>ATM</dt>
      <dd>{vol}</dd>
      <dt>fwd</dt>
      <dd data-soft>{level}</dd>
      <dt>rmse</dt>
      <dd data-soft>{rmse}</dd>
    </dl>
  )
}

/** Shows and hides a venue's marks; says which venues are quiet. */
export function VenueToggles() {
  const hidden = useView((view) => view.hiddenVenues)
  const text = useFeed('status', () =>
    (feed.view().status?.venues ?? []).map((venue) => `${venue.venue}:${isQuiet(venue) ? 'quiet' : ''}`).join(),
  )
  const venues = text === '' ? venuesOf(feed.cut()).venues.map((venue) => `${venue}:`) : text.split(',')
  const names = venues.map((venue) => venue.split(':')[0] ?? '')
  return (
    <div className={styles.venues} role="group" aria-label="Venues shown">
      {venues.map((entry) => {
        const [venue = '', quiet] = entry.split(':')
        const mark = venueMark(venue, names)
        return (
          <button
            key={venue}
            type="button"
            aria-pressed={!hidden.includes(venue)}
            data-quiet={quiet || undefined}
            title={quiet ? `${venue}: no fresh data` : venue}
            onClick={() => useView.setState((view) => ({ hiddenVenues: toggled(view.hiddenVenues, venue) }))}
          >
            <i style={{ color: `var(${mark.property})` }} aria-hidden="true">
              {mark.glyph}
            </i>
            {venue}
          </button>
        )
      })}
    </div>
  )
}
