// 64 expiries of 900 strikes. Needs `npm run build` first.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { live, noErrors, open, stage, state, wholeMarket } from './page.mjs'

const at = stage('--scenario', 'huge', '--every', '3000')

test('64 expiries of 900 strikes: everything is there and the keys still answer', async () => {
  const page = await open(at.browser, at.url)
  await live(page)
  assert.equal(await page.locator('[data-testid="rr-grid"] tbody tr').count(), 64)
  await wholeMarket(page)
  assert.equal(await page.locator('[data-testid^="smile-1"]').count(), 64)
  const { cut } = await state(page)
  assert.equal(Object.keys(Object.values(cut.levels.levels)[0]).length, 900)
  await page.waitForFunction(() => document.querySelector('[data-testid=through-matrix]')?.dataset.version !== undefined)
  await page.keyboard.press(' ')
  await page.locator('[data-testid=header-version][data-frozen]').waitFor()
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth), 0)
  noErrors(page)
  await page.close()
})
