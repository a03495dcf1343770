import type uPlot from 'uplot'
import { token } from '../../app/theme'
import { fixed, MISSING, signed } from '../../lib/format'
import { density, g, totalVariance, volPoints } from '@derivasys/client'
import { Chart, type SeriesChart } from '../../ui/SeriesChart'
import { type Drawable, drawable } from '../smiles/coordinates'
import { smilesInOrder } from '../smiles/SmileMatrix'

const K_STEPS = Array.from({ length: 121 }, (_, i) => -0.9 + (1.8 * i) / 120)
const SD_STEPS = Array.from({ length: 121 }, (_, i) => -3.5 + (7 * i) / 120)
/** Standard deviations beyond which a slice is not drawn: nobody quotes there. */
const REACH_SD = 3.5

function slices(): Drawable[] {
  return smilesInOrder().map(drawable).filter((slice) => slice !== undefined)
}

function base(id: string, title: string, note: string, list: readonly Drawable[]): Pick<SeriesChart, 'id' | 'title' | 'note' | 'names' | 'scaleX' | 'dense' | 'zero'> {
  return { id, title, note, names: list.map((slice) => slice.smile.label), scaleX: { time: false }, dense: true, zero: false }
}

function alongK(list: readonly Drawable[], value: (slice: Drawable, k: number) => number): (number | undefined)[][] {
  return list.map((slice) => K_STEPS.map((k) => (Math.abs(k) <= REACH_SD * slice.deviation ? value(slice, k) : undefined)))
}

const kText = (x: number) => `k ${signed(x, 3)}`
const sdText = (x: number) => `${signed(x, 2)} std dev`

/** Total variance against log-moneyness: where two expiries cross, there is calendar arbitrage. */
export function VarianceByExpiry() {
  return (
    <Chart
      id="variance"
      structure="variance"
      make={() => {
        const list = slices()
        return {
          ...base('variance', 'Total variance', 'w(k) of each expiry; crossings ringed', list),
          x: K_STEPS,
          values: alongK(list, (slice, k) => totalVariance(slice.params, k)),
          xText: kText,
          format: (value) => (value === undefined ? MISSING : value.toPrecision(4)),
          leastY: 1e-3,
          axisX: { values: (_plot, splits) => splits.map((split) => signed(split, 1)) },
          marks: (plot) => ringCrossings(plot, list),
        }
      }}
    />
  )
}

/** Vol against log-moneyness. */
export function VolByExpiry() {
  return (
    <Chart
      id="vols"
      structure="vols"
      make={() => {
        const list = slices()
        return {
          ...base('vols', 'Vol by expiry', 'vol points against ln K/F', list),
          x: K_STEPS,
          values: alongK(list, (slice, k) => volPoints(slice.params, k, slice.tau)),
          xText: kText,
          format: (value) => fixed(value, 2),
          axisX: { values: (_plot, splits) => splits.map((split) => signed(split, 1)) },
        }
      }}
    />
  )
}

/** g against standard deviations: below zero is butterfly arbitrage. */
export function ButterflyByExpiry() {
  return (
    <Chart
      id="g"
      structure="g"
      make={() => {
        const list = slices()
        return {
          ...base('g', 'g(k)', 'below zero is butterfly arbitrage: shaded', list),
          x: SD_STEPS,
          values: list.map((slice) => SD_STEPS.map((sd) => g(slice.params, sd * slice.deviation))),
          xText: sdText,
          format: (value) => signed(value, 3),
          axisX: { values: (_plot, splits) => splits.map((split) => signed(split, 0)) },
          zero: true,
          rangeY: (low, high) => [Math.max(-0.5, Math.min(low, -0.05)), Math.min(2, Math.max(high, 1.2))],
          marks: shadeNegative,
        }
      }}
    />
  )
}

/** The density that the smile implies, in units that make expiries comparable. */
export function DensityByExpiry() {
  return (
    <Chart
      id="density"
      structure="density"
      make={() => {
        const list = slices()
        return {
          ...base('density', 'Implied density', 'of ln S/F, per standard deviation', list),
          x: SD_STEPS,
          values: list.map((slice) => SD_STEPS.map((sd) => density(slice.params, sd * slice.deviation) * slice.deviation)),
          xText: sdText,
          format: (value) => fixed(value, 3),
          rangeY: (_low, high) => [0, 1.08 * Math.max(high, 0.1)],
          axisX: { values: (_plot, splits) => splits.map((split) => signed(split, 0)) },
        }
      }}
    />
  )
}

/** Rings where a longer expiry's total variance meets a shorter one's, as far as the drawn points show. */
function ringCrossings(plot: uPlot, list: readonly Drawable[]): void {
  const { ctx } = plot
  ctx.save()
  ctx.strokeStyle = token('--bad')
  ctx.lineWidth = 1.5 * devicePixelRatio
  for (let i = 1; i < list.length; i += 1) {
    const [shorter, longer] = [list[i - 1], list[i]]
    if (!shorter || !longer) continue
    const gap = (k: number) => totalVariance(longer.params, k) - totalVariance(shorter.params, k)
    const reach = Math.min(0.9, REACH_SD * shorter.deviation)
    let before = gap(-reach)
    for (let n = 1; n <= 200; n += 1) {
      const k = -reach + (2 * reach * n) / 200
      const now = gap(k)
      if (before * now < 0) {
        ctx.beginPath()
        ctx.arc(plot.valToPos(k, 'x', true), plot.valToPos(totalVariance(longer.params, k), 'y', true), 5 * devicePixelRatio, 0, 2 * Math.PI)
        ctx.stroke()
      }
      before = now
    }
  }
  ctx.restore()
}

/** Shades everything below zero. */
function shadeNegative(plot: uPlot): void {
  const { ctx, bbox } = plot
  const zero = plot.valToPos(0, 'y', true)
  ctx.save()
  ctx.globalAlpha = 0.12
  ctx.fillStyle = token('--bad')
  ctx.fillRect(bbox.left, zero, bbox.width, Math.max(0, bbox.top + bbox.height - zero))
  ctx.restore()
}
