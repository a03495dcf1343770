/** The rows and cells of the grids, from a cut. Pure: the painter and the export both read these. */
import type { Choices } from '../../app/settings'
import { vol as volText, volSigned } from '../../app/units'
import { type Rows, type Sub, useView } from '../../app/view'
import type { Conventions, Node, Smile, TenorRow } from '@derivasys/client'
import type { Cut } from '@derivasys/client'
import { logMoneynessOfDelta } from '@derivasys/client'
import { MISSING, price, signed, strike } from '../../lib/format'
import { type Edges, FLY_EDGES, type Heat, heat, RR_EDGES } from '../../lib/heat'
import { FLIES, legsOf, NODES, RISK_REVERSALS, targetDelta } from '@derivasys/client'

export type GridKind = 'rr' | 'fly'
export type RowState = 'fitted' | 'held' | 'rejected'

export interface Row {
  /** Expiry in ms, or the tenor's label. */
  key: string
  label: string
  days: number
  tau: number
  state: RowState
  reasons: readonly string[]
  forward?: number
  atmVol?: number
  spread: Record<string, number>
  vols: Record<string, number>
  nodes?: Record<string, Node>
  isExtrapolated: boolean
  /** The message object it was made from: the same object means the same row. */
  source: Smile | TenorRow
}

export type Flag = '' | 'held' | 'rejected' | 'extrapolated'

export interface CellText {
  text: string
  sub: string
  heat: Heat
  flag: Flag
}

export const PREFIX_COLUMNS = ['FWD', 'ATMVOL'] as const

export function spreadColumns(kind: GridKind): readonly string[] {
  return kind === 'rr' ? RISK_REVERSALS : FLIES
}

export function columnsOf(kind: GridKind): readonly string[] {
  return [...PREFIX_COLUMNS, ...spreadColumns(kind), ...NODES]
}

export function edgesOf(kind: GridKind): Edges {
  return kind === 'rr' ? RR_EDGES : FLY_EDGES
}

const cache = new WeakMap<object, Partial<Record<GridKind, Row>>>()

/** Rows in order of time. A smile or tenor that did not change gives the same row object. */
export function rowsOf(cut: Cut | undefined, kind: GridKind, rows: Rows): Row[] {
  if (!cut) return []
  const sources: (Smile | TenorRow)[] =
    rows === 'expiry' ? Object.values(cut.surface?.smiles ?? {}) : Object.values(cut.tenors?.tenors ?? {})
  return sources.map((source) => remember(source, kind)).toSorted((left, right) => left.days - right.days)
}

function remember(source: Smile | TenorRow, kind: GridKind): Row {
  const known = cache.get(source) ?? {}
  const row = (known[kind] ??= 'expiry' in source ? smileRow(source, kind) : tenorRow(source, kind))
  cache.set(source, known)
  return row
}

function smileRow(smile: Smile, kind: GridKind): Row {
  const vols: Record<string, number> = {}
  for (const [name, node] of Object.entries(smile.nodes ?? {})) vols[name] = node.vol
  return {
    key: String(smile.expiry),
    label: smile.label,
    days: smile.days,
    tau: smile.tau,
    state: smile.fit.state,
    reasons: smile.fit.reasons,
    forward: smile.atm ?? smile.forward?.price,
    atmVol: smile.atm_vol,
    spread: (kind === 'rr' ? smile.risk_reversals : smile.flies) ?? {},
    vols,
    nodes: smile.nodes,
    isExtrapolated: false,
    source: smile,
  }
}

function tenorRow(row: TenorRow, kind: GridKind): Row {
  return {
    key: row.label,
    label: row.label,
    days: row.days,
    tau: row.tau,
    state: 'fitted',
    reasons: [],
    forward: row.forward,
    atmVol: row.atm_vol,
    spread: (kind === 'rr' ? row.risk_reversals : row.flies) ?? {},
    vols: row.vols ?? {},
    isExtrapolated: row.is_extrapolated,
    source: row,
  }
}

/** How a cut's numbers are said: in the conventions that came with them, and with the sign that the reader chose. */
export type Saying = Pick<Conventions, 'delta' | 'fly'> & Pick<Choices, 'rr'>

