/** Vols in the unit and with the decimals that the reader chose. Every number of the page goes through these. */
import { fixed, signed } from '../lib/format'
import { useView } from './view'

/** Decimals of a vol point shown, and what it is divided by. */
function scale(more: number): [divisor: number, digits: number] {
  const { unit, digits } = useView.getState()
  return unit === 'decimal' ? [100, Number(digits) + 2 + more] : [1, Number(digits) + more]
}

/** A vol given in vol points; `more` decimals than the reader's usual. */
export function vol(points: number | undefined, more = 0): string {
  const [divisor, digits] = scale(more)
  return fixed(points === undefined ? undefined : points / divisor, digits)
}

/** A difference of vols given in vol points, with its sign. */
export function volSigned(points: number | undefined, more = 0): string {
  const [divisor, digits] = scale(more)
  return signed(points === undefined ? undefined : points / divisor, digits)
}

/** A tick of a vol axis, given in vol points with the decimals that its neighbours need. */
export function volTick(points: number, digits: number, isSigned = false): string {
  const isDecimal = useView.getState().unit === 'decimal'
  return (isSigned ? signed : fixed)(isDecimal ? points / 100 : points, isDecimal ? digits + 2 : digits)
}

/** What a vol is counted in, for headings. */
export function volUnit(): string {
  return useView.getState().unit === 'decimal' ? 'decimal vol' : 'vol points'
}

/** Changes when numbers must be written anew though no data came. */
export function useUnits(): string {
  return useView(({ unit, digits, rr }) => `${unit}${digits}${rr}`)
}
