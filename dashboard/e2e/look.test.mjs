// Who can use it: axe in both themes, the keyboard alone, reduced motion, and the first minute of somebody new.
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { freeze, live, noErrors, open, shown, stage, state, wholeMarket } from './page.mjs'

const at = stage()
const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const TABLES = 'tables=rr,fly,nodes,flydelta,through,smiles,surface'

for (const colorScheme of ['dark', 'light']) {
  for (const [width, path] of [[1600, '/'], [390, '/'], [1600, `/?rows=tenor&sub=strike&${TABLES}`], [1600, '/?focus=first'], [1600, '/#/fit'], [1600, '/#/system'], [1600, '/#/guide'], [390, '/#/guide']]) {
    test(`axe: ${colorScheme} ${width} ${path}`, async () => {
      const page = await open(at.browser, at.url + path.replace('?focus=first', ''), { viewport: { width, height: 1000 }, colorScheme })
      await live(page)
      if (path.includes('#')) await page.locator('main [data-panel], main article').first().waitFor()
      else await wholeMarket(page)
      if (path.includes('focus')) {
        await page.locator('[data-testid="rr-grid"] tbody th button').first().click()
        await page.getByTestId('checks').waitFor()
      }
      await page.evaluate(axe)
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
      assert.deepEqual(violations.map(({ id, nodes }) => `${id}: ${nodes[0].target} ${nodes[0].failureSummary}`), [])
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0)
      noErrors(page)
      await page.close()
    })
  }
}

test('axe: dialogs', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  for (const [key, id] of [['?', 'help'], [',', 'settings']]) {
    await page.keyboard.press(key)
    await page.getByTestId(id).waitFor()
    await page.evaluate(axe)
    const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }))
    assert.deepEqual(violations.map(({ id: rule, nodes }) => `${rule}: ${nodes[0].target}`), [])
    await page.keyboard.press('Escape')
    await page.getByTestId(id).waitFor({ state: 'detached' })
  }
  await page.close()
})

test('the keyboard alone: grid, tooltip, focus view, settings in the address, matrix, surface', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  await wholeMarket(page)
  // the grid is one stop, walked by arrows; each number tells its tooltip
  await page.locator('[data-cell^="rr:"][tabindex="0"]').focus()
  for (const key of ['ArrowDown', 'ArrowRight', 'ArrowRight', 'ArrowRight']) await page.keyboard.press(key)
  assert.match(await page.evaluate(() => document.activeElement.dataset.cell), /^rr:\d+:RR10$/)
  await page.getByRole('tooltip').filter({ hasText: 'RR10' }).waitFor()
  // an expiry opens by its button, closes by Escape, and gives the focus back
  await page.locator('[data-testid="rr-grid"] tbody th button').first().focus()
  await page.keyboard.press('Enter')
  await page.getByTestId('checks').waitFor()
  await page.keyboard.press('Escape')
  await page.getByTestId('checks').waitFor({ state: 'detached' })
  // keys of the page
  await page.keyboard.press('r')
  await page.waitForURL(/rows=tenor/)
  await page.keyboard.press('s')
  await page.waitForURL(/sub=strike/)
  // settings
  await page.keyboard.press(',')
  const input = page.getByLabel('Share inside bid–ask at least')
  await input.fill('101')
  assert.equal(await input.getAttribute('aria-invalid'), 'true')
  await input.fill('95')
  await page.keyboard.press('Enter')
  await page.waitForURL(/min\.inside=95/)
  await page.keyboard.press('Escape')
  // the matrix
  await page.getByTestId('through-matrix').focus()
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowRight')
  await page.getByTestId('through-readout').filter({ hasText: /through the fit|above the fit|below the fit/ }).waitFor()
  // the surface turns
  const labels = () => page.locator('[data-testid="surface-3d"] [data-align]').evaluateAll((spans) => spans.map((span) => span.style.left).join())
  await page.locator('[data-testid="surface-3d"] [role=application]').focus()
  const before = await labels()
  await page.keyboard.press('ArrowLeft')
  await page.waitForFunction((was) => [...document.querySelectorAll('[data-testid="surface-3d"] [data-align]')].map((span) => span.style.left).join() !== was, before)
  noErrors(page)
  await page.close()
})

