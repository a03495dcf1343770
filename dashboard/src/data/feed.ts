/**
 * The page's hot state, outside React: the latest view, the shown one (they differ while frozen), and topics
 * that components and painters subscribe to.
 */
import { useSyncExternalStore } from 'react'
import { Recent } from '../lib/quantiles'
import { type Cut, mergePatch, type View } from '@derivasys/client'
import { type Conventions, emptyView, type FromWorker, type ToWorker } from './protocol'

/** Milliseconds from the arrival of a version's last message to its numbers in the page. */
export const arrivalToPaint = new Recent(512)

export type Topic = 'cut' | 'status' | 'connection'

const REFRESH_EVERY_MS = 5000

let refreshedAt = 0
let latest: View = emptyView('')
let shown: Cut | undefined
let frozen = false
let build = ''
/** The currency that was asked for last, and the one that the server stopped offering. */
let asked = ''
let delisted = ''
let worker: Worker | undefined
let pulling = false
const listeners: Record<Topic, Set<() => void>> = { cut: new Set(), status: new Set(), connection: new Set() }

export const feed = {
  /** The latest view, also while frozen. */
  view: (): View => latest,
  /** What the panels show. */
  cut: (): Cut | undefined => shown,
  isFrozen: (): boolean => frozen,
  /** Build of the gateway as /config.json tells. */
  build: (): string => build,
  /** Versions that came since the freeze. */
  versionsBehind: (): number => (frozen && shown && latest.cut ? Math.max(0, latest.cut.version - shown.version) : 0),
  subscribe(topic: Topic, listener: () => void): () => void {
    listeners[topic].add(listener)
    return () => listeners[topic].delete(listener)
  },
  /** A currency that the server stopped offering, so that another is shown. */
  delisted: (): string => delisted,
  freeze(next: boolean): void {
    if (frozen === next) return
    frozen = next
    if (!frozen) shown = latest.cut
    publish('connection')
    publish('cut')
  },
  select(ccy: string): void {
    if (frozen) feed.freeze(false)
    asked = ccy
    delisted = ''
    publish('connection')
    post({ kind: 'select', ccy })
  },
  /** What came cannot be drawn: asks for snapshots, at most every five seconds. */
  refresh(): void {
    const now = Date.now()
    if (now - refreshedAt < REFRESH_EVERY_MS) return
    refreshedAt = now
    post({ kind: 'refresh' })
  },
  /** Other conventions of deltas and flies: the panels keep what they show until all of it has come. */
  choose(conventions: Conventions): void {
    post({ kind: 'choose', conventions })
  },
  start(ccy: string, conventions: Conventions): void {
    worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module', name: 'feed' })
    worker.addEventListener('message', (event: MessageEvent<FromWorker>) => receive(event.data))
    latest = emptyView(ccy)
    asked = ccy
    post({ kind: 'start', base: location.origin, ccy, conventions })
    addEventListener('online', () => post({ kind: 'online', online: true }))
  },
  /** Takes a view as the worker would bring it; for tests. */
  take,
}

function post(message: ToWorker): void {
  worker?.postMessage(message)
}

const pull = () => post({ kind: 'pull' })

function receive(message: FromWorker): void {
  switch (message.kind) {
    case 'dirty':
      if (pulling) return
      pulling = true
      // a hidden tab runs no frames, so nothing is pulled and nothing queues; one that is seen need not wait for one
      if (document.hidden) requestAnimationFrame(pull)
      else pull()
      break
    case 'view':
      pulling = false
      take(mergePatch(latest, message.patch))
      break
    case 'config':
      build = message.build
      break
  }
}

function take(next: View): void {
  const before = latest
  latest = next
  if (before.ccy === asked && next.ccy !== asked) {
    delisted = asked
    asked = next.ccy
  }
  if (!frozen || next.cut?.ccy !== shown?.ccy) {
    if (shown !== next.cut) {
      shown = next.cut
      publish('cut')
    }
  }
  if (before.status !== next.status) publish('status')
  if (before.connection !== next.connection || before.ccy !== next.ccy || frozen) publish('connection')
}

function publish(topic: Topic): void {
  for (const listener of listeners[topic]) listener()
}

/** Re-renders when `select` of the topic's state gives another value. */
export function useFeed<T>(topic: Topic, select: () => T): T {
  return useSyncExternalStore((listener) => feed.subscribe(topic, listener), select)
}
