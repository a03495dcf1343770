/**
 * One requestAnimationFrame loop for the page. A painter runs when it is dirty, visible and its interval has
 * passed; at most CANVASES_PER_FRAME canvases are painted a frame, the longest waiting first. Nothing runs
 * when nothing is dirty.
 */
export interface Painter {
  paint: (now: number) => void
  intervalMs: number
  /** Canvas painters share the frame's canvas budget. */
  canvas?: boolean
  isVisible?: () => boolean
  /** Told when painting failed, and with undefined when it works again. */
  onFault?: (error: unknown) => void
}

export interface Handle {
  /** Something that this painter shows has changed. */
  invalidate(): void
  remove(): void
}

interface Entry extends Painter {
  dirtySince: number | undefined
  paintedAt: number
  hasFailed?: boolean
}

/** Paints; one painter's fault must not stop the page, and its panel says so. */
function run(entry: Entry, now: number): void {
  try {
    entry.paint(now)
    if (entry.hasFailed) entry.onFault?.(undefined)
    entry.hasFailed = false
  } catch (error) {
    entry.hasFailed = true
    if (entry.onFault) entry.onFault(error)
    else reportError(error)
  }
}

export const CANVASES_PER_FRAME = 3

export interface Clock {
  now(): number
  frame(callback: () => void): void
  later(callback: () => void, ms: number): void
}

const pageClock: Clock = {
  now: () => performance.now(),
  frame: (callback) => void requestAnimationFrame(callback),
  later: (callback, ms) => void setTimeout(callback, ms),
}

export class Scheduler {
  private entries = new Set<Entry>()
  private asked = false

  constructor(private readonly clock: Clock = pageClock) {}

  add(painter: Painter): Handle {
    const entry: Entry = { ...painter, dirtySince: undefined, paintedAt: -Infinity }
    this.entries.add(entry)
    return {
      invalidate: () => {
        entry.dirtySince ??= this.clock.now()
        this.ask()
      },
      remove: () => void this.entries.delete(entry),
    }
  }

  /** Everything, e.g. after a change of theme. */
  invalidateAll(): void {
    for (const entry of this.entries) entry.dirtySince ??= this.clock.now()
    this.ask()
  }

  private ask(): void {
    if (this.asked) return
    this.asked = true
    this.clock.frame(() => {
      this.asked = false
      this.frame()
    })
  }

  private frame(): void {
    const now = this.clock.now()
    let canvases = 0
    let soonest = Infinity
    const due = [...this.entries]
      .filter((entry) => entry.dirtySince !== undefined && entry.isVisible?.() !== false)
      .toSorted((left, right) => (left.dirtySince ?? 0) - (right.dirtySince ?? 0))
    for (const entry of due) {
      const wait = entry.paintedAt + entry.intervalMs - now
      if (wait > 1) {
        soonest = Math.min(soonest, wait)
        continue
      }
      if (entry.canvas && canvases >= CANVASES_PER_FRAME) {
        soonest = 0
        continue
      }
      if (entry.canvas) canvases += 1
      entry.dirtySince = undefined
      entry.paintedAt = now
      run(entry, now)
    }
    if (soonest === 0) this.ask()
    else if (soonest < Infinity) this.clock.later(() => this.ask(), soonest)
  }
}

export const scheduler = new Scheduler()
