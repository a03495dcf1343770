/** The painter's algorithm on a 2D canvas: back to front, one quad at a time. */
import { css, viridis } from '../../lib/colour'
import { type Camera, frameOf, type Mesh, project, type Viewport } from './geometry'
import type { Colours, Renderer } from './renderer'

export function canvasRenderer(canvas: HTMLCanvasElement): Renderer {
  const ctx = canvas.getContext('2d')
  return {
    kind: 'canvas',
    draw(mesh: Mesh, camera: Camera, view: Viewport, colours: Colours) {
      if (!ctx) return
      const ratio = Math.min(2, devicePixelRatio)
      const width = Math.round(view.width * ratio)
      const height = Math.round(view.height * ratio)
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width
        canvas.height = height
      }
      ctx.setTransform(ratio, 0, 0, ratio, 0, 0)
      ctx.clearRect(0, 0, view.width, view.height)
      drawFrame(ctx, mesh, camera, view, colours)
      drawQuads(ctx, mesh, camera, view, colours)
    },
    dispose() {
      ctx?.clearRect(0, 0, canvas.width, canvas.height)
    },
  }
}

function drawFrame(ctx: CanvasRenderingContext2D, mesh: Mesh, camera: Camera, view: Viewport, colours: Colours): void {
  ctx.strokeStyle = colours.frame
  ctx.lineWidth = 1
  ctx.beginPath()
  for (const [x1 = 0, y1 = 0, z1 = 0, x2 = 0, y2 = 0, z2 = 0] of frameOf(mesh, camera)) {
    const from = project(camera, view, x1, y1, z1)
    const to = project(camera, view, x2, y2, z2)
    ctx.moveTo(from[0], from[1])
    ctx.lineTo(to[0], to[1])
  }
  ctx.stroke()
}

function drawQuads(ctx: CanvasRenderingContext2D, mesh: Mesh, camera: Camera, view: Viewport, colours: Colours): void {
  const { columns, rows, position, vol, low, high } = mesh
  const points: [number, number, number][] = []
  for (let n = 0; n < rows * columns; n += 1) {
    points.push(project(camera, view, position[3 * n] ?? 0, position[3 * n + 1] ?? 0, position[3 * n + 2] ?? 0))
  }
  const quads: { depth: number; corners: number[]; vol: number }[] = []
  for (let i = 0; i + 1 < rows; i += 1) {
    for (let j = 0; j + 1 < columns; j += 1) {
      const n = i * columns + j
      const corners = [n, n + 1, n + columns + 1, n + columns]
      const mean = corners.reduce((sum, corner) => sum + (vol[corner] ?? Number.NaN), 0) / 4
      if (!Number.isFinite(mean)) continue
      quads.push({ depth: corners.reduce((sum, corner) => sum + (points[corner]?.[2] ?? 0), 0), corners, vol: mean })
    }
  }
  quads.sort((left, right) => left.depth - right.depth)
  ctx.lineWidth = 0.6
  ctx.lineJoin = 'round'
  for (const { corners, vol: mean } of quads) {
    ctx.beginPath()
    for (const corner of corners) {
      const [x, y] = points[corner] ?? [0, 0]
      ctx.lineTo(x, y)
    }
    ctx.closePath()
    ctx.fillStyle = css(viridis((mean - low) / (high - low)))
    ctx.fill()
    ctx.strokeStyle = colours.line
    ctx.stroke()
  }
}
