/** Numbers and times as the screen shows them. A missing value is a dash, never a zero. */

export const MISSING = '–'
const MINUS = '−'

function known(value: number | undefined): value is number {
  return value !== undefined && Number.isFinite(value)
}

/** Fixed decimals with a true minus sign; never "−0.00". */
export function fixed(value: number | undefined, digits: number): string {
  if (!known(value)) return MISSING
  const text = Math.abs(value).toFixed(digits)
  return value < 0 && Number(text) !== 0 ? MINUS + text : text
}

/** Fixed decimals with an explicit sign; zero has none. */
export function signed(value: number | undefined, digits: number): string {
  if (!known(value)) return MISSING
  const text = fixed(value, digits)
  return value > 0 && Number(text) !== 0 ? `+${text}` : text
}

/** A price with thousands separators, and as many decimals as its size deserves. */
export function price(value: number | undefined): string {
  if (!known(value)) return MISSING
  const size = Math.abs(value)
  let digits = 4
  if (size >= 10_000) digits = 0
  else if (size >= 1000) digits = 1
  else if (size >= 1) digits = 2
  const [whole = '', fraction] = Math.abs(value).toFixed(digits).split('.')
  const grouped = whole.replaceAll(/\B(?=(\d{3})+$)/g, ',')
  return (value < 0 ? MINUS : '') + grouped + (fraction === undefined ? '' : `.${fraction}`)
}

/** A strike: no decimals that it does not have. */
export function strike(value: number | undefined): string {
  if (!known(value)) return MISSING
  return price(value).replace(/\.0+$/, '')
}

/** A small number that must not be mistaken for zero: exponential when fixed decimals would hide it. */
export function tiny(value: number | undefined, digits: number): string {
  if (!known(value)) return MISSING
  if (value === 0) return '0'
  if (Math.abs(value) >= 5 * 10 ** -digits) return fixed(value, digits)
  return value.toExponential(1).replaceAll('-', MINUS)
}

/** A share as per cent. */
export function percent(value: number | undefined, digits = 1): string {
  return known(value) ? `${fixed(value * 100, digits)}%` : MISSING
}

/** An age or duration in the unit that a person reads at a glance. */
export function age(ms: number | undefined): string {
  if (!known(ms)) return MISSING
  const size = Math.max(0, ms)
  if (size < 999.5) return `${Math.round(size)} ms`
  if (size < 59_950) return `${(size / 1000).toFixed(1)} s`
  if (size < 3_600_000) return `${Math.floor(size / 60_000)} m ${String(Math.floor((size % 60_000) / 1000)).padStart(2, '0')} s`
  if (size < 86_400_000 * 2) return `${Math.floor(size / 3_600_000)} h ${String(Math.floor((size % 3_600_000) / 60_000)).padStart(2, '0')} m`
  return `${Math.floor(size / 86_400_000)} d`
}

/** Milliseconds of work: three significant figures. */
export function millis(ms: number | undefined): string {
  if (!known(ms)) return MISSING
  let digits = 0
  if (ms < 10) digits = 2
  else if (ms < 100) digits = 1
  return `${fixed(ms, digits)} ms`
}

/** Days to expiry: more decimals the shorter they are. */
export function days(value: number | undefined): string {
  if (!known(value)) return MISSING
  let digits = 0
  if (Number.isInteger(value)) digits = 0
  else if (value < 2) digits = 2
  else if (value < 10) digits = 1
  return `${fixed(value, digits)}d`
}

/** Time of day in UTC. */
export function clock(ts: number | undefined): string {
  return known(ts) ? new Date(ts).toISOString().slice(11, 19) : MISSING
}

/** Date and time of day in UTC. */
export function instant(ts: number | undefined): string {
  return known(ts) ? `${new Date(ts).toISOString().slice(0, 19).replace('T', ' ')} UTC` : MISSING
}

/** A count, grouped. */
export function count(value: number | undefined): string {
  return known(value) ? String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',') : MISSING
}
