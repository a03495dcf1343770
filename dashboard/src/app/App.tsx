import { lazy, Suspense, useEffect, useState } from 'react'
import { Route, Router, Switch } from 'wouter'
import { useHashLocation } from 'wouter/use-hash-location'
import { feed, useFeed } from '../data/feed'
import { FitTable } from '../features/fit/FitTable'
import { Header } from '../features/header/Header'
import { FlyByDelta, SpreadByDays, VolByNode } from '../features/rrfly/charts'
import { GridPanel } from '../features/rrfly/GridPanel'
import { SmileMatrix } from '../features/smiles/SmileMatrix'
import { SurfacePanel } from '../features/surface/SurfacePanel'
import styles from './app.module.css'
import { startKeys } from './keys'

const Help = lazy(() => import('./Help'))
const FitPage = lazy(() => import('../features/fit/FitPage'))
const SystemPage = lazy(() => import('../features/system/SystemPage'))
const AboutPage = lazy(() => import('../features/about/AboutPage'))

export function App() {
  const [isHelp, setHelp] = useState(false)
  useEffect(() => startKeys(() => setHelp(true)), [])
  return (
    <Router hook={useHashLocation}>
      <Header onHelp={() => setHelp(true)} />
      <Body />
      {isHelp ? (
        <Suspense fallback={null}>
          <Help onClose={() => setHelp(false)} />
        </Suspense>
      ) : null}
    </Router>
  )
}

function Body() {
  const state = useFeed('connection', () => feed.view().connection.state)
  const hasData = useFeed('cut', () => feed.cut() !== undefined)
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
      <div className={styles.pair}>
        <SpreadByDays kind="rr" />
        <VolByNode />
      </div>
      <GridPanel kind="fly" />
      <div className={styles.pair}>
        <SpreadByDays kind="fly" />
        <FlyByDelta />
      </div>
      <SmileMatrix />
      <div className={styles.pair}>
        <SurfacePanel />
        <FitTable />
      </div>
    </>
  )
}
