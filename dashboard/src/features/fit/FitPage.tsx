import app from '../../app/app.module.css'
import { SurfacePanel } from '../surface/SurfacePanel'
import { FitErrorOverTime, RejectedOverTime } from '../timeline/charts'
import { ButterflyByExpiry, DensityByExpiry, VarianceByExpiry, VolByExpiry } from './curves'
import { FitTable } from './FitTable'
import { Carry, ParityGap, TermStructure } from './term'

/** How good the fit is, and what was proved of it. */
export default function FitPage() {
  return (
    <>
      <FitTable />
      <div className={app.pair}>
        <VarianceByExpiry />
        <ButterflyByExpiry />
        <VolByExpiry />
        <DensityByExpiry />
        <TermStructure />
        <ParityGap />
        <FitErrorOverTime />
        <RejectedOverTime />
      </div>
      <div className={app.pair}>
        <SurfacePanel />
        <Carry />
      </div>
    </>
  )
}
