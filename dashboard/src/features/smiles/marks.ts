/** Quote marks on a smile: the venue by shape and colour, bid filled, ask hollow, last trade a cross. */
import type uPlot from 'uplot'
import { token } from '../../app/theme'
import type { Axis } from '../../app/view'
import type { Level } from '@derivasys/client'
import { type Shape, venueMark } from '../../lib/colour'
import { type Drawable, toAxis } from './coordinates'

export interface Mark {
  x: number
  k: number
  strike: number
  venue: string
  level: Level
}

/** The marks of an expiry, of the venues shown. */
export function marksOf(d: Drawable, kind: Axis, levels: Record<string, Record<string, Level>> | undefined, hidden: readonly string[]): Mark[] {
  const marks: Mark[] = []
  for (const [text, venues] of Object.entries(levels ?? {})) {
    const strike = Number(text)
    if (!(strike > 0)) continue
    const k = Math.log(strike / d.forward)
    const x = toAxis(d, kind, k)
    for (const [venue, level] of Object.entries(venues)) {
      if (!hidden.includes(venue)) marks.push({ x, k, strike, venue, level })
    }
  }
  return marks
}

/** Range of log-moneyness with a two-sided quote, and of vols near the curve. */
export function quotedRange(d: Drawable, levels: Record<string, Record<string, Level>> | undefined): [number, number] | undefined {
  let low = Infinity
  let high = -Infinity
  for (const [text, venues] of Object.entries(levels ?? {})) {
    const k = Math.log(Number(text) / d.forward)
    if (!Object.values(venues).some((level) => level.used && level.bid_vol !== undefined && level.ask_vol !== undefined)) continue
    low = Math.min(low, k)
    high = Math.max(high, k)
  }
  return low < high ? [low, high] : undefined
}

function trace(path: Path2D, shape: Shape, x: number, y: number, r: number): void {
  switch (shape) {
    case 'circle':
      path.moveTo(x + r, y)
      path.arc(x, y, r, 0, 2 * Math.PI)
      break
    case 'square':
      path.rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r)
      break
    case 'triangle':
    case 'down': {
      const up = shape === 'triangle' ? 1 : -1
      path.moveTo(x, y - 1.15 * r * up)
      path.lineTo(x + 1.1 * r, y + 0.85 * r * up)
      path.lineTo(x - 1.1 * r, y + 0.85 * r * up)
      path.closePath()
      break
    }
    case 'diamond':
      path.moveTo(x, y - 1.25 * r)
      path.lineTo(x + 1.1 * r, y)
      path.lineTo(x, y + 1.25 * r)
      path.lineTo(x - 1.1 * r, y)
      path.closePath()
      break
    case 'cross':
      path.rect(x - r, y - r * 0.35, 2 * r, 0.7 * r)
      path.rect(x - r * 0.35, y - r, 0.7 * r, 2 * r)
      break
  }
}

interface Paths {
  bid: Path2D
  ask: Path2D
  last: Path2D
  band: Path2D
}

const empty = (): Paths => ({ bid: new Path2D(), ask: new Path2D(), last: new Path2D(), band: new Path2D() })

/** How long a new trade stays ringed. */
export const TRADE_MS = 2500

/** Last trades seen by strike and venue, and when a new one came. */
export class Trades {
  private readonly seen = new Map<string, { ts: number; at: number }>()

  /** Notes the trades of `marks`; those known from the start are not news. */
  note(marks: readonly Mark[], now: number): void {
    const isFirst = this.seen.size === 0
    for (const { strike, venue, level } of marks) {
      if (level.last_ts === undefined) continue
      const key = `${strike}|${venue}`
      const before = this.seen.get(key)
      if (before?.ts === level.last_ts) continue
      this.seen.set(key, { ts: level.last_ts, at: isFirst ? -Infinity : now })
    }
  }

  /** How fresh a mark's trade is: 1 just now, 0 no longer. */
  freshness({ strike, venue }: Mark, now: number): number {
    const at = this.seen.get(`${strike}|${venue}`)?.at ?? -Infinity
    return Math.max(0, 1 - (now - at) / TRADE_MS)
  }
}

/** Rings new trades; returns whether any is still fading. */
export function drawTrades(plot: uPlot, marks: readonly Mark[], trades: Trades, now: number): boolean {
  const { ctx, bbox } = plot
  let isFading = false
  for (const mark of marks) {
    const freshness = mark.level.last_vol === undefined ? 0 : trades.freshness(mark, now)
    if (freshness <= 0) continue
    isFading = true
    const x = plot.valToPos(mark.x, 'x', true)
    const y = plot.valToPos(mark.level.last_vol ?? 0, 'y', true)
    if (x < bbox.left || x > bbox.left + bbox.width || y < bbox.top || y > bbox.top + bbox.height) continue
    ctx.save()
    ctx.globalAlpha = freshness
    ctx.strokeStyle = token('--text')
    ctx.lineWidth = 1.5 * devicePixelRatio
    ctx.beginPath()
    ctx.arc(x, y, 6 * devicePixelRatio, 0, 2 * Math.PI)
    ctx.stroke()
    ctx.restore()
  }
  return isFading
}

/** Draws the marks over a plot, one path a venue and kind; quotes that the fit did not use are faint. */
export function drawMarks(plot: uPlot, marks: readonly Mark[], venues: readonly string[], quiet: ReadonlySet<string>, radius: number): void {
  const { ctx, bbox } = plot
  const ratio = devicePixelRatio
  const r = radius * ratio
  const groups = new Map<string, Paths>()
  for (const { x, venue, level } of marks) {
    const px = plot.valToPos(x, 'x', true)
    if (!(px > bbox.left - r && px < bbox.left + bbox.width + r)) continue
    const key = `${venue}|${level.used && !quiet.has(venue) ? 'used' : 'faint'}`
    let paths = groups.get(key)
    if (!paths) groups.set(key, (paths = empty()))
    const { shape } = venueMark(venue, venues)
    const bid = level.bid_vol === undefined ? undefined : plot.valToPos(level.bid_vol, 'y', true)
    const ask = level.ask_vol === undefined ? undefined : plot.valToPos(level.ask_vol, 'y', true)
    if (bid !== undefined) trace(paths.bid, shape, px, bid, r)
    if (ask !== undefined) trace(paths.ask, shape, px, ask, r)
    if (bid !== undefined && ask !== undefined) {
      paths.band.moveTo(px, bid - r)
      paths.band.lineTo(px, ask + r)
    }
    if (level.last_vol !== undefined) {
      const last = plot.valToPos(level.last_vol, 'y', true)
      paths.last.moveTo(px - 1.2 * r, last - 1.2 * r)
      paths.last.lineTo(px + 1.2 * r, last + 1.2 * r)
      paths.last.moveTo(px - 1.2 * r, last + 1.2 * r)
      paths.last.lineTo(px + 1.2 * r, last - 1.2 * r)
    }
  }
  ctx.save()
  ctx.beginPath()
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height)
  ctx.clip()
  for (const [key, paths] of groups) {
    const [venue = '', use] = key.split('|')
    const colour = token(venueMark(venue, venues).property)
    ctx.strokeStyle = colour
    ctx.fillStyle = colour
    ctx.lineWidth = ratio
    const strength = use === 'used' ? 1 : 0.35
    ctx.globalAlpha = 0.28 * strength
    ctx.stroke(paths.band)
    ctx.globalAlpha = 0.9 * strength
    ctx.fill(paths.bid)
    ctx.stroke(paths.ask)
    ctx.stroke(paths.last)
  }
  ctx.restore()
}
