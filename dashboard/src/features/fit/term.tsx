import type uPlot from 'uplot'
import { token } from '../../app/theme'
import { useUnits, vol as volText, volUnit } from '../../app/units'
import { feed } from '../../data/feed'
import type { Smile } from '@derivasys/client'
import { fixed, MISSING, percent, signed } from '../../lib/format'
import { DAYS_LOOK } from '../../ui/days'
import { Chart, type ChartHead } from '../../ui/SeriesChart'
import { smilesInOrder } from '../smiles/order'

const xText = (x: number) => `${fixed(x, x < 10 ? 2 : 0)} days`

function headOf(title: string, note: string, names: string[], list: readonly Smile[]): ChartHead {
  return { title, note, names, empty: list.length === 0 ? 'no expiry to draw' : undefined }
}

const SWAP = 'variance swap'
const ATM = 'at the money'
const colours: Record<string, string> = { [SWAP]: '--accent', [ATM]: '--amber' }
const colour = (name: string) => token(colours[name] ?? '--amber')

/** Vol at the money and the fair strike of a variance swap, and the 30-day index that is read from the latter. */
export function TermStructure() {
  const units = useUnits()
  return (
    <Chart
      id="term"
      structure={`term${units}`}
      look={{ ...DAYS_LOOK, isVol: true, colour }}
      head={() => headOf('Term structure', `${volUnit()}; variance swap: fair strike over the whole smile`, [ATM, SWAP], smilesInOrder())}
      body={() => {
        const list = smilesInOrder()
        const index = feed.cut()?.surface?.vol_index_30d
        const far = list.filter((smile) => (smile.variance_swap_extrapolated ?? 0) > 0.2)
        return {
          x: list.map((smile) => smile.days),
          values: [list.map((smile) => smile.atm_vol), list.map((smile) => smile.variance_swap_vol)],
          xText,
          format: (value) => volText(value),
          remark: {
            text: [
              `30-day index ${index === undefined ? 'not known: 30 days lie outside the listing' : volText(index)}`,
              ...(far.length > 0 ? [`rests by more than a fifth on strikes nobody quotes: ${far.map((smile) => `${smile.label} ${percent(smile.variance_swap_extrapolated, 0)}`).join(', ')}`] : []),
            ].join('; '),
            verdict: index === undefined || far.length > 0 ? 'care' : 'good',
          },
          marks: (plot) => (index === undefined ? undefined : diamond(plot, 30, index)),
        }
      }}
    />
  )
}

function diamond(plot: uPlot, x: number, y: number): void {
  const { ctx } = plot
  const [px, py, r] = [plot.valToPos(x, 'x', true), plot.valToPos(y, 'y', true), 6 * devicePixelRatio]
  ctx.save()
  ctx.fillStyle = token('--accent')
  ctx.beginPath()
  ctx.moveTo(px, py - r)
  ctx.lineTo(px + r, py)
  ctx.lineTo(px, py + r)
  ctx.lineTo(px - r, py)
  ctx.fill()
  ctx.restore()
}

/** How far put-call parity of the quotes lies from the forward used, with its error. */
export function ParityGap() {
  return (
    <Chart
      id="parity"
      structure="parity"
      look={{ ...DAYS_LOOK, zero: true, leastY: 4, colour: () => token('--amber'), rangeY: symmetric }}
      head={() => headOf('Parity gap', 'put-call parity above the forward used, bp; bars: two standard errors', ['gap'], smilesInOrder())}
      body={() => {
        const list = smilesInOrder().filter((smile) => smile.forward?.parity_gap_bp !== undefined)
        const disputed = list.filter(isDisputed)
        return {
          x: list.map((smile) => smile.days),
          values: [list.map((smile) => smile.forward?.parity_gap_bp)],
          xText: (x) => `${list.find((smile) => smile.days === x)?.label ?? ''} ${xText(x)}`,
          format: (value) => (value === undefined ? MISSING : `${signed(value, 1)} bp`),
          remark: { text: disputed.length === 0 ? 'Within two standard errors everywhere' : `Beyond two standard errors: ${disputed.map((smile) => smile.label).join(', ')}`, verdict: disputed.length > 0 ? 'care' : 'good' },
          marks: (plot) => bars(plot, list),
        }
      }}
    />
  )
}

const errorOf = (smile: Smile) => 2 * Math.hypot(smile.forward?.parity_stderr_bp ?? 0, smile.forward?.stderr_bp ?? 0)

function isDisputed(smile: Smile): boolean {
  return Math.abs(smile.forward?.parity_gap_bp ?? 0) > errorOf(smile)
}

/** Room for the error bars, around zero. */
function symmetric(): [number, number] {
  const reach = Math.max(2, ...smilesInOrder().map((smile) => Math.abs(smile.forward?.parity_gap_bp ?? 0) + errorOf(smile)))
  return [-1.1 * reach, 1.1 * reach]
}

function bars(plot: uPlot, list: readonly Smile[]): void {
  const { ctx } = plot
  const cap = 4 * devicePixelRatio
  ctx.save()
  ctx.strokeStyle = token('--muted')
  ctx.lineWidth = devicePixelRatio
  ctx.beginPath()
  for (const smile of list) {
    const x = plot.valToPos(smile.days, 'x', true)
    const gap = smile.forward?.parity_gap_bp ?? 0
    const [top, bottom] = [plot.valToPos(gap + errorOf(smile), 'y', true), plot.valToPos(gap - errorOf(smile), 'y', true)]
    ctx.moveTo(x, top)
    ctx.lineTo(x, bottom)
    ctx.moveTo(x - cap, top)
    ctx.lineTo(x + cap, top)
    ctx.moveTo(x - cap, bottom)
    ctx.lineTo(x + cap, bottom)
  }
  ctx.stroke()
  ctx.restore()
}

/** Growth of the forward between neighbouring expiries, a year. */
export function Carry() {
  return (
    <Chart
      id="carry"
      structure="carry"
      look={{ ...DAYS_LOOK, zero: true, leastY: 2, colour: () => token('--accent') }}
      head={() => headOf('Carry of the forward', '% a year from expiry to expiry: ln(F₂/F₁) ÷ (τ₂ − τ₁)', ['carry'], smilesInOrder())}
      body={() => {
        const list = smilesInOrder().filter((smile) => smile.forward !== undefined)
        const later = list.slice(1)
        return {
          x: later.map((smile) => smile.days),
          values: [later.map((smile, i) => carryBetween(list[i], smile))],
          xText,
          format: (value) => (value === undefined ? MISSING : `${signed(value, 2)}%`),
        }
      }}
    />
  )
}

/** Per cent a year, continuously compounded. Days, not tau: a held smile keeps the tau of its fit. */
export function carryBetween(from: Smile | undefined, to: Smile): number | undefined {
  if (!from?.forward || !to.forward || !(to.days > from.days)) return undefined
  return (100 * Math.log(to.forward.price / from.forward.price)) / ((to.days - from.days) / 365)
}
