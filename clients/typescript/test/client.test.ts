/** The client over real sockets: a server of the package ws on loopback, in the place of a gateway. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { Client } from '../src/client.js'
import type { ClientMessage, ServerMessage } from '../src/messages.js'
import type { Cut } from '../src/session.js'
import { EXPIRY, fit, levels, status, surface, surfacePatch, tenors, through } from './messages.js'

class Gateway {
  readonly requests: ClientMessage[] = []
  readonly queries: string[] = []
  readonly sockets: WebSocket[] = []
  private arrivals: (() => void)[] = []

  private constructor(private readonly http: Server, private readonly server: WebSocketServer, readonly keys: (string | undefined)[]) {
    server.on('connection', (socket, request) => {
      this.queries.push(request.url ?? '')
      this.keys.push(request.headers['sec-websocket-protocol'])
      this.sockets.push(socket)
      socket.on('message', (data) => {
        this.requests.push(JSON.parse(String(data)) as ClientMessage)
        this.arrived()
      })
      this.arrived()
    })
  }

  static async start(): Promise<Gateway> {
    const keys: (string | undefined)[] = []
    const http = createServer((request, response) => {
      keys.push(request.headers.authorization)
      if (request.url === '/config.json') response.end(JSON.stringify({ ws_path: '/ws', build: '1.2.3' }))
      else response.writeHead(404).end()
    })
    const server = new WebSocketServer({ server: http, path: '/ws' })
    await new Promise<void>((resolve) => {
      http.listen(0, '127.0.0.1', resolve)
    })
    return new Gateway(http, server, keys)
  }

  get base(): string {
    return `http://127.0.0.1:${(this.http.address() as AddressInfo).port}`
  }

  say(...messages: ServerMessage[]): void {
    for (const message of messages) this.sockets.at(-1)?.send(JSON.stringify(message))
  }

  snapshots(version: number): ServerMessage[] {
    const more = { version, seq: version }
    return [status(), surface(more), levels(more), tenors(more), through(more), fit(more)]
  }

  /** Waits until there have been so many connections or requests. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      await new Promise<void>((resolve) => {
        this.arrivals.push(resolve)
      })
    }
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.terminate()
    this.server.close()
    await new Promise((resolve) => {
      this.http.close(resolve)
    })
  }

  private arrived(): void {
    const { arrivals } = this
    this.arrivals = []
    for (const resolve of arrivals) resolve()
  }
}

const open: { client?: Client; gateway?: Gateway } = {}

async function start(options: { direct?: boolean } = {}) {
  const gateway = await Gateway.start()
  open.gateway = gateway
  const base = options.direct ? `${gateway.base.replace('http', 'ws')}/ws` : gateway.base
  const client = new Client(base, { WebSocket })
  open.client = client
  await gateway.until(() => gateway.sockets.length === 1)
  return { gateway, client, cuts: client.cuts() }
}

async function next(cuts: AsyncGenerator<Cut, void, void>): Promise<Cut> {
  const { value } = await cuts.next()
  if (!value) throw new Error('the client is closed')
  return value
}

afterEach(async () => {
  open.client?.close()
  await open.gateway?.stop()
})

describe('client', () => {
  it('finds the socket in /config.json and gives each complete version', async () => {
    const { gateway, client, cuts } = await start()
    gateway.say(...gateway.snapshots(10))
    expect(await next(cuts)).toMatchObject({ ccy: 'BTC', version: 10, surface: { seq: 10 } })
    expect(gateway.queries).toEqual(['/ws?ccy=BTC'])
    gateway.say(surfacePatch(11, { [EXPIRY]: { atm_vol: 46 } }, { version: 11 }), fit({ seq: 11, version: 11 }))
    const cut = await next(cuts)
    expect(cut.version).toBe(11)
    expect(cut.surface?.smiles[EXPIRY]?.atm_vol).toBe(46)
    expect(client.view().connection.state).toBe('live')
  })

  it('asks for a snapshot after a lost patch, over the socket', async () => {
    const { gateway, cuts } = await start({ direct: true })
    gateway.say(...gateway.snapshots(10))
    await next(cuts)
    gateway.say(surfacePatch(12, { [EXPIRY]: { atm_vol: 99 } }, { version: 12 }))
    await gateway.until(() => gateway.requests.length === 1)
    expect(gateway.requests).toEqual([{ type: 'resync', channel: 'surface', ccy: 'BTC' }])
    gateway.say(...gateway.snapshots(12))
    expect((await next(cuts)).surface?.smiles[EXPIRY]?.atm_vol).toBe(45)
  })

  it('comes back after a dropped connection and takes nothing but snapshots first', async () => {
    const { gateway, client, cuts } = await start()
    gateway.say(...gateway.snapshots(10))
    await next(cuts)
    gateway.sockets[0]?.close(1012, 'service restart')
    await gateway.until(() => gateway.sockets.length === 2)
    gateway.say(surfacePatch(11, { [EXPIRY]: { atm_vol: 99 } }, { version: 11 }), ...gateway.snapshots(12))
    const cut = await next(cuts)
    expect(cut.version).toBe(12)
    expect(cut.surface?.smiles[EXPIRY]?.atm_vol).toBe(45)
    expect(client.view().connection.reconnects).toBe(1)
  })

  it('skips versions for a reader that is busy', async () => {
    const { gateway, client, cuts } = await start()
    gateway.say(...gateway.snapshots(10))
    await next(cuts)
    for (let seq = 11; seq <= 40; seq += 1) gateway.say(surfacePatch(seq, { [EXPIRY]: { atm_vol: seq } }, { version: seq }), fit({ seq, version: seq }))
    let cut = await next(cuts)
    let read = 1
    while (cut.version < 40) {
      cut = await next(cuts)
      read += 1
    }
    expect(cut.surface?.smiles[EXPIRY]?.atm_vol).toBe(40)
    expect(read).toBeLessThanOrEqual(30)
    expect(client.view().cut).toEqual(cut)
  })

  it('ends the iteration when it is closed', async () => {
    const { client, cuts } = await start()
    const pending = cuts.next()
    client.close()
    expect(await pending).toEqual({ value: undefined, done: true })
  })

  it('follows another currency', async () => {
    const { gateway, client, cuts } = await start()
    gateway.say(...gateway.snapshots(10))
    await next(cuts)
    client.select('ETH')
    await gateway.until(() => gateway.requests.length === 1)
    expect(gateway.requests[0]).toEqual({ type: 'select_currency', ccy: 'ETH' })
    expect(client.view().cut).toBeUndefined()
  })

  it('chooses channels, rate and conventions by the address, and again after a reconnect', async () => {
    const gateway = await Gateway.start()
    open.gateway = gateway
    const client = new Client(gateway.base, { WebSocket, ccy: 'BTC', channels: ['surface', 'fit'], rateMs: 1000, fly: 'half' })
    open.client = client
    const cuts = client.cuts()
    await gateway.until(() => gateway.sockets.length === 1)
    expect(gateway.queries).toEqual(['/ws?ccy=BTC&channels=surface%2Cfit%2Cstatus&rate_ms=1000&fly=half'])
    gateway.say(status(), surface({ version: 10, conventions: { ...surface().conventions, fly: 'half' } }), fit({ version: 10 }))
    expect(Object.keys(await next(cuts))).toEqual(expect.arrayContaining(['surface', 'fit']))
    expect(client.view().connection.state).toBe('live')
    client.choose({ delta: 'premium_adjusted', rateMs: 50 })
    await gateway.until(() => gateway.requests.length === 1)
    expect(gateway.requests).toEqual([{ type: 'subscribe', rate_ms: 50, conventions: { delta: 'premium_adjusted' } }])
    gateway.sockets[0]?.close(1012)
    await gateway.until(() => gateway.sockets.length === 2)
    expect(gateway.queries[1]).toBe('/ws?ccy=BTC&channels=surface%2Cfit%2Cstatus&rate_ms=50&delta=premium_adjusted&fly=half')
    client.choose({ delta: null })
    await gateway.until(() => gateway.sockets.length === 3)
    expect(gateway.queries[2]).toBe('/ws?ccy=BTC&channels=surface%2Cfit%2Cstatus&rate_ms=50&fly=half')
  })

  it('carries an API key in a header and as a subprotocol', async () => {
    const gateway = await Gateway.start()
    open.gateway = gateway
    open.client = new Client(gateway.base, { WebSocket, apiKey: 'k1' })
    await gateway.until(() => gateway.sockets.length === 1)
    expect(gateway.keys).toEqual(['Bearer k1', 'derivasys,derivasys.key.k1'])
  })
})
