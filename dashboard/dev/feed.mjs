// A development feed: the contract's WebSocket with a synthetic market, /config.json and, when built, the page.
//   node dev/feed.mjs [--port 8791] [--static dist] [--seed 1] [--every 200] [--scenario usual | busy | huge] [--still 1774180800000]
// --still: the market of that instant (ms), which does not move; only the fit's status goes on
// Port 0 takes a free one. Faults on request, to see the page's states:
//   /dev/fault?kind=gap | epoch | drop | silent | venue | down | refuse | malformed | delist | clear
//   /dev/pump?cycles=300 sends that many cycles at once: a minute in a moment
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { parseArgs } from 'node:util'
import { WebSocketServer } from 'ws'
import { CURRENCIES, Market, OWN, status, VENUES } from './market.mjs'

const { values } = parseArgs({
  options: { port: { type: 'string', default: '8791' }, static: { type: 'string', default: 'dist' }, seed: { type: 'string', default: '1' }, every: { type: 'string', default: '200' }, scenario: { type: 'string', default: 'usual' }, still: { type: 'string' } },
})
const BUILD = 'dev-feed'
const CHANNELS = ['surface', 'levels', 'tenors', 'through', 'fit']
const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.json': 'application/json', '.woff2': 'font/woff2' }

const STILL = values.still === undefined ? undefined : Number(values.still)
const startedAt = Date.now()
let epoch = 1
let fault = ''
const markets = new Map()
const fill = () => {
  // a huge market is work enough
  const ccys = values.scenario === 'huge' ? ['BTC'] : Object.keys(CURRENCIES)
  for (const ccy of ccys) markets.set(ccy, new Market(ccy, { seed: Number(values.seed), now: STILL ?? Date.now(), epoch: `dev-${epoch}`, scenario: values.scenario }))
}
fill()

const server = createServer((request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost')
  void answer(url, response)
})

async function answer(url, response) {
  if (url.pathname === '/config.json') {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ ws_path: '/ws', build: BUILD }))
    return
  }
  if (url.pathname === '/dev/fault') {
    fault = url.searchParams.get('kind') ?? ''
    if (fault === 'drop' || fault === 'refuse') for (const client of sockets.clients) client.close(1012, 'server restarts')
    if (fault === 'epoch') {
      epoch += 1
      fill()
    }
    if (fault === 'malformed') malformed()
    response.writeHead(204).end()
    return
  }
  if (url.pathname === '/dev/pump') {
    for (let n = Number(url.searchParams.get('cycles')); n > 0; n -= 1) cycle()
    response.writeHead(204).end()
    return
  }
  const path = normalize(url.pathname === '/' ? '/index.html' : url.pathname)
  try {
    const body = await readFile(join(values.static, path))
    response.writeHead(200, { 'content-type': TYPES[extname(path)] ?? 'application/octet-stream' }).end(body)
  } catch {
    response.writeHead(404).end('not found')
  }
}

const sockets = new WebSocketServer({ noServer: true })
server.on('upgrade', (request, socket, head) => {
  const url = new URL(request.url ?? '/', 'http://localhost')
  if (url.pathname !== '/ws' || fault === 'refuse') {
    socket.destroy()
    return
  }
  sockets.handleUpgrade(request, socket, head, (client) => {
    const ccy = url.searchParams.get('ccy') ?? 'BTC'
    client.ccy = markets.has(ccy) ? ccy : 'BTC'
    client.choice = { delta: url.searchParams.get('delta') ?? OWN.delta, fly: url.searchParams.get('fly') ?? OWN.fly }
    client.send(JSON.stringify(statusNow()))
    snapshot(client, CHANNELS)
    client.on('message', (data) => heard(client, String(data)))
  })
})

