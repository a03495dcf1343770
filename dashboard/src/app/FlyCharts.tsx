import { SpreadByDays } from '../features/rrfly/charts'
import { FlyByDelta } from '../features/rrfly/FlyByDelta'
import styles from './app.module.css'

/** The charts beside the flies. */
export default function FlyCharts() {
  return (
    <div className={styles.pair}>
      <SpreadByDays kind="fly" />
      <FlyByDelta />
    </div>
  )
}
