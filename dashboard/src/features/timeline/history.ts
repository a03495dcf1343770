/**
 * What the page has seen of the fit and of the feeds, sampled every two seconds for the last half hour and kept
 * for the session, in this page's memory only. The oldest sample goes when it is full.
 */
import { feed } from '../../data/feed'
import type { FitStatus, StatusMessage } from '@derivasys/client'
import { Ring } from './ring'

export const EVERY_MS = 2000
export const SAMPLES_MAX = 900
const CCYS_MAX = 64

export interface FitSample {
  /** Time of arrival here. */
  at: number
  rmse: number | undefined
  inside: number | undefined
  used: number
  /** Fit error by expiry's label. */
  expiries: Readonly<Record<string, number>>
  /** Unused quotes by reason. */
  rejected: Readonly<Record<string, number>>
}

export interface FeedSample {
  at: number
  /** Frames a second by venue. */
  rates: Readonly<Record<string, number>>
  /** p99 by stage, ms. */
  latency: Readonly<Record<string, number>>
}

/** One sample of a fit status. */
export function fitSample(fit: FitStatus, at: number): FitSample {
  const rejected: Record<string, number> = {}
  const expiries: Record<string, number> = {}
  let used = 0
  for (const expiry of fit.expiries) {
    used += expiry.used
    if (expiry.rmse !== undefined) expiries[expiry.label] = expiry.rmse
    for (const [reason, n] of Object.entries(expiry.rejected)) rejected[reason] = (rejected[reason] ?? 0) + n
  }
  return { at, rmse: fit.rmse, inside: fit.inside, used, expiries, rejected }
}

export function feedSample(status: StatusMessage, at: number): FeedSample {
  return {
    at,
    rates: Object.fromEntries(status.venues.map(({ venue, rate }) => [venue, rate])),
    latency: Object.fromEntries(Object.entries(status.latency_ms).map(([stage, { p99 }]) => [stage, p99])),
  }
}

const fits = new Map<string, Ring<FitSample>>()
const feeds = new Ring<FeedSample>(SAMPLES_MAX)

export const history = {
  fits: (ccy: string): readonly FitSample[] => fits.get(ccy)?.items() ?? [],
  feeds: (): readonly FeedSample[] => feeds.items(),
}

/** Takes a sample of what has come; nothing when nothing has come since the last. */
export function sample(now: number): void {
  const { cut, status, statusAt } = feed.view()
  if (cut?.fit && now - cut.receivedAt < EVERY_MS) {
    let ring = fits.get(cut.ccy)
    if (!ring && fits.size < CCYS_MAX) fits.set(cut.ccy, (ring = new Ring(SAMPLES_MAX)))
    ring?.add(fitSample(cut.fit, now))
  }
  if (status && now - (statusAt ?? 0) < EVERY_MS) feeds.add(feedSample(status, now))
}

export function startHistory(): void {
  setInterval(() => sample(Date.now()), EVERY_MS)
}