test('the address holds the whole view: a copy of it shows the same', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  await page.keyboard.press('r')
  await page.keyboard.press('x')
  await page.keyboard.press(',')
  await page.getByTestId('settings').getByRole('button', { name: 'put − call' }).click()
  await page.waitForURL(/rr=put/)
  const copy = await open(at.browser, page.url())
  await live(copy)
  await copy.locator('thead').filter({ hasText: 'Risk reversal: put − call' }).first().waitFor()
  assert.match(copy.url(), /rows=tenor/)
  assert.match(copy.url(), /axis=strike/)
  await copy.close()
  await page.close()
})

test('reduced motion: nothing is animated', async () => {
  const page = await open(at.browser, at.url, { reducedMotion: 'reduce' })
  await live(page)
  await wholeMarket(page)
  const moving = await page.evaluate(() => {
    const styles = [...document.querySelectorAll('*')].map((element) => getComputedStyle(element))
    return styles.filter(({ animationName, transitionDuration }) => animationName !== 'none' || (transitionDuration !== '0s' && transitionDuration !== '')).length + document.getAnimations().length
  })
  assert.equal(moving, 0)
  await page.close()
})

const inWindow = async (locator) => {
  const box = await locator.boundingBox()
  return box !== null && box.y >= 0 && box.y + box.height <= 1000
}

// No hints: what is read and pressed here is visible text in the first window, or follows from it.
test('the first minute: live or not, the 25-delta risk reversal of 30 days, quotes through the fit, the front expiry', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  // what is live: the label, the state and every venue are in view without a move
  const source = page.getByText('SIMULATED', { exact: true })
  assert.ok(await inWindow(source))
  assert.ok(await inWindow(page.getByRole('banner').getByRole('status').filter({ hasText: 'Live' })))
  for (const venue of ['deribit', 'okx', 'bybit', 'binance']) assert.ok(await inWindow(page.getByRole('banner').getByText(venue)))
  // the 25-delta risk reversal of the 30-day tenor: said in view, and again in the grid that the word Tenor brings
  const tile = page.getByRole('button', { name: /30-day tenor/ })
  assert.ok(await inWindow(tile))
  const told = /RR25\s*([−+][\d.]+)/.exec(await tile.innerText())?.[1]
  assert.ok(told)
  await page.getByRole('button', { name: 'Tenor', exact: true }).first().click()
  const row = page.locator('[data-testid="rr-grid"] tbody tr').filter({ hasText: /^1M/ })
  assert.ok(await inWindow(row))
  assert.match(await row.innerText(), /30d/)
  const version = await freeze(page)
  const cell = row.locator('[data-cell$=":RR25"]')
  // painters come a moment after the freeze
  await page.waitForFunction((wanted) => Number(document.querySelector('[data-cell="rr:1M:RR25"]')?.dataset.version) === wanted, version)
  const { cut } = await state(page)
  assert.equal(cut.version, version)
  assert.equal((await cell.innerText()).trim(), shown(cut.tenors.tenors['1M'].risk_reversals.RR25, 2, true))
  await page.getByRole('button', { name: 'Resume' }).click()
  // which quotes trade through the fit: counted in view, and a press away cell by cell
  const through = page.getByRole('button', { name: /Quotes through the fit/ })
  assert.ok(await inWindow(through))
  await through.click()
  await page.waitForFunction(() => {
    const box = document.querySelector('[data-testid="through-matrix"]')?.getBoundingClientRect()
    return box && box.top >= 0 && box.bottom <= innerHeight && box.height > 100
  })
  // whether the front expiry can be trusted: a verdict in view, and each check with its limit
  await page.evaluate(() => scrollTo(0, 0))
  const front = page.getByRole('button', { name: /Front expiry/ })
  assert.ok(await inWindow(front))
  assert.match(await front.innerText(), /All checks passed|With care|Not to be trusted/)
  await front.click()
  const checks = page.getByTestId('checks')
  await checks.waitFor()
  assert.equal(await checks.getByRole('listitem').count(), 10)
  assert.ok(await inWindow(checks))
  noErrors(page)
  await page.close()
})
