/** The surface as a mesh in scene units, and the one projection that both renderers and the labels use. */
import type { Height, SurfaceAxis } from '../../app/view'
import { logMoneynessOfSviDelta, type Smile, totalVariance, volPoints } from '@derivasys/client'
import { drawable } from '../smiles/coordinates'

/** N(−d1) along the delta axis: 5P at 0.05 to 5C at 0.95. */
const DELTA_STEPS = Array.from({ length: 37 }, (_, i) => 0.05 + (0.9 * i) / 36)
const SD_STEPS = Array.from({ length: 41 }, (_, i) => -2.5 + (5 * i) / 40)

export interface Mesh {
  /** Across: from puts to calls; along: from short to long expiries. */
  columns: number
  rows: number
  /** Per vertex, row by row: vol points, or a hundred times total variance; NaN where the slice gives none. */
  vol: Float64Array
  k: Float64Array
  strike: Float64Array
  /** Scene coordinates, three a vertex: x across, y up, z along. */
  position: Float32Array
  labels: string[]
  days: number[]
  steps: readonly number[]
  low: number
  high: number
}

const HEIGHT = 0.62

/** Scale limits in steps of ten vol points that only ever widen, so that a vol keeps its colour. */
export function widen(low: number, high: number, kept?: readonly [number, number]): [number, number] {
  const floor = Math.max(0, Math.floor(low / 10) * 10)
  const ceiling = Math.ceil(high / 10) * 10
  return kept ? [Math.min(kept[0], floor), Math.max(kept[1], ceiling)] : [floor, Math.max(ceiling, floor + 10)]
}

