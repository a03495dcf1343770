/** Applies the chosen theme and tells canvases to repaint when it changes. */
import { scheduler } from './scheduler'
import { useView } from './view'

const listeners = new Set<() => void>()
let applied = ''

function apply(): void {
  const { theme } = useView.getState()
  let next = theme as string
  if (theme === 'system') next = matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'
  if (next === applied) return
  applied = next
  document.documentElement.dataset.theme = next
  tokens.clear()
  for (const listener of listeners) listener()
  scheduler.invalidateAll()
}

export function startTheme(): void {
  apply()
  useView.subscribe(apply)
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', apply)
}

/** The theme in force: dark or light. */
export function currentTheme(): string {
  return applied || 'dark'
}

export function onTheme(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

const tokens = new Map<string, string>()

/** A custom property of the theme, resolved, for canvas code. */
export function token(name: string): string {
  let value = tokens.get(name)
  if (value === undefined) {
    value = getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    tokens.set(name, value)
  }
  return value
}
