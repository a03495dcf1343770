import { Dialog } from 'radix-ui'
import { Tool } from '../ui/controls'
import styles from './app.module.css'

const KEYS: readonly (readonly [string, string])[] = [
  ['Space', 'Freeze and resume; the header counts the versions behind'],
  ['1 2 3 …', 'Currency'],
  ['r', 'Rows by expiry or fixed tenor'],
  ['s', 'Under each node vol: node, strike, ln K/F'],
  ['x', 'Axis of the smiles'],
  ['t', 'Theme'],
  [',', 'Settings: conventions, units, thresholds'],
  ['l', 'Copy a link to this view'],
  ['Arrows', 'Move in a grid; turn the surface'],
  ['?', 'This list'],
]

/** The keys, on `?`. */
export default function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className={styles.overlay} />
        <Dialog.Content className={styles.dialog} aria-describedby={undefined} data-testid="help">
          <header>
            <Dialog.Title>Keys</Dialog.Title>
            <Tool label="Close" onClick={onClose}>
              Close
            </Tool>
          </header>
          <dl>
            {KEYS.map(([key, what]) => (
              <div key={key}>
                <dt>
                  <kbd>{key}</kbd>
                </dt>
                <dd>{what}</dd>
              </div>
            ))}
          </dl>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
