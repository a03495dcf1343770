/** `window.__derivasys`: the page's state for tests and for the curious. */
import { paintedThrough } from '../features/through/probe'
import { arrivalToPaint, feed } from '../data/feed'
import type { Cut, View } from '@derivasys/client'

export interface Exposed {
  /** What the through matrix has painted. */
  through(): ReturnType<typeof paintedThrough>
  /** What each chart has drawn: its version, then x and the lines. */
  charts(): Record<string, { version: number | undefined; data: unknown[] }>

  state(): {
    ccy: string
    version: number | undefined
    frozen: boolean
    versionsBehind: number
    connection: View['connection']
    build: string
    cut: Cut | undefined
    latestVersion: number | undefined
    status: View['status']
    lastMessages: View['last']
    /** Milliseconds from a version's arrival to its numbers on screen. */
    paintMs: ReturnType<typeof arrivalToPaint.quantiles>
  }
}

declare global {
  interface Window {
    __derivasys?: Exposed
  }
}

let chartsDrawn: Map<string, { version: number | undefined; data: ArrayLike<unknown> & Iterable<unknown> }> | undefined
// the charts' chunk is on its way anyway
void import('../ui/usePlot').then(({ drawn }) => (chartsDrawn = drawn)).catch(() => undefined)

export function exposeState(): void {
  window.__derivasys = {
    through: paintedThrough,
    charts: () => Object.fromEntries([...(chartsDrawn?.entries() ?? [])].map(([id, { version, data }]) => [id, { version, data: [...data] }])),
    state: () => {
      const view = feed.view()
      return {
        ccy: view.ccy,
        version: feed.cut()?.version,
        frozen: feed.isFrozen(),
        versionsBehind: feed.versionsBehind(),
        connection: view.connection,
        build: feed.build(),
        cut: feed.cut(),
        latestVersion: view.cut?.version,
        status: view.status,
        lastMessages: view.last,
        paintMs: arrivalToPaint.quantiles(),
      }
    },
  }
}
