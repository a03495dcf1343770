import { useEffect, useRef, useState } from 'react'
import uPlot from 'uplot'
import { token } from '../../app/theme'
import { useUnits, vol as volText, volTick } from '../../app/units'
import { type Axis, useView } from '../../app/view'
import { feed } from '../../data/feed'
import { signed } from '../../lib/format'
import { type Smile, volPoints } from '@derivasys/client'
import { axis, splitDigits, steadyRange } from '../../ui/axes'
import { usePlot } from '../../ui/usePlot'
import { axisText, compactStrike, type Curve, curveOf, DELTA_SPLITS, deltaName, type Drawable, drawable, fromAxis, toAxis } from './coordinates'
import { hover } from './hover'
import { drawMarks, drawTrades, type Mark, marksOf, quotedRange, Trades } from './marks'
import styles from './smiles.module.css'
import { quietVenues, venuesOf } from './venues'

interface Drawn {
  d: Drawable
  curve: Curve
  marks: Mark[]
}

/** One expiry: the curve from its five parameters, and the market around it. */
export function SmileChart({ expiry, kind, size }: { expiry: string; kind: Axis; size: 'small' | 'large' }) {
  const host = useRef<HTMLDivElement>(null)
  const readout = useRef<HTMLParagraphElement>(null)
  const drawn = useRef<Drawn | undefined>(undefined)
  const plotRef = useRef<uPlot | undefined>(undefined)
  const shown = useRef<{ plot: uPlot; smile: Smile; levels: unknown; quiet: string } | undefined>(undefined)
  const hidden = useView((view) => view.hiddenVenues)
  const units = useUnits()
  const [range] = useState(() => steadyRange(0.06, 4))
  const [trades] = useState(() => new Trades())
  const fading = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)

  usePlot(
    host,
    {
      intervalMs: 200,
      options: () => ({
        padding: [8, 18, 0, 0],
        pxAlign: false,
        legend: { show: false },
        cursor: {
          y: false,
          points: { show: false },
          drag: { x: false, y: false },
          move: (plot, left, top) => {
            if (plot.over.matches(':hover')) hover.set(left < 0 ? undefined : plot.posToVal(left, 'x'), expiry)
            return [left, top]
          },
        },
        scales: {
          x: { time: false, range: (_plot, low, high) => xRange(kind, low, high) },
          y: { range: () => yRange(drawn.current, range) },
        },
        axes: [
          axis({
            size: 24,
            space: size === 'small' ? 48 : 70,
            ...(kind === 'delta' ? { splits: () => DELTA_SPLITS } : {}),
            values: (_plot, splits) => splits.map((split) => axisText(kind, split, splitDigits(splits))),
          }),
          axis({ size: 34, space: 28, values: (_plot, splits) => splits.map((split) => volTick(split, 0)), incrs: [1, 2, 5, 10, 20, 25, 50, 100] }),
        ],
        series: [{}, { stroke: token('--curve'), width: 2, points: { show: false } }],
        hooks: {
          drawAxes: [moneyLine(drawn, kind)],
          draw: [
            (plot) => {
              const { venues } = venuesOf(feed.cut())
              drawMarks(plot, drawn.current?.marks ?? [], venues, quietVenues(), size === 'small' ? 2 : 3.4)
              clearTimeout(fading.current)
              if (drawTrades(plot, drawn.current?.marks ?? [], trades, performance.now())) fading.current = setTimeout(() => plotRef.current?.redraw(false), 250)
            },
          ],
        },
      }),
      data: (plot) => {
        const cut = feed.cut()
        const d = drawable(cut?.surface?.smiles[expiry])
        if (!d) {
          drawn.current = undefined
          shown.current = undefined
          return [[], []]
        }
        const levels = cut?.levels?.levels[expiry]
        const quiet = [...quietVenues()].join()
        const before = shown.current
        // what did not change keeps its identity: nothing of this expiry moved
        if (before?.plot === plot && before.smile === d.smile && before.levels === levels && before.quiet === quiet) return undefined
        shown.current = { plot, smile: d.smile, levels, quiet }
        const curve = curveOf(d, kind, quotedRange(d, levels))
        drawn.current = { d, curve, marks: marksOf(d, kind, levels, hidden) }
        trades.note(drawn.current.marks, performance.now())
        queueMicrotask(() => follow(plotRef.current, drawn.current, kind, readout.current))
        return [curve.x, curve.vol]
      },
      onPlot: (plot) => {
        plotRef.current = plot
        if (!plot) clearTimeout(fading.current)
        plot?.over.addEventListener('pointerleave', () => hover.set(undefined))
      },
    },
    `${kind}|${hidden.join()}|${units}`,
  )

  useEffect(() => hover.subscribe(() => follow(plotRef.current, drawn.current, kind, readout.current)), [kind])

  return (
    <>
      <p className={styles.readout} ref={readout} data-readout />
      <div ref={host} data-plot className={size === 'small' ? styles.plot : styles.plotLarge} />
    </>
  )
}

