import { describe, expect, it } from 'vitest'
import { CANVASES_PER_FRAME, Scheduler } from '../src/app/scheduler'

function rig() {
  let now = 0
  let frames: (() => void)[] = []
  let timers: { at: number; run: () => void }[] = []
  const scheduler = new Scheduler({
    now: () => now,
    frame: (callback) => frames.push(callback),
    later: (callback, ms) => timers.push({ at: now + ms, run: callback }),
  })
  const frame = (ms = 16) => {
    now += ms
    const due = timers.filter((timer) => timer.at <= now)
    timers = timers.filter((timer) => timer.at > now)
    for (const timer of due) timer.run()
    const run = frames
    frames = []
    for (const callback of run) callback()
  }
  return { scheduler, frame, isIdle: () => frames.length === 0 && timers.length === 0 }
}

describe('scheduler', () => {
  it('paints at most three canvases a frame and all of them in the end', () => {
    const { scheduler, frame, isIdle } = rig()
    const painted: number[] = []
    const handles = Array.from({ length: 8 }, (_, i) => scheduler.add({ canvas: true, intervalMs: 0, paint: () => painted.push(i) }))
    for (const handle of handles) handle.invalidate()
    frame()
    expect(painted).toHaveLength(CANVASES_PER_FRAME)
    frame()
    frame()
    expect(painted.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(isIdle()).toBe(true)
  })

  it('keeps each painter’s interval, and forgets nothing', () => {
    const { scheduler, frame } = rig()
    let count = 0
    const handle = scheduler.add({ intervalMs: 100, paint: () => (count += 1) })
    for (let i = 0; i < 60; i += 1) {
      handle.invalidate()
      frame()
    }
    expect(count).toBeGreaterThanOrEqual(8)
    expect(count).toBeLessThanOrEqual(11)
    for (let i = 0; i < 10; i += 1) frame()
    const last = count
    for (let i = 0; i < 20; i += 1) frame()
    expect(count).toBe(last)
  })

  it('does not paint what is out of sight', () => {
    const { scheduler, frame, isIdle } = rig()
    let isVisible = false
    let count = 0
    const handle = scheduler.add({ intervalMs: 0, isVisible: () => isVisible, paint: () => (count += 1) })
    handle.invalidate()
    frame()
    expect(count).toBe(0)
    expect(isIdle()).toBe(true)
    isVisible = true
    handle.invalidate()
    frame()
    expect(count).toBe(1)
  })
})
