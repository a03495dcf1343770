import type { Stage } from '@derivasys/client'
import { arrivalToPaint, feed, useFeed } from '../../data/feed'
import { millis } from '../../lib/format'
import { Panel } from '../../ui/Panel'
import { flowOf, STAGES } from './status'
import styles from './System.module.css'

/** The way of one quote from its exchange to this screen: each stage begins where the one before ended. */
export function Waterfall() {
  useFeed('status', () => feed.view().status)
  const { status } = feed.view()
  const { steps, sums } = flowOf(status?.waterfall, arrivalToPaint.quantiles())
  const whole = steps.reduce((sum, { p50 }) => sum + p50, 0)
  const placed = steps.map((step, i) => ({ step, left: steps.slice(0, i).reduce((sum, { p50 }) => sum + p50, 0) }))
  return (
    <Panel id="waterfall" title="From exchange to screen" note="each stage over the last seconds" skeletonPx={300} empty={steps.length === 0 ? 'no stage measured yet' : undefined}>
      <div className={styles.scroll} tabIndex={0} role="region" aria-label="From exchange to screen, table">
        <table className={styles.table} data-testid="waterfall">
          <thead>
            <tr>
              <th scope="col">Stage</th>
              <th scope="col" className={styles.barHead}>
                median, one after the other
              </th>
              <th scope="col">p50</th>
              <th scope="col">p99</th>
              <th scope="col" className={styles.what}>
                What
              </th>
            </tr>
          </thead>
          <tbody>
            {placed.map(({ step, left }) => (
              <Row key={step.stage} step={step} left={whole > 0 ? left / whole : 0} share={whole > 0 ? step.p50 / whole : 0} />
            ))}
            {sums.map((step) => (
              <Row key={step.stage} step={step} left={0} share={0} />
            ))}
          </tbody>
        </table>
      </div>
      {status?.waterfall ? null : <p className={styles.note}>This server does not say how long its stages take one after the other; its own stages are in the table below.</p>}
    </Panel>
  )
}

function Row({ step: { stage, p50, p99 }, left, share }: { step: Stage; left: number; share: number }) {
  return (
    <tr>
      <th scope="row">{stage}</th>
      <td className={styles.barCell}>
        <i style={{ marginLeft: `${100 * left}%`, width: `max(${share > 0 ? 2 : 0}px, ${100 * share}%)` }} />
      </td>
      <td>{millis(p50)}</td>
      <td>{millis(p99)}</td>
      <td className={styles.what}>{STAGES[stage] ?? ''}</td>
    </tr>
  )
}
