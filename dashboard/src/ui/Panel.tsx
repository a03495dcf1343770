import { Component, type ReactNode } from 'react'
import { feed, useFeed } from '../data/feed'
import styles from './Panel.module.css'

interface PanelProps {
  id: string
  title: string
  /** What the numbers are, in a few words. */
  note?: ReactNode
  /** Segmented controls and buttons. */
  tools?: ReactNode
  /** Height that the panel keeps while it loads. */
  skeletonPx: number
  /** Why there is nothing to show, once data has come. */
  empty?: string | undefined
  children: ReactNode
}

/** A titled panel: its own error boundary, a loading skeleton of fixed size, an empty state, the version. */
export function Panel({ id, title, note, tools, skeletonPx, empty, children }: PanelProps) {
  const isReady = useFeed('cut', () => feed.cut()?.surface !== undefined)
  let body = children
  if (!isReady) {
    body = (
      <div className={styles.skeleton} style={{ height: skeletonPx }} role="status">
        <span>waiting for the first snapshot</span>
      </div>
    )
  } else if (empty) {
    body = (
      <div className={styles.empty} style={{ height: Math.min(skeletonPx, 160) }}>
        {empty}
      </div>
    )
  }
  return (
    <section className={styles.panel} aria-labelledby={`${id}-title`} data-testid={`panel-${id}`} data-panel>
      <header className={styles.head}>
        <h2 id={`${id}-title`}>{title}</h2>
        {note ? <span className={styles.note}>{note}</span> : null}
        <div className={styles.tools}>{isReady ? tools : null}</div>
        <Version />
      </header>
      <Boundary title={title}>{body}</Boundary>
    </section>
  )
}

/** The version that every panel shows: one number, from one cut. */
function Version() {
  const version = useFeed('cut', () => feed.cut()?.version)
  const kind = useFeed('status', () => feed.view().status?.source.kind)
  const isFrozen = useFeed('connection', () => feed.isFrozen())
  const state = useFeed('connection', () => feed.view().connection.state)
  const isOld = version !== undefined && state !== 'live' && state !== 'connecting'
  return (
    <span className={styles.version} title="Version of the surface shown; the same in every panel">
      {/* nothing that is not the live market is shown without its label */}
      {kind === undefined || kind === 'live' ? null : <b data-kind={kind}>{kind}</b>}
      {isFrozen ? <b data-kind="frozen">frozen</b> : null}
      {isOld ? <b data-kind="old">{state}</b> : null}
      <span data-panel-version={version}>{version === undefined ? 'v –' : `v ${version}`}</span>
    </span>
  )
}

interface BoundaryState {
  error: Error | undefined
}

/** A fault in one panel leaves the others working. */
export class Boundary extends Component<{ title: string; children: ReactNode }, BoundaryState> {
  override state: BoundaryState = { error: undefined }

  static getDerivedStateFromError(error: Error): BoundaryState {
    return { error }
  }

  override render() {
    const { error } = this.state
    if (!error) return this.props.children
    return (
      <div className={styles.fault} role="alert">
        <p>
          {this.props.title} cannot be drawn: {error.message}
        </p>
        <button type="button" onClick={() => this.setState({ error: undefined })}>
          Try again
        </button>
      </div>
    )
  }
}
