/**
 * One conversation with a gateway, without I/O: socket events and the time in, requests to send and the
 * view to show out. The worker is a thin shell around it.
 */
import type { ClientMessage, Conventions, ServerMessage, StatusMessage } from './messages.js'
import { awaitAll, initialState, reduce, SCHEMA, type Channel, type ChannelStates, type FeedState } from './reducer.js'

export type ConnectionState = 'connecting' | 'live' | 'stale' | 'reconnecting' | 'resyncing' | 'disconnected'

export interface Connection {
  state: ConnectionState
  /** Failed attempts since the last live data. */
  attempts: number
  reconnects: number
  gaps: number
  /** Local time of the last surface data and of the last frame of any kind. */
  dataAt?: number
  frameAt?: number
  /** Local time of the next attempt while waiting for it. */
  retryAt?: number
  /** What the server said or why the socket closed. */
  detail?: string
}

/** What all panels show at one moment: one version, every channel. */
export interface Cut extends ChannelStates {
  ccy: string
  version: number
  /** Local time of the message that completed it. */
  receivedAt: number
}

/** The envelope of the last message of a type. */
export interface LastMessage {
  ts: number
  seq?: number
  version?: number
  epoch?: string
  at: number
  bytes: number
  count: number
}

export interface View {
  ccy: string
  connection: Connection
  cut?: Cut
  status?: StatusMessage
  statusAt?: number
  last: Record<string, LastMessage>
}

/** What of a stream a client may choose; the server's own way where it does not. */
export interface Subscription {
  /** Without `status`, which always comes. */
  channels?: readonly Channel[]
  rateMs?: 50 | 200 | 1000
  delta?: Conventions['delta']
  fly?: Conventions['fly']
}

/** Another choice of a stream; null is the server's own way again, what is absent stays. */
export type Choice = { [K in 'rateMs' | 'delta' | 'fly']?: Subscription[K] | null }

export const STALE_AFTER_MS = 3000
export const SETTLE_MS = 60
export const SETTLE_MS_MAX = 150
/** Channels that read otherwise in other conventions. */
const RESTATED: readonly Channel[] = ['surface', 'tenors']
const RESYNC_AGAIN_MS = 2000
const PING_EVERY_MS = 5000
const CCY_WAIT_MS = 6000
const SILENT_MS_MAX = 15000
const ATTEMPTS_UNTIL_DISCONNECTED = 6
const BACKOFF_MS_MAX = 5000

/** Wait before attempt `attempts` (from 0): the first is fast, then doubling with jitter up to the cap. */
export function backoffMs(attempts: number, random: number): number {
  if (attempts === 0) return 50 + 150 * random
  const ceiling = Math.min(BACKOFF_MS_MAX, 500 * 2 ** (attempts - 1))
  return ceiling * (0.5 + 0.5 * random)
}

export class Session {
  feed: FeedState
  private phase: 'connecting' | 'open' | 'waiting' = 'connecting'
  private attempts = 0
  private reconnects = 0
  private wasLive = false
  private dataAt: number | undefined
  private frameAt: number | undefined
  private statusAt: number | undefined
  private openedAt = 0
  private pingAt = 0
  private retryAt: number | undefined
  private detail: string | undefined
  private resyncAt: Partial<Record<Channel, number>> = {}
  private last: Record<string, LastMessage> = {}
  private cut: Cut | undefined
  private unsettledSince: number | undefined
  private lastChangeAt = 0
  /** Other conventions were chosen: no cut is taken before both channels that they change have come in them. */
  private isRestating = false

  constructor(ccy: string, private subscription: Subscription = {}) {
    this.feed = initialState(ccy, subscription.channels)
  }

  /** The query of the socket's address: what is followed, and how. */
  query(): Record<string, string> {
    const { channels, rateMs, delta, fly } = this.subscription
    return {
      ccy: this.feed.ccy,
      ...(channels && { channels: [...channels, 'status'].join(',') }),
      ...(rateMs && { rate_ms: String(rateMs) }),
      ...(delta && { delta }),
      ...(fly && { fly }),
    }
  }

