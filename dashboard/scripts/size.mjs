// Fails when what the first view loads (JS and CSS, gzipped, the feed's worker and the charts included) is too large.
//   node scripts/size.mjs [--summary]
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const LIMIT_KB = 140
const TARGET_KB = 120
const LAZY_LIMIT_KB = 140
const isSummary = process.argv.includes('--summary')
const dist = fileURLToPath(new URL('../dist/', import.meta.url))

const names = readdirSync(`${dist}assets`).toSorted()
const html = readFileSync(`${dist}index.html`, 'utf8')
const text = (name) => readFileSync(`${dist}assets/${name}`, 'utf8')

/** The files of the page's own HTML, the worker, the charts of the first view, and all that these import at once. */
const initial = new Set([...html.matchAll(/(?:src|href)="\/assets\/([^"]+\.(?:js|css))"/g)].map((match) => match[1]))
for (const name of names) if (/^(worker|plots)/.test(name)) initial.add(name)
for (const name of initial) {
  if (!name.endsWith('.js')) continue
  // static imports only: `from"./x.js"` and `import"./x.js"`, not `import("./x.js")`
  for (const [, other] of text(name).matchAll(/(?:from|import)\s*"\.\/([^"]+\.js)"/g)) initial.add(other)
}

const kb = (name) => gzipSync(readFileSync(`${dist}assets/${name}`), { level: 9 }).length / 1000
const sum = (list) => list.reduce((total, name) => total + kb(name), 0)
const tooLarge = []
for (const name of names) {
  const size = kb(name)
  if (!initial.has(name) && size > LAZY_LIMIT_KB) tooLarge.push(name)
  if (!isSummary) console.log(`${initial.has(name) ? 'first view' : 'later     '} ${size.toFixed(1).padStart(7)} kB gz  ${name}`)
}
const first = names.filter((name) => initial.has(name))
const total = sum(first)
console.log(`first view, JS + CSS: ${total.toFixed(1)} kB gz (target ${TARGET_KB}, limit ${LIMIT_KB})`)
console.log(`of it JS ${sum(first.filter((name) => name.endsWith('.js'))).toFixed(1)}, CSS ${sum(first.filter((name) => name.endsWith('.css'))).toFixed(1)}; later: three ${sum(names.filter((name) => name.startsWith('three'))).toFixed(1)}, all else ${sum(names.filter((name) => !initial.has(name) && !name.startsWith('three'))).toFixed(1)} kB gz`)
if (total > LIMIT_KB || tooLarge.length > 0) {
  console.error(`too large: ${tooLarge.join(', ') || 'the first view'}`)
  process.exit(1)
}
