/**
 * The matrix on one canvas as large as its window: only cells whose look changed are painted, unless the window
 * moved. Strike labels are measured, so that none is clipped.
 */
import { token } from '../../app/theme'
import { strike as strikeText } from '../../lib/format'
import type { Matrix } from './model'

export const ROW_PX = 22
export const HEAD_PX = 24
const LABEL_PAD_PX = 12
const CELL_LEAST_PX = 58
/** The columns widen in such steps for wider texts, so that they do not jump with every digit. */
const WIDEN_PX = 12

export interface Look {
  text: string
  /** Custom property of the fill. */
  fill: string
}

export interface Frame {
  matrix: Matrix
  look: (expiry: string, strike: number) => Look | undefined
  /** The cell under the pointer or the keys. */
  chosen: string
  width: number
  height: number
  left: number
  top: number
}

export interface Geometry {
  labelPx: number
  cellPx: number
}

export function geometryOf(ctx: CanvasRenderingContext2D, matrix: Matrix, textPx: number): Geometry {
  ctx.font = font(500)
  const widest = (texts: readonly string[]) => Math.max(0, ...texts.map((text) => ctx.measureText(text).width))
  return {
    labelPx: Math.ceil(widest(matrix.expiries.map(({ label }) => label))) + 2 * LABEL_PAD_PX,
    cellPx: Math.max(CELL_LEAST_PX, textPx, Math.ceil(widest(matrix.strikes.map(strikeText))) + LABEL_PAD_PX),
  }
}

function font(weight: number): string {
  return `${weight} 11px ${token('--sans')}`
}

/** What was painted, by `${expiry}|${strike}`: for the next paint and for tests. */
export class MatrixPainter {
  painted = new Map<string, string>()
  geometry: Geometry = { labelPx: 90, cellPx: CELL_LEAST_PX }
  private window = ''
  /** Widest text of a cell so far, with its margins. */
  private textPx = 0

  constructor(private readonly ctx: CanvasRenderingContext2D) {}

  /** Paints everything next time: after a change of theme or of what cells say. */
  forget(): void {
    this.window = ''
    this.textPx = 0
  }

  /** Paints; returns how many cells were touched. */
  paint(frame: Frame): number {
    const { ctx } = this
    const { matrix, width, height, left, top } = frame
    const ratio = devicePixelRatio
    this.widen(frame)
    const window = [this.textPx, width, height, left, top, ratio, matrix.strikes.join(), matrix.expiries.map(({ key }) => key).join(), token('--panel')].join('|')
    const isWhole = window !== this.window
    if (isWhole) {
      this.window = window
      this.painted.clear()
      this.geometry = geometryOf(ctx, matrix, this.textPx)
      if (ctx.canvas.width !== Math.round(width * ratio) || ctx.canvas.height !== Math.round(height * ratio)) {
        ctx.canvas.width = Math.round(width * ratio)
        ctx.canvas.height = Math.round(height * ratio)
      }
      ctx.setTransform(ratio, 0, 0, ratio, 0, 0)
      ctx.fillStyle = token('--panel')
      ctx.fillRect(0, 0, width, height)
    }
    ctx.textBaseline = 'middle'
    const touched = this.cells(frame, isWhole)
    if (isWhole || touched > 0) this.edges(frame)
    return touched
  }

  private widen({ matrix, look }: Frame): void {
    this.ctx.font = font(500)
    for (const key of matrix.cells.keys()) {
      const [expiry = '', strike] = key.split('|')
      const text = look(expiry, Number(strike))?.text ?? ''
      const px = WIDEN_PX * Math.ceil((this.ctx.measureText(text).width + LABEL_PAD_PX) / WIDEN_PX)
      if (px > this.textPx) this.textPx = px
    }
  }

