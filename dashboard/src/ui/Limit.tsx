import { useId } from 'react'
import { LIMITS, type LimitKey, limitOf } from '../app/settings'
import { useView } from '../app/view'
import styles from './Limit.module.css'

const WORDS: Record<LimitKey, readonly [label: string, unit: string]> = {
  'min.inside': ['Share inside bid–ask at least', '%'],
  'max.rmse': ['Fit error (rmse) at most', 'vol points'],
  'min.used': ['Quotes used at least', ''],
  'max.gap': ['Forward from put-call parity at most', 'bp'],
  'max.age': ['Age of the quotes at the nodes at most', 's'],
  'min.excess': ['Excess at least', 'vol points'],
  'min.money': ['Excess at least', 'quote currency'],
  'min.size': ['Size at least', 'coins'],
  'max.quote': ['Quote no older than', 's'],
  'min.held': ['Through for at least', 's'],
}

/** A number within bounds; what is typed wrongly is marked and not applied. */
export function Limit({ name }: { name: LimitKey }) {
  const id = useId()
  const value = useView((view) => view.limits[name])
  const [label, unit] = WORDS[name]
  const { low, high, step } = LIMITS[name]
  return (
    <div className={styles.row}>
      <label htmlFor={id}>{label}</label>
      <span>
        <input
          id={id}
          type="number"
          min={low}
          max={high}
          step={step}
          defaultValue={value}
          key={value}
          onChange={(event) => {
            const next = limitOf(name, event.target.value)
            event.target.setAttribute('aria-invalid', String(next === undefined))
          }}
          onBlur={(event) => apply(name, event.target.value)}
          onKeyDown={(event) => event.key === 'Enter' && apply(name, event.currentTarget.value)}
        />
        <em>{unit}</em>
      </span>
    </div>
  )
}

function apply(name: LimitKey, text: string): void {
  const next = limitOf(name, text)
  if (next !== undefined) useView.setState((view) => ({ limits: { ...view.limits, [name]: next } }))
}
