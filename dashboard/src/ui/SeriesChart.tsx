import { lazy, Suspense, useMemo, useRef, useState } from 'react'
import type uPlot from 'uplot'
import { currentTheme, token } from '../app/theme'
import { volTick } from '../app/units'
import { toggled, toggleSeries, useView } from '../app/view'
import { useFeed } from '../data/feed'
import { css, viridis } from '../lib/colour'
import { fixed, signed } from '../lib/format'
import { axis, splitDigits, steadyRange, zeroLine } from './axes'
import { TableToggle, Tool } from './controls'
import { Panel } from './Panel'
import styles from './SeriesChart.module.css'
import { usePlot } from './usePlot'

const ChartTable = lazy(() => import('./ChartTable'))
const CHART_PX = 264

/** A colour of a ramp of `count`, readable on the theme in force. */
export function ramp(i: number, count: number): string {
  const low = Number(token('--ramp-low'))
  const high = Number(token('--ramp-high'))
  return css(viridis(low + ((high - low) * i) / Math.max(1, count - 1)))
}

/** What React lays out: cheap, worked out with every cut. */
export interface ChartHead {
  title: string
  note: string
  names: readonly string[]
  /** Why there is nothing to draw. */
  empty?: string | undefined
}

/** What the painter draws: worked out only when it is painted. */
export interface ChartBody {
  x: number[]
  /** Values of each name along x. */
  values: (number | undefined)[][]
  xText: (x: number) => string
  format: (value: number | undefined) => string
  /** What the drawn range shows, in words: "no crossings". */
  remark?: { text: string; verdict: 'good' | 'care' | 'bad' }
  /** Drawn over the lines. */
  marks?: (plot: uPlot) => void
}

export interface ChartLook {
  scaleX: uPlot.Scale
  axisX: Partial<uPlot.Axis>
  /** Values are vol points, and shown in the reader's unit. */
  isVol?: boolean
  /** Signed values around a zero line. */
  zero?: boolean
  /** Curves without points, that end where they are undefined. */
  dense?: boolean
  /** Height of the axis when the values hardly differ. */
  leastY?: number
  rangeY?: (low: number, high: number) => [number, number]
  /** Milliseconds between paints. */
  intervalMs?: number
  /** Colour of a line, where the ramp would say nothing. */
  colour?: (name: string, i: number, count: number) => string
}

interface ChartProps {
  /** Of the series switched off, in the address. */
  id: string
  /** The chart is made again when this changes. */
  structure: string
  head: () => ChartHead
  body: () => ChartBody
  look: ChartLook
}

/** A chart panel: lines with a legend that toggles them, and the same numbers as a table. */
export function Chart({ id, structure, head, body, look }: ChartProps) {
  // rebuilt when lines come or go; their values are painted without React
  const key = useFeed('cut', () => {
    const { title, note, names, empty } = head()
    return `${title}|${note}|${names.join()}|${empty ?? ''}`
  })
  const isTable = useView((view) => view.tables.includes(id))
  const { title, note, names, empty } = head()
  const name = title.toLowerCase()
  const colour = (i: number) => (look.colour ?? ((_name, at, count) => ramp(at, count)))(names[i] ?? '', i, names.length)
  return (
    <Panel
      id={`chart-${id}`}
      title={title}
      note={note}
      skeletonPx={CHART_PX + 44}
      empty={empty}
      tools={
        <>
          {isTable ? null : (
            <Tool label={`Save ${name} as PNG`} onClick={() => saveChart(id, title, names, colour)}>
              PNG
            </Tool>
          )}
          <TableToggle on={isTable} name={name} onClick={() => useView.setState((view) => ({ tables: toggled(view.tables, id) }))} />
        </>
      }
    >
      {isTable ? (
        <Suspense fallback={<div style={{ height: CHART_PX + 36 }} />}>
          <ChartTable title={title} names={names} body={body} px={CHART_PX + 36} />
        </Suspense>
      ) : (
        <Plot key={structure + key} id={id} title={title} names={names} body={body} look={look} colour={colour} />
      )}
    </Panel>
  )
}

