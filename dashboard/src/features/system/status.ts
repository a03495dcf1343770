/** Parts of the status that a server may leave out. */
import type { Quantiles, StatusMessage, VenueStatus } from '@derivasys/client'

export interface Stage {
  stage: string
  p50: number
  p99: number
}

export interface GatewayCounters {
  delivered?: number
  sent_bytes?: number
  skipped?: number
  stuck?: number
  refused?: Readonly<Record<string, number>>
  missed_cycles?: number
  unsent_bytes?: number
}

export interface VenueClock {
  skew_ms?: number
  round_trip_ms?: number
  transit_ms?: Quantiles
}

export interface Status extends Omit<StatusMessage, 'venues' | 'waterfall' | 'gateway'> {
  waterfall?: readonly Stage[]
  gateway?: GatewayCounters
  venues: readonly (VenueStatus & { clock?: VenueClock })[]
}

/** What each stage of the way from an exchange to the screen is. */
export const STAGES: Readonly<Record<string, string>> = {
  transit: 'exchange to us, the venue’s clock skew taken off',
  decode: 'frame received to cells written',
  wait: 'to the start of the currency’s next cycle',
  fit: 'forwards, implied vols, smiles, certificate',
  encode: 'patches encoded and compressed',
  write: 'to the last subscriber’s socket',
  screen: 'patch arrived here to its numbers on screen',
  total: 'received to written',
  net: 'received to written, without the wait for the cycle',
}

const SUMS = new Set(['total', 'net'])

/** The stages in order of the flow, the page's own part after the server's; the sums apart. */
export function flowOf(waterfall: readonly Stage[] | undefined, page: { p50: number; p99: number } | undefined): { steps: Stage[]; sums: Stage[] } {
  const known = waterfall ?? []
  const steps = known.filter(({ stage }) => !SUMS.has(stage))
  if (page) steps.push({ stage: 'screen', p50: page.p50, p99: page.p99 })
  return { steps, sums: known.filter(({ stage }) => SUMS.has(stage)) }
}
