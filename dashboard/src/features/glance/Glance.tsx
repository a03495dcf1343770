import type { Smile } from '@derivasys/client'
import type { ReactNode } from 'react'
import { useUnits, vol as volText, volSigned } from '../../app/units'
import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { days, MISSING, strike } from '../../lib/format'
import { DELTA_WORDS, sayingOf } from '../rrfly/rows'
import { smilesInOrder } from '../smiles/order'
import { venueMark } from '../../lib/colour'
import { venuesOf } from '../smiles/venues'
import { entriesOf, isWanted } from '../through/model'
import { GLYPHS, trustOf, WORDS, type Trust } from '../trust/checks'
import styles from './Glance.module.css'

/** The month that desks quote. */
const TENOR = '1M'

/** The surface in one line: level, skew, whether to trust it, and where the market is through it. */
export function Glance() {
  useUnits()
  return (
    <section className={styles.glance} aria-label="At a glance" data-panel data-testid="glance">
      <Index />
      <Tenor />
      <Front />
      <All />
      <Through />
    </section>
  )
}

function Tile({ name, children, onClick, label, testId }: { name: string; children: ReactNode; onClick?: () => void; label?: string; testId: string }) {
  const body = (
    <>
      <span className={styles.name}>{name}</span>
      <span className={styles.body}>{children}</span>
    </>
  )
  if (!onClick) {
    return (
      <div className={styles.tile} data-testid={testId}>
        {body}
      </div>
    )
  }
  return (
    <button type="button" className={styles.tile} onClick={onClick} title={label} data-testid={testId}>
      {body}
    </button>
  )
}

function Index() {
  const text = useFeed('cut', () => volText(feed.cut()?.surface?.vol_index_30d))
  return (
    <Tile name="30-day index" testId="glance-index">
      <b>{text}</b>
      <small>variance swap, vol points</small>
    </Tile>
  )
}

function Tenor() {
  const rr = useView((view) => view.rr)
  const text = useFeed('cut', () => {
    const row = feed.cut()?.tenors?.tenors[TENOR]
    const skew = row?.risk_reversals?.RR25
    return [volText(row?.atm_vol), volSigned(rr === 'put' && skew !== undefined ? 0 - skew : skew), sayingWords(), row?.is_extrapolated ? 'extrapolated' : ''].join('|')
  })
  const [atm, skew, saying, note] = text.split('|')
  return (
    <Tile name="30-day tenor (1M)" testId="glance-tenor" label="Show the fixed tenors" onClick={() => useView.setState({ rows: 'tenor' })}>
      <small>ATM</small> <b>{atm}</b>
      <small>RR25</small> <b>{skew}</b>
      <small>{saying}</small>
      {note ? <em>{note}</em> : null}
    </Tile>
  )
}

function sayingWords(): string {
  const { rr, delta } = sayingOf(feed.cut())
  return `${rr === 'put' ? 'put − call' : 'call − put'}, ${DELTA_WORDS[delta]}`
}

function trusts(): { smile: Smile; trust: Trust }[] {
  const { limits } = useView.getState()
  const fits = new Map((feed.cut()?.fit?.expiries ?? []).map((fit) => [fit.expiry, fit]))
  return smilesInOrder().map((smile) => ({ smile, trust: trustOf(smile, fits.get(smile.expiry), limits) }))
}

function Front() {
  useView((view) => view.limits)
  const text = useFeed('cut', () => {
    const front = trusts()[0]
    if (!front) return ''
    const { smile, trust } = front
    return [smile.expiry, smile.label, days(smile.days), trust.verdict, `${trust.passed} of ${trust.checks.length} checks`].join('|')
  })
  const [expiry = '', label, toExpiry, verdict = '', checks] = text.split('|')
  if (text === '') return null
  return (
    <Tile name={`Front expiry ${label ?? ''} ${toExpiry ?? ''}`} testId="glance-front" label="Every check of the front expiry" onClick={() => useView.setState({ focus: expiry })}>
      <strong data-verdict={verdict}>
        <i aria-hidden="true">{GLYPHS[verdict as Trust['verdict']]}</i> {WORDS[verdict as Trust['verdict']]}
      </strong>
      <small>{checks}</small>
    </Tile>
  )
}

function All() {
  useView((view) => view.limits)
  const text = useFeed('cut', () => {
    const all = trusts()
    const of = (verdict: Trust['verdict']) => all.filter(({ trust }) => trust.verdict === verdict).length
    return [of('trusted'), of('care'), of('untrusted'), all.length].join('|')
  })
  const [trusted, care, untrusted, all] = text.split('|')
  return (
    <Tile name={`All ${all ?? ''} expiries`} testId="glance-all">
      <strong data-verdict="trusted">
        <i aria-hidden="true">{GLYPHS.trusted}</i> {trusted} pass
      </strong>
      {care === '0' ? null : (
        <strong data-verdict="care">
          <i aria-hidden="true">{GLYPHS.care}</i> {care} with care
        </strong>
      )}
      {untrusted === '0' ? null : (
        <strong data-verdict="untrusted">
          <i aria-hidden="true">{GLYPHS.untrusted}</i> {untrusted} not
        </strong>
      )}
    </Tile>
  )
}

function Through() {
  const view = useView()
  const text = useFeed('cut', () => {
    const cut = feed.cut()
    const wanted = entriesOf(cut, view.fee).filter((entry) => isWanted(entry, view))
    const best = wanted.toSorted((left, right) => right.money - left.money)[0]
    const said = best ? `best ${best.cell.side === 'bid' ? '▲' : '▼'}${venueMark(best.venue, venuesOf(cut).venues).glyph} ${best.label} ${strike(best.strike)}${best.cell.option_type} ${best.vol === undefined ? MISSING : volSigned(best.vol)} vp` : 'none passes the filters'
    return `${wanted.length}|${said}`
  })
  const [n, best] = text.split('|')
  return (
    <Tile name={view.fee === 'net' ? 'Quotes through the fit, net of fee' : 'Quotes through the fit, gross'} testId="glance-through" label="Go to the quotes through the fit" onClick={goToThrough}>
      <b>{n}</b>
      <small>{best}</small>
    </Tile>
  )
}

function goToThrough(): void {
  const panel = document.querySelector('#through')
  panel?.scrollIntoView({ behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth', block: 'center' })
}
