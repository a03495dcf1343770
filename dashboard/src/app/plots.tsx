import { SpreadByDays, VolByNode } from '../features/rrfly/charts'
import styles from './app.module.css'

/** The charts of the first view: one chunk beside its grids. */
export function RrCharts() {
  return (
    <div className={styles.pair}>
      <SpreadByDays kind="rr" />
      <VolByNode />
    </div>
  )
}
