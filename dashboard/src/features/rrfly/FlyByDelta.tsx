import type uPlot from 'uplot'
import { useUnits, volSigned } from '../../app/units'
import { useView } from '../../app/view'
import { feed } from '../../data/feed'
import { apart } from '../../ui/days'
import { Chart } from '../../ui/SeriesChart'
import { drawable, headOf } from './charts'
import { sayingOf, spreadColumns, spreadWords, valueOf } from './rows'

/** Fly against delta, one line an expiry: how convex the smile is on its way out. */
export function FlyByDelta() {
  const rows = useView((view) => view.rows)
  const units = useUnits()
  const names = spreadColumns('fly')
  const deltas = names.map((name) => Number(name.slice(3)))
  return (
    <Chart
      id="flydelta"
      structure={`flydelta${rows}${units}`}
      look={{ scaleX: { time: false }, axisX: { splits: () => deltas, filter: apart, values: (_plot: uPlot, splits: (number | null)[]) => splits.map((delta) => (delta === null ? '' : `${delta}Δ`)) }, zero: true, isVol: true }}
      head={() => headOf('fly', rows, 'Flies by delta', spreadWords('fly', sayingOf(feed.cut())))}
      body={() => {
        const saying = sayingOf(feed.cut())
        return {
          x: deltas,
          values: drawable('fly', rows).map((row) => names.map((name) => valueOf(row, name, saying))),
          xText: (x) => `${x} delta`,
          format: (value) => volSigned(value),
        }
      }}
    />
  )
}
