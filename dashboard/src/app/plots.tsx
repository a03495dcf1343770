import { FlyByDelta, SpreadByDays, VolByNode } from '../features/rrfly/charts'
import styles from './app.module.css'

/** The charts of the market page: one chunk beside the first view's. */
export function RrCharts() {
  return (
    <div className={styles.pair}>
      <SpreadByDays kind="rr" />
      <VolByNode />
    </div>
  )
}

export function FlyCharts() {
  return (
    <div className={styles.pair}>
      <SpreadByDays kind="fly" />
      <FlyByDelta />
    </div>
  )
}

export { SmileMatrix } from '../features/smiles/SmileMatrix'
