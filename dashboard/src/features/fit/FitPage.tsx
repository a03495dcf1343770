import { SurfacePanel } from '../surface/SurfacePanel'
import { FitTable } from './FitTable'

/** How good the fit is. */
export default function FitPage() {
  return (
    <>
      <FitTable />
      <SurfacePanel />
    </>
  )
}
