/** A picture of a chart with its title, version and time, so that it still says what it shows when pasted. */
import { token } from '../app/theme'
import { feed } from '../data/feed'
import { instant } from './format'
import { save } from './save'

const MARGIN = 12
const HEAD = 34

export function savePng(name: string, title: string, canvas: HTMLCanvasElement | null | undefined): void {
  const cut = feed.cut()
  if (!canvas || !cut) return
  const ratio = canvas.width / Math.max(1, canvas.clientWidth || canvas.width)
  const picture = document.createElement('canvas')
  picture.width = canvas.width + 2 * MARGIN * ratio
  picture.height = canvas.height + (HEAD + MARGIN) * ratio
  const ctx = picture.getContext('2d')
  if (!ctx) return
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
  ctx.font = `11px ${token('--sans')}`
  const source = feed.view().status?.source.kind ?? 'source unknown'
  ctx.fillText(`${source} · v ${cut.version} · ${instant(cut.surface?.ts)}`, picture.width / ratio - MARGIN, HEAD / 2)
  picture.toBlob((blob) => blob && save(`derivasys_${cut.ccy}_${name}_v${cut.version}.png`, blob), 'image/png')
}
