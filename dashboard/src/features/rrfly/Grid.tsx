import { lazy, Suspense, useCallback, useEffect, useRef, useState } from 'react'
import { scheduler } from '../../app/scheduler'
import { useUnits, volUnit } from '../../app/units'
import { type Rows, type Sub, useView } from '../../app/view'
import { arrivalToPaint, feed, useFeed } from '../../data/feed'
import { days as formatDays } from '../../lib/format'
import { NODES } from '@derivasys/client'
import { useFault } from '../../ui/Panel'
import { GLYPHS, shortfall, tenorTrust, type Trust, trustOf, WORDS } from '../trust/checks'
import type { TipTarget } from './CellTip'
import styles from './Grid.module.css'
import { endFlash, FLASH_LEAST_SHARE, FLASH_LEAST_VP, FLASH_MS, forgetCell, paintCell } from './painter'
import { cellOf, columnsOf, DELTA_WORDS, type GridKind, PREFIX_COLUMNS, type Row, rowsOf, sayingOf, spreadColumns, spreadWords, valueOf } from './rows'

const CellTip = lazy(() => import('./CellTip'))

const HEADS: Record<string, string> = { FWD: 'ATM fwd', ATMVOL: 'ATM vol', ATMF: 'ATM' }
const SPREADS = { rr: 'Risk reversal', fly: 'Fly' }

/** Changes only when rows come or go or their labels change, not with every number. */
function structureOf(kind: GridKind, rows: Rows): string {
  return rowsOf(feed.cut(), kind, rows)
    .map((row) => `${row.key}|${row.label}|${row.state}|${row.reasons.join('; ')}|${row.isExtrapolated}|${formatDays(row.days)}|${trustText(row)}`)
    .join('\n')
}

