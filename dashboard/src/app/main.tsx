import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import './theme.css'
import { feed } from '../data/feed'
import { App } from './App'
import { exposeState } from './expose'
import { conventionsWanted } from './settings'
import { patient } from './patient'
import { startTheme } from './theme'
import { mirrorToUrl, useView } from './view'

startTheme()
mirrorToUrl()
feed.start(useView.getState().ccy, conventionsWanted(useView.getState()))
useView.subscribe((view, before) => {
  if (view.delta !== before.delta || view.fly !== before.fly) feed.choose(conventionsWanted(view))
})
// the server may not have the currency that the address asks for, or no longer
feed.subscribe('connection', () => {
  const { ccy } = feed.view()
  if (feed.delisted() && ccy !== useView.getState().ccy) useView.setState({ ccy, focus: '' })
})
exposeState()
// not before the first view is up
setTimeout(() => void patient(() => import('../features/timeline/history')).then(({ startHistory }) => startHistory()), 1500)

const root = document.querySelector('#root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  )
}
