/** The axis of days to expiry: logarithmic, labelled in days. */
import type uPlot from 'uplot'
import type { ChartLook } from './SeriesChart'

const DAY_SPLITS = [0.25, 0.5, 1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 730]

/** Leaves out the labels that would run into the one before. */
export function apart(plot: uPlot, splits: number[]): (number | null)[] {
  let last = -Infinity
  return splits.map((split) => {
    const at = plot.valToPos(split, 'x')
    if (at - last < 34) return null
    last = at
    return split
  })
}

export const DAYS_LOOK: Pick<ChartLook, 'scaleX' | 'axisX'> = {
  scaleX: { time: false, distr: 3, log: 10 },
  axisX: {
    splits: (plot) => {
      const { min = 0, max = 0 } = plot.scales.x ?? {}
      return DAY_SPLITS.filter((day) => day >= min && day <= max)
    },
    filter: apart,
    values: (_plot: uPlot, splits: (number | null)[]) => splits.map((day) => (day === null ? '' : `${day}d`)),
  },
}