/** Frames that no sound server sends: not JSON, of another schema, and a patch whose list is a number. */
function malformed() {
  for (const [ccy, market] of markets) {
    const [expiry] = Object.keys(market.state.smiles)
    if (!expiry) continue
    market.seq.surface += 1
    const patch = JSON.stringify({ ...market.envelope('surface', 'svi_surface_patch'), smiles: { [expiry]: { fit: { reasons: 5 } } } })
    for (const client of sockets.clients) {
      if (client.ccy !== ccy) continue
      for (const frame of ['{"type":"svi_surface_', JSON.stringify({ type: 'svi_surface_patch', schema: 99 }), patch]) client.send(frame)
    }
  }
}

function snapshot(client, channels) {
  const all = markets.get(client.ccy).snapshots(client.choice)
  for (const channel of channels) if (all[channel]) client.send(JSON.stringify(all[channel]))
}

function heard(client, text) {
  let message
  try {
    message = JSON.parse(text)
  } catch {
    client.close(1007, 'not JSON')
    return
  }
  switch (message.type) {
    case 'select_currency':
      if (!markets.has(message.ccy)) {
        client.send(JSON.stringify({ type: 'error', schema: 1, ts: Date.now(), code: 'unknown_ccy', message: `no currency ${message.ccy}`, path: '$.ccy' }))
        return
      }
      client.ccy = message.ccy
      snapshot(client, CHANNELS)
      break
    case 'resync':
      snapshot(client, [message.channel])
      break
    case 'ping':
      client.send(JSON.stringify({ type: 'pong', schema: 1, ts: Date.now(), ...(message.id === undefined ? {} : { id: message.id }) }))
      break
    case 'subscribe':
      if (message.conventions === undefined) break
      client.choice = { ...client.choice, ...message.conventions }
      snapshot(client, ['surface'])
      // apart, as they may come over a slow line
      setTimeout(() => snapshot(client, ['tenors']), 100)
      break
    case 'unsubscribe':
      break
    default:
      client.send(JSON.stringify({ type: 'error', schema: 1, ts: Date.now(), code: 'unknown_type', message: 'unknown message type', path: '$.type' }))
  }
}

function statusNow() {
  const now = Date.now()
  const venues = VENUES.map((venue, i) => {
    const isQuiet = fault === 'silent' || (i === 1 && (fault === 'venue' || fault === 'down'))
    return { venue, state: isQuiet ? (fault === 'down' ? 'down' : 'stale') : 'live', age_ms: isQuiet ? 4200 : 20 + 30 * i }
  })
  const ccys = [...markets.keys()].filter((ccy) => fault !== 'delist' || ccy !== 'ETH')
  return status({ now, venues, clients: sockets.clients.size, build: BUILD, startedAt, ccys })
}

function cycle() {
  for (const [ccy, market] of markets) {
    if (fault === 'silent' || (fault === 'delist' && ccy === 'ETH')) continue
    if (STILL === undefined) market.step(Date.now())
    else market.rest()
    const followers = [...sockets.clients].filter((client) => client.ccy === ccy && client.bufferedAmount <= 1e6)
    const isGap = fault === 'gap' && followers.length > 0 && market.moved.some(([channel]) => channel === 'surface')
    if (isGap) fault = ''
    const frames = new Map()
    for (const client of followers) {
      const key = JSON.stringify(client.choice)
      if (!frames.has(key)) frames.set(key, market.messages(client.choice).filter(({ type }) => !isGap || type !== 'svi_surface_patch').map((message) => JSON.stringify(message)))
      for (const frame of frames.get(key)) client.send(frame)
    }
  }
}

const cycles = setInterval(cycle, Number(values.every))
const statuses = setInterval(() => {
  const frame = JSON.stringify(statusNow())
  for (const client of sockets.clients) client.send(frame)
}, 1000)

server.listen(Number(values.port), '127.0.0.1', () => console.log(`development feed on http://127.0.0.1:${server.address().port}`))
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    clearInterval(cycles)
    clearInterval(statuses)
    for (const client of sockets.clients) client.terminate()
    server.close(() => process.exit(0))
  })
}