  /**
   * Another rate or other conventions, from the same fit: what to send, snapshots follow. Undefined when only a new
   * connection brings it: none is open, or the server's own way is wanted again, which no request can name.
   */
  choose(choice: Choice, now: number): ClientMessage[] | undefined {
    const wanted = Object.entries(choice).filter(([key, value]) => value !== undefined && value !== (this.subscription[key as keyof Choice] ?? null))
    if (wanted.length === 0) return []
    const { rateMs, delta, fly } = Object.fromEntries(wanted) as Choice
    this.subscription = Object.fromEntries(Object.entries({ ...this.subscription, ...Object.fromEntries(wanted) }).filter(([, value]) => value !== null))
    if (delta !== undefined || fly !== undefined) this.awaitRestated(now)
    if (this.phase !== 'open' || wanted.some(([, value]) => value === null)) return undefined
    const conventions = { ...(delta && { delta }), ...(fly && { fly }) }
    return [{ type: 'subscribe', ...(rateMs && { rate_ms: rateMs }), ...((delta ?? fly) && { conventions }) }]
  }

  private awaitRestated(now: number): void {
    this.isRestating = true
    for (const channel of this.feed.followed.filter((name) => RESTATED.includes(name))) {
      this.feed = { ...this.feed, awaiting: { ...this.feed.awaiting, [channel]: true } }
      this.resyncAt[channel] = now
    }
  }

  /** Whether a snapshot speaks of conventions before the last choice: it was on its way. Tenors follow their surface. */
  private isOutdated(message: ServerMessage): boolean {
    if (message.type === 'svi_tenor_snapshot') return this.isRestating && this.feed.awaiting.surface === true
    if (message.type !== 'svi_surface_snapshot' || message.ccy !== this.feed.ccy) return false
    const { delta, fly } = { ...message.conventions, ...this.subscription }
    return message.conventions.delta !== delta || message.conventions.fly !== fly
  }

  opened(now: number): void {
    this.phase = 'open'
    this.openedAt = now
    this.frameAt = now
    this.pingAt = now
    this.retryAt = undefined
    this.resyncAt = {}
    for (const channel of this.feed.followed) this.resyncAt[channel] = now
  }

  /** The socket closed or could not be opened; returns how long to wait before the next attempt. */
  closed(now: number, random: number, detail?: string): number {
    if (this.phase === 'open') this.reconnects += 1
    this.phase = 'waiting'
    this.feed = awaitAll(this.feed)
    const wait = backoffMs(this.attempts, random)
    this.attempts += 1
    this.retryAt = now + wait
    this.detail = detail
    return wait
  }

  connecting(): void {
    this.phase = 'connecting'
    this.retryAt = undefined
    this.feed = awaitAll(this.feed)
  }

  /** Shows another currency: nothing of the previous one stays. */
  select(ccy: string): ClientMessage[] {
    if (ccy === this.feed.ccy) return []
    const { status } = this.feed
    this.feed = { ...initialState(ccy, this.feed.followed), gaps: this.feed.gaps, ...(status ? { status } : {}) }
    this.cut = undefined
    this.unsettledSince = undefined
    this.dataAt = undefined
    return this.phase === 'open' ? [{ type: 'select_currency', ccy }] : []
  }

  /** What is held cannot be used: asks for fresh snapshots of everything. */
  refresh(now: number): ClientMessage[] {
    if (this.phase !== 'open') return []
    return this.feed.followed.map((channel) => {
      this.resyncAt[channel] = now
      return { type: 'resync', channel, ccy: this.feed.ccy }
    })
  }

  /** One text frame; returns what to answer. */
  receive(text: string, now: number): ClientMessage[] {
    this.frameAt = now
    let message: ServerMessage
    try {
      message = JSON.parse(text) as ServerMessage
    } catch {
      this.detail = 'the server sent a frame that is not JSON'
      return []
    }
    if (message.schema !== SCHEMA) {
      this.detail = `the server speaks schema ${message.schema}, this page ${SCHEMA}: reload the page`
      return []
    }
    this.note(message, text.length, now)
    if (message.type === 'error') {
      this.detail = `${message.code}: ${message.message}`
      return []
    }
    if (this.isOutdated(message)) {
      this.awaitRestated(now)
      return []
    }
    const step = reduce(this.feed, message)
    this.feed = step.state
    if (this.isRestating && !RESTATED.some((channel) => this.feed.awaiting[channel])) this.isRestating = false
    if (step.changed === 'status') {
      this.statusAt = now
      const available = this.feed.status?.available_ccys ?? []
      // a currency whose surface is seconds away is waited for
      const isOverdue = now - this.openedAt > CCY_WAIT_MS
      if (isOverdue && available.length > 0 && !available.includes(this.feed.ccy)) return this.select(available[0] ?? '')
    } else if (step.changed) {
      this.dataAt = now
      this.lastChangeAt = now
      this.unsettledSince ??= now
      if (!this.feed.awaiting.surface) {
        this.attempts = 0
        this.wasLive = true
        this.detail = undefined
      }
      this.settle(now, step.changed === 'fit')
    }
    return step.resync.map((channel) => {
      this.resyncAt[channel] = now
      return { type: 'resync', channel, ccy: this.feed.ccy }
    })
  }

