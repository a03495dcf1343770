import { useUnits, vol as volText, volSigned, volUnit } from '../../app/units'
import { type Rows, useView } from '../../app/view'
import { feed } from '../../data/feed'
import { fixed } from '../../lib/format'
import { NODES } from '@derivasys/client'
import { DAYS_LOOK } from '../../ui/days'
import { Chart } from '../../ui/SeriesChart'
import { type GridKind, type Row, rowsOf, sayingOf, spreadColumns, spreadWords, DELTA_WORDS, valueOf } from './rows'

const EMPTY = 'no fitted expiry to draw'

/** Risk reversals or flies by days to expiry. */
export function SpreadByDays({ kind }: { kind: GridKind }) {
  const rows = useView((view) => view.rows)
  const units = useUnits()
  const names = spreadColumns(kind)
  return (
    <Chart
      id={kind}
      structure={`${kind}${rows}${units}`}
      look={{ ...DAYS_LOOK, zero: true, isVol: true }}
      head={() => ({
        title: kind === 'rr' ? 'Risk reversals by days to expiry' : 'Flies by days to expiry',
        note: `${volUnit()}; ${spreadWords(kind, sayingOf(feed.cut()))}`,
        names,
        empty: drawable(kind, rows).length === 0 ? EMPTY : undefined,
      })}
      body={() => {
        const list = drawable(kind, rows)
        const saying = sayingOf(feed.cut())
        return {
          x: list.map((row) => row.days),
          values: names.map((name) => list.map((row) => valueOf(row, name, saying))),
          xText: (x) => `${fixed(x, daysDigits(x))} days`,
          format: (value) => volSigned(value),
        }
      }}
    />
  )
}

function daysDigits(x: number): number {
  if (x < 2) return 2
  return x < 10 ? 1 : 0
}

const named = (i: number) => (NODES[i] ?? '').replace('ATMF', 'ATM')

/** Vol of every node, one line an expiry. */
export function VolByNode() {
  const rows = useView((view) => view.rows)
  const units = useUnits()
  return (
    <Chart
      id="nodes"
      structure={`nodes${rows}${units}`}
      look={{
        isVol: true,
        scaleX: { time: false },
        axisX: {
          splits: () => NODES.map((_, i) => i),
          filter: (plot, splits) => (plot.width < 520 ? splits.map((split, i) => (i % 4 === 0 ? split : null)) : splits),
          values: (_plot, splits) => splits.map((i) => (i === null ? '' : named(i))),
        },
      }}
      head={() => headOf('rr', rows, 'Node vol by node', DELTA_WORDS[sayingOf(feed.cut()).delta])}
      body={() => ({
        x: NODES.map((_, i) => i),
        values: drawable('rr', rows).map((row) => NODES.map((node) => row.vols[node])),
        xText: (x) => named(Math.round(x)),
        format: (value) => volText(value),
      })}
    />
  )
}

export function headOf(kind: GridKind, rows: Rows, title: string, convention: string) {
  const names = drawable(kind, rows).map((row) => row.label)
  return { title, note: `${volUnit()}; ${convention}`, names, empty: names.length === 0 ? EMPTY : undefined }
}

export function drawable(kind: GridKind, rows: Rows): Row[] {
  return rowsOf(feed.cut(), kind, rows).filter((row) => Object.keys(row.vols).length > 0)
}
