import { FitTable } from '../features/fit/FitTable'
import { SurfacePanel } from '../features/surface/SurfacePanel'
import styles from './app.module.css'

/** What lies below the fold of the market page, loaded after it. */
export default function Lower() {
  return (
    <div className={styles.pair}>
      <SurfacePanel />
      <FitTable isCompact />
    </div>
  )
}
