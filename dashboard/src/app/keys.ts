/** The page's keys. Nothing while the user types or a dialog is open. */
import { feed } from '../data/feed'
import { currenciesInOrder } from '../features/smiles/venues'
import { type Axis, type Sub, type Theme, useView } from './view'

function next<T>(list: readonly T[], now: T): T {
  return list[(list.indexOf(now) + 1) % list.length] ?? now
}

const SUBS: readonly Sub[] = ['node', 'strike', 'k']
const AXES: readonly Axis[] = ['k', 'strike', 'delta', 'sd']
const THEMES: readonly Theme[] = ['system', 'dark', 'light']

export function startKeys(open: (what: 'help' | 'settings') => void): () => void {
  const actions: Record<string, () => void> = {
    ' ': () => feed.freeze(!feed.isFrozen()),
    '?': () => open('help'),
    ',': () => open('settings'),
    r: () => useView.setState((view) => ({ rows: next(['expiry', 'tenor'] as const, view.rows) })),
    s: () => useView.setState((view) => ({ sub: next(SUBS, view.sub) })),
    x: () => useView.setState((view) => ({ axis: next(AXES, view.axis) })),
    t: () => useView.setState((view) => ({ theme: next(THEMES, view.theme) })),
    l: () => void navigator.clipboard?.writeText(location.href),
  }
  const onKey = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return
    const target = event.target as HTMLElement
    if (target.matches('input, select, textarea') || document.querySelector('[role="dialog"]')) return
    // Space presses a focused button; it must not freeze as well
    if (event.key === ' ' && target.matches('button, a')) return
    const ccy = /^[1-9]$/.test(event.key) ? currenciesInOrder(feed.view().status?.available_ccys ?? [])[Number(event.key) - 1] : undefined
    if (ccy) {
      feed.select(ccy)
      useView.setState({ ccy, focus: '' })
      return
    }
    const action = actions[event.key]
    if (!action) return
    event.preventDefault()
    action()
  }
  addEventListener('keydown', onKey)
  return () => removeEventListener('keydown', onKey)
}
