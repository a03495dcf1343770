/** The grids as CSV. */
import type { Cut } from '@derivasys/client'
import type { Rows } from '../../app/view'
import { columnsOf, type GridKind, isExtrapolated, rowsOf, sayingOf, valueOf } from './rows'

/** The grid as CSV: every line carries currency, version and time, so that rows can be pasted together. */
export function gridCsv(cut: Cut, kind: GridKind, rows: Rows, source = 'unknown'): string {
  const columns = columnsOf(kind)
  const saying = sayingOf(cut)
  const convention = kind === 'rr' ? (saying.rr === 'put' ? 'put_minus_call' : 'call_minus_put') : saying.fly
  const head = ['ccy', 'source', 'version', 'surface_ts_utc', rows === 'expiry' ? 'expiry_utc' : 'tenor', 'label', 'days', 'state', 'extrapolated', 'convention', 'delta', ...columns.map(csvName)]
  const stamp = cut.surface ? new Date(cut.surface.ts).toISOString() : ''
  const lines = rowsOf(cut, kind, rows).map((row) => {
    const place = [cut.ccy, source, cut.version, stamp, rows === 'expiry' ? new Date(Number(row.key)).toISOString() : row.key, row.label, row.days]
    const trust = [rows === 'expiry' ? row.state : '', columns.filter((column) => isExtrapolated(row, column)).join(' '), convention, saying.delta]
    return [place, trust, columns.map((column) => valueOf(row, column, saying) ?? '')].flat()
  })
  return `${[head, ...lines].map((line) => line.join(',')).join('\n')}\n`
}

function csvName(column: string): string {
  if (column === 'FWD') return 'forward'
  return column === 'ATMVOL' ? 'atm_vol' : column
}
