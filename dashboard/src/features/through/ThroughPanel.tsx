import { useState } from 'react'
import { useUnits } from '../../app/units'
import { toggled, useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { Segmented, TableToggle, Tool } from '../../ui/controls'
import { Limit } from '../../ui/Limit'
import { Panel } from '../../ui/Panel'
import { entriesOf, isWanted } from './model'
import { ThroughMatrix } from './ThroughMatrix'
import { ThroughTable } from './ThroughTable'
import styles from './through.module.css'

/** Bids above and asks below the fit: where the market can be traded against the surface, after fees. */
export function ThroughPanel() {
  useUnits()
  const isTable = useView((view) => view.tables.includes('through'))
  const fee = useView((view) => view.fee)
  const excess = useView((view) => view.excess)
  const [isOpen, setOpen] = useState(false)
  const hasExpiries = useFeed('cut', () => Object.keys(feed.cut()?.surface?.smiles ?? {}).length > 0)
  return (
    <Panel
      id="through"
      title="Quotes through the fit"
      note={<Tally />}
      skeletonPx={330}
      empty={hasExpiries ? undefined : 'no expiries on this surface yet'}
      tools={
        <>
          <Segmented
            label="Fees"
            value={fee}
            options={[
              ['net', 'Net of fee'],
              ['gross', 'Gross'],
            ]}
            onChange={(next) => useView.setState({ fee: next })}
          />
          <Segmented
            label="Excess in"
            value={excess}
            options={[
              ['vol', 'Vol'],
              ['money', 'Money'],
            ]}
            onChange={(next) => useView.setState({ excess: next })}
          />
          <Tool label="Filters: excess, size, age" pressed={isOpen} onClick={() => setOpen(!isOpen)} testId="through-filters">
            Filters
          </Tool>
          {isTable ? null : (
            <Tool label="Save quotes through the fit as PNG" onClick={saveMatrix}>
              PNG
            </Tool>
          )}
          <TableToggle on={isTable} name="quotes through the fit" onClick={() => useView.setState((view) => ({ tables: toggled(view.tables, 'through') }))} />
        </>
      }
    >
      {isOpen ? (
        <div className={styles.filters}>
          <Limit name="min.excess" />
          <Limit name="min.money" />
          <Limit name="min.size" />
          <Limit name="min.held" />
          <Limit name="max.quote" />
        </div>
      ) : null}
      {isTable ? <ThroughTable /> : <ThroughMatrix />}
      <Key />
    </Panel>
  )
}

function saveMatrix(): void {
  const canvas = document.querySelector<HTMLCanvasElement>('[data-testid="through-matrix"] canvas')
  void import('../../lib/png').then(({ savePng }) => savePng('through', 'quotes through the fit', canvas))
}

/** How many there are, and how many of them pass the limits. */
export function Tally() {
  const view = useView()
  const text = useFeed('cut', () => {
    const entries = entriesOf(feed.cut(), view.fee)
    return `${entries.filter((entry) => isWanted(entry, view)).length} of ${entries.length}`
  })
  return (
    <span data-testid="through-tally">
      {text} {view.fee === 'net' ? 'remain after the taker fee and the filters' : 'pass the filters, before any fee'}
    </span>
  )
}

function Key() {
  return (
    <p className={styles.key}>
      <span>
        <i data-side="bid" /> ▲ bid above the fit: sell
      </span>
      <span>
        <i data-side="ask" /> ▼ ask below the fit: buy
      </span>
      <span>stronger from 0.25, 0.5, 1, 2 vol points</span>
      <span>upright line: the forward</span>
      <span>shape: venue</span>
    </p>
  )
}
