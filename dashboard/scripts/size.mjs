// Fails when what the page loads at first (JS and CSS, gzipped, the feed's worker included) is too large.
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const LIMIT_KB = 140
const TARGET_KB = 120
const LAZY_LIMIT_KB = 140
const dist = fileURLToPath(new URL('../dist/', import.meta.url))

const html = readFileSync(`${dist}index.html`, 'utf8')
const initial = new Set([...html.matchAll(/(?:src|href)="\/(assets\/[^"]+\.(?:js|css))"/g)].map((match) => match[1]))
for (const name of readdirSync(`${dist}assets`)) if (name.startsWith('worker')) initial.add(`assets/${name}`)

const kb = (path) => gzipSync(readFileSync(dist + path), { level: 9 }).length / 1000
let total = 0
let isTooLarge = false
for (const path of readdirSync(`${dist}assets`).map((name) => `assets/${name}`).toSorted()) {
  const size = kb(path)
  if (initial.has(path)) total += size
  else if (size > LAZY_LIMIT_KB) isTooLarge = true
  console.log(`${initial.has(path) ? 'initial' : 'lazy   '} ${size.toFixed(1).padStart(7)} kB gz  ${path}`)
}
const charts = readdirSync(`${dist}assets`)
  .filter((name) => name.startsWith('plots') && !initial.has(`assets/${name}`))
  .reduce((sum, name) => sum + kb(`assets/${name}`), 0)
console.log(`with the charts, which load beside it: ${(total + charts).toFixed(1)} kB gz`)
console.log(`initial JS + CSS: ${total.toFixed(1)} kB gz (target ${TARGET_KB}, limit ${LIMIT_KB})`)
if (total + charts > LIMIT_KB || isTooLarge) {
  console.error('too large')
  process.exit(1)
}
