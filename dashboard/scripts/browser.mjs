// A Chromium and a development feed for the scripts beside this one; both end with the script.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium } from 'playwright-core'

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--font-render-hinting=none']

/** Where a Chromium is: CHROMIUM, or the first of its usual names on the path. */
export function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM
  const folders = (process.env.PATH ?? '').split(delimiter)
  return ['chromium', 'chromium-browser', 'google-chrome'].flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path))
}

export function launch() {
  const executablePath = chromiumPath()
  if (executablePath === undefined) throw new Error('no Chromium here: make browser installs it, or CHROMIUM names one')
  return chromium.launch({ executablePath, args: FLAGS })
}

/** Starts the feed, on a free port when it is 0, and resolves to its address and how to end it. */
export function startFeed(port, ...more) {
  return start(process.execPath, ['dev/feed.mjs', '--port', String(port), ...more])
}

export const PYTHON = fileURLToPath(new URL(process.env.PYTHON ?? '../../.venv/bin/python', import.meta.url))

/** Starts the gateway on a seeded replay that stands still: the same numbers every time. */
export function startReplay() {
  return start(PYTHON, ['../scripts/still_replay.py'])
}

async function start(command, args) {
  const server = spawn(command, args, { cwd: fileURLToPath(new URL('..', import.meta.url)), stdio: ['ignore', 'pipe', 'inherit'] })
  const said = await new Promise((resolve, reject) => {
    server.stdout.once('data', resolve)
    server.once('error', reject)
    server.once('exit', (code) => reject(new Error(`${args[0]} ended with ${code}`)))
  })
  const ended = new Promise((resolve) => server.once('exit', resolve))
  return {
    url: /http:\/\/[^\s/]+/.exec(String(said))[0],
    stop: async () => {
      server.kill()
      await ended
    },
  }
}
