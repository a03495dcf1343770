/** One hover for all smile charts: a place on the axis, or nothing. */
let at: number | undefined
let owner = ''
const listeners = new Set<() => void>()

export const hover = {
  at: (): number | undefined => at,
  /** The chart under the pointer. */
  owner: (): string => owner,
  set(next: number | undefined, by = ''): void {
    if (next === at && by === owner) return
    at = next
    owner = by
    for (const listener of listeners) listener()
  },
  subscribe(listener: () => void): () => void {
    listeners.add(listener)
    return () => listeners.delete(listener)
  },
}
