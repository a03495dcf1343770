import { Dialog } from 'radix-ui'
import { useId } from 'react'
import { Segmented, Tool } from '../ui/controls'
import styles from './SettingsDialog.module.css'
import { CHOICES, type ChoiceKey, DEFAULT_SETTINGS, LIMITS, type LimitKey, limitOf } from './settings'
import { useView } from './view'

const GROUPS: readonly (readonly [title: string, note: string, choices: readonly ChoiceKey[], limits: readonly LimitKey[]])[] = [
  ['Conventions', 'How spreads are said. Worked out here from the published node vols; the server’s own convention stays the default.', ['fly', 'rr'], []],
  ['Units', 'Times are UTC, prices in quote currency, strikes in quote currency a coin.', ['unit', 'digits'], []],
  ['When an expiry is trusted', 'Certificates must hold whatever stands here.', [], ['min.inside', 'max.rmse', 'min.used', 'max.gap', 'max.age']],
  ['Quotes through the fit', 'What the matrix shows and counts.', ['excess', 'fee'], ['min.excess', 'min.money', 'min.size', 'min.held']],
]

/** Conventions, units and thresholds; all of them are in the address, so that a link shows the same. */
export default function Settings({ onClose }: { onClose: () => void }) {
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className={styles.overlay} />
        <Dialog.Content className={styles.dialog} aria-describedby={undefined} data-testid="settings">
          <header>
            <Dialog.Title>Settings</Dialog.Title>
            <Tool label="Back to the defaults" onClick={() => useView.setState(DEFAULT_SETTINGS)}>
              Defaults
            </Tool>
            <Tool label="Close" onClick={onClose}>
              Close
            </Tool>
          </header>
          {GROUPS.map(([title, note, choices, limits]) => (
            <section key={title}>
              <h3>{title}</h3>
              <p>{note}</p>
              {choices.map((key) => (
                <Choice key={key} name={key} />
              ))}
              {limits.map((key) => (
                <Limit key={key} name={key} />
              ))}
            </section>
          ))}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}

function Choice({ name }: { name: ChoiceKey }) {
  const value = useView((view) => view[name])
  const { label, options } = CHOICES[name]
  return (
    <div className={styles.row}>
      <span>{label}</span>
      <Segmented label={label} value={value as string} options={options as readonly (readonly [string, string])[]} onChange={(next) => useView.setState({ [name]: next })} />
    </div>
  )
}

/** A number within bounds; what is typed wrongly is marked and not applied. */
export function Limit({ name }: { name: LimitKey }) {
  const id = useId()
  const value = useView((view) => view.limits[name])
  const { label, unit, low, high, step } = LIMITS[name]
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