  /** Time passed; returns what to send and whether the socket is dead though open. */
  tick(now: number): { send: ClientMessage[]; dead: boolean } {
    this.settle(now)
    if (this.phase !== 'open') return { send: [], dead: false }
    const send: ClientMessage[] = []
    for (const channel of this.feed.followed) {
      if (!this.feed.awaiting[channel] || now - (this.resyncAt[channel] ?? this.openedAt) < RESYNC_AGAIN_MS) continue
      this.resyncAt[channel] = now
      send.push({ type: 'resync', channel, ccy: this.feed.ccy })
    }
    if (now - (this.frameAt ?? now) > PING_EVERY_MS && now - this.pingAt > PING_EVERY_MS) {
      this.pingAt = now
      send.push({ type: 'ping', id: now })
    }
    return { send, dead: now - (this.frameAt ?? now) > SILENT_MS_MAX }
  }

  /** Milliseconds until `tick` must run to complete a cut, or undefined. */
  settleInMs(now: number): number | undefined {
    if (this.unsettledSince === undefined || this.isRestating) return undefined
    return Math.max(1, Math.min(this.lastChangeAt + SETTLE_MS, this.unsettledSince + SETTLE_MS_MAX) - now)
  }

  /**
   * One version across all panels: the channels of a cycle come in separate frames, so a cut is taken when
   * they agree on the version, when the fit, which a cycle sends last, follows its surface, or when nothing
   * more has come for a while: the other channels had nothing to say.
   */
  private settle(now: number, isFit = false): void {
    if (this.unsettledSince === undefined || this.isRestating) return
    const { channels, ccy } = this.feed
    const versions = this.feed.followed.map((channel) => channels[channel]?.version)
    const version = Math.max(...versions.map((v) => v ?? -1))
    const agreed = versions.every((v) => v === version)
    const isClosed = isFit && channels.fit?.version === version && channels.surface?.version === version
    if (!agreed && !isClosed && now < this.lastChangeAt + SETTLE_MS && now < this.unsettledSince + SETTLE_MS_MAX) return
    if (version < 0) return
    this.unsettledSince = undefined
    this.cut = { ...channels, ccy, version, receivedAt: this.lastChangeAt }
  }

  private note(message: ServerMessage, bytes: number, now: number): void {
    const envelope = message as Partial<Record<'seq' | 'version', number>> & { epoch?: string }
    const entry: LastMessage = { ts: message.ts, at: now, bytes, count: (this.last[message.type]?.count ?? 0) + 1 }
    if (envelope.seq !== undefined) entry.seq = envelope.seq
    if (envelope.version !== undefined) entry.version = envelope.version
    if (envelope.epoch !== undefined) entry.epoch = envelope.epoch
    this.last = { ...this.last, [message.type]: entry }
  }

  private connectionState(now: number): ConnectionState {
    if (this.phase !== 'open') {
      if (this.attempts >= ATTEMPTS_UNTIL_DISCONNECTED) return 'disconnected'
      return this.attempts > 0 || this.wasLive ? 'reconnecting' : 'connecting'
    }
    const awaiting = this.feed.followed.some((channel) => this.feed.awaiting[channel])
    if (this.feed.awaiting.surface) return this.wasLive ? 'resyncing' : 'connecting'
    if (now - (this.dataAt ?? this.openedAt) > STALE_AFTER_MS) return 'stale'
    return awaiting ? 'resyncing' : 'live'
  }

  /** Everything the page needs, as plain data without undefined fields. */
  view(now: number): View {
    const connection: Connection = {
      state: this.connectionState(now),
      attempts: this.attempts,
      reconnects: this.reconnects,
      gaps: this.feed.gaps,
    }
    if (this.dataAt !== undefined) connection.dataAt = this.dataAt
    if (this.frameAt !== undefined) connection.frameAt = this.frameAt
    if (this.retryAt !== undefined) connection.retryAt = this.retryAt
    if (this.detail !== undefined) connection.detail = this.detail
    const view: View = { ccy: this.feed.ccy, connection, last: this.last }
    if (this.cut) view.cut = this.cut
    if (this.feed.status) view.status = this.feed.status
    if (this.statusAt !== undefined) view.statusAt = this.statusAt
    return view
  }
}
