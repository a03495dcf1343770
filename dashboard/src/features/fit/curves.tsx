import type uPlot from 'uplot'
import { token } from '../../app/theme'
import { useUnits, vol as volText, volUnit } from '../../app/units'
import { fixed, MISSING, signed } from '../../lib/format'
import { density, g, totalVariance, volPoints } from '@derivasys/client'
import { Chart, type ChartHead, type ChartLook } from '../../ui/SeriesChart'
import { type Drawable, drawable } from '../smiles/coordinates'
import { smilesInOrder } from '../smiles/order'
import { crossings, negativeRegions } from './shape'

const K_STEPS = Array.from({ length: 121 }, (_, i) => -0.9 + (1.8 * i) / 120)
const SD_STEPS = Array.from({ length: 121 }, (_, i) => -3.5 + (7 * i) / 120)
/** Standard deviations beyond which a slice is not drawn: nobody quotes there. */
const REACH_SD = 3.5

function slices(): Drawable[] {
  return smilesInOrder().map(drawable).filter((slice) => slice !== undefined)
}

/** The slice's name; a held one is an earlier cycle's. */
const nameOf = ({ smile }: Drawable) => (smile.fit.state === 'held' ? `${smile.label} held` : smile.label)

function headOf(title: string, note: string): ChartHead {
  const names = slices().map(nameOf)
  return { title, note, names, empty: names.length === 0 ? 'no fitted expiry to draw' : undefined }
}

function alongK(list: readonly Drawable[], value: (slice: Drawable, k: number) => number): (number | undefined)[][] {
  return list.map((slice) => K_STEPS.map((k) => (Math.abs(k) <= REACH_SD * slice.deviation ? value(slice, k) : undefined)))
}

const kText = (x: number) => `k ${signed(x, 3)}`
const sdText = (x: number) => `${signed(x, 2)} std dev`

const ALONG_K: ChartLook = { scaleX: { time: false }, dense: true, intervalMs: 400, axisX: { label: 'ln K/F', labelSize: 16, size: 26, values: (_plot, splits) => splits.map((split) => signed(split, 1)) } }
const ALONG_SD: ChartLook = { scaleX: { time: false }, dense: true, intervalMs: 400, axisX: { label: 'standard deviations from the forward', labelSize: 16, size: 26, values: (_plot, splits) => splits.map((split) => signed(split, 0)) } }

/** Total variance against log-moneyness: where two expiries cross, there is calendar arbitrage. */
export function VarianceByExpiry() {
  return (
    <Chart
      id="variance"
      structure="variance"
      look={{ ...ALONG_K, leastY: 1e-3 }}
      head={() => headOf('Total variance', 'w(k), no unit; a crossing is calendar arbitrage')}
      body={() => {
        const list = slices()
        const met = crossingsOf(list)
        return {
          x: K_STEPS,
          values: alongK(list, (slice, k) => totalVariance(slice.params, k)),
          xText: kText,
          format: (value) => (value === undefined ? MISSING : value.toPrecision(4)),
          remark: {
            text: met.length === 0 ? 'No crossing in the range drawn' : `${met.length} crossings: ${met.slice(0, 3).map(({ pair, k }) => `${pair} at k ${signed(k, 3)}`).join('; ')}`,
            verdict: met.length > 0 ? 'bad' : 'good',
          },
          marks: (plot) => ring(plot, met),
        }
      }}
    />
  )
}

interface Crossing {
  pair: string
  k: number
  w: number
}

function crossingsOf(list: readonly Drawable[]): Crossing[] {
  return list.slice(1).flatMap((longer, i) => {
    const shorter = list[i]
    if (!shorter) return []
    const pair = `${shorter.smile.label}/${longer.smile.label}`
    return crossings(shorter.params, longer.params, Math.min(0.9, REACH_SD * shorter.deviation)).map((k) => ({ pair, k, w: totalVariance(longer.params, k) }))
  })
}

