/** The same picture by three: loaded only where there is a GPU, drawn only on demand. */
import {
  BufferAttribute,
  BufferGeometry,
  DoubleSide,
  Group,
  LineBasicMaterial,
  LineSegments,
  Mesh as ThreeMesh,
  MeshBasicMaterial,
  OrthographicCamera,
  Scene,
  SRGBColorSpace,
  WebGLRenderer,
} from 'three'
import { linear, parseColour, viridis } from '../../lib/colour'
import { type Camera, frameOf, type Mesh, scaleOf, type Viewport } from './geometry'
import type { Colours, Renderer } from './renderer'

export function threeRenderer(canvas: HTMLCanvasElement): Renderer {
  const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true, preserveDrawingBuffer: true })
  const scene = new Scene()
  const group = new Group()
  group.rotation.order = 'XYZ'
  scene.add(group)
  const camera = new OrthographicCamera(-1, 1, 1, -1, 0.1, 20)
  camera.position.z = 10
  const skin = new ThreeMesh(new BufferGeometry(), new MeshBasicMaterial({ vertexColors: true, side: DoubleSide, polygonOffset: true, polygonOffsetFactor: 1, polygonOffsetUnits: 1 }))
  const wires = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ transparent: true, opacity: 0.35 }))
  const frame = new LineSegments(new BufferGeometry(), new LineBasicMaterial({ transparent: true }))
  group.add(skin, wires, frame)
  let drawn: Mesh | undefined

  return {
    kind: 'webgl',
    draw(mesh: Mesh, { yaw, pitch }: Camera, view: Viewport, colours: Colours) {
      renderer.setPixelRatio(Math.min(2, devicePixelRatio))
      renderer.setSize(view.width, view.height, false)
      const scale = scaleOf(view)
      camera.left = -view.width / 2 / scale
      camera.right = view.width / 2 / scale
      camera.top = view.height / 2 / scale
      camera.bottom = -view.height / 2 / scale
      camera.updateProjectionMatrix()
      group.rotation.set(pitch, yaw, 0)
      if (mesh !== drawn) {
        fill(skin.geometry, wires.geometry, mesh)
        drawn = mesh
      }
      frame.geometry.setAttribute('position', new BufferAttribute(new Float32Array(frameOf(mesh, { yaw, pitch }).flat()), 3))
      setColour(frame.material, colours.frame)
      setColour(wires.material, colours.line)
      renderer.render(scene, camera)
    },
    dispose() {
      for (const part of [skin, wires, frame]) {
        part.geometry.dispose()
        part.material.dispose()
      }
      renderer.dispose()
    },
  }
}

function setColour(material: LineBasicMaterial, text: string): void {
  const [r, g, b, alpha] = parseColour(text)
  material.color.setRGB(r / 255, g / 255, b / 255, SRGBColorSpace)
  material.opacity = alpha
}

function fill(skin: BufferGeometry, wires: BufferGeometry, mesh: Mesh): void {
  const { columns, rows, position, vol, low, high } = mesh
  const colour = new Float32Array(rows * columns * 3)
  for (let n = 0; n < rows * columns; n += 1) {
    const [r, g, b] = viridis(((vol[n] ?? low) - low) / (high - low))
    colour[3 * n] = linear(r / 255)
    colour[3 * n + 1] = linear(g / 255)
    colour[3 * n + 2] = linear(b / 255)
  }
  const faces: number[] = []
  const edges: number[] = []
  const isKnown = (...corners: number[]) => corners.every((corner) => Number.isFinite(vol[corner]))
  for (let i = 0; i < rows; i += 1) {
    for (let j = 0; j < columns; j += 1) {
      const n = i * columns + j
      if (j + 1 < columns && isKnown(n, n + 1)) edges.push(n, n + 1)
      if (i + 1 < rows && j % 4 === 0 && isKnown(n, n + columns)) edges.push(n, n + columns)
      if (i + 1 < rows && j + 1 < columns && isKnown(n, n + 1, n + columns, n + columns + 1)) {
        faces.push(n, n + columns, n + 1, n + 1, n + columns, n + columns + 1)
      }
    }
  }
  skin.setAttribute('position', new BufferAttribute(position, 3))
  skin.setAttribute('color', new BufferAttribute(colour, 3))
  skin.setIndex(faces)
  wires.setAttribute('position', new BufferAttribute(position, 3))
  wires.setIndex(edges)
  skin.computeBoundingSphere()
  wires.computeBoundingSphere()
}
