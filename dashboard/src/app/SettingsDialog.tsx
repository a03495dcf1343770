import { Dialog } from 'radix-ui'
import { Limit } from '../ui/Limit'
import { Segmented, Tool } from '../ui/controls'
import styles from './SettingsDialog.module.css'
import { CHOICES, type ChoiceKey, type Choices, DEFAULT_SETTINGS, type LimitKey } from './settings'
import { useView } from './view'

const GROUPS: readonly (readonly [title: string, note: string, choices: readonly ChoiceKey[], limits: readonly LimitKey[]])[] = [
  ['Conventions', 'Deltas and flies come from the server in the convention chosen, from the same fit; headings say which is on screen.', ['delta', 'fly', 'rr'], []],
  ['Units', 'Times are UTC, prices in quote currency, strikes in quote currency a coin.', ['unit', 'digits'], []],
  ['When an expiry is trusted', 'Certificates must hold whatever stands here.', [], ['min.inside', 'max.rmse', 'min.used', 'max.gap', 'max.age']],
  ['Quotes through the fit', 'What the matrix shows and counts.', ['excess', 'fee'], ['min.excess', 'min.money', 'min.size', 'min.held', 'max.quote']],
]

const WORDS: { readonly [K in ChoiceKey]: { label: string; options: Readonly<Record<Choices[K], string>> } } = {
  delta: { label: 'Delta of the nodes', options: { published: 'server’s own', forward: 'forward', premium_adjusted: 'premium-adjusted' } },
  fly: { label: 'Fly', options: { published: 'server’s own', full: 'C + P − 2 ATM', half: '(C + P) ÷ 2 − ATM', market_strangle: 'market strangle − ATM' } },
  rr: { label: 'Risk reversal', options: { call: 'call − put', put: 'put − call' } },
  unit: { label: 'Vols in', options: { points: 'points: 44.18', decimal: 'decimals: 0.4418' } },
  digits: { label: 'Decimals of a vol point', options: { '1': '1', '2': '2', '3': '3' } },
  excess: { label: 'Through the fit in', options: { vol: 'vol points', money: 'quote currency' } },
  fee: { label: 'Through the fit', options: { net: 'net of taker fee', gross: 'before fee' } },
}

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
  const { label, options } = WORDS[name]
  const words = options as Readonly<Record<string, string>>
  return (
    <div className={styles.row}>
      <span>{label}</span>
      <Segmented label={label} value={value as string} options={CHOICES[name].options.map((option) => [option, words[option] ?? option] as const)} onChange={(next) => useView.setState({ [name]: next })} />
    </div>
  )
}
