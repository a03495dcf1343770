/** What page and worker say to each other. The page pulls: the worker announces once and then waits. */
import type { Choice, View } from '@derivasys/client'

/** Of the stream; null is the server's own. */
export type Conventions = Required<Pick<Choice, 'delta' | 'fly'>>

export type ToWorker =
  | { kind: 'start'; base: string; ccy: string; conventions: Conventions }
  | { kind: 'select'; ccy: string }
  | { kind: 'choose'; conventions: Conventions }
  | { kind: 'pull' }
  /** What came cannot be drawn: snapshots, please. */
  | { kind: 'refresh' }
  | { kind: 'online'; online: boolean }

export type FromWorker =
  /** There is something new; said once until the next pull. */
  | { kind: 'dirty' }
  /** Merge patch from the view of the last pull to the present one. */
  | { kind: 'view'; patch: unknown }
  | { kind: 'config'; build: string }

export const emptyView = (ccy: string): View => ({
  ccy,
  connection: { state: 'connecting', attempts: 0, reconnects: 0, gaps: 0 },
  last: {},
})
