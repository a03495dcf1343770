import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { type Outcome, trustOf, WORDS } from './checks'
import styles from './CheckList.module.css'

const MARKS: Record<Outcome, readonly [glyph: string, word: string]> = { passed: ['✓', 'passed'], failed: ['✗', 'failed'], unknown: ['?', 'not known'] }

/** Whether an expiry can be trusted: every check with what was found and what passes. */
export function CheckList({ expiry }: { expiry: string }) {
  useFeed('cut', () => feed.cut()?.version)
  const limits = useView((view) => view.limits)
  const cut = feed.cut()
  const smile = cut?.surface?.smiles[expiry]
  if (!smile) return null
  const trust = trustOf(smile, cut?.fit?.expiries.find((fit) => fit.expiry === smile.expiry), limits)
  return (
    <section className={styles.checks} aria-label={`Checks of ${smile.label}`} data-testid="checks" data-verdict={trust.verdict}>
      <h3 data-verdict={trust.verdict}>
        {WORDS[trust.verdict]}
        <span>
          {trust.passed} of {trust.checks.length} checks
        </span>
      </h3>
      <ul>
        {trust.checks.map(({ name, outcome, found, limit }) => (
          <li key={name} data-outcome={outcome}>
            <i aria-hidden="true">{MARKS[outcome][0]}</i>
            <span className="visually-hidden">{MARKS[outcome][1]}:</span>
            <span>{name}</span>
            <b>{found}</b>
            <em>{limit}</em>
          </li>
        ))}
      </ul>
    </section>
  )
}
