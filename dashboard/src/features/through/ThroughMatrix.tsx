import { useEffect, useRef } from 'react'
import { scheduler } from '../../app/scheduler'
import { onTheme } from '../../app/theme'
import { useUnits } from '../../app/units'
import { useView } from '../../app/view'
import { feed } from '../../data/feed'
import { useFault } from '../../ui/Panel'
import { venuesOf } from '../smiles/venues'
import { entriesOf, isWanted, type Matrix, matrixOf } from './model'
import { type Frame, HEAD_PX, MatrixPainter, ROW_PX } from './painter'
import { exposeThrough } from './probe'
import styles from './through.module.css'
import { describe, lookOf } from './words'

/** How long a strike keeps its column after its last quote through the fit: columns must not jump. */
const KEEP_MS = 60_000
const HEIGHT_MAX_PX = HEAD_PX + 19 * ROW_PX

/** The matrix: scrolls in both directions under its own labels; the arrow keys choose a cell. */
export function ThroughMatrix() {
  const host = useRef<HTMLDivElement>(null)
  const area = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const readout = useRef<HTMLParagraphElement>(null)
  const view = useView()
  const units = useUnits()
  const onFault = useFault()
  const wanted = `${view.fee}${view.excess}${JSON.stringify(view.limits)}${view.hiddenVenues.join()}${units}`

  useEffect(() => {
    const ctx = canvas.current?.getContext('2d')
    if (!host.current || !area.current || !canvas.current || !ctx) return undefined
    return run({ host: host.current, area: area.current, canvas: canvas.current, readout: readout.current, onFault }, ctx)
  }, [wanted, onFault])

  return (
    <>
      <div ref={host} className={styles.scroll} data-testid="through-matrix" tabIndex={0} role="application" aria-label="Quotes through the fit by expiry and strike; arrow keys move, the table view lists them">
        <div ref={area}>
          <canvas ref={canvas} />
        </div>
      </div>
      <p ref={readout} className={styles.readout} role="status" data-testid="through-readout" />
    </>
  )
}

interface Parts {
  host: HTMLElement
  area: HTMLElement
  canvas: HTMLCanvasElement
  readout: HTMLElement | null
  onFault: (error: unknown) => void
}

