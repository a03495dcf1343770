/** uPlot axes in the page's look. */
import type uPlot from 'uplot'
import { token } from '../app/theme'

const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif'

/** An axis in the page's look; what `more` says wins. */
export function axis(more: Partial<uPlot.Axis> = {}): uPlot.Axis {
  return {
    stroke: token('--muted'),
    font: FONT,
    labelFont: FONT,
    gap: 4,
    grid: { stroke: token('--grid-line'), width: 1 },
    ticks: { show: false },
    ...more,
  }
}

/** Decimals that tell neighbouring ticks apart exactly. */
export function splitDigits(splits: readonly number[]): number {
  const step = Math.abs((splits[1] ?? 1) - (splits[0] ?? 0))
  let digits = 0
  while (digits < 4 && Math.abs(step * 10 ** digits - Math.round(step * 10 ** digits)) > 1e-6) digits += 1
  return digits
}

/** Draws a line through zero, where the sign changes. */
export function zeroLine(plot: uPlot): void {
  const { min = 0, max = 0 } = plot.scales.y ?? {}
  if (min >= 0 || max <= 0) return
  const y = Math.round(plot.valToPos(0, 'y', true)) + 0.5
  const { ctx, bbox } = plot
  ctx.save()
  ctx.strokeStyle = token('--zero-line')
  ctx.lineWidth = devicePixelRatio
  ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio])
  ctx.beginPath()
  ctx.moveTo(bbox.left, y)
  ctx.lineTo(bbox.left + bbox.width, y)
  ctx.stroke()
  ctx.restore()
}

/**
 * A range around the data that stays put while the data fits it and fills at least half of it, so that the
 * axis does not jitter with every push.
 */
export function steadyRange(pad: number, least: number): (low: number, high: number) => [number, number] {
  let kept: [number, number] | undefined
  return (low, high) => {
    if (!(high >= low)) return kept ?? [0, 1]
    const width = Math.max(high - low, least)
    const fits = kept && low >= kept[0] && high <= kept[1] && width > 0.55 * (kept[1] - kept[0])
    if (!fits || !kept) {
      const middle = (low + high) / 2
      const half = (width / 2) * (1 + 2 * pad)
      kept = [middle - half, middle + half]
    }
    return kept
  }
}
