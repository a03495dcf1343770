// A second client of the same feed: the state of every version, as the messages say it.
import { WebSocket } from 'ws'

/** RFC 7396, without sharing. */
function merge(target, patch) {
  if (patch === null || typeof patch !== 'object' || Array.isArray(patch)) return patch
  const into = target !== null && typeof target === 'object' && !Array.isArray(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete into[key]
    else into[key] = merge(into[key], value)
  }
  return into
}

const CHANNEL = { svi_surface: 'surface', smile_levels: 'levels', svi_tenor: 'tenors', svi_through: 'through' }

/** Follows a currency; `at(version)` is what the messages up to a version say, each channel by its own last one. */
export async function follow(url, ccy, conventions = {}) {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws?${new URLSearchParams({ ccy, ...conventions })}`)
  const history = new Map()
  let now = {}
  socket.on('message', (text) => {
    const message = JSON.parse(text)
    if (message.ccy !== ccy) return
    if (message.type === 'surface_fit_status') now = { ...now, fit: message }
    else {
      const kind = message.type.replace(/_(snapshot|patch)$/, '')
      const channel = CHANNEL[kind]
      now = { ...now, [channel]: message.type.endsWith('_snapshot') ? message : merge(now[channel], message) }
    }
    history.set(message.version, now)
    if (history.size > 200) history.delete(history.keys().next().value)
  })
  await new Promise((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return { at: (version) => history.get(version), close: () => socket.terminate() }
}
