import { createPortal } from 'react-dom'
import { vol as volText, volSigned, volUnit } from '../../app/units'
import type { Rows } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import type { Node } from '@derivasys/client'
import { age, fixed, MISSING, price, signed, strike, tiny } from '../../lib/format'
import { legsOf, targetDelta } from '@derivasys/client'
import styles from './CellTip.module.css'
import { DELTA_WORDS, type GridKind, isExtrapolated, placeOf, type Row, rowsOf, type Saying, sayingOf, spreadWords, valueOf } from './rows'

export interface TipTarget {
  row: string
  column: string
  box: DOMRect
}

const WIDTH_PX = 292

/** What lies behind one number: the vols, strikes, bands and ages it rests on. */
export default function CellTip({ target, kind, rows }: { target: TipTarget; kind: GridKind; rows: Rows }) {
  useFeed('cut', () => feed.cut()?.version)
  const cut = feed.cut()
  const row = rowsOf(cut, kind, rows).find((candidate) => candidate.key === target.row)
  if (!row || !cut) return null
  const { column, box } = target
  const saying = sayingOf(cut)
  const above = box.bottom + 260 > innerHeight
  const left = Math.max(8, Math.min(innerWidth - WIDTH_PX - 8, box.left + box.width / 2 - WIDTH_PX / 2))
  const style = above ? { left, bottom: innerHeight - box.top + 6 } : { left, top: box.bottom + 6 }
  return createPortal(
    <div className={styles.tip} style={{ ...style, width: WIDTH_PX }} role="tooltip">
      <p className={styles.title}>
        <span>
          {row.label} · {titleOf(column, saying)}
        </span>
        <b>{headline(row, column, saying)}</b>
      </p>
      <Body row={row} column={column} delta={saying.delta} />
      <Remarks row={row} column={column} />
      <p className={styles.foot}>
        {volUnit()} · {DELTA_WORDS[saying.delta]} · v {cut.version}
      </p>
    </div>,
    document.body,
  )
}

function titleOf(column: string, saying: Saying): string {
  if (column === 'FWD') return 'forward'
  if (column.startsWith('RR') || column.startsWith('FLY')) return `${column}, ${spreadWords(column.startsWith('RR') ? 'rr' : 'fly', saying).split(', ')[0]}`
  if (column === 'ATMVOL' || column === 'ATMF') return 'at the money'
  return column
}

function headline(row: Row, column: string, saying: Saying): string {
  const value = valueOf(row, column, saying)
  if (column === 'FWD') return price(value)
  return column.startsWith('RR') || column.startsWith('FLY') ? volSigned(value, 1) : volText(value, 1)
}

function Body({ row, column, delta }: { row: Row; column: string; delta: string }) {
  if (column === 'FWD') return <Forward row={row} />
  let names: readonly string[] = [column === 'ATMVOL' ? 'ATMF' : column]
  if (column.startsWith('RR')) names = legsOf(column)
  if (column.startsWith('FLY')) names = [legsOf(column)[0], 'ATMF', legsOf(column)[1]]
  const cells = names.map((name) => ({ name, node: row.nodes?.[name], vol: row.vols[name], place: placeOf(row, name, delta) }))
  const lines: [string, (cell: (typeof cells)[number]) => string][] = [
    ['Vol', ({ vol }) => volText(vol, 1)],
    ['Bid – ask', ({ node }) => band(node)],
    ['Strike', ({ place }) => strike(place.strike === undefined ? undefined : Number(place.strike.toPrecision(7)))],
    ['k', ({ place }) => signed(place.k, 4)],
    ['Delta', ({ name, node }) => signed(node?.delta ?? targetDelta(name), 4)],
    ['Delta error', ({ node }) => (node === undefined ? MISSING : tiny(node.delta_error, 5))],
    ['Quotes', ({ node }) => (node ? String(node.quotes) : MISSING)],
    ['Age', ({ node }) => age(node?.age_ms)],
  ]
  return (
    <table className={styles.table}>
      {names.length > 1 ? (
        <thead>
          <tr>
            <td />
            {names.map((name) => (
              <th key={name} scope="col">
                {name === 'ATMF' ? 'ATM' : name}
              </th>
            ))}
          </tr>
        </thead>
      ) : null}
      <tbody>
        {lines.map(([name, text]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            {cells.map((cell) => (
              <td key={cell.name}>{text(cell)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function band(node: Node | undefined): string {
  if (node?.bid_vol === undefined && node?.ask_vol === undefined) return MISSING
  return `${volText(node.bid_vol)} – ${volText(node.ask_vol)}`
}

function Forward({ row }: { row: Row }) {
  const forward = 'expiry' in row.source ? row.source.forward : undefined
  const lines: [string, string][] = [
    ['Level', price(row.forward)],
    ['Source', forward?.source ?? MISSING],
    ['Standard error', forward?.stderr_bp === undefined ? MISSING : `${fixed(forward.stderr_bp, 2)} bp`],
    ['Age', age(forward?.age_ms)],
    ['Put-call parity', forward?.parity_gap_bp === undefined ? MISSING : `${signed(forward.parity_gap_bp, 1)} bp ± ${fixed(forward.parity_stderr_bp, 1)}`],
  ]
  return (
    <table className={styles.table}>
      <tbody>
        {lines.map(([name, text]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{text}</td>
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function Remarks({ row, column }: { row: Row; column: string }) {
  const remarks: string[] = []
  if (row.state !== 'fitted') remarks.push(`${row.state}: ${row.reasons.join('; ') || 'no reason given'}`)
  if (column !== 'FWD' && isExtrapolated(row, column)) remarks.push('extrapolated: no quote as far out as this')
  if (remarks.length === 0) return null
  return (
    <ul className={styles.remarks}>
      {remarks.map((remark) => (
        <li key={remark}>{remark}</li>
      ))}
    </ul>
  )
}
