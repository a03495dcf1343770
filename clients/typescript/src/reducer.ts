/**
 * The feed's state machine without I/O: server messages in, state and resync requests out.
 * A snapshot replaces, a patch merges, a gap in `seq` or a new `epoch` asks for a resync and applies nothing
 * until the snapshot comes. Live, replay and tests use this same reducer.
 */
import { mergePatch } from './mergePatch.js'
import type { Conventions, FitStatus, Level, ServerMessage, Smile, StatusMessage, TenorRow, ThroughCell } from './messages.js'

export const SCHEMA = 1

export const CHANNELS = ['surface', 'levels', 'tenors', 'through', 'fit'] as const
export type Channel = (typeof CHANNELS)[number]

/** Where a channel's stream stands. */
export interface Position {
  epoch: string
  seq: number
  version: number
  /** Time of the data: recorded time in a replay. Never compare it with this machine's clock. */
  ts: number
}

export type Smiles = Record<string, Smile>
/** expiry → strike → venue → level */
export type Levels = Record<string, Record<string, Record<string, Level>>>
export type Tenors = Record<string, TenorRow>
/** expiry → strike → venue → cell */
export type Cells = Record<string, Record<string, Record<string, ThroughCell>>>

export interface SurfaceState extends Position {
  conventions: Conventions
  vol_index_30d?: number
  smiles: Smiles
}
export interface LevelsState extends Position {
  levels: Levels
}
export interface TenorsState extends Position {
  tenors: Tenors
}
export interface ThroughState extends Position {
  cells: Cells
}
export type FitState = FitStatus

export interface ChannelStates {
  surface?: SurfaceState
  levels?: LevelsState
  tenors?: TenorsState
  through?: ThroughState
  fit?: FitState
}

export interface FeedState {
  ccy: string
  channels: ChannelStates
  /** Channels whose state may not be patched until a snapshot replaces it. */
  awaiting: Partial<Record<Channel, true>>
  status?: StatusMessage
  gaps: number
  /** Channels that are followed: only they are held and awaited. */
  followed: readonly Channel[]
}

export interface Step {
  state: FeedState
  /** Channels to ask a snapshot for. */
  resync: Channel[]
  /** The channel whose state changed, if any. */
  changed?: Channel | 'status'
}

/** Nothing received yet: every channel awaits its first snapshot. */
export function initialState(ccy: string, followed: readonly Channel[] = CHANNELS): FeedState {
  return awaitAll({ ccy, channels: {}, awaiting: {}, gaps: 0, followed })
}

/** Keeps what was shown, but nothing may be patched before a snapshot: after a lost connection. */
export function awaitAll(state: FeedState): FeedState {
  return { ...state, awaiting: Object.fromEntries(state.followed.map((channel) => [channel, true])) }
}

/** The next state after one server message. */
export function reduce(state: FeedState, message: ServerMessage): Step {
  switch (message.type) {
    case 'status':
      return { state: { ...state, status: message }, resync: [], changed: 'status' }
    case 'svi_surface_snapshot': {
      const { type: _, schema: __, ccy, ...surface } = message
      return replace(state, ccy, 'surface', surface)
    }
    case 'smile_levels_snapshot': {
      const { type: _, schema: __, ccy, ...levels } = message
      return replace(state, ccy, 'levels', levels)
    }
    case 'svi_tenor_snapshot': {
      const { type: _, schema: __, ccy, ...tenors } = message
      return replace(state, ccy, 'tenors', tenors)
    }
    case 'svi_through_snapshot': {
      const { type: _, schema: __, ccy, ...through } = message
      return replace(state, ccy, 'through', through)
    }
    case 'surface_fit_status':
      // whole each time: a gap loses nothing
      return replace(state, message.ccy, 'fit', message)
    case 'svi_surface_patch':
      return merge(state, 'surface', message)
    case 'smile_levels_patch':
      return merge(state, 'levels', message)
    case 'svi_tenor_patch':
      return merge(state, 'tenors', message)
    case 'svi_through_patch':
      return merge(state, 'through', message)
    default:
      return { state, resync: [] }
  }
}

function replace<C extends Channel>(state: FeedState, ccy: string, channel: C, value: NonNullable<ChannelStates[C]>): Step {
  if (ccy !== state.ccy || !state.followed.includes(channel)) return { state, resync: [] }
  const { [channel]: _, ...awaiting } = state.awaiting
  return {
    state: { ...state, channels: { ...state.channels, [channel]: value }, awaiting: awaiting as FeedState['awaiting'] },
    resync: [],
    changed: channel,
  }
}

type Patch = Extract<ServerMessage, { type: `${string}_patch` }>

function merge(state: FeedState, channel: Exclude<Channel, 'fit'>, message: Patch): Step {
  if (message.ccy !== state.ccy || state.awaiting[channel] || !state.followed.includes(channel)) return { state, resync: [] }
  const current = state.channels[channel]
  if (!current || message.epoch !== current.epoch || message.seq !== current.seq + 1) {
    return {
      // a new epoch is a new history, not a lost message
      state: { ...state, gaps: state.gaps + (message.epoch === current?.epoch ? 1 : 0), awaiting: { ...state.awaiting, [channel]: true } },
      resync: [channel],
    }
  }
  // everything in the message but its envelope is a patch of the channel's state
  const { type: _, schema: __, ccy: ___, epoch: ____, ...patch } = message
  const next = mergePatch<unknown>(current, patch)
  return {
    state: { ...state, channels: { ...state.channels, [channel]: next } },
    resync: [],
    changed: channel,
  }
}
