/** The shell around a Session: the socket, the timers and the page. */
import { type ClientMessage, diffPatch, Session, type SiteConfig, type View } from '@derivasys/client'
import { emptyView, type FromWorker, type ToWorker } from './protocol'

const TICK_MS = 250

let session: Session | undefined
let base = ''
let socket: WebSocket | undefined
let sent: View = emptyView('')
let announced = false
let shownState = ''
let settleTimer: ReturnType<typeof setTimeout> | undefined
let retryTimer: ReturnType<typeof setTimeout> | undefined

const say = (message: FromWorker) => self.postMessage(message)

function announce(): void {
  if (announced) return
  announced = true
  say({ kind: 'dirty' })
}

function send(messages: ClientMessage[]): void {
  if (socket?.readyState !== WebSocket.OPEN) return
  for (const message of messages) socket.send(JSON.stringify(message))
}

async function findSocket(ccy: string): Promise<string> {
  const response = await fetch(new URL('/config.json', base), { cache: 'no-store' })
  if (!response.ok) throw new Error(`config.json: HTTP ${response.status}`)
  const config = (await response.json()) as SiteConfig
  say({ kind: 'config', build: config.build })
  const url = new URL(config.ws_url ?? config.ws_path, base)
  url.protocol = url.protocol.replace('http', 'ws')
  url.searchParams.set('ccy', ccy)
  return url.href
}

async function connect(): Promise<void> {
  if (!session) return
  const current = session
  current.connecting()
  announce()
  let url: string
  try {
    url = await findSocket(current.feed.ccy)
  } catch (error) {
    lost(error instanceof Error ? error.message : 'config.json cannot be read')
    return
  }
  const opening = new WebSocket(url)
  socket = opening
  const ccy = current.feed.ccy
  opening.addEventListener('open', () => {
    current.opened(Date.now())
    // the user may have switched while the socket was opening
    if (current.feed.ccy !== ccy) send([{ type: 'select_currency', ccy: current.feed.ccy }])
    announce()
  })
  opening.addEventListener('message', (event: MessageEvent<string>) => {
    if (socket !== opening) return
    const now = Date.now()
    send(current.receive(event.data, now))
    settleLater(now)
    announce()
  })
  opening.addEventListener('close', (event) => {
    if (socket !== opening) return
    lost(event.reason || `socket closed (${event.code})`)
  })
}

function lost(detail: string): void {
  if (!session) return
  socket = undefined
  const wait = session.closed(Date.now(), Math.random(), detail)
  clearTimeout(retryTimer)
  retryTimer = setTimeout(() => void connect(), wait)
  announce()
}

function settleLater(now: number): void {
  const wait = session?.settleInMs(now)
  clearTimeout(settleTimer)
  if (wait === undefined) return
  settleTimer = setTimeout(() => {
    session?.tick(Date.now())
    announce()
  }, wait)
}

function tick(): void {
  if (!session) return
  const { send: requests, dead } = session.tick(Date.now())
  send(requests)
  if (dead && socket) {
    socket.close(4000, 'no frames')
    lost('no frame for 15 s')
  }
  const { state } = session.view(Date.now()).connection
  if (state !== shownState) announce()
}

self.addEventListener('message', (event: MessageEvent<ToWorker>) => {
  const message = event.data
  switch (message.kind) {
    case 'start':
      base = message.base
      session = new Session(message.ccy)
      sent = emptyView(message.ccy)
      setInterval(tick, TICK_MS)
      void connect()
      break
    case 'select':
      if (session) send(session.select(message.ccy))
      announce()
      break
    case 'online':
      // do not wait for the backoff when the network is back
      if (message.online && session && !socket) {
        clearTimeout(retryTimer)
        void connect()
      }
      break
    case 'pull': {
      announced = false
      if (!session) return
      const view = session.view(Date.now())
      const patch = diffPatch(sent, view)
      sent = view
      shownState = view.connection.state
      say({ kind: 'view', patch: patch ?? {} })
      break
    }
  }
})
