import { useEffect, useRef, useState } from 'react'
import { scheduler } from '../../app/scheduler'
import { onTheme, token } from '../../app/theme'
import { vol as volText } from '../../app/units'
import { toggled, useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { css, viridis } from '../../lib/colour'
import { fixed, strike } from '../../lib/format'
import { NODES } from '@derivasys/client'
import { Segmented, TableToggle, Tool } from '../../ui/controls'
import { Panel, useFault } from '../../ui/Panel'
import { deltaName } from '../smiles/coordinates'
import { smilesInOrder } from '../smiles/order'
import { canvasRenderer } from './canvas2d'
import { type Camera, HOME, type Label, labelsOf, type Mesh, meshOf, pick, project, type Viewport } from './geometry'
import { hasHardwareWebgl, type Renderer } from './renderer'
import styles from './surface.module.css'

const SURFACE_PX = 430

/** The surface of vol in three dimensions: turned by dragging or the arrow keys. */
export function SurfacePanel() {
  const axis = useView((view) => view.surface)
  const height = useView((view) => view.height)
  const isTable = useView((view) => view.tables.includes('surface'))
  const fitted = useFeed('cut', () => smilesInOrder().filter((smile) => smile.params).length)
  return (
    <Panel
      id="surface"
      title={height === 'vol' ? 'Vol surface' : 'Surface of total variance'}
      note={height === 'vol' ? 'vp; drag to turn' : 'σ²τ; drag to turn'}
      skeletonPx={SURFACE_PX}
      empty={fitted < 2 ? 'a surface needs two fitted expiries' : undefined}
      tools={
        <>
          <Segmented
            label="Height"
            value={height}
            options={[
              ['vol', 'Vol'],
              ['variance', 'Variance'],
            ]}
            onChange={(next) => useView.setState({ height: next })}
          />
          <Segmented
            label="Across"
            value={axis}
            options={[
              ['delta', 'Fwd delta'],
              ['sd', 'Std dev'],
            ]}
            onChange={(next) => useView.setState({ surface: next })}
          />
          {isTable ? null : (
            <Tool label="Save surface as PNG" onClick={saveSurface}>
              PNG
            </Tool>
          )}
          <TableToggle on={isTable} name="surface" onClick={() => useView.setState((view) => ({ tables: toggled(view.tables, 'surface') }))} />
        </>
      }
    >
      <div data-testid="surface-3d" className={styles.box} style={{ height: SURFACE_PX }}>
        {isTable ? <SurfaceTable /> : <Scene key={axis + height} />}
      </div>
    </Panel>
  )
}

const ALIGN: Record<string, CanvasTextAlign> = { start: 'left', middle: 'center', end: 'right' }

function saveSurface(): void {
  const box = document.querySelector('[data-testid="surface-3d"]')
  const labels = [...(box?.querySelectorAll<HTMLElement>('[data-align]') ?? [])].map((span) => ({
    text: span.textContent ?? '',
    x: Number.parseFloat(span.style.left),
    y: Number.parseFloat(span.style.top),
    align: ALIGN[span.dataset.align ?? ''] ?? 'center',
  }))
  void import('../../lib/png').then(({ savePng }) => savePng('surface', 'vol surface', box?.querySelector('canvas'), { labels }))
}

function Scene() {
  const axis = useView((view) => view.surface)
  const height = useView((view) => view.height)
  const box = useRef<HTMLDivElement>(null)
  const readout = useRef<HTMLParagraphElement>(null)
  const mark = useRef<HTMLElement>(null)
  const [labels, setLabels] = useState<Label[]>([])
  const [kind, setKind] = useState<Renderer['kind'] | ''>('')
  const onFault = useFault()
  const [scale, setScale] = useState<readonly [number, number]>([0, 0])

  useEffect(() => {
    const host = box.current
    if (!host) return undefined
    let renderer: Renderer | undefined
    let isGone = false
    let mesh: Mesh | undefined
    let kept: [number, number] | undefined
    let ccy = ''
    const camera: Camera = { ...HOME }
    let isVisible = true
    let isStale = true
    let shownLabels = ''
    let canvas = newCanvas(host)

    const viewport = (): Viewport => ({ width: host.clientWidth, height: host.clientHeight })
    const handle = scheduler.add({
      canvas: true,
      intervalMs: 15,
      isVisible: () => isVisible,
      onFault,
      paint: () => {
        const cut = feed.cut()
        if (!renderer || !cut) return
        if (isStale || !mesh) {
          isStale = false
          if (ccy !== cut.ccy) kept = undefined
          ccy = cut.ccy
          mesh = meshOf(smilesInOrder(), axis, kept, height)
          host.dataset.version = String(cut.version)
          if (!mesh) return
          if (!kept || kept[0] !== mesh.low || kept[1] !== mesh.high) setScale([mesh.low, mesh.high])
          kept = [mesh.low, mesh.high]
        }
        const view = viewport()
        renderer.draw(mesh, camera, view, { frame: token('--axis-line'), line: 'rgba(10, 18, 32, 0.45)' })
        const next = labelsOf(mesh, camera, view, axis, height)
        const text = JSON.stringify(next)
        if (text !== shownLabels) {
          shownLabels = text
          setLabels(next)
        }
        point()
      },
    })
    let lastMeshAt = 0
    let meshTimer: ReturnType<typeof setTimeout> | undefined
    // the mesh follows the market three times a second; turning it is immediate
    const fresh = () => {
      if (meshTimer !== undefined) return
      meshTimer = setTimeout(
        () => {
          meshTimer = undefined
          lastMeshAt = performance.now()
          isStale = true
          handle.invalidate()
        },
        Math.max(0, 330 - (performance.now() - lastMeshAt)),
      )
    }
    const begin = async () => {
      let made: Renderer | undefined
      if (hasHardwareWebgl()) {
        try {
          const { threeRenderer } = await import('./three')
          if (isGone) return
          made = threeRenderer(canvas)
        } catch {
          // the chunk could not be had or the context was refused: a canvas keeps its first kind of context
          canvas.remove()
          canvas = newCanvas(host)
        }
      }
      if (isGone) return
      made ??= canvasRenderer(canvas)
      renderer = made
      setKind(made.kind)
      handle.invalidate()
    }
    void begin()

    let pointer: { x: number; y: number } | undefined
    const point = () => {
      const text = readout.current
      const dot = mark.current
      if (!text || !dot) return
      const at = mesh && pointer ? pick(mesh, camera, viewport(), pointer.x, pointer.y) : undefined
      if (!mesh || at === undefined) {
        text.textContent = ''
        dot.hidden = true
        return
      }
      const row = Math.floor(at / mesh.columns)
      const step = mesh.steps[at % mesh.columns] ?? 0
      const across = axis === 'delta' ? deltaName(step) : `${fixed(step, 2)}σ`
      text.textContent = `${mesh.labels[row]}   ${across}   K ${strike(Math.round(mesh.strike[at] ?? 0))}   ${height === 'vol' ? `vol ${volText(mesh.vol[at])}` : `variance ${fixed((mesh.vol[at] ?? Number.NaN) / 100, 4)}`}`
      const [x, y] = project(camera, viewport(), mesh.position[3 * at] ?? 0, mesh.position[3 * at + 1] ?? 0, mesh.position[3 * at + 2] ?? 0)
      dot.hidden = false
      dot.style.transform = `translate(${x}px, ${y}px)`
    }

    const turn = (yaw: number, pitch: number) => {
      camera.yaw += yaw
      camera.pitch = Math.min(1.45, Math.max(0.05, camera.pitch + pitch))
      handle.invalidate()
    }
    const onMove = (event: PointerEvent) => {
      const bounds = host.getBoundingClientRect()
      pointer = { x: event.clientX - bounds.left, y: event.clientY - bounds.top }
      if (event.buttons & 1 && host.hasPointerCapture(event.pointerId)) turn(event.movementX * 0.008, event.movementY * 0.006)
      else point()
    }
    const onDown = (event: PointerEvent) => host.setPointerCapture(event.pointerId)
    const onLeave = () => {
      pointer = undefined
      point()
    }
    const onKey = (event: KeyboardEvent) => {
      const turns: Record<string, [number, number]> = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, 0.08], ArrowDown: [0, -0.08] }
      const by = turns[event.key]
      if (!by) return
      event.preventDefault()
      turn(...by)
    }
    const onHome = () => {
      Object.assign(camera, HOME)
      handle.invalidate()
    }
    host.addEventListener('pointermove', onMove)
    host.addEventListener('pointerdown', onDown)
    host.addEventListener('pointerleave', onLeave)
    host.addEventListener('keydown', onKey)
    host.addEventListener('dblclick', onHome)
    const seen = new IntersectionObserver(([entry]) => {
      isVisible = entry?.isIntersecting ?? true
      if (isVisible) handle.invalidate()
    })
    seen.observe(host)
    const sized = new ResizeObserver(handle.invalidate)
    sized.observe(host)
    const stops = [feed.subscribe('cut', fresh), onTheme(handle.invalidate)]
    return () => {
      isGone = true
      for (const stop of stops) stop()
      clearTimeout(meshTimer)
      host.removeEventListener('pointermove', onMove)
      host.removeEventListener('pointerdown', onDown)
      host.removeEventListener('pointerleave', onLeave)
      host.removeEventListener('keydown', onKey)
      host.removeEventListener('dblclick', onHome)
      seen.disconnect()
      sized.disconnect()
      handle.remove()
      renderer?.dispose()
      canvas.remove()
    }
  }, [axis, height, onFault])

  return (
    <>
      <div
        ref={box}
        className={styles.scene}
        tabIndex={0}
        role="application"
        aria-label="Vol surface; arrow keys turn it, the table view holds the numbers"
        data-renderer={kind}
      >
        <i ref={mark} className={styles.dot} hidden />
      </div>
      <div className={styles.labels} aria-hidden="true">
        {labels.map((label) => (
          <span key={`${label.text}${Math.round(label.x)}`} data-align={label.align} style={{ left: label.x, top: label.y }}>
            {label.text}
          </span>
        ))}
      </div>
      <p ref={readout} className={styles.readout} />
      <div className={styles.scale} aria-hidden="true">
        <span>{height === 'vol' ? scale[1] : fixed(scale[1] / 100, 2)}</span>
        <i style={{ background: `linear-gradient(to top, ${[0, 0.25, 0.5, 0.75, 1].map((at) => css(viridis(at))).join(',')})` }} />
        <span>{height === 'vol' ? scale[0] : fixed(scale[0] / 100, 2)}</span>
      </div>
    </>
  )
}

function newCanvas(host: HTMLElement): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  canvas.className = styles.canvas ?? ''
  host.prepend(canvas)
  return canvas
}

function SurfaceTable() {
  useFeed('cut', () => feed.cut()?.version)
  const smiles = smilesInOrder().filter((smile) => smile.nodes)
  return (
    <div className={styles.scroll} tabIndex={0} role="region" aria-label="Vols of the surface">
      <table className={styles.table}>
        <caption className="visually-hidden">Vol by expiry and node, vol points</caption>
        <thead>
          <tr>
            <th scope="col">Expiry</th>
            {NODES.map((node) => (
              <th key={node} scope="col">
                {node === 'ATMF' ? 'ATM' : node}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {smiles.map((smile) => (
            <tr key={smile.expiry}>
              <th scope="row">{smile.label}</th>
              {NODES.map((node) => (
                <td key={node}>{volText(smile.nodes?.[node]?.vol)}</td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
