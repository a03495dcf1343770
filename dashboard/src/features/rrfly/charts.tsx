import type uPlot from 'uplot'
import { type Rows, useView } from '../../app/view'
import { feed } from '../../data/feed'
import { fixed, signed } from '../../lib/format'
import { NODES } from '@derivasys/client'
import { Chart } from '../../ui/SeriesChart'
import { type GridKind, type Row, rowsOf, spreadColumns } from './rows'

const DAY_SPLITS = [0.25, 0.5, 1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 730]

/** Leaves out the labels that would run into the one before. */
function apart(plot: uPlot, splits: number[]): (number | null)[] {
  let last = -Infinity
  return splits.map((split) => {
    const at = plot.valToPos(split, 'x')
    if (at - last < 34) return null
    last = at
    return split
  })
}

/** Risk reversals or flies by days to expiry. */
export function SpreadByDays({ kind }: { kind: GridKind }) {
  const rows = useView((view) => view.rows)
  const names = spreadColumns(kind)
  return (
    <Chart
      id={kind}
      structure={`${kind}${rows}`}
      make={() => {
        const list = drawable(kind, rows)
        return {
          id: kind,
          title: kind === 'rr' ? 'Risk reversals by days to expiry' : 'Flies by days to expiry',
          note: `vol points; ${rows === 'expiry' ? 'listed expiries' : 'fixed tenors'}`,
          names,
          x: list.map((row) => row.days),
          values: names.map((name) => list.map((row) => row.spread[name])),
          xText: (x) => `${fixed(x, daysDigits(x))} days`,
          format: (value) => signed(value, 2),
          scaleX: { time: false, distr: 3, log: 10 },
          axisX: {
            splits: (plot) => {
              const { min = 0, max = 0 } = plot.scales.x ?? {}
              return DAY_SPLITS.filter((day) => day >= min && day <= max)
            },
            filter: apart,
            values: (_plot, splits) => splits.map((day) => (day === null ? '' : `${day}d`)),
          },
          zero: true,
        }
      }}
    />
  )
}

function daysDigits(x: number): number {
  if (x < 2) return 2
  return x < 10 ? 1 : 0
}

/** Vol of every node, one line an expiry. */
export function VolByNode() {
  const rows = useView((view) => view.rows)
  return (
    <Chart
      id="nodes"
      structure={`nodes${rows}`}
      make={() => {
        const list = drawable('rr', rows)
        return {
          id: 'nodes',
          title: 'Node vol by node',
          note: 'vol points; one line each expiry',
          names: list.map((row) => row.label),
          x: NODES.map((_, i) => i),
          values: list.map((row) => NODES.map((node) => row.vols[node])),
          xText: (x) => (NODES[Math.round(x)] ?? '').replace('ATMF', 'ATM'),
          format: (value) => fixed(value, 2),
          scaleX: { time: false },
          axisX: {
            splits: () => NODES.map((_, i) => i),
            filter: (plot, splits) => (plot.width < 520 ? splits.map((split, i) => (i % 4 === 0 ? split : null)) : splits),
            values: (_plot, splits) => splits.map((i) => (i === null ? '' : (NODES[i] ?? '').replace('ATMF', 'ATM'))),
          },
          zero: false,
        }
      }}
    />
  )
}

/** Fly against delta, one line an expiry: how convex the smile is on its way out. */
export function FlyByDelta() {
  const rows = useView((view) => view.rows)
  const names = spreadColumns('fly')
  return (
    <Chart
      id="flydelta"
      structure={`flydelta${rows}`}
      make={() => {
        const list = drawable('fly', rows)
        const deltas = names.map((name) => Number(name.slice(3)))
        return {
          id: 'flydelta',
          title: 'Flies by delta',
          note: 'vol points; one line each expiry',
          names: list.map((row) => row.label),
          x: deltas,
          values: list.map((row) => names.map((name) => row.spread[name])),
          xText: (x) => `${x} delta`,
          format: (value) => signed(value, 2),
          scaleX: { time: false },
          axisX: { splits: () => deltas, values: (_plot, splits) => splits.map((delta) => `${delta}Δ`) },
          zero: true,
        }
      }}
    />
  )
}

function drawable(kind: GridKind, rows: Rows): Row[] {
  return rowsOf(feed.cut(), kind, rows).filter((row) => Object.keys(row.vols).length > 0)
}
