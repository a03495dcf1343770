import app from '../../app/app.module.css'
import { SurfacePanel } from '../surface/SurfacePanel'
import { ButterflyByExpiry, DensityByExpiry, VarianceByExpiry, VolByExpiry } from './curves'
import { FitTable } from './FitTable'

/** How good the fit is, and what was proved of it. */
export default function FitPage() {
  return (
    <>
      <FitTable />
      <div className={app.pair}>
        <VarianceByExpiry />
        <VolByExpiry />
      </div>
      <div className={app.pair}>
        <ButterflyByExpiry />
        <DensityByExpiry />
      </div>
      <SurfacePanel />
    </>
  )
}
