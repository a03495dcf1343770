import { vol as volText } from '../../app/units'
import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import type { Certificate, ExpiryFit, Smile } from '@derivasys/client'
import { count, days, fixed, percent, signed, tiny } from '../../lib/format'
import { save } from '../../lib/save'
import { Tool } from '../../ui/controls'
import { Panel } from '../../ui/Panel'
import { smilesInOrder } from '../smiles/order'
import { GLYPHS, shortfall, trustOf, WORDS } from '../trust/checks'
import styles from './FitTable.module.css'

type Verdict = Certificate['butterfly']
const VERDICTS: Record<Verdict, [glyph: string, title: string]> = {
  certified: ['✓', 'Proved free of this arbitrage, on the parameters as published'],
  violated: ['✗', 'Violated'],
  unchecked: ['?', 'Nothing was proved: neither certified nor violated'],
}

/** How each expiry was fitted, and what was proved of it. */
export function FitTable({ isCompact = false }: { isCompact?: boolean }) {
  useFeed('cut', () => feed.cut()?.version)
  const cut = feed.cut()
  const smiles = smilesInOrder()
  const fits = new Map((cut?.fit?.expiries ?? []).map((fit) => [fit.expiry, fit]))
  return (
    <Panel
      id="fits"
      title="Fits and certificates"
      note="on the parameters as published"
      skeletonPx={420}
      empty={smiles.length === 0 ? 'no expiries on this surface yet' : undefined}
      tools={
        <Tool label="Save fits and certificates as CSV" onClick={exportCsv}>
          CSV
        </Tool>
      }
    >
      <Summary smiles={smiles} />
      <div className={styles.scroll} tabIndex={0} role="region" aria-label="Fits by expiry">
        <table className={styles.table} data-testid="fit-table">
          <thead>
            <tr>
              <th scope="col">Expiry</th>
              <th scope="col" title="How many of the checks pass; open the expiry for each of them">
                Checks
              </th>
              <th scope="col">State</th>
              <th scope="col" title="Vol points">
                rmse
              </th>
              <th scope="col" title="Share of used two-sided quotes whose band holds the fit">
                Inside
              </th>
              <th scope="col" title="Used / all quotes">
                Used
              </th>
              {isCompact ? null : (
                <th scope="col" title="What freedom from arbitrage cost against the free fit: rmse in vol points, share inside bid–ask">
                  Cost
                </th>
              )}
              <th scope="col">Butterfly</th>
              <th scope="col">Calendar</th>
              {isCompact ? null : (
                <>
                  <th scope="col" title="Lee's bound on the wings">
                    Wings
                  </th>
                  <th scope="col" title="Least g(k): density ∝ g, so g < 0 is butterfly arbitrage">
                    min g
                  </th>
                  <th scope="col" title="Least distance in total variance from the next shorter expiry">
                    Cal. margin
                  </th>
                  <th scope="col" title="Put-call parity of the quotes above the forward used, bp, ± its standard error">
                    Parity, bp
                  </th>
                  <th scope="col" title="Fair strike of a variance swap, and the share of it that rests on strikes nobody quotes">
                    Var swap
                  </th>
                </>
              )}
              <th scope="col" className={styles.reasons}>
                Reasons
              </th>
            </tr>
          </thead>
          <tbody>
            {smiles.map((smile) => (
              <Line key={smile.expiry} smile={smile} fit={fits.get(smile.expiry)} isCompact={isCompact} />
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  )
}

function Line({ smile, fit, isCompact }: { smile: Smile; fit: ExpiryFit | undefined; isCompact: boolean }) {
  const { certificate } = smile
  const state = smile.fit.state
  const reasons = reasonsOf(smile, fit)
  const limits = useView((view) => view.limits)
  const trust = trustOf(smile, fit, limits)
  return (
    <tr data-state={state} data-testid={`fit-${smile.expiry}`}>
      <th scope="row">
        <button type="button" className={styles.open} onClick={() => useView.setState({ focus: String(smile.expiry) })}>
          {smile.label} <span>{days(smile.days)}</span>
        </button>
      </th>
      <td>
        <span className={styles.trust} data-verdict={trust.verdict} title={shortfall(trust) || WORDS[trust.verdict]}>
          <i aria-hidden="true">{GLYPHS[trust.verdict]}</i> {trust.passed}/{trust.checks.length}
        </span>
      </td>
      <td>
        <span className={styles.state} data-state={state}>
          {state}
        </span>
      </td>
      <td>{fixed(smile.fit.rmse ?? fit?.rmse, 3)}</td>
      <td>{percent(fit?.inside)}</td>
      <td>{fit ? `${count(fit.used)} / ${count(fit.quotes)}` : '–'}</td>
      {isCompact ? null : <td>{costOf(smile)}</td>}
      <Proof verdict={certificate.butterfly} />
      <Proof verdict={certificate.calendar} />
      {isCompact ? null : (
        <>
          <Proof verdict={certificate.lee} />
          <td title={certificate.min_g_k === undefined ? undefined : `at k = ${fixed(certificate.min_g_k, 3)}`}>{tiny(certificate.min_g, 4)}</td>
          <td>{tiny(certificate.calendar_margin, 4)}</td>
          <td>{smile.forward?.parity_gap_bp === undefined ? '–' : `${signed(smile.forward.parity_gap_bp, 1)} ± ${fixed(smile.forward.parity_stderr_bp, 1)}`}</td>
          <td>
            {volText(smile.variance_swap_vol)} <small title="rests on strikes nobody quotes">{smile.variance_swap_extrapolated === undefined ? '' : percent(smile.variance_swap_extrapolated, 0)}</small>
          </td>
        </>
      )}
      <td className={styles.reasons} title={reasons}>
        {reasons}
      </td>
    </tr>
  )
}

/** What the constraints cost: rmse above, and share inside below, the free fit. */
function costOf({ fit: { cost_rmse, cost_inside } }: Smile): string {
  if (cost_rmse === undefined && cost_inside === undefined) return '–'
  return `${signed(cost_rmse, 3)} / ${signed(cost_inside === undefined ? undefined : -100 * cost_inside, 1)}%`
}

function Proof({ verdict }: { verdict: Verdict }) {
  const [glyph, title] = VERDICTS[verdict]
  return (
    <td>
      <span className={styles.proof} data-verdict={verdict} title={title}>
        <i aria-hidden="true">{glyph}</i>
        {verdict}
      </span>
    </td>
  )
}

/** Reasons of the fit, then what was rejected and why. */
function reasonsOf(smile: Smile, fit: ExpiryFit | undefined): string {
  const rejected = Object.entries(fit?.rejected ?? {})
    .filter(([, n]) => n > 0)
    .toSorted((left, right) => right[1] - left[1])
    .map(([reason, n]) => `${n} ${reason.replaceAll('_', ' ')}`)
  const reasons = [...new Set([...smile.fit.reasons, ...(fit?.reasons ?? [])])]
  return [...reasons, ...(rejected.length > 0 ? [`unused: ${rejected.join(', ')}`] : [])].join('; ')
}

/** How much of the surface is certified: said in words, counted, never rounded up. */
function Summary({ smiles }: { smiles: readonly Smile[] }) {
  const tally = (key: 'butterfly' | 'calendar', verdict: Verdict) => smiles.filter((smile) => smile.certificate[key] === verdict).length
  const part = (key: 'butterfly' | 'calendar') => (
    <span>
      {key}: <b data-verdict="certified">{tally(key, 'certified')} certified</b>, <b data-verdict={tally(key, 'violated') > 0 ? 'violated' : ''}>{tally(key, 'violated')} violated</b>,{' '}
      <b>{tally(key, 'unchecked')} unchecked</b>
    </span>
  )
  return (
    <p className={styles.summary}>
      {part('butterfly')}
      {part('calendar')}
      <span>of {smiles.length} expiries</span>
    </p>
  )
}

function quote(text: string): string {
  return `"${text.replaceAll('"', '""')}"`
}

function exportCsv(): void {
  const cut = feed.cut()
  if (!cut) return
  const fits = new Map((cut.fit?.expiries ?? []).map((fit) => [fit.expiry, fit]))
  const head = 'ccy,version,surface_ts_utc,expiry_utc,label,state,rmse,inside,used,quotes,butterfly,calendar,lee,min_g,min_g_k,calendar_margin,parity_gap_bp,parity_stderr_bp,variance_swap_vol,variance_swap_extrapolated,checks_passed,checks,reasons'
  const lines = smilesInOrder().map((smile) => {
    const fit = fits.get(smile.expiry)
    const trust = trustOf(smile, fit, useView.getState().limits)
    const { butterfly, calendar, lee, min_g, min_g_k, calendar_margin } = smile.certificate
    return [
      cut.ccy,
      cut.version,
      new Date(cut.surface?.ts ?? 0).toISOString(),
      new Date(smile.expiry).toISOString(),
      smile.label,
      smile.fit.state,
      smile.fit.rmse ?? '',
      fit?.inside ?? '',
      fit?.used ?? '',
      fit?.quotes ?? '',
      butterfly,
      calendar,
      lee,
      min_g ?? '',
      min_g_k ?? '',
      calendar_margin ?? '',
      smile.forward?.parity_gap_bp ?? '',
      smile.forward?.parity_stderr_bp ?? '',
      smile.variance_swap_vol ?? '',
      smile.variance_swap_extrapolated ?? '',
      trust.passed,
      trust.checks.length,
      quote(reasonsOf(smile, fit)),
    ].join(',')
  })
  save(`derivasys_${cut.ccy}_fits_v${cut.version}.csv`, `${[head, ...lines].join('\n')}\n`, 'text/csv')
}
