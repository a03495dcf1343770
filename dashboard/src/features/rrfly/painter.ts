/**
 * Writes cells imperatively: only what is displayed differently is written; a changed number flashes by an
 * attribute, no cell more often than every 1.5 s.
 */
import type { CellText } from './rows'

export const FLASH_MS = 450
export const FLASH_EVERY_MS = 1500
/** A move that is worth the eye: vol points, and a share of the forward. */
export const FLASH_LEAST_VP = 0.05
export const FLASH_LEAST_SHARE = 1e-4

interface Painted extends CellText {
  version: number
  flashedAt: number
  /** What later numbers are held against: at the last flash, or the first number shown. */
  from: number | undefined
}

const painted = new WeakMap<HTMLElement, Painted>()

/** Shows `next` in `cell`; returns whether it has begun to flash: it has moved by `least` or more since it last did. */
export function paintCell(cell: HTMLElement, next: CellText, value: number | undefined, version: number, now: number, least: number): boolean {
  const before = painted.get(cell)
  const number = cell.firstElementChild as HTMLElement
  let flashedAt = before?.flashedAt ?? -Infinity
  let from = before?.from ?? value
  let isFlashing = false
  if (before?.text !== next.text) {
    number.textContent = next.text
    if (from !== undefined && value !== undefined && Math.abs(value - from) >= least && now - flashedAt >= FLASH_EVERY_MS) {
      cell.dataset.flash = value > from ? 'up' : 'down'
      flashedAt = now
      from = value
      isFlashing = true
    }
  }
  if ((before?.sub ?? '') !== next.sub) {
    const sub = cell.lastElementChild as HTMLElement
    if (sub !== number) sub.textContent = next.sub
  }
  if (before?.heat !== next.heat) {
    if (next.heat === 0) delete cell.dataset.heat
    else cell.dataset.heat = next.heat < 0 ? `n${-next.heat}` : `p${next.heat}`
  }
  if ((before?.flag ?? '') !== next.flag) {
    if (next.flag) cell.dataset.flag = next.flag
    else delete cell.dataset.flag
  }
  if (before?.version !== version) cell.dataset.version = String(version)
  painted.set(cell, { ...next, from, version, flashedAt })
  return isFlashing
}

/** Forgets what a cell showed, so that its next number does not flash: after another choice of conventions. */
export function forgetCell(cell: HTMLElement): void {
  const before = painted.get(cell)
  if (before) painted.set(cell, { ...before, from: undefined })
}

export function endFlash(cell: HTMLElement): void {
  delete cell.dataset.flash
}
