/** Quotes through the fit: which of them count by the reader's limits, and in what order. Pure. */
import type { ThroughCell } from '@derivasys/client'
import type { Cut } from '@derivasys/client'
import type { Choices, Limits } from '../../app/settings'

export interface Entry {
  expiry: string
  label: string
  strike: number
  venue: string
  cell: ThroughCell
  /** Vol points and quote currency, net of the taker fee or gross, as the reader chose. */
  vol: number | undefined
  money: number
  /** How long it has been through, and how old the quote is where that is known; ms of the data's own time. */
  heldMs: number
  quoteMs: number | undefined
}

export interface Wanted extends Pick<Choices, 'fee'> {
  limits: Limits
  hiddenVenues: readonly string[]
}

/** Every quote through the fit of a cut, in order of expiry and strike. */
export function entriesOf(cut: Cut | undefined, fee: Choices['fee']): Entry[] {
  const through = cut?.through
  if (!cut || !through) return []
  const entries: Entry[] = []
  for (const [expiry, strikes] of Object.entries(through.cells)) {
    const label = cut.surface?.smiles[expiry]?.label ?? expiry
    for (const [strike, venues] of Object.entries(strikes)) {
      for (const [venue, cell] of Object.entries(venues)) {
        const level = cut.levels?.levels[expiry]?.[strike]?.[venue]
        // the level is that of the out-of-the-money option: of another option its age says nothing
        const ts = level?.option_type === cell.option_type ? level.ts : undefined
        entries.push({
          expiry,
          label,
          strike: Number(strike),
          venue,
          cell,
          vol: fee === 'net' ? cell.net_vol : cell.excess_vol,
          money: fee === 'net' ? cell.net : cell.excess,
          heldMs: Math.max(0, through.ts - cell.since),
          quoteMs: ts === undefined ? undefined : Math.max(0, through.ts - ts),
        })
      }
    }
  }
  return entries.toSorted((left, right) => Number(left.expiry) - Number(right.expiry) || left.strike - right.strike || right.money - left.money)
}

/** Whether a quote counts by the reader's limits. What is not known fails no limit but the excess's. */
export function isWanted(entry: Entry, { limits, hiddenVenues }: Wanted): boolean {
  if (hiddenVenues.includes(entry.venue)) return false
  // a price without an implied vol is judged by its money alone
  if (entry.vol !== undefined && entry.vol < limits['min.excess']) return false
  if (entry.money < limits['min.money']) return false
  if (limits['min.size'] > 0 && (entry.cell.size ?? 0) < limits['min.size']) return false
  if (entry.heldMs < 1000 * limits['min.held']) return false
  return !(entry.quoteMs !== undefined && entry.quoteMs > 1000 * limits['max.quote'])
}

/** Five steps of strength by excess in vol points, on fixed edges. */
export const STEPS = [0.25, 0.5, 1, 2] as const

export function stepOf(vol: number | undefined): number {
  if (vol === undefined) return 0
  return STEPS.filter((edge) => vol >= edge).length
}

/** A cell of the matrix: the best of a strike's quotes, and how many there are. */
export interface Cell {
  best: Entry
  count: number
}

export interface Matrix {
  expiries: { key: string; label: string; forward: number | undefined }[]
  strikes: number[]
  /** By expiry and strike: `${expiry}|${strike}`. */
  cells: Map<string, Cell>
  total: number
  shown: number
}

/** The matrix of a cut: a row for every smile, a column for every strike in `keep` or with a quote that counts. */
export function matrixOf(cut: Cut | undefined, wanted: Wanted, keep: Iterable<number> = []): Matrix {
  const all = entriesOf(cut, wanted.fee)
  const shown = all.filter((entry) => isWanted(entry, wanted))
  const cells = new Map<string, Cell>()
  const strikes = new Set(keep)
  for (const entry of shown) {
    strikes.add(entry.strike)
    const key = `${entry.expiry}|${entry.strike}`
    const known = cells.get(key)
    if (!known) cells.set(key, { best: entry, count: 1 })
    else cells.set(key, { best: entry.money > known.best.money ? entry : known.best, count: known.count + 1 })
  }
  const expiries = Object.values(cut?.surface?.smiles ?? {})
    .toSorted((left, right) => left.expiry - right.expiry)
    .map((smile) => ({ key: String(smile.expiry), label: smile.label, forward: smile.atm ?? smile.forward?.price }))
  return { expiries, strikes: [...strikes].toSorted((left, right) => left - right), cells, total: all.length, shown: shown.length }
}
