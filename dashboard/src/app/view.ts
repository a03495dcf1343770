/** What the user chose to see, mirrored to the address so that a link shows the same. */
import { create } from 'zustand'
import { DEFAULT_SETTINGS, settingsFrom, settingsInto, type Settings } from './settings'

export type Rows = 'expiry' | 'tenor'
export type Sub = 'node' | 'strike' | 'k'
export type Axis = 'k' | 'strike' | 'delta' | 'sd'
export type Theme = 'system' | 'dark' | 'light'
export type SurfaceAxis = 'delta' | 'sd'
export type Height = 'vol' | 'variance'

export interface ViewState extends Settings {
  ccy: string
  rows: Rows
  sub: Sub
  axis: Axis
  theme: Theme
  surface: SurfaceAxis
  /** What the surface's height is. */
  height: Height
  /** Venues whose marks are hidden. */
  hiddenVenues: string[]
  /** Chart series that are hidden, by chart. */
  hiddenSeries: Record<string, string[]>
  /** Charts shown as tables. */
  tables: string[]
  /** The expiry in the focus view. */
  focus: string
}

const CHOICES = {
  rows: ['expiry', 'tenor'],
  sub: ['node', 'strike', 'k'],
  axis: ['k', 'strike', 'delta', 'sd'],
  theme: ['system', 'dark', 'light'],
  surface: ['delta', 'sd'],
  height: ['vol', 'variance'],
} as const

export const DEFAULTS: ViewState = {
  ...DEFAULT_SETTINGS,
  ccy: 'BTC',
  rows: 'expiry',
  sub: 'node',
  axis: 'k',
  theme: 'system',
  surface: 'delta',
  height: 'vol',
  hiddenVenues: [],
  hiddenSeries: { rr: ['RR05', 'RR15', 'RR20', 'RR30', 'RR35'], fly: ['FLY05', 'FLY15', 'FLY20', 'FLY30', 'FLY35'] },
  tables: [],
  focus: '',
}

const words = (text: string | null) => (text ? text.split(',').filter((word) => /^[\w.-]+$/.test(word)) : [])

/** The view that an address asks for; what it says wrongly is left at its default. */
export function fromSearch(search: string): ViewState {
  const query = new URLSearchParams(search)
  const choose = <K extends keyof typeof CHOICES>(key: K): ViewState[K] => {
    const value = query.get(key)
    return ((CHOICES[key] as readonly string[]).includes(value ?? '') ? value : DEFAULTS[key]) as ViewState[K]
  }
  const ccy = (query.get('ccy') ?? '').toUpperCase()
  const hiddenSeries: Record<string, string[]> = { ...DEFAULTS.hiddenSeries }
  for (const [key, value] of query) {
    if (key.startsWith('hide.')) hiddenSeries[key.slice(5)] = words(value)
  }
  return {
    ...settingsFrom(query),
    ccy: /^[A-Z0-9_]{2,12}$/.test(ccy) ? ccy : DEFAULTS.ccy,
    rows: choose('rows'),
    sub: choose('sub'),
    axis: choose('axis'),
    theme: choose('theme'),
    surface: choose('surface'),
    height: choose('height'),
    hiddenVenues: words(query.get('venues')),
    hiddenSeries,
    tables: words(query.get('tables')),
    focus: /^\d+$/.test(query.get('focus') ?? '') ? (query.get('focus') ?? '') : '',
  }
}

/** The address's query for a view: only what differs from the defaults, and the currency. */
export function toSearch(view: ViewState): string {
  const query = new URLSearchParams({ ccy: view.ccy })
  for (const key of Object.keys(CHOICES) as (keyof typeof CHOICES)[]) {
    if (view[key] !== DEFAULTS[key]) query.set(key, view[key])
  }
  settingsInto(query, view)
  if (view.hiddenVenues.length > 0) query.set('venues', view.hiddenVenues.join(','))
  for (const [chart, names] of Object.entries(view.hiddenSeries)) {
    const usual = DEFAULTS.hiddenSeries[chart] ?? []
    if (names.join() !== usual.join()) query.set(`hide.${chart}`, names.join(','))
  }
  if (view.tables.length > 0) query.set('tables', view.tables.join(','))
  if (view.focus) query.set('focus', view.focus)
  return `?${query.toString().replaceAll('%2C', ',')}`
}

export const useView = create<ViewState>(() => fromSearch(globalThis.location?.search ?? ''))

/** Keeps the address in step with the view. */
export function mirrorToUrl(): () => void {
  const write = () => {
    const next = toSearch(useView.getState())
    if (next !== location.search) history.replaceState(history.state, '', next + location.hash)
  }
  write()
  return useView.subscribe(write)
}

/** Adds or removes a word of a list. */
export function toggled(list: readonly string[], word: string): string[] {
  return list.includes(word) ? list.filter((item) => item !== word) : [...list, word]
}

/** Shows or hides a series of a chart. */
export function toggleSeries(chart: string, name: string): void {
  useView.setState((view) => ({
    hiddenSeries: { ...view.hiddenSeries, [chart]: toggled(view.hiddenSeries[chart] ?? [], name) },
  }))
}