/** Puts the crosshair and the readout where the shared hover is. */
function follow(plot: uPlot | undefined, drawn: Drawn | undefined, kind: Axis, readout: HTMLElement | null): void {
  if (!plot || !readout) return
  const x = hover.at()
  const isOwn = plot.over.matches(':hover')
  const { min = 0, max = 0 } = plot.scales.x ?? {}
  if (x === undefined || !drawn || x < min || x > max) {
    readout.textContent = ''
    if (!isOwn && plot.cursor.left !== -10) plot.setCursor({ left: -10, top: -10 }, false)
    return
  }
  if (!isOwn) plot.setCursor({ left: plot.valToPos(x, 'x'), top: 10 }, false)
  readout.textContent = describe(drawn, kind, x)
}

function describe({ d, marks }: Drawn, kind: Axis, x: number): string {
  const k = fromAxis(d, kind, x)
  const vol = volPoints(d.params, k, d.tau)
  const text = [`vol ${volText(vol)}`, compactStrike(roundTo(d.forward * Math.exp(k))), `k ${signed(k, 3)}`, deltaName(toAxis(d, 'delta', k))]
  const nearest = marks.reduce<Mark | undefined>((best, mark) => (Math.abs(mark.x - x) < Math.abs((best?.x ?? Infinity) - x) ? mark : best), undefined)
  const here = nearest ? marks.filter((mark) => mark.strike === nearest.strike) : []
  const bid = Math.max(...here.map((mark) => mark.level.bid_vol ?? -Infinity))
  const ask = Math.min(...here.map((mark) => mark.level.ask_vol ?? Infinity))
  if (nearest && bid > -Infinity && ask < Infinity) text.push(`${compactStrike(nearest.strike)}: ${volText(bid)} / ${volText(ask)}`)
  return text.join('   ')
}

function roundTo(strike: number): number {
  return strike >= 10_000 ? Math.round(strike / 100) * 100 : Math.round(strike)
}

function xRange(kind: Axis, low: number, high: number): [number, number] {
  if (kind === 'delta') return [0.01, 0.99]
  if (low === high) return [low - 1, high + 1]
  const pad = 0.01 * (high - low)
  return [low - pad, high + pad]
}

/** The curve, and the quotes that are not far off it: one absurd quote must not flatten the chart. */
function yRange(drawn: Drawn | undefined, range: (low: number, high: number) => [number, number]): [number, number] {
  if (!drawn) return [0, 100]
  let low = Infinity
  let high = -Infinity
  for (const vol of drawn.curve.vol) {
    if (!Number.isFinite(vol)) continue
    low = Math.min(low, vol)
    high = Math.max(high, vol)
  }
  const reach = Math.max(4, 0.5 * (high - low))
  const [floor, ceiling] = [low - reach, high + reach]
  const first = drawn.curve.k[0] ?? 0
  const last = drawn.curve.k.at(-1) ?? 0
  for (const { k, level } of drawn.marks) {
    if (k < first || k > last) continue
    for (const vol of [level.bid_vol, level.ask_vol]) {
      if (vol === undefined || vol < floor || vol > ceiling) continue
      low = Math.min(low, vol)
      high = Math.max(high, vol)
    }
  }
  return range(low, high)
}

/** A dashed line at the money. */
function moneyLine(drawn: { current: Drawn | undefined }, kind: Axis) {
  return (plot: uPlot) => {
    if (!drawn.current) return
    const x = Math.round(plot.valToPos(toAxis(drawn.current.d, kind, 0), 'x', true)) + 0.5
    const { ctx, bbox } = plot
    if (x < bbox.left || x > bbox.left + bbox.width) return
    ctx.save()
    ctx.strokeStyle = token('--axis-line')
    ctx.lineWidth = devicePixelRatio
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio])
    ctx.beginPath()
    ctx.moveTo(x, bbox.top)
    ctx.lineTo(x, bbox.top + bbox.height)
    ctx.stroke()
    ctx.restore()
  }
}
