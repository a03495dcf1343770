// The built page in Firefox and in WebKit, by hand: every page of it is opened on the still replay, what it raises is told and a
// screenshot is kept, to look at. `make browsers` (Debian: apt-get install firefox-esr webkit2gtk-driver xvfb).
//   node scripts/browsers.mjs OUTDIR
import { spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import { startReplay } from './browser.mjs'

const MINI_BROWSER = '/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser'
const [FIREFOX_PORT, WEBKIT_PORT] = [9377, 9378]
const PAGES = ['', 'fit', 'system', 'guide']
const SIZES = [[1600, 2600], [390, 844]]

/** What is wrong with the page as it is shown now; an empty list is good. */
const CHECK = `(() => {
  const wrong = [...(window.raised ?? [])]
  const state = document.querySelector('[data-testid=header-connection]')?.dataset.state
  if (state !== 'live') wrong.push('the header says ' + state)
  for (const alert of document.querySelectorAll('[role=alert]')) wrong.push(alert.innerText)
  const over = document.documentElement.scrollWidth - document.documentElement.clientWidth
  if (over > 0) wrong.push('the page hangs over by ' + over + ' px')
  // charts are drawn when they come into view
  for (const chart of document.querySelectorAll('[data-chart]')) if (chart.getBoundingClientRect().top < innerHeight && !chart.dataset.version && !/^(errors|rejected)$/.test(chart.dataset.chart)) wrong.push('the chart ' + chart.dataset.chart + ' is not drawn')
  if (location.hash === '' && !/[−+]\\d/.test(document.querySelector('[data-cell$=":RR25"]')?.textContent ?? '')) wrong.push('the grid is empty')
  return wrong
})()`
const LISTEN = `window.raised ??= (() => { const list = []; addEventListener('error', (event) => list.push(event.message)); addEventListener('unhandledrejection', (event) => list.push(String(event.reason))); return list })()`

/** Tries until it holds: a browser takes a moment to listen. */
async function until(attempt) {
  for (let tries = 0; ; tries += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (tries === 60) throw error
      await sleep(250)
    }
  }
}

/** Firefox by WebDriver BiDi, which it speaks itself. */
async function firefox() {
  const profile = mkdtempSync(join(tmpdir(), 'firefox-'))
  const browser = spawn('firefox-esr', ['--headless', '--no-remote', '--profile', profile, '--remote-debugging-port', String(FIREFOX_PORT)], { stdio: 'ignore' })
  const socket = await until(
    () =>
      new Promise((resolve, reject) => {
        const opening = new WebSocket(`ws://127.0.0.1:${FIREFOX_PORT}/session`)
        opening.once('open', () => resolve(opening))
        opening.once('error', reject)
      }),
  )
  const waiting = new Map()
  socket.on('message', (text) => {
    const { id, result, error, message } = JSON.parse(text)
    const { resolve, reject } = waiting.get(id) ?? {}
    if (error) reject?.(new Error(`${error}: ${message}`))
    else resolve?.(result)
  })
  const ask = (method, params) =>
    new Promise((resolve, reject) => {
      waiting.set(waiting.size, { resolve, reject })
      socket.send(JSON.stringify({ id: waiting.size - 1, method, params }))
    })
  const { capabilities } = await ask('session.new', { capabilities: {} })
  const { contexts } = await ask('browsingContext.getTree', {})
  const [{ context }] = contexts
  return {
    name: `firefox ${capabilities.browserVersion}`,
    resize: (width, height) => ask('browsingContext.setViewport', { context, viewport: { width, height } }),
    open: (url) => ask('browsingContext.navigate', { context, url, wait: 'complete' }),
    run: async (expression) => {
      const { result } = await ask('script.evaluate', { expression: `JSON.stringify(${expression} ?? null)`, target: { context }, awaitPromise: true })
      return JSON.parse(result.value ?? 'null')
    },
    picture: async () => (await ask('browsingContext.captureScreenshot', { context })).data,
    close: async () => {
      const ended = new Promise((resolve) => browser.once('exit', resolve))
      browser.kill()
      await ended
      rmSync(profile, { recursive: true, force: true })
    },
  }
}

/** WebKit, the engine of Safari, in GTK's small browser by WebDriver. In the locale C it calls its language C, which Intl refuses. */
async function webkit() {
  const driver = spawn('xvfb-run', ['-a', '-s', '-screen 0 1700x2800x24', 'WebKitWebDriver', `--port=${WEBKIT_PORT}`], { stdio: 'ignore', detached: true, env: { ...process.env, WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1', LANG: 'en_US.UTF-8' } })
  const ask = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${WEBKIT_PORT}${path}`, { method, ...(body && { body: JSON.stringify(body) }) })
    const { value } = await response.json()
    if (!response.ok) throw new Error(`${value.error}: ${value.message}`)
    return value
  }
  const { sessionId, capabilities } = await until(() => ask('POST', '/session', { capabilities: { alwaysMatch: { 'webkitgtk:browserOptions': { binary: MINI_BROWSER, args: ['--automation'] } } } }))
  const session = `/session/${sessionId}`
  return {
    name: `webkit ${capabilities.browserVersion}`,
    resize: (width, height) => ask('POST', `${session}/window/rect`, { width, height, x: 0, y: 0 }),
    open: (url) => ask('POST', `${session}/url`, { url }),
    run: (expression) => ask('POST', `${session}/execute/sync`, { script: `return ${expression}`, args: [] }),
    picture: () => ask('GET', `${session}/screenshot`),
    close: async () => {
      await ask('DELETE', session).catch(() => undefined)
      process.kill(-driver.pid)
    },
  }
}

const out = process.argv[2] ?? 'browsers'
mkdirSync(out, { recursive: true })
const replay = await startReplay()
let faults = 0
try {
  for (const start of [firefox, webkit]) {
    const browser = await start()
    try {
      console.log(browser.name)
      for (const [width, height] of SIZES) {
        await browser.resize(width, height)
        for (const page of PAGES) {
          await browser.open(`${replay.url}/?size=${width}${page && `#/${page}`}`)
          await browser.run(LISTEN)
          // what lies below the fold is fetched after three seconds
          await sleep(6000)
          const wrong = await browser.run(CHECK)
          faults += wrong.length
          console.log(`  ${width} px, ${page || 'market'}: ${wrong.join('; ') || 'sound'}`)
          writeFileSync(join(out, `${start.name}-${width}-${page || 'market'}.png`), Buffer.from(await browser.picture(), 'base64'))
        }
      }
    } finally {
      await browser.close()
    }
  }
} finally {
  await replay.stop()
}
process.exit(faults > 0 ? 1 : 0)
