// A page on a development feed of its own, and what the tests ask of it.
import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { launch, startFeed, startReplay } from '../scripts/browser.mjs'

const WAIT_MS = 30_000

/** Starts a feed and a browser for the tests of a file, and ends them. */
export function stage(...feedArgs) {
  const held = { feed: undefined, browser: undefined }
  before(async () => {
    held.feed = await startFeed(0, ...feedArgs)
    held.browser = await launch()
  })
  after(async () => {
    await held.browser?.close()
    await held.feed?.stop()
  })
  return {
    get url() {
      return held.feed.url
    },
    get browser() {
      return held.browser
    },
    fault: (kind) => fetch(`${held.feed.url}/dev/fault?kind=${kind}`),
    pump: (cycles) => fetch(`${held.feed.url}/dev/pump?cycles=${cycles}`),
    stopFeed: () => held.feed.stop(),
    startFeed: async (port) => {
      held.feed = await startFeed(port, ...feedArgs)
    },
  }
}

/** Starts the still replay and a browser for the tests of a file, and ends them. */
export function replayStage() {
  const held = {}
  before(async () => {
    held.replay = await startReplay()
    held.browser = await launch()
  })
  after(async () => {
    await held.browser?.close()
    await held.replay?.stop()
  })
  return {
    get url() {
      return held.replay.url
    },
    get browser() {
      return held.browser
    },
  }
}

/** Opens the page; `errors` collects what it raises. */
export async function open(browser, url, options = {}) {
  const { init, ...context } = options
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 }, ...context })
  page.setDefaultTimeout(WAIT_MS)
  page.errors = []
  page.on('pageerror', (error) => page.errors.push(String(error)))
  page.on('console', (message) => message.type() === 'error' && !/WebSocket|ERR_CONNECTION|Failed to load resource/.test(message.text()) && page.errors.push(message.text()))
  if (init) await page.addInitScript(init)
  await page.goto(url)
  return page
}

export const state = (page) => page.evaluate(() => window.__derivasys.state())

export const until = (page, wanted) =>
  page.waitForFunction((value) => document.querySelector('[data-testid=header-connection]')?.dataset.state === value, wanted, { polling: 50 })

export const live = (page) => until(page, 'live')

/** Freezes by the button: Space is pressed by whatever button has the focus. Returns the frozen version. */
export async function freeze(page) {
  await page.getByRole('button', { name: 'Freeze' }).click()
  const frozen = page.locator('[data-testid=header-version][data-frozen]')
  await frozen.waitFor()
  return Number(await frozen.getAttribute('data-version'))
}

export const notice = (page, text) => page.getByTestId('notice').filter({ hasText: text }).waitFor()

/** Fixed decimals rounded half away from zero on the decimal text, as a person reads the message. */
export function shown(value, digits, isSigned = false) {
  if (value === undefined) return '–'
  const size = Math.abs(value).toFixed(digits)
  const sign = Number(size) === 0 ? '' : value < 0 ? '−' : isSigned ? '+' : ''
  return sign + size
}

/** Every panel of the market page is mounted and drawn. */
export async function wholeMarket(page) {
  for (const id of ['flycharts', 'through', 'smiles', 'lower']) {
    await page.locator(`#${id}`).scrollIntoViewIfNeeded()
    await page.locator(`#${id} [data-panel]`).first().waitFor()
  }
  await page.evaluate(() => scrollTo(0, 0))
}

export function noErrors(page) {
  assert.deepEqual(page.errors, [])
}
