import { useUnits, vol as volText } from '../../app/units'
import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { signed, strike } from '../../lib/format'
import { volPoints } from '@derivasys/client'
import { drawable } from './coordinates'
import { marksOf } from './marks'
import styles from './smiles.module.css'

/** A smile as a table: the fit and the market at every quoted strike. */
export function QuoteTable({ expiry }: { expiry: string }) {
  useFeed('cut', () => feed.cut()?.version)
  useUnits()
  const hidden = useView((view) => view.hiddenVenues)
  const cut = feed.cut()
  const d = drawable(cut?.surface?.smiles[expiry])
  if (!d) return null
  const marks = marksOf(d, 'strike', cut?.levels?.levels[expiry], hidden).toSorted(
    (left, right) => left.strike - right.strike || left.venue.localeCompare(right.venue),
  )
  return (
    <div className={styles.scroll} tabIndex={0} role="region" aria-label={`Quotes of ${d.smile.label}`}>
      <table className={styles.quotes}>
        <thead>
          <tr>
            {['Strike', 'k', 'Fit', 'Venue', 'Bid', 'Ask', 'Last', 'Use'].map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {marks.map(({ strike: at, k, venue, level }) => (
            <tr key={`${at}${venue}`}>
              <th scope="row">{strike(at)}</th>
              <td>{signed(k, 3)}</td>
              <td>{volText(volPoints(d.params, k, d.tau))}</td>
              <td>{venue}</td>
              <td>{volText(level.bid_vol)}</td>
              <td>{volText(level.ask_vol)}</td>
              <td>{volText(level.last_vol)}</td>
              <td>{level.used ? 'yes' : (level.reason?.replaceAll('_', ' ') ?? 'no')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