export function sayingOf(cut: Cut | undefined): Saying {
  const { delta = 'forward', fly = 'full' } = cut?.surface?.conventions ?? {}
  return { delta, fly, rr: useView.getState().rr }
}

export const DELTA_WORDS: Record<Conventions['delta'], string> = { forward: 'forward delta', premium_adjusted: 'premium-adjusted delta' }

/** The conventions of a grid's spreads in words, for headings. */
export function spreadWords(kind: GridKind, { rr, fly, delta }: Saying): string {
  const spread = kind === 'rr' ? { call: 'call − put', put: 'put − call' }[rr] : FLY_WORDS[fly]
  return `${spread}, ${DELTA_WORDS[delta]}`
}

const FLY_WORDS: Record<Conventions['fly'], string> = { full: 'call + put − 2 ATM', half: '(call + put) ÷ 2 − ATM', market_strangle: 'market strangle − ATM' }

/** The number in a column, or undefined when it is missing. */
export function valueOf(row: Row, column: string, saying: Saying): number | undefined {
  if (column === 'FWD') return row.forward
  if (column === 'ATMVOL') return row.atmVol
  if (column.startsWith('RR')) return saying.rr === 'put' ? negated(row.spread[column]) : row.spread[column]
  if (column.startsWith('FLY')) return row.spread[column]
  return row.vols[column]
}

function negated(value: number | undefined): number | undefined {
  return value === undefined ? undefined : 0 - value
}

function isSpread(column: string): boolean {
  return column.startsWith('RR') || column.startsWith('FLY')
}

/** Whether a number rests on a node outside the quotes. */
export function isExtrapolated(row: Row, column: string): boolean {
  if (row.isExtrapolated) return true
  if (isSpread(column)) return legsOf(column).some((node) => row.nodes?.[node]?.is_extrapolated)
  return row.nodes?.[column]?.is_extrapolated ?? false
}

function flagOf(row: Row, column: string): Flag {
  if (row.state === 'rejected') return 'rejected'
  if (row.state === 'held') return 'held'
  return isExtrapolated(row, column) ? 'extrapolated' : ''
}

/** Log-moneyness and strike of a node; worked out from the vol for tenors, where forward delta is the convention. */
export function placeOf(row: Row, node: string, delta = 'forward'): { k?: number; strike?: number } {
  const known = row.nodes?.[node]
  if (known) return { k: known.log_moneyness, strike: known.strike }
  const vol = row.vols[node]
  if (vol === undefined || row.forward === undefined || delta !== 'forward') return {}
  const target = targetDelta(node)
  const k = target === undefined ? 0 : logMoneynessOfDelta(target, (vol / 100) * Math.sqrt(row.tau))
  return { k, strike: row.forward * Math.exp(k) }
}

/** What a cell shows. */
export function cellOf(row: Row, column: string, kind: GridKind, sub: Sub, saying: Saying): CellText {
  const value = valueOf(row, column, saying)
  const flag = flagOf(row, column)
  if (column === 'FWD') return { text: price(value), sub: '', heat: 0, flag: '' }
  if (column === 'ATMVOL') return { text: volText(value), sub: '', heat: 0, flag }
  if (isSpread(column)) return { text: volSigned(value), sub: '', heat: heat(value, edgesOf(kind)), flag }
  const above = value === undefined || row.atmVol === undefined ? undefined : value - row.atmVol
  return { text: volText(value), sub: subOf(row, column, sub, saying.delta), heat: heat(above, RR_EDGES), flag }
}

function subOf(row: Row, node: string, sub: Sub, delta: string): string {
  if (sub === 'node') return ''
  const place = placeOf(row, node, delta)
  if (place.k === undefined) return MISSING
  return sub === 'k' ? signed(place.k, 3) : strike(roundedStrike(place.strike))
}

/** Node strikes lie between listed ones: four or five figures are plenty in a cell. */
function roundedStrike(value: number | undefined): number | undefined {
  if (value === undefined) return undefined
  const step = value >= 100_000 ? 10 : 1
  return value >= 1000 ? Math.round(value / step) * step : Number(value.toPrecision(4))
}