function saveChart(id: string, title: string, names: readonly string[], colour: (i: number) => string): void {
  const hidden = useView.getState().hiddenSeries[id] ?? []
  const legend = names.map((name, i) => ({ name, colour: colour(i) })).filter(({ name }) => !hidden.includes(name))
  void import('../lib/png').then(({ savePng }) => savePng(id, title, document.querySelector<HTMLCanvasElement>(`[data-chart="${id}"] canvas`), { legend }))
}

interface PlotProps {
  id: string
  title: string
  names: readonly string[]
  body: () => ChartBody
  look: ChartLook
  colour: (i: number) => string
}

function optionsOf({ names, look, colour }: PlotProps, hidden: readonly string[], range: (low: number, high: number) => [number, number]): Omit<uPlot.Options, 'width' | 'height' | 'hooks'> {
  const text = look.isVol ? (split: number, digits: number) => volTick(split, digits, look.zero) : look.zero ? signed : fixed
  return {
    padding: [10, 14, 0, 0],
    pxAlign: !look.dense,
    legend: { show: false },
    cursor: { y: false, points: { size: 7 } },
    scales: {
      x: {
        ...look.scaleX,
        range: (_plot, low, high) => (look.scaleX.distr === 3 ? [low * 0.82, high * 1.15] : [low - 0.02 * (high - low), high + 0.02 * (high - low)]),
      },
      y: { range: (_plot, low, high) => look.rangeY?.(low, high) ?? range(low, high) },
    },
    axes: [axis({ size: 28, ...look.axisX }), axis({ size: 46, values: (_plot, splits) => splits.map((split) => text(split, splitDigits(splits))) })],
    series: [
      {},
      ...names.map((name, i) => ({
        label: name,
        show: !hidden.includes(name),
        stroke: colour(i),
        width: 1.75,
        points: look.dense ? { show: false } : { show: true, size: 4.5, fill: token('--panel') },
        spanGaps: !look.dense,
      })),
    ],
  }
}

function Plot(props: PlotProps) {
  const { id, title, names, look } = props
  const host = useRef<HTMLDivElement>(null)
  const readout = useRef<HTMLSpanElement>(null)
  const remark = useRef<HTMLParagraphElement>(null)
  const hidden = useView((view) => view.hiddenSeries[id]) ?? []
  const [range] = useState(() => steadyRange(0.08, look.leastY ?? 1))
  const values = useMemo(() => new Map<string, HTMLElement>(), [])
  const drawn = useRef<ChartBody | undefined>(undefined)

  const show = (plot: uPlot) => {
    const { idx } = plot.cursor
    const body = drawn.current
    const at = idx === null || idx === undefined ? undefined : body?.x[idx]
    if (readout.current) readout.current.textContent = at === undefined ? '' : (body?.xText(at) ?? '')
    for (const [i, name] of names.entries()) {
      const element = values.get(name)
      if (element) element.textContent = at === undefined || !body ? '' : body.format(body.values[i]?.[idx ?? 0])
    }
  }

  usePlot(
    host,
    {
      intervalMs: look.intervalMs ?? 200,
      options: () => ({
        ...optionsOf(props, hidden, range),
        hooks: {
          drawAxes: [(self) => (look.zero ? zeroLine(self) : undefined)],
          draw: [(self) => drawn.current?.marks?.(self)],
          setCursor: [show],
        },
      }),
      data: () => {
        const body = props.body()
        drawn.current = body
        if (remark.current && remark.current.textContent !== (body.remark?.text ?? '')) {
          remark.current.textContent = body.remark?.text ?? ''
          remark.current.dataset.verdict = body.remark?.verdict ?? ''
        }
        return [body.x, ...body.values] as uPlot.AlignedData
      },
    },
    hidden.join(),
  )

  return (
    <div className={styles.chart}>
      <div className={styles.legend} role="group" aria-label="Lines shown">
        {names.map((name, i) => (
          <button key={name} type="button" aria-pressed={!hidden.includes(name)} onClick={() => toggleSeries(id, name)}>
            <Swatch colour={() => props.colour(i)} />
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
      <p className={styles.remark} ref={remark} data-testid={`remark-${id}`} />
      <div ref={host} data-chart={id} className={styles.plot} style={{ flexBasis: CHART_PX }} role="img" aria-label={`${title}; the same numbers are in the table view`} />
    </div>
  )
}

function Swatch({ colour }: { colour: () => string }) {
  useView((view) => view.theme)
  return <i data-theme-now={currentTheme()} style={{ background: colour() }} />
}
