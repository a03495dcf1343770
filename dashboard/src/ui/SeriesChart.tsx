import { useMemo, useRef, useState } from 'react'
import type uPlot from 'uplot'
import { currentTheme, token } from '../app/theme'
import { toggled, toggleSeries, useView } from '../app/view'
import { feed, useFeed } from '../data/feed'
import { css, viridis } from '../lib/colour'
import { fixed, MISSING, signed } from '../lib/format'
import { savePng } from '../lib/png'
import { axis, splitDigits, steadyRange, zeroLine } from './axes'
import { TableToggle, Tool } from './controls'
import { Panel } from './Panel'
import styles from './SeriesChart.module.css'
import { usePlot } from './usePlot'

const CHART_PX = 264

/** A colour of a ramp of `count`, readable on the theme in force. */
export function ramp(i: number, count: number): string {
  const low = Number(token('--ramp-low'))
  const high = Number(token('--ramp-high'))
  return css(viridis(low + ((high - low) * i) / Math.max(1, count - 1)))
}

export interface SeriesChart {
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
  /** Signed values around a zero line. */
  zero: boolean
  /** Curves without points, that end where they are undefined. */
  dense?: boolean
  /** Height of the axis when the values hardly differ. */
  leastY?: number
  rangeY?: (low: number, high: number) => [number, number]
  /** Drawn over the lines. */
  marks?: (plot: uPlot) => void
}

/** A chart panel: lines with a legend that toggles them, and the same numbers as a table. */
export function Chart({ id, structure, make }: { id: string; structure: string; make: () => SeriesChart }) {
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
        <>
          {isTable ? null : (
            <Tool label={`Save ${first.title.toLowerCase()} as PNG`} onClick={() => saveChart(make())}>
              PNG
            </Tool>
          )}
          <TableToggle
            on={isTable}
            name={first.title.toLowerCase()}
            onClick={() => useView.setState((view) => ({ tables: toggled(view.tables, id) }))}
          />
        </>
      }
    >
      {isTable ? <ChartTable make={make} /> : <Plot key={structure + lines} id={id} make={make} names={first.names} />}
    </Panel>
  )
}

function saveChart({ id, title, names }: SeriesChart): void {
  const hidden = useView.getState().hiddenSeries[id] ?? []
  const legend = names.map((name, i) => ({ name, colour: ramp(i, names.length) })).filter(({ name }) => !hidden.includes(name))
  savePng(id, title, document.querySelector<HTMLCanvasElement>(`[data-chart="${id}"] canvas`), { legend })
}

function Plot({ id, make, names }: { id: string; make: () => SeriesChart; names: readonly string[] }) {
  const host = useRef<HTMLDivElement>(null)
  const readout = useRef<HTMLDivElement>(null)
  const hidden = useView((view) => view.hiddenSeries[id]) ?? []
  const [range] = useState(() => steadyRange(0.08, make().leastY ?? 1))
  const values = useMemo(() => new Map<string, HTMLElement>(), [])
  const plotted = useRef<{ chart: SeriesChart; plot: uPlot | undefined }>({ chart: make(), plot: undefined })

  const show = (plot: uPlot) => {
    const { idx } = plot.cursor
    const { chart } = plotted.current
    const at = idx === null || idx === undefined ? undefined : chart.x[idx]
    if (readout.current) readout.current.textContent = at === undefined ? '' : chart.xText(at)
    for (const [i, name] of chart.names.entries()) {
      const element = values.get(name)
      if (element) element.textContent = at === undefined ? '' : chart.format(chart.values[i]?.[idx ?? 0])
    }
  }

  usePlot(
    host,
    {
      intervalMs: 150,
      options: () => {
        const { chart } = plotted.current
        return {
          padding: [10, 14, 0, 0],
          pxAlign: !chart.dense,
          legend: { show: false },
          cursor: { y: false, points: { size: 7 } },
          scales: {
            x: {
              ...chart.scaleX,
              range: (_plot, low, high) => (chart.scaleX.distr === 3 ? [low * 0.82, high * 1.15] : [low - 0.02 * (high - low), high + 0.02 * (high - low)]),
            },
            y: { range: (_plot, low, high) => chart.rangeY?.(low, high) ?? range(low, high) },
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
              points: chart.dense ? { show: false } : { show: true, size: 4.5, fill: token('--panel') },
              spanGaps: !chart.dense,
            })),
          ],
          hooks: {
            drawAxes: [(self) => (plotted.current.chart.zero ? zeroLine(self) : undefined)],
            draw: [(self) => plotted.current.chart.marks?.(self)],
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
        <span className={styles.at} ref={readout} />
      </div>
      <div ref={host} data-chart={id} className={styles.plot} style={{ flexBasis: CHART_PX }} role="img" aria-label={`${make().title}; the same numbers are in the table view`} />
    </div>
  )
}

function Swatch({ i, count }: { i: number; count: number }) {
  useView((view) => view.theme)
  return <i data-theme-now={currentTheme()} style={{ background: ramp(i, count) }} />
}

function ChartTable({ make }: { make: () => SeriesChart }) {
  useFeed('cut', () => feed.cut()?.version)
  const chart = make()
  return (
    <div className={styles.scroll} style={{ height: CHART_PX + 36 }} tabIndex={0} role="region" aria-label={`${chart.title}, table`}>
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
