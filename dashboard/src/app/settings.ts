/** Conventions, units and thresholds of what is shown: each with its choices or its bounds. Their words are in ui/Limit and SettingsDialog. */

export const CHOICES = {
  // of the stream: the server states the same surface in each of them, `published` is its own way
  delta: { fallback: 'published', options: ['published', 'forward', 'premium_adjusted'] },
  fly: { fallback: 'published', options: ['published', 'full', 'half', 'market_strangle'] },
  rr: { fallback: 'call', options: ['call', 'put'] },
  unit: { fallback: 'points', options: ['points', 'decimal'] },
  digits: { fallback: '2', options: ['1', '2', '3'] },
  excess: { fallback: 'vol', options: ['vol', 'money'] },
  fee: { fallback: 'net', options: ['net', 'gross'] },
} as const

export type ChoiceKey = keyof typeof CHOICES
export type Choices = { [K in ChoiceKey]: (typeof CHOICES)[K]['options'][number] }

/** What to ask of the server; null is its own convention. */
export function conventionsWanted({ delta, fly }: Pick<Choices, 'delta' | 'fly'>) {
  return { delta: delta === 'published' ? null : delta, fly: fly === 'published' ? null : fly }
}

/** Bounds and steps of the thresholds. */
export const LIMITS = {
  'min.inside': { fallback: 85, low: 0, high: 100, step: 1 },
  'max.rmse': { fallback: 3, low: 0, high: 50, step: 0.1 },
  'min.used': { fallback: 12, low: 0, high: 1000, step: 1 },
  'max.gap': { fallback: 10, low: 0, high: 1000, step: 1 },
  'max.age': { fallback: 60, low: 1, high: 3600, step: 1 },
  'min.excess': { fallback: 0, low: -50, high: 100, step: 0.1 },
  'min.money': { fallback: 0, low: -100_000, high: 1_000_000, step: 1 },
  'min.size': { fallback: 0, low: 0, high: 1_000_000, step: 0.1 },
  'max.quote': { fallback: 86_400, low: 1, high: 86_400, step: 1 },
  'min.held': { fallback: 0, low: 0, high: 86_400, step: 1 },
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
    const isKnown = (CHOICES[key].options as readonly string[]).includes(value ?? '')
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
