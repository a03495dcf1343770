import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { fixed, signed, strike } from '../../lib/format'
import { volPoints } from '@derivasys/client'
import { drawable } from './coordinates'
import { marksOf } from './marks'
import styles from './smiles.module.css'

/** A smile as a table: the fit and the market at every quoted strike. */
export function QuoteTable({ expiry }: { expiry: string }) {
  useFeed('cut', () => feed.cut()?.version)
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
              <td>{fixed(volPoints(d.params, k, d.tau), 2)}</td>
              <td>{venue}</td>
              <td>{fixed(level.bid_vol, 2)}</td>
              <td>{fixed(level.ask_vol, 2)}</td>
              <td>{fixed(level.last_vol, 2)}</td>
              <td>{level.used ? 'yes' : (level.reason?.replaceAll('_', ' ') ?? 'no')}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
