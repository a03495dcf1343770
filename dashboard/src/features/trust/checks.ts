/**
 * Whether an expiry can be trusted: named checks, each against a stated limit. Nothing is weighed or averaged,
 * and what the server did not say is reported as not known, never as passed.
 */
import type { Limits } from '../../app/settings'
import type { ExpiryFit, Smile, TenorRow } from '@derivasys/client'
import { age, fixed, MISSING, percent } from '../../lib/format'

export type Outcome = 'passed' | 'failed' | 'unknown'
export type Verdict = 'trusted' | 'care' | 'untrusted'

export interface Check {
  name: string
  outcome: Outcome
  /** What was measured, with its unit. */
  found: string
  /** What passes. */
  limit: string
  /** Failing this alone makes the expiry untrusted. */
  isVital: boolean
}

export interface Trust {
  verdict: Verdict
  passed: number
  checks: readonly Check[]
}

const judge = (isMet: boolean | undefined): Outcome => (isMet === undefined ? 'unknown' : isMet ? 'passed' : 'failed')

/** The nodes that a desk quotes: their quotes must be fresh and must reach as far. */
const QUOTED = ['10P', '25P', 'ATMF', '25C', '10C']

function proof(name: string, verdict: Smile['certificate']['butterfly'], isVital: boolean): Check {
  return { name, outcome: verdict === 'unchecked' ? 'unknown' : judge(verdict === 'certified'), found: verdict, limit: 'certified', isVital }
}

function agesOf(smile: Smile): number[] {
  return QUOTED.map((name) => smile.nodes?.[name]?.age_ms).filter((ms) => ms !== undefined)
}

function parity(smile: Smile, limits: Limits): Check {
  const gap = smile.forward?.parity_gap_bp
  const error = smile.forward?.parity_stderr_bp
  const found = gap === undefined ? MISSING : `${fixed(Math.abs(gap), 1)} bp${error === undefined ? '' : ` ± ${fixed(error, 1)}`}`
  return { name: 'Forward agrees with parity', outcome: judge(gap === undefined ? undefined : Math.abs(gap) <= limits['max.gap']), found, limit: `≤ ${limits['max.gap']} bp`, isVital: false }
}

function reach(smile: Smile): Check {
  const far = QUOTED.filter((name) => smile.nodes?.[name]?.is_extrapolated)
  return {
    name: 'Quoted from 10P to 10C',
    outcome: judge(smile.nodes ? far.length === 0 : undefined),
    found: far.length > 0 ? `extrapolated: ${far.join(', ')}` : smile.nodes ? 'yes' : MISSING,
    limit: 'not extrapolated',
    isVital: false,
  }
}

function list(smile: Smile, fit: ExpiryFit | undefined, limits: Limits): Check[] {
  const { state } = smile.fit
  const rmse = smile.fit.rmse ?? fit?.rmse
  const ages = agesOf(smile)
  const oldest = ages.length > 0 ? Math.max(...ages) : undefined
  return [
    { name: 'Fitted this cycle', outcome: judge(state === 'fitted'), found: state, limit: 'fitted', isVital: state === 'rejected' },
    proof('No butterfly arbitrage', smile.certificate.butterfly, true),
    proof('No calendar arbitrage', smile.certificate.calendar, true),
    proof('Wings within Lee’s bound', smile.certificate.lee, true),
    { name: 'Inside bid–ask', outcome: judge(fit?.inside === undefined ? undefined : 100 * fit.inside >= limits['min.inside']), found: percent(fit?.inside), limit: `≥ ${limits['min.inside']}%`, isVital: false },
    { name: 'Fit error', outcome: judge(rmse === undefined ? undefined : rmse <= limits['max.rmse']), found: rmse === undefined ? MISSING : `${fixed(rmse, 2)} vp`, limit: `≤ ${limits['max.rmse']} vp`, isVital: false },
    { name: 'Quotes used', outcome: judge(fit === undefined ? undefined : fit.used >= limits['min.used']), found: fit ? `${fit.used} of ${fit.quotes}` : MISSING, limit: `≥ ${limits['min.used']}`, isVital: false },
    parity(smile, limits),
    reach(smile),
    { name: 'Quotes at the nodes fresh', outcome: judge(oldest === undefined ? undefined : oldest <= 1000 * limits['max.age']), found: oldest === undefined ? MISSING : `oldest ${age(oldest)}`, limit: `≤ ${limits['max.age']} s`, isVital: false },
  ]
}

function judged(checks: readonly Check[]): Trust {
  const passed = checks.filter((check) => check.outcome === 'passed').length
  let verdict: Verdict = passed === checks.length ? 'trusted' : 'care'
  if (checks.some((check) => check.isVital && check.outcome === 'failed')) verdict = 'untrusted'
  return { verdict, passed, checks }
}

/** The checks of an expiry. */
export function trustOf(smile: Smile, fit: ExpiryFit | undefined, limits: Limits): Trust {
  return judged(list(smile, fit, limits))
}

/** The checks of a fixed tenor: what was proved of the row, and whether it lies between listed expiries. */
export function tenorTrust(row: TenorRow): Trust {
  return judged([
    proof('No butterfly arbitrage', row.butterfly, true),
    proof('No calendar arbitrage', row.calendar, true),
    { name: 'Between listed expiries', outcome: judge(!row.is_extrapolated), found: row.is_extrapolated ? 'extrapolated' : 'yes', limit: 'not extrapolated', isVital: false },
  ])
}

export const GLYPHS: Record<Verdict, string> = { trusted: '✓', care: '!', untrusted: '✗' }
export const WORDS: Record<Verdict, string> = { trusted: 'All checks passed', care: 'With care', untrusted: 'Not to be trusted' }

/** The names of the checks that did not pass. */
export function shortfall({ checks }: Trust): string {
  return checks
    .filter((check) => check.outcome !== 'passed')
    .map((check) => `${check.outcome === 'unknown' ? 'not known' : 'failed'}: ${check.name.toLowerCase()}`)
    .join('; ')
}
