import { Dialog } from 'radix-ui'
import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { days } from '../../lib/format'
import { Tool } from '../../ui/controls'
import { CheckList } from '../trust/CheckList'
import { QuoteTable } from './QuoteTable'
import { SmileChart } from './SmileChart'
import { smilesInOrder } from './order'
import { Figures, VenueToggles } from './SmileMatrix'
import styles from './smiles.module.css'

/** One expiry, large, with its quotes beside it. */
export default function Focus() {
  const expiry = useView((view) => view.focus)
  const order = useFeed('cut', () => smilesInOrder().map((other) => other.expiry).join()).split(',')
  const axis = useView((view) => view.axis)
  const kind = useFeed('status', () => feed.view().status?.source.kind)
  const version = useFeed('cut', () => feed.cut()?.version)
  const smile = feed.cut()?.surface?.smiles[expiry]
  if (!smile) return null
  const at = order.indexOf(expiry)
  const go = (to: number) => useView.setState({ focus: order[(to + order.length) % order.length] ?? expiry })
  return (
    <Dialog.Root open onOpenChange={(open) => !open && useView.setState({ focus: '' })}>
      <Dialog.Portal>
        <Dialog.Overlay className={styles.overlay} />
        <Dialog.Content className={styles.focus} aria-describedby={undefined}>
          <header className={styles.focusHead}>
            <Dialog.Title>
              {smile.label} <span className={styles.muted}>{days(smile.days)}</span>
            </Dialog.Title>
            <Figures expiry={expiry} />
            <span className={styles.muted}>
              {kind === undefined || kind === 'live' ? null : <b data-kind={kind}>{kind}</b>} v {version}
            </span>
            <VenueToggles />
            <Tool label="Previous expiry" onClick={() => go(at - 1)}>
              ‹
            </Tool>
            <Tool label="Next expiry" onClick={() => go(at + 1)}>
              ›
            </Tool>
            <Tool label="Close" onClick={() => useView.setState({ focus: '' })}>
              Close
            </Tool>
          </header>
          <CheckList expiry={expiry} />
          {smile.params ? (
            <div className={styles.focusBody} key={expiry}>
              <div className={styles.focusChart}>
                <SmileChart expiry={expiry} kind={axis} size="large" />
              </div>
              <QuoteTable expiry={expiry} />
            </div>
          ) : (
            <p className={styles.none}>No fit. {smile.fit.reasons.join('; ')}</p>
          )}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  )
}
