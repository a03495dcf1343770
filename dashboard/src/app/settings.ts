/** Conventions, units and thresholds of what is shown: each with its choices or its bounds, and what it means. */

export const CHOICES = {
  fly: { label: 'Fly', fallback: 'published', options: [['published', 'as published'], ['full', 'C + P − 2 ATM'], ['half', '(C + P) ÷ 2 − ATM']] },
  rr: { label: 'Risk reversal', fallback: 'call', options: [['call', 'call − put'], ['put', 'put − call']] },
  unit: { label: 'Vols in', fallback: 'points', options: [['points', 'points: 44.18'], ['decimal', 'decimals: 0.4418']] },
  digits: { label: 'Decimals of a vol point', fallback: '2', options: [['1', '1'], ['2', '2'], ['3', '3']] },
  excess: { label: 'Through the fit in', fallback: 'vol', options: [['vol', 'vol points'], ['money', 'quote currency']] },
  fee: { label: 'Through the fit', fallback: 'net', options: [['net', 'net of taker fee'], ['gross', 'before fee']] },
} as const

export type ChoiceKey = keyof typeof CHOICES
export type Choices = { [K in ChoiceKey]: (typeof CHOICES)[K]['options'][number][0] }

/** Bounds and steps of the thresholds, and what crossing each means. */
export const LIMITS = {
  'min.inside': { label: 'Share inside bid–ask at least', unit: '%', fallback: 85, low: 0, high: 100, step: 1 },
  'max.rmse': { label: 'Fit error (rmse) at most', unit: 'vol points', fallback: 3, low: 0, high: 50, step: 0.1 },
  'min.used': { label: 'Quotes used at least', unit: '', fallback: 12, low: 0, high: 1000, step: 1 },
  'max.gap': { label: 'Forward from put-call parity at most', unit: 'bp', fallback: 10, low: 0, high: 1000, step: 1 },
  'max.age': { label: 'Age of the quotes at the nodes at most', unit: 's', fallback: 60, low: 1, high: 3600, step: 1 },
  'min.excess': { label: 'Excess at least', unit: 'vol points', fallback: 0, low: -50, high: 100, step: 0.1 },
  'min.money': { label: 'Excess at least', unit: 'quote currency', fallback: 0, low: -100_000, high: 1_000_000, step: 1 },
  'min.size': { label: 'Size at least', unit: 'coins', fallback: 0, low: 0, high: 1_000_000, step: 0.1 },
  'min.held': { label: 'Through for at least', unit: 's', fallback: 0, low: 0, high: 86_400, step: 1 },
} as const

export type LimitKey = keyof typeof LIMITS
export type Limits = Record<LimitKey, number>

export type Settings = Choices & { limits: Limits }

const choiceKeys = Object.keys(CHOICES) as ChoiceKey[]
const limitKeys = Object.keys(LIMITS) as LimitKey[]

export const DEFAULT_SETTINGS: Settings = {
  ...(Object.fromEntries(choiceKeys.map((key) => [key, CHOICES[key].fallback])) as unknown as Choices),
  limits: Object.fromEntries(limitKeys.map((key) => [key, LIMITS[key].fallback])) as Limits,
}

/** A limit within its bounds, or undefined when the text is no number. */
export function limitOf(key: LimitKey, text: string | null): number | undefined {
  if (text === null || text.trim() === '') return undefined
  const value = Number(text)
  return value >= LIMITS[key].low && value <= LIMITS[key].high ? value : undefined
}

/** The settings that an address asks for; what it says wrongly is left at its default. */
export function settingsFrom(query: URLSearchParams): Settings {
  const choices = choiceKeys.map((key) => {
    const value = query.get(key)
    const isKnown = (CHOICES[key].options as readonly (readonly [string, string])[]).some(([option]) => option === value)
    return [key, isKnown ? value : CHOICES[key].fallback]
  })
  const limits = limitKeys.map((key) => [key, limitOf(key, query.get(key)) ?? LIMITS[key].fallback])
  return { ...(Object.fromEntries(choices) as unknown as Choices), limits: Object.fromEntries(limits) as Limits }
}

/** Writes what differs from the defaults. */
export function settingsInto(query: URLSearchParams, settings: Settings): void {
  for (const key of choiceKeys) if (settings[key] !== CHOICES[key].fallback) query.set(key, settings[key])
  for (const key of limitKeys) if (settings.limits[key] !== LIMITS[key].fallback) query.set(key, String(settings.limits[key]))
}
