import { useView } from '../../app/view'
import { feed, useFeed } from '../../data/feed'
import { FLY_EDGES, RR_EDGES } from '../../lib/heat'
import { Tool, Segmented } from '../../ui/controls'
import { Panel } from '../../ui/Panel'
import { Grid } from './Grid'
import styles from './GridPanel.module.css'
import { edgesOf, type GridKind } from './rows'

const TITLES: Record<GridKind, string> = { rr: 'Risk reversals', fly: 'Flies' }

/** The grid with its choices, its legend and its export. */
export function GridPanel({ kind }: { kind: GridKind }) {
  const rows = useView((view) => view.rows)
  const sub = useView((view) => view.sub)
  const count = useFeed('cut', () => {
    const cut = feed.cut()
    return Object.keys((rows === 'expiry' ? cut?.surface?.smiles : cut?.tenors?.tenors) ?? {}).length
  })
  return (
    <Panel
      id={kind}
      title={TITLES[kind]}
      note={<Legend kind={kind} />}
      skeletonPx={346}
      empty={count === 0 ? 'no expiries on this surface yet' : undefined}
      tools={
        <>
          <Segmented
            label="Rows"
            value={rows}
            options={[
              ['expiry', 'Expiry'],
              ['tenor', 'Tenor'],
            ]}
            onChange={(next) => useView.setState({ rows: next })}
          />
          <Segmented
            label="Under each node vol"
            value={sub}
            options={[
              ['node', 'Node'],
              ['strike', 'Strike'],
              ['k', 'ln K/F'],
            ]}
            onChange={(next) => useView.setState({ sub: next })}
          />
          <Tool label={`Save ${TITLES[kind].toLowerCase()} as CSV`} onClick={() => exportCsv(kind)}>
            CSV
          </Tool>
        </>
      }
    >
      <Grid kind={kind} />
    </Panel>
  )
}

function exportCsv(kind: GridKind): void {
  const cut = feed.cut()
  if (!cut) return
  const { rows } = useView.getState()
  const stamp = new Date(cut.surface?.ts ?? 0).toISOString().replaceAll(/[-:]|\.\d+/g, '')
  const name = `derivasys_${cut.ccy}_${kind}_${rows}_v${cut.version}_${stamp}.csv`
  void Promise.all([import('./csv'), import('../../lib/save')]).then(([{ gridCsv }, { save }]) => save(name, gridCsv(cut, kind, rows, feed.view().status?.source.kind), 'text/csv'))
}

/** What colours and marks mean. */
function Legend({ kind }: { kind: GridKind }) {
  const edges = edgesOf(kind)
  const steps = ['n5', 'n4', 'n3', 'n2', 'n1', '0', 'p1', 'p2', 'p3', 'p4', 'p5']
  const sentence =
    kind === 'rr'
      ? `Steps at ${RR_EDGES.join(', ')} vol points: risk reversals from zero, node vols from at the money`
      : `Flies: steps at ${FLY_EDGES.join(', ')}; node vols against the money: at ${RR_EDGES.join(', ')} vol points`
  return (
    <span className={styles.legend}>
      <span className={styles.scale} title={sentence}>
        <span>−{edges[4]}</span>
        {steps.map((step) => (
          <i key={step} style={{ background: step === '0' ? 'var(--panel)' : `var(--heat-${step})` }} />
        ))}
        <span>+{edges[4]}</span>
      </span>
      <span className={styles.flags}>
        <span>
          <i>x</i> extrapolated
        </span>
        <span>
          <i>h</i> held
        </span>
        <span>
          <i data-flag="rejected">r</i> rejected
        </span>
      </span>
    </span>
  )
}