/** The risk-reversal or fly grid: React lays out rows and columns, the painter writes the numbers. */
export function Grid({ kind }: { kind: GridKind }) {
  const rows = useView((view) => view.rows)
  const sub = useView((view) => view.sub)
  const structure = useFeed('cut', () => structureOf(kind, rows))
  const units = useUnits()
  const spreads = useFeed('cut', () => spreadWords(kind, sayingOf(feed.cut())))
  const delta = useFeed('cut', () => DELTA_WORDS[sayingOf(feed.cut()).delta])
  const body = useRef<HTMLTableSectionElement>(null)
  const [tip, setTip] = useState<TipTarget | undefined>(undefined)
  const list = rowsOf(feed.cut(), kind, rows)
  usePainter(body, kind, rows, sub, structure + units, spreads)
  const { onKeyDown, onFocus } = useRoving(body)

  const show = useCallback((target: EventTarget | null) => {
    const cell = (target as HTMLElement | null)?.closest<HTMLElement>('td[data-cell]')
    const name = cell?.dataset.cell?.split(':')
    setTip(cell && name ? { row: name[1] ?? '', column: name[2] ?? '', box: cell.getBoundingClientRect() } : undefined)
  }, [])
  const hide = useCallback(() => setTip(undefined), [])

  const columns = columnsOf(kind)
  return (
    <div className={styles.scroll} onScroll={hide}>
      <table
        className={styles.grid}
        data-testid={`${kind}-grid`}
        data-sub={sub}
        onPointerOver={(event) => event.pointerType !== 'touch' && show(event.target)}
        onPointerLeave={hide}
        onClick={(event) => show(event.target)}
        onKeyDown={onKeyDown}
        onFocus={(event) => {
          onFocus(event)
          if (event.target.matches(':focus-visible')) show(event.target)
        }}
        onBlur={hide}
      >
        <caption className="visually-hidden">
          {kind === 'rr' ? 'Risk reversals' : 'Flies'} and node vols by {rows === 'expiry' ? 'expiry' : 'fixed tenor'}
        </caption>
        <colgroup>
          <col className={styles.colFirst} />
          <col className={styles.colForward} />
          <col />
          <col span={spreadColumns(kind).length} className={styles.colSpread} />
          <col span={NODES.length} />
        </colgroup>
        <thead>
          <tr className={styles.groups}>
            <td />
            <th colSpan={2} scope="colgroup">
              At the money
            </th>
            <th colSpan={spreadColumns(kind).length} scope="colgroup">
              {SPREADS[kind]}: {spreads}, {volUnit()}
            </th>
            <th colSpan={NODES.length} scope="colgroup">
              Node vol by {delta}, {volUnit()}
            </th>
          </tr>
          <tr>
            <th scope="col" className={styles.first}>
              {rows === 'expiry' ? 'Expiry' : 'Tenor'}
            </th>
            {columns.map((column) => (
              <th key={column} scope="col" data-edge={edgeOf(column, kind)}>
                {HEADS[column] ?? column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody ref={body}>
          {list.map((row, i) => (
            <tr key={row.key} data-row={row.key} data-state={row.state}>
              <RowHead row={row} />
              {columns.map((column, j) => (
                <td
                  key={column}
                  data-cell={`${kind}:${row.key}:${column}`}
                  data-edge={edgeOf(column, kind)}
                  data-at={`${i},${j}`}
                  tabIndex={i === 0 && j === 0 ? 0 : -1}
                >
                  <span className={styles.value} />
                  {sub === 'node' ? null : <span className={styles.sub} />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
      {tip ? (
        <Suspense fallback={null}>
          <CellTip target={tip} kind={kind} rows={rows} />
        </Suspense>
      ) : null}
    </div>
  )
}

/** The checks of a row, against the reader's limits. */
function trustOfRow({ source }: Row): Trust {
  if (!('expiry' in source)) return tenorTrust(source)
  return trustOf(source, feed.cut()?.fit?.expiries.find((fit) => fit.expiry === source.expiry), useView.getState().limits)
}

function trustText(row: Row): string {
  const trust = trustOfRow(row)
  return `${trust.verdict} ${trust.passed} ${shortfall(trust)}`
}

/** The row's name, how many of its checks passed, and the way to them. */
function RowHead({ row }: { row: Row }) {
  const trust = trustOfRow(row)
  const isExpiry = 'expiry' in row.source
  const said = `${WORDS[trust.verdict]}: ${trust.passed} of ${trust.checks.length} checks${trust.verdict === 'trusted' ? '' : `; ${shortfall(trust)}`}`
  const body = (
    <>
      <span className={styles.label}>{row.label}</span>
      <span className={styles.days}>{formatDays(row.days)}</span>
      <span className={styles.badge} data-verdict={trust.verdict}>
        <i aria-hidden="true">{GLYPHS[trust.verdict]}</i>
        <span className="visually-hidden">{said}</span>
        {stateOf(row)}
      </span>
    </>
  )
  return (
    <th scope="row" className={styles.first} title={said} data-testid={`trust-${row.key}`} data-verdict={trust.verdict}>
      {isExpiry ? (
        <button type="button" className={styles.open} onClick={() => useView.setState({ focus: row.key })}>
          {body}
        </button>
      ) : (
        body
      )}
    </th>
  )
}

function stateOf(row: Row): string {
  if (row.state === 'held') return 'held'
  if (row.state === 'rejected') return 'rej'
  return row.isExtrapolated ? 'ext' : ''
}

function edgeOf(column: string, kind: GridKind): string | undefined {
  if (column === PREFIX_COLUMNS[0] || column === spreadColumns(kind)[0] || column === NODES[0]) return 'group'
  return column === 'ATMF' ? 'atm' : undefined
}

/** Paints the numbers of the shown cut into the laid-out cells, at most twenty times a second. */
function usePainter(body: React.RefObject<HTMLTableSectionElement | null>, kind: GridKind, rows: Rows, sub: Sub, structure: string, convention: string) {
  const onFault = useFault()
  const painted = useRef(convention)
  useEffect(() => {
    const cells = new Map<string, HTMLElement>()
    for (const cell of body.current?.querySelectorAll<HTMLElement>('td[data-cell]') ?? []) cells.set(cell.dataset.cell ?? '', cell)
    // other numbers, and not a market that moved
    if (painted.current !== convention) for (const cell of cells.values()) forgetCell(cell)
    painted.current = convention
    const columns = columnsOf(kind)
    const flashing = new Map<HTMLElement, number>()
    const drawn = new Map<string, { row: Row; version: number }>()
    let timer: ReturnType<typeof setTimeout> | undefined
    let timed = feed.cut()?.version
    const endFlashes = () => {
      timer = undefined
      const now = performance.now()
      for (const [cell, since] of flashing) {
        if (now - since < FLASH_MS) continue
        endFlash(cell)
        flashing.delete(cell)
      }
      if (flashing.size > 0) timer = setTimeout(endFlashes, 150)
    }
    const paint = (now: number) => {
      const cut = feed.cut()
      if (!cut) return
      const saying = sayingOf(cut)
      for (const row of rowsOf(cut, kind, rows)) {
        const before = drawn.get(row.key)
        const isSame = before?.row === row
        if (isSame && before.version === cut.version) continue
        drawn.set(row.key, { row, version: cut.version })
        for (const column of columns) {
          const cell = cells.get(`${kind}:${row.key}:${column}`)
          if (!cell) continue
          if (isSame) cell.dataset.version = String(cut.version)
          else if (paintCell(cell, cellOf(row, column, kind, sub, saying), valueOf(row, column, saying), cut.version, now, column === 'FWD' ? FLASH_LEAST_SHARE * (row.forward ?? 0) : FLASH_LEAST_VP)) flashing.set(cell, now)
        }
      }
      if (flashing.size > 0) timer ??= setTimeout(endFlashes, 150)
      if (kind === 'rr' && cut.version !== timed) {
        timed = cut.version
        if (!feed.isFrozen()) arrivalToPaint.add(Math.max(0, Date.now() - cut.receivedAt))
      }
    }
    const handle = scheduler.add({ intervalMs: 45, paint, onFault })
    const stop = feed.subscribe('cut', handle.invalidate)
    // rows just laid out must not stay empty until the next frame
    paint(performance.now())
    return () => {
      stop()
      handle.remove()
      clearTimeout(timer)
    }
  }, [body, kind, rows, sub, structure, convention, onFault])
}

/** One tab stop for the whole grid; the arrow keys move within it. */
function useRoving(body: React.RefObject<HTMLTableSectionElement | null>) {
  const move = (from: HTMLElement, down: number, right: number): boolean => {
    const [i = 0, j = 0] = (from.dataset.at ?? '').split(',').map(Number)
    const next = body.current?.querySelector<HTMLElement>(`td[data-at="${i + down},${j + right}"]`)
    next?.focus()
    return next !== undefined && next !== null
  }
  const steps: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
  return {
    onKeyDown: (event: React.KeyboardEvent) => {
      const step = steps[event.key]
      const cell = event.target as HTMLElement
      if (!step || !cell.dataset.at) return
      event.preventDefault()
      move(cell, step[0], step[1])
    },
    onFocus: (event: React.FocusEvent) => {
      const cell = event.target as HTMLElement
      if (!cell.dataset.at) return
      for (const other of body.current?.querySelectorAll<HTMLElement>('td[tabindex="0"]') ?? []) other.tabIndex = -1
      cell.tabIndex = 0
    },
  }
}
