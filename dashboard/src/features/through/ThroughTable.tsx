import { vol as volText, volSigned, volUnit } from '../../app/units'
import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { age, fixed, MISSING, price, strike } from '../../lib/format'
import { entriesOf, isWanted } from './model'
import styles from './through.module.css'
import { money } from './words'

/** More than this nobody reads; the rest is counted. */
const ROWS_MAX = 200

/** The same quotes as a list, the largest money first. */
export function ThroughTable() {
  useFeed('cut', () => feed.cut()?.version)
  const view = useView()
  const entries = entriesOf(feed.cut(), view.fee)
    .filter((entry) => isWanted(entry, view))
    .toSorted((left, right) => right.money - left.money)
  const head = ['Expiry', 'Strike', 'Type', 'Venue', 'Side', `Excess, ${volUnit()}`, `Net, ${volUnit()}`, 'Excess a coin', 'Net a coin', 'Size, coins', 'Through for', 'Quote age']
  return (
    <div className={styles.tableScroll} tabIndex={0} role="region" aria-label="Quotes through the fit, table">
      <table className={styles.table} data-testid="through-table">
        <thead>
          <tr>
            {head.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {entries.slice(0, ROWS_MAX).map(({ expiry, label, strike: at, venue, cell, heldMs, quoteMs }) => (
            <tr key={`${expiry}|${at}|${venue}`} data-row={`${expiry}|${at}|${venue}`}>
              <th scope="row">{label}</th>
              <td>{strike(at)}</td>
              <td>{cell.option_type}</td>
              <td>{venue}</td>
              <td data-side={cell.side}>{cell.side === 'bid' ? '▲ bid above' : '▼ ask below'}</td>
              <td>{volText(cell.excess_vol)}</td>
              <td>{volSigned(cell.net_vol)}</td>
              <td>{price(cell.excess)}</td>
              <td>{money(cell.net)}</td>
              <td>{cell.size === undefined ? MISSING : fixed(cell.size, 2)}</td>
              <td>{age(heldMs)}</td>
              <td>{quoteMs === undefined ? MISSING : age(quoteMs)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {entries.length === 0 ? <p className={styles.none}>No quote through the fit passes the filters.</p> : null}
      {entries.length > ROWS_MAX ? <p className={styles.none}>and {entries.length - ROWS_MAX} more</p> : null}
    </div>
  )
}
