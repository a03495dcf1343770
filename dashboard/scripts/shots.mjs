// Screenshots of the built page on the development feed, to look at:
//   node scripts/shots.mjs OUTDIR [--url http://...] [--only name] [--hash '#/fit']
import { mkdirSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { launch, startFeed } from './browser.mjs'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { url: { type: 'string' }, only: { type: 'string' }, hash: { type: 'string', default: '' }, query: { type: 'string', default: '' }, full: { type: 'boolean', default: true } },
})
const out = positionals[0] ?? 'shots'
mkdirSync(out, { recursive: true })
const feed = values.url ? undefined : await startFeed(8793)
const url = values.url ?? feed.url
const browser = await launch()
try {
  const shots = []
  for (const [width, height] of [[1600, 1000], [390, 844]]) for (const theme of ['dark', 'light']) shots.push({ name: `${width}-${theme}`, width, height, theme })
  for (const { name, width, height, theme } of shots) {
    if (values.only && !name.includes(values.only)) continue
    const page = await browser.newPage({ viewport: { width, height }, colorScheme: theme })
    page.on('console', (message) => ['error', 'warning'].includes(message.type()) && console.log(`${name}: ${message.text()}`))
    page.on('pageerror', (error) => console.log(`${name}: ${error.stack}`))
    await page.goto(`${url}/${values.query}${values.hash}`)
    await page.waitForFunction(() => window.__derivasys?.state().version !== undefined, undefined, { timeout: 15_000 })
    // the code of what lies below the fold is fetched when the first view is up
    await page.waitForTimeout(3500)
    // let every panel come into view once, so that its charts are drawn
    for (let y = 0; y < (await page.evaluate(() => document.documentElement.scrollHeight)); y += height / 2) {
      await page.evaluate((to) => scrollTo(0, to), y)
      await page.waitForTimeout(250)
    }
    await page.evaluate(() => scrollTo(0, 0))
    await page.waitForTimeout(1500)
    await page.screenshot({ path: `${out}/${name}.png`, fullPage: values.full })
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
    console.log(`${name}: ${await page.getByTestId('header-connection').getAttribute('data-state')}, page overflows by ${overflow} px`)
    await page.close()
  }
} finally {
  await browser.close()
  await feed?.stop()
}
