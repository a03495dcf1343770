import { Component, createContext, type ReactNode, useContext, useState } from 'react'
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

const Faults = createContext<(error: unknown) => void>(reportFault)

function reportFault(error: unknown): void {
  if (error !== undefined) reportError(error)
}

/** For painters: tells their panel what went wrong, or with undefined that all is well again. */
export function useFault(): (error: unknown) => void {
  return useContext(Faults)
}

/** A titled panel: its own error boundary, a loading skeleton of fixed size, an empty state, the version. */
export function Panel({ id, title, note, tools, skeletonPx, empty, children }: PanelProps) {
  const [fault, setFault] = useState('')
  // the same function each time, so that painters need not be made again
  const [tell] = useState(() => (error: unknown) => {
    if (error !== undefined) feed.refresh()
    setFault(error === undefined ? '' : error instanceof Error ? error.message : 'unknown fault')
  })
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
      {fault ? (
        <p className={styles.stuck} role="alert">
          {title}: the latest message cannot be drawn ({fault}); what was drawn before stays
        </p>
      ) : null}
      <Faults value={tell}>
        <Boundary title={title}>{body}</Boundary>
      </Faults>
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

const RETRY_MS = 3000

interface BoundaryState {
  error: Error | undefined
}

/** A fault in one panel leaves the others working. */
export class Boundary extends Component<{ title: string; children: ReactNode }, BoundaryState> {
  override state: BoundaryState = { error: undefined }

  static getDerivedStateFromError(error: Error): BoundaryState {
    return { error }
  }

  private timer: ReturnType<typeof setTimeout> | undefined

  /** The next message may be sound: tries again by itself. */
  override componentDidCatch(): void {
    feed.refresh()
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.setState({ error: undefined }), RETRY_MS)
  }

  override componentWillUnmount(): void {
    clearTimeout(this.timer)
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
