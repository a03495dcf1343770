// Speed of the built page, printed as a table: `make perf`, or
//   node scripts/perf.mjs [--runs 3] [--seconds 20] [--heap-minutes 10] [--json]
// Four venues, about 1,500 instruments, 20 patches a second from the development feed (a process of its own), software
// rendering. Bytes are what the first view loads, gzipped.
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { fileURLToPath } from 'node:url'
import { launch, startFeed } from './browser.mjs'

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '3' }, seconds: { type: 'string', default: '20' }, 'heap-minutes': { type: 'string', default: '10' }, json: { type: 'boolean', default: false } },
})
const RUNS = Number(values.runs)
const SECONDS = Number(values.seconds)
const HEAP_MINUTES = Number(values['heap-minutes'])
const WARM_MS = 6000
/** A window, and one so tall that every panel is in view and is painted: grids, charts, matrix, smiles, surface. */
const HEIGHTS = [1000, 3000]
/** Past three seconds the page fetches what lies below the fold; heap is judged from here on. */
const HEAP_WARM_MS = 60_000

const quantile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]

/** Frame times and patch → pixel, measured in the page: a patch is on screen with the frame after its numbers. */
function probe() {
  const frames = []
  const pixels = []
  let last
  const tick = (now) => {
    if (last !== undefined) frames.push(now - last)
    last = now
    requestAnimationFrame(tick)
  }
  // told in the very frame that writes the version's numbers; the next one shows them
  const cell = document.querySelector('td[data-cell]')
  new MutationObserver(() => {
    const { cut } = window.__derivasys.state()
    if (String(cut?.version) === cell.dataset.version) requestAnimationFrame(() => pixels.push(Date.now() - cut.receivedAt))
  }).observe(cell, { attributeFilter: ['data-version'] })
  requestAnimationFrame(tick)
  window.probed = { frames, pixels }
}

async function firstData(browser, url, height = 1000) {
  const page = await browser.newPage({ viewport: { width: 1600, height } })
  const began = performance.now()
  await page.goto(url, { waitUntil: 'commit' })
  await page.waitForFunction(() => /[−+]\d/.test(document.querySelector('[data-cell$=":RR25"]')?.textContent ?? ''), undefined, { polling: 20 })
  const ms = performance.now() - began
  return { page, ms }
}

async function measure(browser, url, height) {
  const { page, ms } = await firstData(browser, url, height)
  await page.waitForTimeout(WARM_MS)
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('Performance.enable')
  const metrics = async () => Object.fromEntries((await cdp.send('Performance.getMetrics')).metrics.map(({ name, value }) => [name, value]))
  await page.evaluate(probe)
  const before = await metrics()
  const version = await page.evaluate(() => window.__derivasys.state().latestVersion)
  await page.waitForTimeout(1000 * SECONDS)
  const after = await metrics()
  const { frames, pixels, versions } = await page.evaluate(() => ({ ...window.probed, versions: window.__derivasys.state().latestVersion }))
  await page.close()
  const [sortedFrames, sortedPixels] = [frames, pixels].map((list) => list.toSorted((left, right) => left - right))
  const elapsed = after.Timestamp - before.Timestamp
  return {
    first_ms: ms,
    versions_per_s: (versions - version) / elapsed,
    fps: frames.length / (frames.reduce((sum, frame) => sum + frame, 0) / 1000),
    frame_p95: quantile(sortedFrames, 0.95),
    frame_p99: quantile(sortedFrames, 0.99),
    pixel_p50: quantile(sortedPixels, 0.5),
    pixel_p95: quantile(sortedPixels, 0.95),
    pixel_p99: quantile(sortedPixels, 0.99),
    script: (100 * (after.ScriptDuration - before.ScriptDuration)) / elapsed,
    task: (100 * (after.TaskDuration - before.TaskDuration)) / elapsed,
  }
}

/** Growth of the page's live heap, collected before each reading. */
async function heapGrowth(browser, url) {
  const { page } = await firstData(browser, url)
  const cdp = await page.context().newCDPSession(page)
  const live = async () => {
    await cdp.send('HeapProfiler.collectGarbage')
    await cdp.send('HeapProfiler.collectGarbage')
    return (await cdp.send('Runtime.getHeapUsage')).usedSize / 1e6
  }
  await page.waitForTimeout(HEAP_WARM_MS)
  const before = await live()
  await page.waitForTimeout(60_000 * HEAP_MINUTES)
  const after = await live()
  await page.close()
  return { before, after }
}

const ROWS = [
  ['first live data, ms', 'first_ms', 0, '≤ 2000'],
  ['versions a second', 'versions_per_s', 1, '20 sent'],
  ['frames a second', 'fps', 1, '≥ 54'],
  ['frame p95, ms', 'frame_p95', 1, '≤ 20'],
  ['frame p99, ms', 'frame_p99', 1, '≤ 50'],
  ['patch → pixel p50, ms', 'pixel_p50', 0, '≤ 50'],
  ['patch → pixel p95, ms', 'pixel_p95', 0, '≤ 100'],
  ['patch → pixel p99, ms', 'pixel_p99', 0, '≤ 150'],
  ['script, % of the main thread', 'script', 1, ''],
  ['all tasks, % of the main thread', 'task', 1, ''],
]

const feed = await startFeed(0, '--scenario', 'busy', '--every', '50')
const browser = await launch()
try {
  const sizes = spawnSync(process.execPath, [fileURLToPath(new URL('size.mjs', import.meta.url)), '--summary'], { encoding: 'utf8' })
  const runs = []
  for (const height of HEIGHTS) for (let run = 1; run <= RUNS; run += 1) runs.push({ height, run, ...(await measure(browser, feed.url, height)) })
  const heap = HEAP_MINUTES > 0 ? await heapGrowth(browser, feed.url) : undefined
  if (values.json) console.log(JSON.stringify({ runs, heap }))
  else {
    console.log(sizes.stdout.trim())
    console.log(`\n| market page, 1600 px wide, four venues, 1,500 instruments | ${runs.map(({ height, run }) => `${height} px, run ${run}`).join(' | ')} | target |`)
    console.log(`|---|${'---|'.repeat(runs.length + 1)}`)
    for (const [name, key, digits, target] of ROWS) console.log(`| ${name} | ${runs.map((run) => run[key].toFixed(digits)).join(' | ')} | ${target} |`)
    if (heap) console.log(`| heap growth in ${HEAP_MINUTES} minutes, MB | ${(heap.after - heap.before).toFixed(2)} (${heap.before.toFixed(1)} → ${heap.after.toFixed(1)}) |${' |'.repeat(runs.length - 1)} < 2 in 10 minutes |`)
  }
} finally {
  await browser.close()
  await feed.stop()
}
