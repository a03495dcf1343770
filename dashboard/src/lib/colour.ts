/** Viridis for the surface, Okabe–Ito for venues; colours that the canvases share. */

const VIRIDIS = [
  [68, 1, 84], [71, 24, 106], [72, 45, 122], [67, 62, 133], [58, 82, 139], [49, 100, 142], [42, 117, 142], [36, 134, 142],
  [31, 151, 139], [36, 168, 132], [59, 185, 118], [94, 201, 98], [139, 213, 70], [189, 222, 38], [253, 231, 37],
] as const

export type Rgb = readonly [number, number, number]

/** sRGB 0..255 of viridis at 0..1. */
export function viridis(at: number): Rgb {
  const x = Math.min(1, Math.max(0, Number.isFinite(at) ? at : 0)) * (VIRIDIS.length - 1)
  const i = Math.min(VIRIDIS.length - 2, Math.floor(x))
  const t = x - i
  const low = VIRIDIS[i] ?? VIRIDIS[0]
  const high = VIRIDIS[i + 1] ?? low
  return [low[0] + (high[0] - low[0]) * t, low[1] + (high[1] - low[1]) * t, low[2] + (high[2] - low[2]) * t]
}

export function css([r, g, b]: Rgb, alpha = 1): string {
  return `rgba(${Math.round(r)},${Math.round(g)},${Math.round(b)},${alpha})`
}

/** Red, green, blue 0..255 and alpha 0..1 of rgb(), rgba() and hexadecimal colours, as the stylesheet's minifier may write them. */
export function parseColour(text: string): [number, number, number, number] {
  const hex = /^#([\da-f]{3,8})$/i.exec(text.trim())?.[1]
  if (hex) {
    const long = hex.length < 6 ? [...hex].map((digit) => digit + digit).join('') : hex
    const [r = 0, g = 0, b = 0, alpha = 255] = (long.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16))
    return [r, g, b, alpha / 255]
  }
  const [r = 0, g = 0, b = 0, alpha = 1] = (text.match(/[\d.]+/g) ?? []).map(Number)
  return [r, g, b, alpha]
}

/** sRGB channel 0..1 to linear light, which three wants in vertex colours. */
export function linear(channel: number): number {
  return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
}

export type Shape = 'circle' | 'square' | 'triangle' | 'diamond' | 'down' | 'cross'

export interface VenueMark {
  shape: Shape
  /** Custom property that holds the colour in the current theme. */
  property: string
  glyph: string
}

const MARKS: readonly VenueMark[] = [
  { shape: 'circle', property: '--venue-1', glyph: '●' },
  { shape: 'square', property: '--venue-2', glyph: '■' },
  { shape: 'triangle', property: '--venue-3', glyph: '▲' },
  { shape: 'diamond', property: '--venue-4', glyph: '◆' },
  { shape: 'down', property: '--venue-5', glyph: '▼' },
  { shape: 'cross', property: '--venue-6', glyph: '✚' },
]
const KNOWN = ['deribit', 'okx', 'bybit', 'binance']

/** The venue's mark: fixed for the known ones, by place in the list for others. */
export function venueMark(venue: string, venues: readonly string[]): VenueMark {
  const known = KNOWN.indexOf(venue)
  const others = venues.filter((name) => !KNOWN.includes(name)).toSorted()
  const at = known >= 0 ? known : KNOWN.length + Math.max(0, others.indexOf(venue))
  return MARKS[at % MARKS.length] as VenueMark
}