  private cells(frame: Frame, isWhole: boolean): number {
    const { ctx } = this
    const { matrix, look, chosen, width, height, left, top } = frame
    const { labelPx, cellPx } = this.geometry
    const [firstColumn, firstRow] = [Math.floor(left / cellPx), Math.floor(top / ROW_PX)]
    let touched = 0
    ctx.font = font(500)
    for (let i = Math.max(0, firstRow); i < matrix.expiries.length; i += 1) {
      const y = HEAD_PX + i * ROW_PX - top
      if (y > height) break
      const expiry = matrix.expiries[i]
      if (!expiry) continue
      for (let j = Math.max(0, firstColumn); j < matrix.strikes.length; j += 1) {
        const x = labelPx + j * cellPx - left
        if (x > width) break
        const strike = matrix.strikes[j] ?? 0
        const key = `${expiry.key}|${strike}`
        const shown = look(expiry.key, strike)
        const isMoney = expiry.forward !== undefined && strike >= expiry.forward && (matrix.strikes[j - 1] ?? 0) < expiry.forward
        const signature = `${shown?.fill ?? ''}|${shown?.text ?? ''}|${isMoney ? 'm' : ''}${key === chosen ? 'c' : ''}`
        if (!isWhole && this.painted.get(key) === signature) continue
        this.painted.set(key, signature)
        this.cell(x, y, cellPx, shown && x + cellPx > width ? { ...shown, text: '' } : shown, isMoney, key === chosen)
        touched += 1
      }
    }
    return touched
  }

  private cell(x: number, y: number, width: number, look: Look | undefined, isMoney: boolean, isChosen: boolean): void {
    const { ctx } = this
    ctx.fillStyle = token('--panel')
    ctx.fillRect(x, y, width, ROW_PX)
    ctx.fillStyle = token('--line-soft')
    ctx.fillRect(x, y + ROW_PX - 1, width, 1)
    if (look) {
      ctx.fillStyle = token(look.fill)
      ctx.fillRect(x + 1, y + 1, width - 2, ROW_PX - 3)
      ctx.fillStyle = token('--heat-text')
      ctx.textAlign = 'center'
      ctx.fillText(look.text, x + width / 2, y + ROW_PX / 2, width - 4)
    }
    if (isMoney) {
      ctx.fillStyle = token('--zero-line')
      ctx.fillRect(x, y, 2, ROW_PX)
    }
    if (isChosen) {
      ctx.strokeStyle = token('--focus')
      ctx.lineWidth = 2
      ctx.strokeRect(x + 1, y + 1, width - 2, ROW_PX - 3)
    }
  }

  /** The strikes along the top and the expiries down the side, over whatever scrolled beneath them. */
  private edges({ matrix, width, height, left, top }: Frame): void {
    const { ctx } = this
    const { labelPx, cellPx } = this.geometry
    ctx.fillStyle = token('--panel')
    ctx.fillRect(0, 0, width, HEAD_PX)
    ctx.fillRect(0, 0, labelPx, height)
    ctx.fillStyle = token('--muted')
    ctx.textAlign = 'center'
    ctx.font = font(500)
    ctx.save()
    ctx.beginPath()
    ctx.rect(labelPx, 0, width - labelPx, HEAD_PX)
    ctx.clip()
    for (const [j, strike] of matrix.strikes.entries()) {
      const x = labelPx + j * cellPx - left
      // a label that does not fit is left out, never cut
      if (x >= labelPx - 1 && x + cellPx <= width) ctx.fillText(strikeText(strike), x + cellPx / 2, HEAD_PX / 2)
    }
    ctx.restore()
    ctx.textAlign = 'left'
    ctx.fillStyle = token('--text')
    ctx.save()
    ctx.beginPath()
    ctx.rect(0, HEAD_PX, labelPx, height - HEAD_PX)
    ctx.clip()
    for (const [i, { label }] of matrix.expiries.entries()) {
      const y = HEAD_PX + i * ROW_PX - top
      if (y > -ROW_PX && y < height) ctx.fillText(label, LABEL_PAD_PX, y + ROW_PX / 2)
    }
    ctx.restore()
    ctx.fillStyle = token('--line')
    ctx.fillRect(labelPx - 1, 0, 1, height)
    ctx.fillRect(0, HEAD_PX - 1, width, 1)
  }

  /** The cell at a place of the window, as indices, or undefined. */
  at({ matrix, left, top }: Frame, x: number, y: number): [row: number, column: number] | undefined {
    const { labelPx, cellPx } = this.geometry
    const row = Math.floor((y - HEAD_PX + top) / ROW_PX)
    const column = Math.floor((x - labelPx + left) / cellPx)
    const isInside = x >= labelPx && y >= HEAD_PX && row < matrix.expiries.length && column < matrix.strikes.length
    return isInside ? [row, column] : undefined
  }
}
