import { useMemo, useRef, useState } from 'react'
import type uPlot from 'uplot'
import { currentTheme, token } from '../../app/theme'
import { type Rows, toggled, toggleSeries, useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { css, viridis } from '../../lib/colour'
import { fixed, MISSING, signed } from '../../lib/format'
import { NODES } from '../../lib/nodes'
import { axis, steadyRange, zeroLine } from '../../ui/axes'
import { TableToggle } from '../../ui/controls'
import { Panel } from '../../ui/Panel'
import { usePlot } from '../../ui/usePlot'
import styles from './charts.module.css'
import { type GridKind, type Row, rowsOf, spreadColumns } from './rows'

const DAY_SPLITS = [0.25, 0.5, 1, 2, 3, 7, 14, 30, 60, 90, 180, 365, 730]
const CHART_PX = 264

/** A colour of a ramp of `count`, readable on the theme in force. */
function ramp(i: number, count: number): string {
  const low = Number(token('--ramp-low'))
  const high = Number(token('--ramp-high'))
  return css(viridis(low + ((high - low) * i) / Math.max(1, count - 1)))
}

interface SeriesChart {
  /** Of the series switched off, in the address. */
  id: string
  title: string
  note: string
  names: readonly string[]
  x: number[]
  /** Values of each name along x. */
  values: (number | undefined)[][]
  xText: (x: number) => string
  format: (value: number | undefined) => string
  scaleX: uPlot.Scale
  axisX: Partial<uPlot.Axis>
  zero: boolean
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
            filter: (_plot, splits) => splits,
            values: (_plot, splits) => splits.map((day) => `${day}d`),
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

function Chart({ id, structure, make }: { id: string; structure: string; make: () => SeriesChart }) {
  // rebuilt when lines come or go; their values are painted without React
  const lines = useFeed('cut', () => make().names.join())
  const isTable = useView((view) => view.tables.includes(id))
  const first = make()
  return (
    <Panel
      id={`chart-${id}`}
      title={first.title}
      note={first.note}
      skeletonPx={CHART_PX + 44}
      empty={first.x.length === 0 || first.names.length === 0 ? 'no fitted expiry to draw' : undefined}
      tools={
        <TableToggle
          on={isTable}
          name={first.title.toLowerCase()}
          onClick={() => useView.setState((view) => ({ tables: toggled(view.tables, id) }))}
        />
      }
    >
      {isTable ? <ChartTable make={make} /> : <Plot key={structure + lines} id={id} make={make} names={first.names} />}
    </Panel>
  )
}

function Plot({ id, make, names }: { id: string; make: () => SeriesChart; names: readonly string[] }) {
  const host = useRef<HTMLDivElement>(null)
  const readout = useRef<HTMLDivElement>(null)
  const hidden = useView((view) => view.hiddenSeries[id]) ?? []
  const [range] = useState(() => steadyRange(0.08, 1))
  const values = useMemo(() => new Map<string, HTMLElement>(), [])
  const plotted = useRef<{ chart: SeriesChart; plot: uPlot | undefined }>({ chart: make(), plot: undefined })

  const show = (plot: uPlot) => {
    const { idx } = plot.cursor
    const { chart } = plotted.current
    const at = idx === null || idx === undefined ? undefined : chart.x[idx]
    if (readout.current) readout.current.textContent = at === undefined ? 'latest' : chart.xText(at)
    const shown = idx ?? (chart.axisX.splits && id !== 'rr' && id !== 'fly' ? Math.floor(chart.x.length / 2) : 0)
    for (const [i, name] of chart.names.entries()) {
      const element = values.get(name)
      if (element) element.textContent = at === undefined ? '' : chart.format(chart.values[i]?.[shown])
    }
  }

  usePlot(
    host,
    {
      intervalMs: 250,
      options: () => {
        const { chart } = plotted.current
        return {
          padding: [10, 14, 0, 0],
          legend: { show: false },
          cursor: { y: false, points: { size: 7 } },
          scales: {
            x: {
              ...chart.scaleX,
              range: (_plot, low, high) => (chart.scaleX.distr === 3 ? [low * 0.82, high * 1.15] : [low - 0.02 * (high - low), high + 0.02 * (high - low)]),
            },
            y: { range: (_plot, low, high) => range(low, high) },
          },
          axes: [
            axis({ size: 28, ...chart.axisX }),
            axis({ size: 46, values: (_plot, splits) => splits.map((split) => (chart.zero ? signed(split, splitDigits(splits)) : fixed(split, splitDigits(splits)))) }),
          ],
          series: [
            {},
            ...chart.names.map((name, i) => ({
              label: name,
              show: !hidden.includes(name),
              stroke: ramp(i, chart.names.length),
              width: 1.75,
              points: { show: true, size: 4.5, fill: token('--panel') },
              spanGaps: true,
            })),
          ],
          hooks: {
            ...(chart.zero ? { drawAxes: [zeroLine] } : {}),
            setCursor: [show],
          },
        }
      },
      data: () => {
        plotted.current.chart = make()
        const { chart } = plotted.current
        return [chart.x, ...chart.values] as uPlot.AlignedData
      },
      onPlot: (plot) => {
        plotted.current.plot = plot
      },
    },
    hidden.join(),
  )

  return (
    <div className={styles.chart}>
      <div className={styles.legend} role="group" aria-label="Lines shown">
        <span className={styles.at} ref={readout}>
          latest
        </span>
        {names.map((name, i) => (
          <button key={name} type="button" aria-pressed={!hidden.includes(name)} onClick={() => toggleSeries(id, name)}>
            <Swatch i={i} count={names.length} />
            {name}
            <b
              ref={(element) => {
                if (element) values.set(name, element)
                else values.delete(name)
              }}
            />
          </button>
        ))}
      </div>
      <div ref={host} className={styles.plot} style={{ height: CHART_PX }} role="img" aria-label={`${make().title}; the same numbers are in the table view`} />
    </div>
  )
}

function splitDigits(splits: readonly number[]): number {
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0))
  if (step < 0.1) return 2
  return step < 1 ? 1 : 0
}

function Swatch({ i, count }: { i: number; count: number }) {
  useView((view) => view.theme)
  return <i data-theme-now={currentTheme()} style={{ background: ramp(i, count) }} />
}

function ChartTable({ make }: { make: () => SeriesChart }) {
  useFeed('cut', () => feed.cut()?.version)
  const chart = make()
  return (
    <div className={styles.scroll} style={{ height: CHART_PX + 36 }}>
      <table className={styles.table}>
        <caption className="visually-hidden">{chart.title}</caption>
        <thead>
          <tr>
            <td />
            {chart.x.map((x) => (
              <th key={x} scope="col">
                {chart.xText(x)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {chart.names.map((name, i) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {chart.x.map((x, j) => (
                <td key={x}>{chart.values[i]?.[j] === undefined ? MISSING : chart.format(chart.values[i]?.[j])}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
