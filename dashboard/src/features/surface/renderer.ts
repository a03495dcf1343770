/** What draws the mesh: three where there is a real GPU, else a canvas-2D painter. */
import type { Camera, Mesh, Viewport } from './geometry'

export interface Colours {
  frame: string
  line: string
}

export interface Renderer {
  readonly kind: 'webgl' | 'canvas'
  draw(mesh: Mesh, camera: Camera, view: Viewport, colours: Colours): void
  dispose(): void
}

/** Whether WebGL is there and is not software: SwiftShader and llvmpipe are slower than the 2D painter. */
export function hasHardwareWebgl(): boolean {
  try {
    const context = document.createElement('canvas').getContext('webgl2', { failIfMajorPerformanceCaveat: true })
    if (!context) return false
    const info = context.getExtension('WEBGL_debug_renderer_info')
    const name = String(context.getParameter(info ? info.UNMASKED_RENDERER_WEBGL : context.RENDERER))
    context.getExtension('WEBGL_lose_context')?.loseContext()
    return !/swiftshader|llvmpipe|software|basic render/i.test(name)
  } catch {
    return false
  }
}
