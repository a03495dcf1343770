// The same broadcast on Node's ws: node ws.mjs PORT RATE BYTES (NODE_PATH is not read by modules: the package's path is
// given as PACKAGE).
const [port, rate, bytes] = process.argv.slice(2).map(Number)
const { WebSocketServer } = await import(process.env.PACKAGE)

const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false, backlog: 1024 })
server.on('listening', () => console.log('ready'))

let due = performance.now()
function send() {
  const head = `{"t":${process.hrtime.bigint()},"pad":"`
  const data = Buffer.from(`${head}${'x'.repeat(bytes - head.length - 2)}"}`)
  for (const client of server.clients) client.send(data, { binary: false })
  due += 1000 / rate
  setTimeout(send, Math.max(0, due - performance.now()))
}
send()