function ring(plot: uPlot, met: readonly Crossing[]): void {
  const { ctx } = plot
  ctx.save()
  ctx.strokeStyle = token('--bad')
  ctx.lineWidth = 1.5 * devicePixelRatio
  for (const { k, w } of met) {
    ctx.beginPath()
    ctx.arc(plot.valToPos(k, 'x', true), plot.valToPos(w, 'y', true), 5 * devicePixelRatio, 0, 2 * Math.PI)
    ctx.stroke()
  }
  ctx.restore()
}

/** Vol against log-moneyness. */
export function VolByExpiry() {
  const units = useUnits()
  return (
    <Chart
      id="vols"
      structure={`vols${units}`}
      look={{ ...ALONG_K, isVol: true }}
      head={() => headOf('Vol by expiry', volUnit())}
      body={() => ({
        x: K_STEPS,
        values: alongK(slices(), (slice, k) => volPoints(slice.params, k, slice.tau)),
        xText: kText,
        format: (value) => volText(value),
      })}
    />
  )
}

/** g against standard deviations: below zero is butterfly arbitrage. */
export function ButterflyByExpiry() {
  return (
    <Chart
      id="g"
      structure="g"
      look={{ ...ALONG_SD, zero: true, rangeY: (low, high) => [Math.max(-0.5, Math.min(low, -0.05)), Math.min(2, Math.max(high, 1.2))] }}
      head={() => headOf('g(k)', 'the density’s sign; below zero is butterfly arbitrage')}
      body={() => {
        const list = slices()
        const found = list.flatMap((slice) => negativeRegions(slice.params, REACH_SD * slice.deviation).map((region) => ({ slice, region })))
        const said = found.slice(0, 3).map(({ slice, region: [low, high] }) => `${slice.smile.label} for k from ${signed(low, 3)} to ${signed(high, 3)}`)
        return {
          x: SD_STEPS,
          values: list.map((slice) => SD_STEPS.map((sd) => g(slice.params, sd * slice.deviation))),
          xText: sdText,
          format: (value) => signed(value, 3),
          remark: { text: found.length === 0 ? 'Nowhere negative in the range drawn' : `Negative: ${said.join('; ')}`, verdict: found.length > 0 ? 'bad' : 'good' },
          marks: (plot) => {
            for (const { slice, region } of found) shade(plot, region[0] / slice.deviation, region[1] / slice.deviation)
          },
        }
      }}
    />
  )
}

/** Marks a stretch of the axis from top to bottom. */
function shade(plot: uPlot, from: number, to: number): void {
  const { ctx, bbox } = plot
  const left = Math.max(bbox.left, plot.valToPos(from, 'x', true))
  const right = Math.min(bbox.left + bbox.width, plot.valToPos(to, 'x', true))
  ctx.save()
  ctx.fillStyle = token('--bad')
  ctx.globalAlpha = 0.16
  ctx.fillRect(left, bbox.top, Math.max(1, right - left), bbox.height)
  ctx.globalAlpha = 1
  ctx.fillRect(left, bbox.top + bbox.height - 3 * devicePixelRatio, Math.max(1, right - left), 3 * devicePixelRatio)
  ctx.restore()
}

/** The density that the smile implies, in units that make expiries comparable. */
export function DensityByExpiry() {
  return (
    <Chart
      id="density"
      structure="density"
      look={{ ...ALONG_SD, rangeY: (low, high) => [Math.min(0, 1.08 * low), 1.08 * Math.max(high, 0.1)] }}
      head={() => headOf('Implied density', 'risk-neutral, of ln S/F, per standard deviation')}
      body={() => ({
        x: SD_STEPS,
        values: slices().map((slice) => SD_STEPS.map((sd) => density(slice.params, sd * slice.deviation) * slice.deviation)),
        xText: sdText,
        format: (value) => fixed(value, 3),
      })}
    />
  )
}
