import { token } from '../../app/theme'
import { volUnit, vol as volText } from '../../app/units'
import { feed } from '../../data/feed'
import { venueMark } from '../../lib/colour'
import { clock, count, fixed, millis } from '../../lib/format'
import { Chart, type ChartBody, type ChartHead, type ChartLook } from '../../ui/SeriesChart'
import { history } from './history'

const LOOK: ChartLook = {
  scaleX: { time: false },
  dense: true,
  intervalMs: 2000,
  axisX: { incrs: [2000, 5000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000], space: 70, values: (_plot, splits) => splits.map((split) => clock(split)) },
}

const NOTE = 'every 2 s, the last half hour here'

/** What the latest samples know of: what was gone a minute ago leaves the legend. */
const NAMED_BY = 30

function namesOf(samples: readonly Readonly<Record<string, number>>[]): string[] {
  return [...new Set(samples.flatMap((record) => Object.keys(record)))]
}

/** Names of the wire as they are said, and back. */
const spoken = (name: string) => name.replaceAll('_', ' ')
const unspoken = (name: string) => name.replaceAll(' ', '_')

function headOf(title: string, unit: string, names: string[], length: number): ChartHead {
  return { title, note: `${unit}; ${NOTE}`, names, empty: length < 2 ? 'the first two samples take four seconds' : undefined }
}

function bodyOf<T extends { at: number }>(samples: readonly T[], names: readonly string[], value: (sample: T, name: string) => number | undefined, format: ChartBody['format']): ChartBody {
  return { x: samples.map(({ at }) => at), values: names.map((name) => samples.map((sample) => value(sample, name))), xText: (x) => `${clock(x)} UTC`, format }
}

const WHOLE = 'whole surface'
const fitsNow = () => history.fits(feed.cut()?.ccy ?? '')
/** Expiries on the surface now, so that a delisted one leaves the legend. */
const listed = () => Object.values(feed.cut()?.surface?.smiles ?? {}).toSorted((left, right) => left.expiry - right.expiry).map(({ label }) => label)

const errorNames = () => [WHOLE, ...listed()]

/** Fit error of the whole surface and of each expiry. */
export function FitErrorOverTime() {
  return (
    <Chart
      id="errors"
      structure="errors"
      look={{ ...LOOK, isVol: true, rangeY: (_low, high) => [0, 1.1 * Math.max(high, 0.1)] }}
      head={() => headOf('Fit error over time', `rmse, ${volUnit()}`, errorNames(), fitsNow().length)}
      body={() => bodyOf(fitsNow(), errorNames(), (sample, name) => (name === WHOLE ? sample.rmse : sample.expiries[name]), (value) => volText(value))}
    />
  )
}

const rejectedNames = () => namesOf(fitsNow().slice(-NAMED_BY).map(({ rejected }) => rejected)).map(spoken).toSorted()

/** Quotes that the fit did not use, by reason. */
export function RejectedOverTime() {
  return (
    <Chart
      id="rejected"
      structure="rejected"
      look={{ ...LOOK, leastY: 4, rangeY: (_low, high) => [0, 1.1 * Math.max(high, 4)] }}
      head={() => headOf('Quotes not used, over time', 'count by reason', rejectedNames(), fitsNow().length)}
      body={() => bodyOf(fitsNow(), rejectedNames(), (sample, name) => sample.rejected[unspoken(name)] ?? 0, (value) => count(value))}
    />
  )
}

const rateNames = () => namesOf(history.feeds().slice(-NAMED_BY).map(({ rates }) => rates))

/** Frames a second of each venue. */
export function RatesOverTime() {
  return (
    <Chart
      id="rates"
      structure="rates"
      look={{ ...LOOK, rangeY: (_low, high) => [0, 1.1 * Math.max(high, 1)], colour: (name) => token(venueMark(name, rateNames()).property) }}
      head={() => headOf('Feed rates', 'frames a second', rateNames(), history.feeds().length)}
      body={() => bodyOf(history.feeds(), rateNames(), (sample, name) => sample.rates[name], (value) => fixed(value, 0))}
    />
  )
}

const latencyNames = () => namesOf(history.feeds().slice(-NAMED_BY).map(({ latency }) => latency)).map(spoken)

/** The slow hundredth of each stage. */
export function LatencyOverTime() {
  return (
    <Chart
      id="latency"
      structure="latency"
      look={{ ...LOOK, rangeY: (_low, high) => [0, 1.1 * Math.max(high, 1)] }}
      head={() => headOf('Latency by stage, p99', 'ms', latencyNames(), history.feeds().length)}
      body={() => bodyOf(history.feeds(), latencyNames(), (sample, name) => sample.latency[unspoken(name)], (value) => millis(value))}
    />
  )
}
