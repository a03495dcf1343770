/** A picture of a chart with its title, version and time, so that it still says what it shows when pasted. */
import { token } from '../app/theme'
import { feed } from '../data/feed'
import { instant } from './format'
import { save } from './save'

const MARGIN = 12
const HEAD = 34
const ROW = 20

/** What lies beside or over the canvas on the page and must not be missing from the picture. */
export interface Extra {
  legend?: readonly { name: string; colour: string }[]
  labels?: readonly { text: string; x: number; y: number; align: CanvasTextAlign }[]
}

export function savePng(name: string, title: string, canvas: HTMLCanvasElement | null | undefined, extra: Extra = {}): void {
  const cut = feed.cut()
  if (!canvas || !cut) return
  const ratio = canvas.width / Math.max(1, canvas.clientWidth || canvas.width)
  const picture = document.createElement('canvas')
  const ctx = picture.getContext('2d')
  if (!ctx) return
  const small = `11px ${token('--sans')}`
  ctx.font = small
  const width = canvas.width / ratio + 2 * MARGIN
  const rows = legendRows(ctx, extra.legend ?? [], width)
  const foot = rows.length * ROW
  picture.width = width * ratio
  picture.height = (canvas.height / ratio + HEAD + foot + MARGIN) * ratio
  ctx.fillStyle = token('--panel')
  ctx.fillRect(0, 0, picture.width, picture.height)
  ctx.drawImage(canvas, MARGIN * ratio, HEAD * ratio)
  ctx.scale(ratio, ratio)
  ctx.textBaseline = 'middle'
  ctx.fillStyle = token('--text')
  ctx.font = `600 13px ${token('--sans')}`
  ctx.fillText(`${cut.ccy} ${title}`, MARGIN, HEAD / 2)
  ctx.textAlign = 'right'
  ctx.fillStyle = token('--muted')
  ctx.font = small
  const source = feed.view().status?.source.kind ?? 'source unknown'
  ctx.fillText(`${source} · v ${cut.version} · ${instant(cut.surface?.ts)}`, width - MARGIN, HEAD / 2)
  for (const { text, x, y, align } of extra.labels ?? []) {
    ctx.textAlign = align
    ctx.fillText(text, MARGIN + x, HEAD + y)
  }
  ctx.textAlign = 'left'
  for (const [i, row] of rows.entries()) {
    const y = HEAD + canvas.height / ratio + (i + 0.5) * ROW
    for (const { name: text, colour, x } of row) {
      ctx.fillStyle = colour
      ctx.fillRect(x, y - 4.5, 9, 9)
      ctx.fillStyle = token('--text-soft')
      ctx.fillText(text, x + 13, y)
    }
  }
  picture.toBlob((blob) => blob && save(`derivasys_${cut.ccy}_${name}_v${cut.version}.png`, blob), 'image/png')
}

interface Placed {
  name: string
  colour: string
  x: number
}

/** The legend's entries, broken into rows that fit the width. */
function legendRows(ctx: CanvasRenderingContext2D, legend: NonNullable<Extra['legend']>, width: number): Placed[][] {
  const rows: Placed[][] = []
  let x = Infinity
  for (const { name, colour } of legend) {
    const size = ctx.measureText(name).width + 25
    if (x + size > width - MARGIN) {
      rows.push([])
      x = MARGIN
    }
    rows.at(-1)?.push({ name, colour, x })
    x += size
  }
  return rows
}
