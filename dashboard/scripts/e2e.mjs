// The browser tests, where a Chromium is: without one they are skipped with a word, and under CI=true they fail.
//   node scripts/e2e.mjs [file…] ; CHROMIUM names another browser, PICTURES=write keeps what the panels look like now
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { chromiumPath } from './browser.mjs'

if (chromiumPath() === undefined) {
  console.log('no Chromium here (make browser installs it): the browser tests are skipped')
  process.exit(process.env.CI === 'true' ? 1 : 0)
}
const wanted = process.argv.slice(2)
const files = wanted.length > 0 ? wanted : readdirSync('e2e').filter((name) => name.endsWith('.test.mjs')).map((name) => `e2e/${name}`)
process.exit(spawnSync(process.execPath, ['--test', '--test-concurrency=2', ...files], { stdio: 'inherit' }).status ?? 1)