export function meshOf(smiles: readonly Smile[], axis: SurfaceAxis, kept?: readonly [number, number], height: Height = 'vol'): Mesh | undefined {
  const slices = smiles.map(drawable).filter((slice) => slice !== undefined).toSorted((left, right) => left.tau - right.tau)
  if (slices.length < 2) return undefined
  const steps = axis === 'delta' ? DELTA_STEPS : SD_STEPS
  const columns = steps.length
  const rows = slices.length
  const vol = new Float64Array(rows * columns)
  const k = new Float64Array(rows * columns)
  const strike = new Float64Array(rows * columns)
  let low = Infinity
  let high = -Infinity
  for (const [i, slice] of slices.entries()) {
    for (const [j, step] of steps.entries()) {
      // call delta N(d1) = 1 − N(−d1)
      const at = axis === 'delta' ? logMoneynessOfSviDelta(slice.params, 1 - step) : step * slice.deviation
      const value = height === 'vol' ? volPoints(slice.params, at, slice.tau) : 100 * totalVariance(slice.params, at)
      const n = i * columns + j
      k[n] = at
      strike[n] = slice.forward * Math.exp(at)
      vol[n] = value
      if (!Number.isFinite(value)) continue
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  }
  if (!(low <= high)) return undefined
  const [floor, ceiling] = widen(low, high, kept)
  const logs = slices.map((slice) => Math.log(slice.smile.days + 1))
  const [first = 0, last = 1] = [logs[0], logs.at(-1)]
  const position = new Float32Array(rows * columns * 3)
  for (let i = 0; i < rows; i += 1) {
    const z = 1 - (2 * ((logs[i] ?? 0) - first)) / (last - first || 1)
    for (let j = 0; j < columns; j += 1) {
      const n = i * columns + j
      position[3 * n] = -1 + (2 * j) / (columns - 1)
      position[3 * n + 1] = heightOf(vol[n] ?? Number.NaN, floor, ceiling)
      position[3 * n + 2] = z
    }
  }
  return {
    columns,
    rows,
    vol,
    k,
    strike,
    position,
    labels: slices.map((slice) => slice.smile.label),
    days: slices.map((slice) => slice.smile.days),
    steps,
    low: floor,
    high: ceiling,
  }
}

export function heightOf(vol: number, low: number, high: number): number {
  return HEIGHT * (2 * ((vol - low) / (high - low)) - 1)
}

export interface Camera {
  yaw: number
  pitch: number
}

export const HOME: Camera = { yaw: -0.62, pitch: 0.46 }

export interface Viewport {
  width: number
  height: number
}

/** Beside the box: its labels on both sides, and the colour scale. */
const BESIDE_PX = 120

/** Pixels per scene unit: the whole turned box fits, with what stands beside it. */
export function scaleOf({ width, height }: Viewport): number {
  return Math.max(1, Math.min((width - BESIDE_PX) / 3.2, height / 2.5))
}

/** Orthographic projection: [x, y, depth], nearer is deeper. three's group is turned by the same two angles. */
export function project({ yaw, pitch }: Camera, view: Viewport, x: number, y: number, z: number): [number, number, number] {
  const right = Math.cos(yaw) * x + Math.sin(yaw) * z
  const toward = -Math.sin(yaw) * x + Math.cos(yaw) * z
  const up = Math.cos(pitch) * y - Math.sin(pitch) * toward
  const scale = scaleOf(view)
  return [view.width / 2 + scale * right, view.height / 2 - scale * up, Math.sin(pitch) * y + Math.cos(pitch) * toward]
}

export interface Label {
  text: string
  x: number
  y: number
  align: 'start' | 'middle' | 'end'
}

const Y_FLOOR = -HEIGHT

/** Distance of the height lines. */
function tickOf({ low, high }: Mesh): number {
  if (high - low > 60) return 20
  return high - low > 20 ? 10 : 5
}

/** Axis labels along the edges of the floor that face the viewer, and of the heights. */
export function labelsOf(mesh: Mesh, camera: Camera, view: Viewport, axis: SurfaceAxis, height: Height = 'vol'): Label[] {
  const labels: Label[] = []
  const at = (x: number, y: number, z: number) => project(camera, view, x, y, z)
  const front = Math.cos(camera.yaw) >= 0 ? 1 : -1
  const side = Math.sin(camera.yaw) <= 0 ? 1 : -1
  const names: [number, string][] =
    axis === 'delta'
      ? [[0.05, '5P'], [0.1, '10P'], [0.25, '25P'], [0.5, '50Δ'], [0.75, '25C'], [0.9, '10C'], [0.95, '5C']]
      : [[-2, '−2σ'], [-1, '−1σ'], [0, '0'], [1, '+1σ'], [2, '+2σ']]
  const first = mesh.steps[0] ?? 0
  const last = mesh.steps.at(-1) ?? 1
  let kept: [number, number] | undefined
  const put = (text: string, [x, y]: [number, number, number], align: Label['align']) => {
    if (kept && Math.hypot(x - kept[0], y - kept[1]) < 26) return
    kept = [x, y]
    labels.push({ text, x, y, align })
  }
  for (const [step, text] of names) put(text, at(-1 + (2 * (step - first)) / (last - first), Y_FLOOR, front * 1.2), 'middle')
  kept = undefined
  for (let i = 0; i < mesh.rows; i += 1) {
    const z = mesh.position[3 * i * mesh.columns + 2] ?? 0
    put(`${mesh.days[i] !== undefined && mesh.days[i]! < 10 ? mesh.days[i]!.toFixed(1) : Math.round(mesh.days[i] ?? 0)}d`, at(side * 1.12, Y_FLOOR, z), side * Math.cos(camera.yaw) > 0 ? 'start' : 'end')
  }
  kept = undefined
  for (let vol = mesh.low; vol <= mesh.high; vol += tickOf(mesh)) {
    put(height === 'vol' ? `${vol}` : (vol / 100).toFixed(2), at(-side * 1.14, heightOf(vol, mesh.low, mesh.high), front * 1), -side * Math.cos(camera.yaw) > 0 ? 'start' : 'end')
  }
  return labels
}

/** The floor's corners and lines, as pairs of points. */
export function frameOf(mesh: Mesh, camera: Camera): number[][] {
  const front = Math.cos(camera.yaw) >= 0 ? 1 : -1
  const side = Math.sin(camera.yaw) <= 0 ? 1 : -1
  const lines: number[][] = [
    [-1, Y_FLOOR, -1, 1, Y_FLOOR, -1],
    [1, Y_FLOOR, -1, 1, Y_FLOOR, 1],
    [1, Y_FLOOR, 1, -1, Y_FLOOR, 1],
    [-1, Y_FLOOR, 1, -1, Y_FLOOR, -1],
  ]
  // back walls carry the height lines
  for (let vol = mesh.low; vol <= mesh.high; vol += tickOf(mesh)) {
    const y = heightOf(vol, mesh.low, mesh.high)
    lines.push([-1, y, -front, 1, y, -front], [-side, y, -1, -side, y, 1])
  }
  lines.push([-side, Y_FLOOR, front, -side, HEIGHT, front], [-side, Y_FLOOR, -front, -side, HEIGHT, -front], [side, Y_FLOOR, -front, side, HEIGHT, -front])
  return lines
}

/** The vertex nearest to a pixel, of those nearest the viewer, or undefined when none is close. */
export function pick(mesh: Mesh, camera: Camera, view: Viewport, x: number, y: number): number | undefined {
  let best: number | undefined
  let bestScore = Infinity
  for (let n = 0; n < mesh.rows * mesh.columns; n += 1) {
    const [px, py, depth] = project(camera, view, mesh.position[3 * n] ?? 0, mesh.position[3 * n + 1] ?? 0, mesh.position[3 * n + 2] ?? 0)
    const distance = Math.hypot(px - x, py - y)
    if (distance > 18) continue
    const score = distance - 12 * depth
    if (score < bestScore) {
      bestScore = score
      best = n
    }
  }
  return best
}
