/** An entry in words and in a cell. */
import { vol as volText, volSigned } from '../../app/units'
import type { Choices } from '../../app/settings'
import { venueMark } from '../../lib/colour'
import { age, fixed, MISSING, price, strike } from '../../lib/format'
import type { Cell, Entry } from './model'
import { stepOf } from './model'
import type { Look } from './painter'

/** Money a coin with its sign. */
export function money(value: number | undefined): string {
  if (value === undefined) return MISSING
  const size = price(Math.abs(value))
  return value < 0 ? `−${size}` : `+${size}`
}

export function lookOf({ best, count: n }: Cell, excess: Choices['excess'], venues: readonly string[]): Look {
  const { side } = best.cell
  const value = excess === 'vol' ? (best.vol === undefined ? 'no vol' : volSigned(best.vol)) : money(best.money)
  return {
    text: `${side === 'bid' ? '▲' : '▼'}${venueMark(best.venue, venues).glyph} ${value}${n > 1 ? ` ×${n}` : ''}`,
    fill: `--through-${side}-${stepOf(best.vol)}`,
  }
}

/** Everything that is known of one quote. */
export function describe({ label, strike: at, venue, cell, heldMs, quoteMs }: Entry): string {
  const side = cell.side === 'bid' ? 'bid above the fit' : 'ask below the fit'
  const gross = cell.excess_vol === undefined ? 'no implied vol' : `${volText(cell.excess_vol)} vp`
  const net = cell.net_vol === undefined ? MISSING : `${volSigned(cell.net_vol)} vp`
  return [
    `${label} ${strike(at)} ${cell.option_type} · ${venue} ${side} by ${gross}, ${price(cell.excess)} a coin`,
    `net of fee ${net}, ${money(cell.net)}`,
    `size ${cell.size === undefined ? MISSING : fixed(cell.size, 2)}`,
    `through for ${age(heldMs)}`,
    `quote ${quoteMs === undefined ? 'age not known' : `${age(quoteMs)} old`}`,
  ].join(' · ')
}

