// The built page in Chromium on the development feed. Needs `npm run build` first.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { launch, startFeed } from './browser.mjs'

const PORT = 8796
let feed = await startFeed(PORT)
const browser = await launch()
const fault = (kind) => fetch(`${feed.url}/dev/fault?kind=${kind}`)
let passed = 0

async function step(name, run) {
  await run()
  passed += 1
  console.log(`ok ${name}`)
}

try {
  const page = await browser.newPage({ viewport: { width: 1600, height: 1000 } })
  const errors = []
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('console', (message) => message.type() === 'error' && !/WebSocket|ERR_CONNECTION|Failed to load resource/.test(message.text()) && errors.push(message.text()))
  const state = () => page.evaluate(() => window.__derivasys.state())
  const until = (wanted, timeout = 15_000) =>
    page.waitForFunction((value) => document.querySelector('[data-testid=header-connection]')?.dataset.state === value, wanted, { timeout, polling: 20 })

  await step('goes live, and says that the source is simulated', async () => {
    await page.goto(feed.url)
    await until('live')
    assert.match(await page.getByTestId('header-source').innerText(), /SIMULATED/)
    await page.waitForFunction(() => /[−+]\d/.test(document.querySelector('[data-cell$=":RR25"]')?.textContent ?? ''))
    assert.equal(await page.locator('[data-testid="rr-grid"] tbody tr').count(), 12)
  })
  await step('every panel and every cell shows one version', async () => {
    await page.keyboard.press(' ')
    await page.waitForTimeout(600)
    const seen = await page.evaluate(() => [
      document.querySelector('[data-testid=header-version]').dataset.version,
      ...[...document.querySelectorAll('[data-panel-version]')].map((element) => element.dataset.panelVersion),
      ...[...document.querySelectorAll('td[data-cell]')].map((element) => element.dataset.version),
    ])
    assert.ok(seen.length > 600, `${seen.length} places`)
    assert.deepEqual([...new Set(seen)], [String((await state()).version)])
    await page.waitForTimeout(1200)
    assert.ok((await state()).versionsBehind > 0)
    assert.match(await page.getByTestId('header-version').innerText(), /behind/)
    await page.keyboard.press(' ')
  })
  await step('a gap in seq is mended by a snapshot', async () => {
    const before = (await state()).connection.gaps
    await fault('gap')
    await page.waitForFunction((count) => window.__derivasys.state().connection.gaps > count, before, { timeout: 10_000 })
    await until('live')
  })
  await step('a new epoch is taken by a snapshot', async () => {
    const before = (await state()).cut.surface.epoch
    await fault('epoch')
    await page.waitForFunction((epoch) => window.__derivasys.state().cut.surface.epoch !== epoch, before)
    await until('live')
  })
  await step('a quiet venue is named while the rest is live', async () => {
    await fault('venue')
    await page.getByTestId('notice').filter({ hasText: 'okx' }).waitFor()
    assert.equal(await page.getByTestId('venue-okx').getAttribute('data-state'), 'stale')
    assert.equal(await page.getByTestId('venue-deribit').getAttribute('data-state'), 'live')
    await fault('clear')
  })
  await step('stale after three seconds without data: dimmed, venues named, then live again', async () => {
    await fault('silent')
    await until('stale', 6000)
    assert.ok(await page.getByTestId('main').getAttribute('data-dim'))
    await page.getByTestId('notice').filter({ hasText: 'deribit' }).waitFor()
    await fault('clear')
    await until('live')
    assert.equal(await page.getByTestId('main').getAttribute('data-dim'), null)
  })
  await step('a dropped connection comes back by itself', async () => {
    await fault('drop')
    await until('reconnecting', 3000)
    await until('live')
  })
  await step('a server that is gone: disconnected in the end, and live when it returns', async () => {
    await feed.stop()
    await until('reconnecting', 3000)
    await until('disconnected', 30_000)
    feed = await startFeed(PORT)
    await until('live')
  })
  await step('switches currency and keeps it in the address', async () => {
    await page.getByTestId('ccy-ETH').click()
    await page.waitForFunction(() => window.__derivasys.state().cut?.ccy === 'ETH')
    assert.match(page.url(), /ccy=ETH/)
    assert.equal(await page.locator('[data-testid="rr-grid"] tbody tr').count(), 11)
  })
  await step('no error was raised', async () => assert.deepEqual(errors, []))
  await page.close()

  const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
  for (const colorScheme of ['dark', 'light']) {
    for (const [width, path] of [[1600, '/'], [390, '/'], [1600, '/?rows=tenor&sub=strike&tables=rr,smiles,surface'], [1600, '/#/fit'], [1600, '/#/system'], [1600, '/#/about']]) {
      await step(`axe: ${colorScheme} ${width} ${path}`, async () => {
        const view = await browser.newPage({ viewport: { width, height: 1000 }, colorScheme })
        await view.goto(feed.url + path)
        await view.waitForFunction(() => window.__derivasys?.state().version !== undefined)
        await view.waitForTimeout(600)
        await view.evaluate(axe)
        const { violations } = await view.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
        assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].target}`), [])
        const overflow = await view.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
        assert.equal(overflow, 0)
        await view.close()
      })
    }
  }
  console.log(`${passed} passed, 0 failed`)
} finally {
  await browser.close()
  await feed.stop()
}
