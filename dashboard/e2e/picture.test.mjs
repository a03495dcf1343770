// What the key panels look like, against kept pictures of the same seeded replay, and where there is arbitrage to mark, of a still
// market that has it: `PICTURES=write npm run e2e e2e/picture.test.mjs` keeps new ones. Compared at a quarter of the size, so that another machine's fonts pass and a missing curve does not.
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { live, open, replayStage, stage } from './page.mjs'

const FOLDER = fileURLToPath(new URL('pictures/', import.meta.url))
/** A pixel differs when a channel does by more than this, of 255. */
const CHANNEL_MAX = 24
/** Share of pixels that may differ: a chart without its curves differs by 0.037 at least, the matrix without its cells by 0.008. */
const SHARE_MAX = 0.015
const SHARE_MAX_OF = { through: 0.004 }
const replay = replayStage()
const faulty = stage('--still', String(Date.UTC(2026, 2, 22, 12)), '--seed', '3')

const ARBITRAGE = [['faults-fits', '[data-testid=panel-fits]'], ['faults-variance', '[data-testid=panel-chart-variance]'], ['faults-g', '[data-testid=panel-chart-g]'], ['faults-density', '[data-testid=panel-chart-density]']]
const MARKET = [['glance', '[data-testid=glance]'], ['rr', '[data-testid=panel-rr]'], ['rr-days', '[data-testid=panel-chart-rr]'], ['through', '[data-testid=panel-through]'], ['smiles', '[data-testid=panel-smiles]'], ['surface', '[data-testid=panel-surface]']]
const FIT = [['fits', '[data-testid=panel-fits]'], ['variance', '[data-testid=panel-chart-variance]'], ['g', '[data-testid=panel-chart-g]'], ['density', '[data-testid=panel-chart-density]'], ['term', '[data-testid=panel-chart-term]'], ['parity', '[data-testid=panel-chart-parity]']]

/** A quarter of a PNG, drawn by the browser; with what was kept, also the share of pixels that differ from it. */
function quarter(page, now, kept) {
  return page.evaluate(
    async ([right, left, channelMax]) => {
      const [b, a] = await Promise.all(
        [right, left].map(async (base64) => {
          if (base64 === undefined) return undefined
          const image = new Image()
          image.src = `data:image/png;base64,${base64}`
          await image.decode()
          return image
        }),
      )
      const canvas = document.createElement('canvas')
      canvas.width = a?.width ?? Math.ceil(b.width / 4)
      canvas.height = a?.height ?? Math.ceil(b.height / 4)
      const ctx = canvas.getContext('2d', { willReadFrequently: true })
      ctx.imageSmoothingQuality = 'high'
      const read = (image) => {
        ctx.drawImage(image, 0, 0, canvas.width, canvas.height)
        return ctx.getImageData(0, 0, canvas.width, canvas.height).data
      }
      const q = read(b)
      const png = canvas.toDataURL('image/png').split(',')[1]
      if (a === undefined) return { png, share: 0, ratio: 1 }
      const p = read(a)
      let differing = 0
      for (let i = 0; i < p.length; i += 4) if (Math.max(Math.abs(p[i] - q[i]), Math.abs(p[i + 1] - q[i + 1]), Math.abs(p[i + 2] - q[i + 2])) > channelMax) differing += 1
      return { png, share: differing / (canvas.width * canvas.height), ratio: b.width / b.height / (a.width / a.height) }
    },
    [now.toString('base64'), kept?.toString('base64'), CHANNEL_MAX],
  )
}

for (const colorScheme of ['dark', 'light']) {
  for (const [name, at, path, panels] of [['market', replay, '/', MARKET], ['fit', replay, '/#/fit', FIT], ['arbitrage', faulty, '/#/fit', ARBITRAGE]]) {
    test(`pictures: ${name}, ${colorScheme}`, async () => {
      const page = await open(at.browser, at.url + path, { colorScheme, viewport: { width: 1600, height: 3200 } })
      await live(page)
      // versions go on though nothing moves
      await page.evaluate(() => {
        const sheet = new CSSStyleSheet()
        sheet.replaceSync('[data-panel-version] { visibility: hidden } header { display: none !important }')
        document.adoptedStyleSheets = [sheet]
      })
      for (const [, selector] of panels) await page.locator(selector).waitFor()
      await page.waitForFunction(() => [...document.querySelectorAll('[data-chart]')].filter((chart) => !/^(errors|rejected)$/.test(chart.dataset.chart)).every((chart) => chart.dataset.version))
      // long enough for data that does not go on to be stale, which dims everything
      await page.waitForTimeout(3500)
      await live(page)
      for (const [panel, selector] of panels) {
        const file = `${FOLDER}${panel}-${colorScheme}.png`
        const now = await page.locator(selector).screenshot()
        if (process.env.PICTURES === 'write') {
          mkdirSync(FOLDER, { recursive: true })
          const { png } = await quarter(page, now)
          writeFileSync(file, Buffer.from(png, 'base64'))
          continue
        }
        const { share, ratio } = await quarter(page, now, readFileSync(file))
        assert.ok(Math.abs(ratio - 1) < 0.05, `${panel}: another shape`)
        assert.ok(share <= (SHARE_MAX_OF[panel] ?? SHARE_MAX), `${panel}: ${(100 * share).toFixed(1)} % of the pixels differ`)
      }
      await page.close()
    })
  }
}
