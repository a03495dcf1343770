import app from '../../app/app.module.css'
import { LatencyOverTime, RatesOverTime } from '../timeline/charts'
import { Server, Stages, Stream, Venues } from './tables'
import { Waterfall } from './Waterfall'

/** Feeds, stages and this page's own connection. */
export default function SystemPage() {
  return (
    <>
      <Venues />
      <div className={app.pair}>
        <Waterfall />
        <Server />
        <RatesOverTime />
        <LatencyOverTime />
        <Stages />
        <Stream />
      </div>
    </>
  )
}
