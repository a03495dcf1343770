import { lazy, type ReactNode, Suspense, useEffect, useState } from 'react'
import { feed, useFeed } from '../data/feed'
import { Glance } from '../features/glance/Glance'
import { Header } from '../features/header/Header'
import { GridPanel } from '../features/rrfly/GridPanel'
import { Near } from '../ui/Near'
import { Boundary } from '../ui/Panel'
import styles from './app.module.css'
import { startKeys } from './keys'
import { usePage } from './page'
import { patient } from './patient'
import { useView } from './view'

// asked for at once, but the grids do not wait for the charts
const plots = patient(() => import('./plots'))
const RrCharts = lazy(() => plots.then(({ RrCharts: component }) => ({ default: component })))
// what lies below the fold is asked for when it comes near
const below = {
  flies: () => import('./FlyCharts'),
  through: () => import('../features/through/ThroughPanel'),
  smiles: () => import('../features/smiles/SmileMatrix'),
  lower: () => import('./Lower'),
}
const FlyCharts = lazy(() => patient(below.flies))
const ThroughPanel = lazy(() => patient(below.through).then(({ ThroughPanel: component }) => ({ default: component })))
const Smiles = lazy(() => patient(below.smiles).then(({ SmileMatrix: component }) => ({ default: component })))
const Lower = lazy(() => patient(below.lower))
/** When the first view is surely up, the code of what lies below it is fetched, so that scrolling finds it there. */
const FETCH_BELOW_MS = 2500
const Help = lazy(() => patient(() => import('./Help')))
const Settings = lazy(() => patient(() => import('./SettingsDialog')))
const Focus = lazy(() => patient(() => import('../features/smiles/Focus')))
const FitPage = lazy(() => patient(() => import('../features/fit/FitPage')))
const SystemPage = lazy(() => patient(() => import('../features/system/SystemPage')))
const GuidePage = lazy(() => patient(() => import('../features/guide/GuidePage')))

export function App() {
  const [open, setOpen] = useState<'' | 'help' | 'settings'>('')
  const isFocused = useView((view) => view.focus !== '')
  useEffect(() => startKeys(setOpen), [])
  return (
    <>
      <Header onOpen={setOpen} />
      <Body />
      <Suspense fallback={null}>
        {open === 'help' ? <Help onClose={() => setOpen('')} /> : null}
        {open === 'settings' ? <Settings onClose={() => setOpen('')} /> : null}
        {isFocused ? <Focus /> : null}
      </Suspense>
    </>
  )
}

function Body() {
  const state = useFeed('connection', () => feed.view().connection.state)
  const hasData = useFeed('cut', () => feed.cut() !== undefined)
  const ccy = useFeed('connection', () => feed.view().ccy)
  useEffect(() => {
    // a tab in the background says when it is not live
    document.title = `${state === 'live' ? '' : `${state} · `}${ccy} · DerivaSys`
  }, [state, ccy])
  const Page = PAGES[usePage()]
  const isOld = hasData && state !== 'live' && state !== 'connecting'
  return (
    <main className={styles.main} data-dim={isOld || undefined} data-testid="main">
      <h1 className="visually-hidden">DerivaSys volatility surfaces</h1>
      <Suspense fallback={null}>
        <Page />
      </Suspense>
    </main>
  )
}

const PAGES = { market: Market, fit: FitPage, system: SystemPage, guide: GuidePage }

function Market() {
  useEffect(() => {
    const timer = setTimeout(() => void Promise.allSettled(Object.values(below).map((load) => load())), FETCH_BELOW_MS)
    return () => clearTimeout(timer)
  }, [])
  return (
    <>
      <Boundary title="At a glance">
        <Glance />
      </Boundary>
      <GridPanel kind="rr" />
      <Suspense fallback={<div className={styles.charts} />}>
        <RrCharts />
      </Suspense>
      <GridPanel kind="fly" />
      <Below id="flycharts" px={374}>
        <FlyCharts />
      </Below>
      <Below id="through" px={430}>
        <ThroughPanel />
      </Below>
      <Below id="smiles" px={720}>
        <Smiles />
      </Below>
      <Below id="lower" px={480}>
        <Lower />
      </Below>
    </>
  )
}

function Below({ id, px, children }: { id: string; px: number; children: ReactNode }) {
  return (
    <Near id={id} px={px}>
      <Suspense fallback={<div style={{ height: px }} />}>{children}</Suspense>
    </Near>
  )
}
