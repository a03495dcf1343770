import type { Conventions, FitStatus, LevelsSnapshot, ServerMessage, StatusMessage, SurfaceSnapshot, TenorSnapshot, ThroughSnapshot } from '@derivasys/client'

export function random(seed: number): () => number
export function diff(before: object, after: object): object | undefined
type Choice = Pick<Conventions, 'delta' | 'fly'>

export class Market {
  constructor(ccy: 'BTC' | 'ETH' | 'XRP', options: { seed?: number; now: number; epoch?: string; scenario?: 'usual' | 'busy' | 'huge' })
  snapshots(choice?: Choice): { surface: SurfaceSnapshot; levels: LevelsSnapshot; tenors: TenorSnapshot; through: ThroughSnapshot; fit: FitStatus }
  step(now: number): ServerMessage[]
  messages(choice?: Choice): ServerMessage[]
}
export function status(options: {
  now: number
  venues: { venue: string; state: string; age_ms: number }[]
  clients: number
  build: string
  startedAt: number
  ccys?: string[]
}): StatusMessage
