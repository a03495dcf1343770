/** The client in a worker: the page announces nothing to it but what the user chose, and pulls when it paints. */
import { Client, diffPatch, type View } from '@derivasys/client'
import { type Conventions, emptyView, type FromWorker, type ToWorker } from './protocol'

let client: Client | undefined
let sent: View = emptyView('')
let announced = false

const say = (message: FromWorker) => self.postMessage(message)

const chosen = ({ delta, fly }: Conventions) => ({ ...(delta && { delta }), ...(fly && { fly }) })

function announce(): void {
  if (announced) return
  announced = true
  say({ kind: 'dirty' })
}

self.addEventListener('message', (event: MessageEvent<ToWorker>) => {
  const message = event.data
  switch (message.kind) {
    case 'start':
      sent = emptyView(message.ccy)
      client = new Client(message.base, {
        ccy: message.ccy,
        ...chosen(message.conventions),
        onChange: announce,
        onConfig: ({ build }) => say({ kind: 'config', build }),
      })
      break
    case 'select':
      client?.select(message.ccy)
      break
    case 'choose':
      client?.choose(message.conventions)
      break
    case 'refresh':
      client?.refresh()
      break
    case 'online':
      if (message.online) client?.online()
      break
    case 'pull': {
      announced = false
      if (!client) return
      const view = client.view()
      const patch = diffPatch(sent, view)
      sent = view
      say({ kind: 'view', patch: patch ?? {} })
      break
    }
  }
})
