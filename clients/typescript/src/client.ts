/**
 * A socket to a gateway that keeps the live state: the thin shell around `Session`. It reconnects with jitter, asks
 * for a resync after a gap, and holds only the newest state, so that a slow reader falls behind by versions, never by
 * memory.
 */
import type { ClientMessage, SiteConfig } from './messages.js'
import { type Choice, type Cut, Session, type Subscription, type View } from './session.js'

const TICK_MS = 250
/** A gateway whose /config.json does not answer is tried again. */
const CONFIG_TIMEOUT_MS = 5000

/** What a WebSocket must offer: that of browsers and Node 22 does, and so does the one of the package ws. */
export interface Socket {
  readonly readyState: number
  send(text: string): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'open', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void
  addEventListener(type: 'error', listener: () => void): void
}

export interface ClientOptions extends Subscription {
  ccy?: string
  /** Needed where there is no global WebSocket: Node before 22. */
  WebSocket?: new (url: string, protocols?: string[]) => Socket
  /** Of a gateway that asks for one; it travels in a header and as a subprotocol. */
  apiKey?: string
  /** Something is new: the state, the status or the connection. Read it with `view()` when it suits. */
  onChange?: () => void
  /** What /config.json says, at each connection. */
  onConfig?: (config: SiteConfig) => void
}

const OPEN = 1

export class Client {
  private readonly session: Session
  private readonly options: ClientOptions
  private readonly base: string
  private socket: Socket | undefined
  private settleTimer: ReturnType<typeof setTimeout> | undefined
  private retryTimer: ReturnType<typeof setTimeout> | undefined
  private ticker: ReturnType<typeof setInterval> | undefined
  private shownState = ''
  private closed = false
  private waiting: (() => void)[] = []

  /** `base` is the gateway's http(s) address, whose /config.json tells the socket, or the ws(s) address itself. */
  constructor(base: string | URL, options: ClientOptions = {}) {
    this.base = String(base)
    this.options = options
    this.session = new Session(options.ccy ?? 'BTC', options)
    this.ticker = setInterval(() => this.tick(), TICK_MS)
    void this.connect()
  }

  /** Everything known now. */
  view(): View {
    const view = this.session.view(Date.now())
    this.shownState = view.connection.state
    return view
  }

  /** Follows another currency: nothing of the previous one stays. */
  select(ccy: string): void {
    this.send(this.session.select(ccy))
    this.changed()
  }

  /** What is held cannot be used: asks the server for fresh snapshots. */
  refresh(): void {
    this.send(this.session.refresh(Date.now()))
  }

  /** Another rate or other conventions of deltas and flies, without a refit; null is the server's own way again. */
  choose(choice: Choice): void {
    const messages = this.session.choose(choice, Date.now())
    if (messages) this.send(messages)
    else if (this.socket) this.connectAnew()
    this.changed()
  }

  private connectAnew(): void {
    const { socket } = this
    this.socket = undefined
    socket?.close(1000)
    void this.connect()
  }

  /** The network is back: do not wait for the next attempt. */
  online(): void {
    if (this.closed || this.socket) return
    clearTimeout(this.retryTimer)
    void this.connect()
  }

  close(): void {
    if (this.closed) return
    this.closed = true
    clearInterval(this.ticker)
    clearTimeout(this.retryTimer)
    clearTimeout(this.settleTimer)
    const { socket } = this
    this.socket = undefined
    socket?.close(1000)
    this.changed()
  }

  /** The newest complete version each time; versions that come while the reader is busy are skipped. */
  async *cuts(): AsyncGenerator<Cut, void, void> {
    let last: Cut | undefined
    while (!this.closed) {
      const { cut } = this.view()
      if (cut && cut !== last) {
        last = cut
        yield cut
      } else {
        await new Promise<void>((resolve) => {
          this.waiting.push(resolve)
        })
      }
    }
  }

  private changed(): void {
    const { waiting } = this
    this.waiting = []
    for (const resolve of waiting) resolve()
    this.options.onChange?.()
  }

  private send(messages: ClientMessage[]): void {
    if (this.socket?.readyState !== OPEN) return
    for (const message of messages) this.socket.send(JSON.stringify(message))
  }

  private async findSocket(): Promise<URL> {
    const { apiKey } = this.options
    let url = new URL(this.base)
    if (url.protocol.startsWith('http')) {
      const response = await fetch(new URL('/config.json', url), {
        cache: 'no-store',
        signal: AbortSignal.timeout(CONFIG_TIMEOUT_MS),
        ...(apiKey && { headers: { authorization: `Bearer ${apiKey}` } }),
      })
      if (!response.ok) throw new Error(`config.json: HTTP ${response.status}`)
      const config = (await response.json()) as SiteConfig
      this.options.onConfig?.(config)
      url = new URL(config.ws_url ?? config.ws_path, url)
      url.protocol = url.protocol.replace('http', 'ws')
    }
    for (const [name, value] of Object.entries(this.session.query())) url.searchParams.set(name, value)
    return url
  }

  private async connect(): Promise<void> {
    this.session.connecting()
    this.changed()
    const Socket = this.options.WebSocket ?? globalThis.WebSocket
    if (!Socket) throw new Error('no WebSocket here: pass options.WebSocket, for example that of the package ws')
    let url: URL
    try {
      url = await this.findSocket()
    } catch (error) {
      this.lost(error instanceof Error ? error.message : 'config.json cannot be read')
      return
    }
    if (this.closed) return
    const { apiKey } = this.options
    const opening: Socket = apiKey ? new Socket(url.href, ['derivasys', `derivasys.key.${apiKey}`]) : new Socket(url.href)
    this.socket = opening
    const { ccy } = this.session.feed
    opening.addEventListener('open', () => {
      if (this.socket !== opening) return
      this.session.opened(Date.now())
      // the user may have switched while the socket was opening
      if (this.session.feed.ccy !== ccy) this.send([{ type: 'select_currency', ccy: this.session.feed.ccy }])
      this.changed()
    })
    opening.addEventListener('message', ({ data }) => {
      if (this.socket !== opening) return
      const now = Date.now()
      this.send(this.session.receive(String(data), now))
      this.settleLater(now)
      this.changed()
    })
    opening.addEventListener('close', ({ code, reason }) => {
      if (this.socket === opening) this.lost(reason || `socket closed (${code})`)
    })
    // what went wrong is said by the close that follows
    opening.addEventListener('error', () => undefined)
  }

  private lost(detail: string): void {
    this.socket = undefined
    if (this.closed) return
    const wait = this.session.closed(Date.now(), Math.random(), detail)
    clearTimeout(this.retryTimer)
    this.retryTimer = setTimeout(() => void this.connect(), wait)
    this.changed()
  }

  private settleLater(now: number): void {
    const wait = this.session.settleInMs(now)
    clearTimeout(this.settleTimer)
    if (wait === undefined) return
    this.settleTimer = setTimeout(() => {
      this.session.tick(Date.now())
      this.changed()
    }, wait)
  }

  private tick(): void {
    const { send, dead } = this.session.tick(Date.now())
    this.send(send)
    if (dead && this.socket) {
      this.socket.close(4000, 'no frames')
      this.lost('no frame for 15 s')
    }
    if (this.session.view(Date.now()).connection.state !== this.shownState) this.changed()
  }
}