function run({ host, area, canvas, readout, onFault }: Parts, ctx: CanvasRenderingContext2D): () => void {
  const painter = new MatrixPainter(ctx)
  const seen = new Map<number, number>()
  let frame: Frame | undefined
  let chosen: [number, number] | undefined
  let ccy = ''
  let isVisible = true
  let isCentred = false

  const keyOf = (matrix: Matrix) => (chosen ? `${matrix.expiries[chosen[0]]?.key}|${matrix.strikes[chosen[1]]}` : '')

  const paint = () => {
    const cut = feed.cut()
    const view = useView.getState()
    if (!cut) return
    if (ccy !== cut.ccy) {
      ccy = cut.ccy
      seen.clear()
      chosen = undefined
      isCentred = false
    }
    const now = performance.now()
    for (const [strike, at] of seen) if (now - at > KEEP_MS) seen.delete(strike)
    const matrix = matrixOf(cut, view, seen.keys())
    for (const key of matrix.cells.keys()) seen.set(Number(key.split('|')[1]), now)
    const { venues } = venuesOf(cut)
    const { labelPx, cellPx } = painter.geometry
    const height = HEAD_PX + ROW_PX * matrix.expiries.length
    Object.assign(area.style, { width: `${Math.max(host.clientWidth, labelPx + cellPx * (matrix.strikes.length + 1))}px`, height: `${height}px` })
    host.style.height = `${Math.min(HEIGHT_MAX_PX, height) + (host.offsetHeight - host.clientHeight)}px`
    const size = { width: host.clientWidth, height: Math.min(HEIGHT_MAX_PX, height) }
    Object.assign(canvas.style, { width: `${size.width}px`, height: `${size.height}px` })
    frame = {
      matrix,
      look: (expiry, strike) => {
        const cell = matrix.cells.get(`${expiry}|${strike}`)
        return cell ? lookOf(cell, view.excess, venues) : undefined
      },
      chosen: keyOf(matrix),
      ...size,
      // whole columns, so that no strike is cut in two by the expiries' names
      left: cellPx * Math.ceil(host.scrollLeft / cellPx - 0.01),
      top: host.scrollTop,
    }
    const before = painter.geometry
    painter.paint(frame)
    if (before.cellPx !== painter.geometry.cellPx || before.labelPx !== painter.geometry.labelPx) handle.invalidate()
    if (!isCentred && matrix.strikes.length > 0) {
      // the money first, where the market is
      isCentred = true
      const money = matrix.strikes.findIndex((strike) => strike >= (matrix.expiries[0]?.forward ?? 0))
      host.scrollLeft = labelPx + (money + 0.5) * cellPx - host.clientWidth / 2
    }
    host.dataset.version = String(cut.version)
    exposeThrough(cut.version, painter.painted)
    tell(matrix)
  }

  const tell = (matrix: Matrix) => {
    if (!readout) return
    const view = useView.getState()
    let text = 'Point at a cell, or walk with the arrow keys, to see everything that is known of its quotes.'
    if (matrix.shown === 0) text = matrix.total === 0 ? 'No quote is through the fit.' : `None of the ${matrix.total} quotes through the fit passes the filters${view.fee === 'net' ? ' after the taker fee; Gross shows them' : ''}.`
    if (chosen) {
      const [expiry, strike] = keyOf(matrix).split('|')
      const here = entriesOf(feed.cut(), view.fee).filter((entry) => entry.expiry === expiry && entry.strike === Number(strike) && isWanted(entry, view))
      text = here.map(describe).join('\n') || `${matrix.expiries[chosen[0]]?.label ?? ''} ${strike}: nothing through the fit`
    }
    if (readout.textContent !== text) readout.textContent = text
  }

  const handle = scheduler.add({ canvas: true, intervalMs: 200, isVisible: () => isVisible, paint, onFault })
  const choose = (next: [number, number] | undefined) => {
    chosen = next
    handle.invalidate()
  }
  const onMove = (event: PointerEvent) => {
    const box = host.getBoundingClientRect()
    choose(frame ? painter.at(frame, event.clientX - box.left, event.clientY - box.top) : undefined)
  }
  const onKey = (event: KeyboardEvent) => {
    const steps: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
    const step = steps[event.key]
    if (!step || !frame) return
    event.preventDefault()
    const [row, column] = chosen ?? [0, -step[1]]
    const { matrix } = frame
    choose([clamp(row + step[0], matrix.expiries.length), clamp(column + step[1], matrix.strikes.length)])
    follow()
  }
  /** Scrolls the chosen cell into the window. */
  const follow = () => {
    if (!chosen) return
    const { labelPx, cellPx } = painter.geometry
    const [y, x] = [chosen[0] * ROW_PX, chosen[1] * cellPx]
    host.scrollTop = Math.min(y, Math.max(host.scrollTop, y + ROW_PX + HEAD_PX - host.clientHeight))
    host.scrollLeft = Math.min(x, Math.max(host.scrollLeft, x + cellPx + labelPx - host.clientWidth))
  }
  const onLeave = () => choose(undefined)
  const listeners: [string, EventListener][] = [
    ['pointermove', onMove as EventListener],
    ['pointerleave', onLeave],
    ['keydown', onKey as EventListener],
    ['blur', onLeave],
    ['scroll', handle.invalidate],
  ]
  for (const [name, listener] of listeners) host.addEventListener(name, listener)
  const sized = new ResizeObserver(handle.invalidate)
  sized.observe(host)
  const near = new IntersectionObserver(
    ([entry]) => {
      isVisible = entry?.isIntersecting ?? true
      if (isVisible) handle.invalidate()
    },
    { rootMargin: '40px' },
  )
  near.observe(host)
  const stops = [feed.subscribe('cut', handle.invalidate), onTheme(() => painter.forget())]
  handle.invalidate()
  return () => {
    for (const stop of stops) stop()
    for (const [name, listener] of listeners) host.removeEventListener(name, listener)
    sized.disconnect()
    near.disconnect()
    handle.remove()
  }
}

function clamp(at: number, length: number): number {
  return Math.max(0, Math.min(length - 1, at))
}
