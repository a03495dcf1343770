/** Which venues there are, and which have gone quiet. */
import { feed } from '../../data/feed'
import { type Cut, STALE_AFTER_MS, type VenueStatus } from '@derivasys/client'

/** Venues of the status, or those that quote. */
export function venuesOf(cut: Cut | undefined): { venues: string[] } {
  const known = feed.view().status?.venues.map((venue) => venue.venue)
  if (known && known.length > 0) return { venues: known }
  const seen = new Set<string>()
  for (const strikes of Object.values(cut?.levels?.levels ?? {})) {
    for (const venues of Object.values(strikes)) for (const venue of Object.keys(venues)) seen.add(venue)
  }
  return { venues: [...seen].toSorted() }
}

const FIRST_CCYS = ['BTC', 'ETH', 'SOL', 'XRP']

function rank(ccy: string): number {
  const at = FIRST_CCYS.indexOf(ccy)
  return at < 0 ? FIRST_CCYS.length : at
}

/** Currencies in an order that does not depend on which of them the server knew first. */
export function currenciesInOrder(available: readonly string[]): string[] {
  return available.toSorted((left, right) => rank(left) - rank(right) || left.localeCompare(right))
}

/** A venue's age now: what the server said, and the time since it said it. */
export function venueAgeMs(venue: VenueStatus, now: number): number | undefined {
  const { statusAt } = feed.view()
  return venue.age_ms === undefined || statusAt === undefined ? undefined : venue.age_ms + Math.max(0, now - statusAt)
}

export function isQuiet(venue: VenueStatus): boolean {
  return venue.state === 'stale' || venue.state === 'down' || (venue.age_ms ?? 0) > STALE_AFTER_MS
}

export function quietVenues(): Set<string> {
  return new Set((feed.view().status?.venues ?? []).filter(isQuiet).map((venue) => venue.venue))
}
