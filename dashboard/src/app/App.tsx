import { lazy, Suspense, useEffect, useState } from 'react'
import { Route, Router, Switch } from 'wouter'
import { useHashLocation } from 'wouter/use-hash-location'
import { feed, useFeed } from '../data/feed'
import { Header } from '../features/header/Header'
import { GridPanel } from '../features/rrfly/GridPanel'
import styles from './app.module.css'
import { startKeys } from './keys'
import { useView } from './view'

// asked for at once, but the grids do not wait for the charts
const plots = import('./plots')
const RrCharts = lazy(() => plots.then(({ RrCharts: component }) => ({ default: component })))
const FlyCharts = lazy(() => plots.then(({ FlyCharts: component }) => ({ default: component })))
const Smiles = lazy(() => plots.then(({ SmileMatrix: component }) => ({ default: component })))
const Lower = lazy(() => import('./Lower'))
const Help = lazy(() => import('./Help'))
const Settings = lazy(() => import('./SettingsDialog'))
const Focus = lazy(() => import('../features/smiles/Focus'))
const FitPage = lazy(() => import('../features/fit/FitPage'))
const SystemPage = lazy(() => import('../features/system/SystemPage'))
const AboutPage = lazy(() => import('../features/about/AboutPage'))

export function App() {
  const [open, setOpen] = useState<'' | 'help' | 'settings'>('')
  const isFocused = useView((view) => view.focus !== '')
  useEffect(() => startKeys(setOpen), [])
  return (
    <Router hook={useHashLocation}>
      <Header onOpen={setOpen} />
      <Body />
      <Suspense fallback={null}>
        {open === 'help' ? <Help onClose={() => setOpen('')} /> : null}
        {open === 'settings' ? <Settings onClose={() => setOpen('')} /> : null}
        {isFocused ? <Focus /> : null}
      </Suspense>
    </Router>
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
  const isOld = hasData && state !== 'live' && state !== 'connecting'
  return (
    <main className={styles.main} data-dim={isOld || undefined} data-testid="main">
      <h1 className="visually-hidden">DerivaSys volatility surfaces</h1>
      <Suspense fallback={null}>
        <Switch>
          <Route path="/fit" component={FitPage} />
          <Route path="/system" component={SystemPage} />
          <Route path="/about" component={AboutPage} />
          <Route component={Market} />
        </Switch>
      </Suspense>
    </main>
  )
}

function Market() {
  return (
    <>
      <GridPanel kind="rr" />
      <Suspense fallback={<div className={styles.charts} />}>
        <RrCharts />
      </Suspense>
      <GridPanel kind="fly" />
      <Suspense fallback={<div className={styles.charts} />}>
        <FlyCharts />
      </Suspense>
      <Suspense fallback={<div className={styles.lower} />}>
        <Smiles />
      </Suspense>
      <Suspense fallback={<div className={styles.lower} />}>
        <Lower />
      </Suspense>
    </>
  )
}
