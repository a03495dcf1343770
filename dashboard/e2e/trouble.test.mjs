// What the page does when something is wrong, each on the built page in Chromium. Needs `npm run build` first.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { live, noErrors, notice, open, stage, state, until, wholeMarket } from './page.mjs'

const at = stage()

test('a gap in seq is mended by a snapshot, and counted', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  const before = (await state(page)).connection.gaps
  await at.fault('gap')
  await page.waitForFunction((count) => window.__derivasys.state().connection.gaps > count, before)
  await live(page)
  noErrors(page)
  await page.close()
})

test('a new epoch is taken by a snapshot', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  const before = (await state(page)).cut.surface.epoch
  await at.fault('epoch')
  await page.waitForFunction((epoch) => window.__derivasys.state().cut.surface.epoch !== epoch, before)
  await live(page)
  noErrors(page)
  await page.close()
})

test('a quiet venue and a venue that is down are named while the rest is live', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  for (const [fault, wanted] of [['venue', 'stale'], ['down', 'down']]) {
    await at.fault(fault)
    await page.locator(`[data-testid=venue-okx][data-state=${wanted}]`).waitFor()
    await notice(page, 'okx')
    assert.equal(await page.getByTestId('venue-deribit').getAttribute('data-state'), 'live')
    assert.equal(await page.getByTestId('main').getAttribute('data-dim'), null)
  }
  await at.fault('clear')
  await page.getByTestId('notice').waitFor({ state: 'detached' })
  noErrors(page)
  await page.close()
})

test('no data for three seconds: stale, dimmed, every panel says so, then live again', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  await at.fault('silent')
  await until(page, 'stale')
  assert.ok(await page.getByTestId('main').getAttribute('data-dim'))
  await notice(page, 'deribit')
  assert.match(await page.getByTestId('panel-rr').innerText(), /stale/)
  await at.fault('clear')
  await live(page)
  assert.equal(await page.getByTestId('main').getAttribute('data-dim'), null)
  await page.close()
})

test('server gone and back: reconnecting, disconnected, what was known stays, live again', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  await at.fault('drop')
  await page.waitForFunction(() => window.__derivasys.state().connection.reconnects === 1)
  await live(page)
  const port = Number(new URL(at.url).port)
  const rows = await page.locator('[data-testid="rr-grid"] tbody tr').count()
  await at.stopFeed()
  await until(page, 'reconnecting')
  await until(page, 'disconnected')
  await notice(page, /Disconnected after \d+ attempts.*old/)
  assert.equal(await page.locator('[data-testid="rr-grid"] tbody tr').count(), rows)
  await at.startFeed(port)
  await live(page)
  noErrors(page)
  await page.close()
})

test('a tab hidden for a minute queues nothing and shows the newest version at once', async () => {
  // a hidden tab says so and runs no frames: this holds them back until the test lets them go
  const page = await open(at.browser, at.url, {
    init: () => {
      const real = window.requestAnimationFrame.bind(window)
      const waiting = []
      let isHidden = false
      Object.defineProperty(document, 'hidden', { get: () => isHidden })
      window.requestAnimationFrame = (callback) => (isHidden ? waiting.push(callback) : real(callback))
      window.hideTab = (next) => {
        isHidden = next
        if (!next) for (const callback of waiting.splice(0)) real(callback)
      }
      const pulls = { count: 0 }
      window.pulls = pulls
      const { Worker: Real } = window
      window.Worker = class extends Real {
        constructor(...args) {
          super(...args)
          this.addEventListener('message', (event) => event.data.kind === 'view' && (pulls.count += 1))
        }
      }
    },
  })
  await live(page)
  await page.evaluate(() => window.hideTab(true))
  // what was on its way when the tab was hidden
  await page.waitForTimeout(300)
  const before = await page.evaluate(() => ({ pulls: window.pulls.count, version: window.__derivasys.state().version }))
  await at.pump(300)
  await page.waitForTimeout(300)
  const hidden = await page.evaluate(() => ({ pulls: window.pulls.count, version: window.__derivasys.state().version }))
  assert.deepEqual(hidden, before, 'a hidden tab takes nothing')
  await page.evaluate(() => window.hideTab(false))
  await page.waitForFunction((version) => window.__derivasys.state().version >= version + 300, before.version)
  const pulls = await page.evaluate(() => window.pulls.count)
  assert.ok(pulls - before.pulls <= 5, `one pull brings everything, not one for each cycle: ${pulls - before.pulls}`)
  await live(page)
  noErrors(page)
  await page.close()
})

test('a currency that is delisted: the page shows another and says why', async () => {
  const page = await open(at.browser, `${at.url}/?ccy=ETH`)
  await live(page)
  assert.equal((await state(page)).ccy, 'ETH')
  await at.fault('delist')
  await page.waitForFunction(() => window.__derivasys.state().ccy === 'BTC')
  await live(page)
  await notice(page, 'The server does not offer ETH; BTC is shown instead')
  assert.match(page.url(), /ccy=BTC/)
  assert.equal(await page.getByTestId('ccy-ETH').count(), 0)
  await at.fault('clear')
  noErrors(page)
  await page.close()
})

test('malformed messages: the panel says so, the others go on, and a snapshot mends it', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  const before = (await state(page)).version
  await at.fault('malformed')
  await page.getByTestId('panel-rr').getByRole('alert').waitFor()
  // the chart beside it is drawn from newer versions
  await page.waitForFunction((version) => Number(document.querySelector('[data-chart=rr]')?.dataset.version) > version + 3, before)
  await page.getByTestId('panel-rr').getByRole('alert').waitFor({ state: 'detached' })
  await page.waitForFunction(() => /[−+]\d/.test(document.querySelector('[data-cell$=":RR25"]')?.textContent ?? ''))
  await live(page)
  await page.close()
})

test('an empty currency: every panel says that it is empty', async () => {
  const page = await open(at.browser, `${at.url}/?ccy=XRP`)
  await live(page)
  await wholeMarket(page)
  for (const panel of ['rr', 'fly', 'through', 'smiles', 'fits']) {
    assert.match(await page.getByTestId(`panel-${panel}`).innerText(), /no expiries on this surface yet/, panel)
  }
  assert.match(await page.getByTestId('panel-surface').innerText(), /a surface needs two fitted expiries/)
  for (const hash of ['fit', 'system', 'guide']) {
    await page.goto(`${at.url}/?ccy=XRP#/${hash}`)
    await live(page)
  }
  noErrors(page)
  await page.close()
})

test('a phone: one column, nothing beside the screen, the state always in view', async () => {
  const page = await open(at.browser, at.url, { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true })
  await live(page)
  await wholeMarket(page)
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0)
  await page.locator('#lower').scrollIntoViewIfNeeded()
  const box = await page.getByTestId('header-connection').boundingBox()
  assert.ok(box && box.y >= 0 && box.y < 80, 'the state scrolled away')
  assert.match(await page.getByTestId('header-source').innerText(), /SIMULATED/)
  // the first column stays while the grid scrolls
  await page.locator('[data-testid="rr-grid"]').scrollIntoViewIfNeeded()
  const grid = page.locator('[data-testid="rr-grid"]').locator('..')
  await grid.evaluate((element) => (element.scrollLeft = 600))
  const first = await page.locator('[data-testid="rr-grid"] tbody th').first().boundingBox()
  assert.ok(first && first.x >= 0 && first.x < 30, 'the expiry scrolled away')
  noErrors(page)
  await page.close()
})
