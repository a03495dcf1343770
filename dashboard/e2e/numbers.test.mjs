// What is on the screen against the messages of its version, as a second client of the same feed received them.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { freeze, live, noErrors, open, shown, stage, state, wholeMarket } from './page.mjs'
import { follow } from './wire.mjs'

const at = stage()
let wire
after(() => wire?.close())

const RR = ['RR05', 'RR10', 'RR15', 'RR20', 'RR25', 'RR30', 'RR35', 'RR40']
const isSpread = (column) => /^(RR|FLY)/.test(column)
const price = (value) => value.toFixed(0).replaceAll(/\B(?=(\d{3})+$)/g, ',')

/**
 * Freezes at a version of which the other client has every message that the page shows: a page that waits for the
 * end of a cycle in vain, on a busy machine, shows what has come.
 */
async function freezeAmong(page, other) {
  for (let tries = 0; tries < 20; tries += 1) {
    const version = await freeze(page)
    const said = other.at(version)
    const { cut } = await state(page)
    if (said && ['surface', 'levels', 'tenors', 'through', 'fit'].every((channel) => said[channel] && said[channel].version === cut[channel]?.version)) return { version, said }
    await page.getByRole('button', { name: 'Resume' }).click()
    await page.waitForTimeout(150)
  }
  throw new Error('no frozen version was found among the messages')
}

/** Opens, draws everything, freezes, and returns the page, the version and what the messages say of it. */
async function frozen(query = '', prepare = wholeMarket) {
  wire ??= await follow(at.url, 'BTC')
  const page = await open(at.browser, `${at.url}/${query}`)
  await live(page)
  await prepare(page)
  return { page, ...(await freezeAmong(page, wire)) }
}

const cellsOf = (page) =>
  page.evaluate(() => Object.fromEntries([...document.querySelectorAll('td[data-cell]')].map((cell) => [cell.dataset.cell, { text: cell.firstElementChild.textContent, version: Number(cell.dataset.version), flag: cell.dataset.flag }])))

/** Painters come a moment after the freeze. */
async function settledCells(page, version) {
  await page.waitForFunction((wanted) => [...document.querySelectorAll('td[data-cell]')].every((cell) => Number(cell.dataset.version) === wanted), version)
  return cellsOf(page)
}

test('every cell of both grids, by expiry', async () => {
  const { page, version, said } = await frozen()
  const cells = await settledCells(page, version)
  let compared = 0
  for (const smile of Object.values(said.surface.smiles)) {
    for (const [kind, spread] of [['rr', smile.risk_reversals], ['fly', smile.flies]]) {
      const wanted = { ATMVOL: smile.atm_vol, ...spread, ...Object.fromEntries(Object.entries(smile.nodes ?? {}).map(([name, node]) => [name, node.vol])) }
      for (const [column, value] of Object.entries(wanted)) {
        const cell = cells[`${kind}:${smile.expiry}:${column}`]
        assert.equal(cell.text, shown(value, 2, isSpread(column)), `${kind} ${smile.label} ${column}`)
        if (smile.fit.state === 'held') assert.equal(cell.flag, 'held')
        else if (smile.nodes?.[column]?.is_extrapolated) assert.equal(cell.flag, 'extrapolated')
        compared += 1
      }
      assert.equal(cells[`${kind}:${smile.expiry}:FWD`].text, price(smile.atm ?? smile.forward.price))
      if (smile.fit.state === 'rejected') assert.equal(cells[`${kind}:${smile.expiry}:ATMVOL`].flag, 'rejected')
    }
  }
  assert.ok(compared > 550, `${compared} cells`)
  noErrors(page)
  await page.close()
})

test('every cell by tenor, and other signs and units as Settings say', async () => {
  const { page, version, said } = await frozen('?rows=tenor&rr=put&unit=decimal')
  const cells = await settledCells(page, version)
  for (const row of Object.values(said.tenors.tenors)) {
    for (const name of RR) assert.equal(cells[`rr:${row.label}:${name}`].text, shown(-row.risk_reversals[name] / 100, 4, true), `${row.label} ${name}`)
    assert.equal(cells[`fly:${row.label}:FLY25`].text, shown(row.flies.FLY25 / 100, 4, true))
    assert.equal(cells[`rr:${row.label}:25P`].text, shown(row.vols['25P'] / 100, 4))
    if (row.is_extrapolated) assert.equal(cells[`rr:${row.label}:25P`].flag, 'extrapolated')
  }
  await page.close()
})

/** The words that each convention is said in, where its numbers are. */
const WORDS = { forward: 'forward delta', premium_adjusted: 'premium-adjusted delta', full: 'call + put − 2 ATM', half: '(call + put) ÷ 2 − ATM', market_strangle: 'market strangle − ATM' }

test('a convention chosen in Settings: the numbers of that variant with its name, at once, never mixed with another', async () => {
  const page = await open(at.browser, `${at.url}/`)
  await live(page)
  await wholeMarket(page)
  // every frame of the switch is looked at: all numbers of both grids against the surface and the words on screen
  await page.evaluate((words) => {
    const seen = { frames: 0, compared: 0, mixed: [], conventions: new Set() }
    window.seen = seen
    const look = () => {
      const { cut } = window.__derivasys.state()
      const { delta, fly } = cut.surface.conventions
      const said = Object.fromEntries(['rr', 'fly'].map((kind) => [kind, document.querySelector(`[data-testid=${kind}-grid] thead`).innerText]))
      const sameFrame = (kind) => [...document.querySelectorAll(`[data-cell^="${kind}:"][data-cell$="25"]`)].map((cell) => [cell, cut.surface.smiles[cell.dataset.cell.split(':')[1]]]).filter(([cell, smile]) => smile.nodes && cell.dataset.version === String(cut.version))
      for (const [kind, field, column] of [['rr', 'risk_reversals', 'RR25'], ['fly', 'flies', 'FLY25']]) {
        for (const [cell, smile] of sameFrame(kind)) {
          const wanted = `${smile[field][column] < 0 ? '−' : '+'}${Math.abs(smile[field][column]).toFixed(2)}`
          seen.compared += 1
          if (cell.firstElementChild.textContent !== wanted && Math.abs(smile[field][column]) >= 0.005) seen.mixed.push(`${cell.dataset.cell} ${cell.firstElementChild.textContent} for ${wanted}`)
        }
        if (!said[kind].includes(words[delta])) seen.mixed.push(`${kind} says ${said[kind]} for ${delta}`)
      }
      // the tenors' flies are of the convention that the surface names
      const { atm_vol: atm, vols, flies } = cut.tenors.tenors['1M']
      const mean = (vols['25C'] + vols['25P']) / 2 - atm
      if ((fly === 'full' && Math.abs(flies.FLY25 - 2 * mean) > 0.002) || (fly === 'half' && Math.abs(flies.FLY25 - mean) > 0.002)) seen.mixed.push(`tenors of another convention than ${fly}`)
      if (!said.fly.includes(words[fly])) seen.mixed.push(`the flies say ${said.fly} for ${fly}`)
      seen.conventions.add(`${delta} ${fly}`)
      seen.frames += 1
      requestAnimationFrame(() => setTimeout(look))
    }
    look()
  }, WORDS)
  await page.keyboard.press(',')
  const settings = page.getByTestId('settings')
  for (const [button, address, wanted] of [
    ['premium-adjusted', /delta=premium_adjusted/, ['premium_adjusted', 'full']],
    ['market strangle − ATM', /fly=market_strangle/, ['premium_adjusted', 'market_strangle']],
    ['(C + P) ÷ 2 − ATM', /fly=half/, ['premium_adjusted', 'half']],
  ]) {
    await settings.getByRole('button', { name: button, exact: true }).click()
    await page.waitForURL(address)
    await page.waitForFunction(([delta, fly]) => {
      const { conventions } = window.__derivasys.state().cut.surface
      return conventions.delta === delta && conventions.fly === fly
    }, wanted)
  }
  // what one sees of a variant that another client follows as well
  const other = await follow(at.url, 'BTC', { delta: 'premium_adjusted', fly: 'half' })
  await page.keyboard.press('Escape')
  const { version, said } = await freezeAmong(page, other)
  const cells = await settledCells(page, version)
  for (const smile of Object.values(said.surface.smiles)) {
    for (const [name, node] of Object.entries(smile.nodes ?? {})) assert.equal(cells[`rr:${smile.expiry}:${name}`].text, shown(node.vol, 2), `${smile.label} ${name}`)
    for (const [name, value] of Object.entries(smile.flies ?? {})) assert.equal(cells[`fly:${smile.expiry}:${name}`].text, shown(value, 2, true), `${smile.label} ${name}`)
    for (const [name, value] of Object.entries(smile.risk_reversals ?? {})) assert.equal(cells[`rr:${smile.expiry}:${name}`].text, shown(value, 2, true), `${smile.label} ${name}`)
  }
  const tenor = await page.getByTestId('glance-tenor').innerText()
  assert.ok(tenor.includes(shown(said.tenors.tenors['1M'].risk_reversals.RR25, 2, true)) && tenor.includes('premium-adjusted'), tenor)
  for (const id of ['rr', 'fly', 'nodes', 'flydelta']) assert.match(await page.getByTestId(`panel-chart-${id}`).innerText(), /premium-adjusted delta/, id)
  await page.getByRole('button', { name: 'Resume' }).click()
  // the server's own again
  await page.keyboard.press(',')
  for (const button of await settings.getByRole('button', { name: 'server’s own' }).all()) await button.click()
  await page.waitForFunction(() => {
    const { delta, fly } = window.__derivasys.state().cut.surface.conventions
    return delta === 'forward' && fly === 'full'
  })
  await live(page)
  assert.doesNotMatch(page.url(), /delta=|fly=/)
  const seen = await page.evaluate(() => ({ ...window.seen, conventions: [...window.seen.conventions] }))
  assert.deepEqual(seen.mixed, [])
  // between the last two buttons there may be a frame of forward and half, or none
  assert.deepEqual(seen.conventions.filter((each) => each !== 'forward half'), ['forward full', 'premium_adjusted full', 'premium_adjusted market_strangle', 'premium_adjusted half'])
  assert.ok(seen.frames > 20 && seen.compared > 400, `${seen.frames} frames, ${seen.compared} numbers`)
  other.close()
  noErrors(page)
  await page.close()
})

test('tooltips: everything that a number rests on', async () => {
  const { page, said } = await frozen()
  const smile = Object.values(said.surface.smiles)[0]
  for (const column of ['RR25', '25P', 'FWD']) {
    await page.locator(`[data-cell="rr:${smile.expiry}:${column}"]`).hover()
    const tip = page.getByRole('tooltip')
    await tip.filter({ hasText: column === 'FWD' ? 'forward' : column }).waitFor()
    const text = await tip.innerText()
    const wanted =
      column === 'FWD'
        ? [smile.forward.source, `${shown(smile.forward.stderr_bp, 2)} bp`, `${shown(smile.forward.parity_gap_bp, 1, true)} bp ± ${shown(smile.forward.parity_stderr_bp, 1)}`]
        : (column === 'RR25' ? ['25P', '25C'] : ['25P']).flatMap((name) => {
            const node = smile.nodes[name]
            return [shown(node.vol, 3), `${shown(node.bid_vol, 2)} – ${shown(node.ask_vol, 2)}`, shown(node.log_moneyness, 4, true), shown(node.delta, 4, true), String(node.quotes)]
          })
    for (const part of wanted) assert.ok(text.includes(part), `${column}: ${part} is not in ${text}`)
  }
  await page.close()
})

test('charts draw the numbers of the messages; the axis of the risk reversals is days', async () => {
  const { page, version, said } = await frozen()
  for (const id of ['rr', 'nodes', 'fly', 'flydelta']) {
    await page.locator(`[data-chart=${id}]`).scrollIntoViewIfNeeded()
    await page.waitForFunction(([name, wanted]) => window.__derivasys.charts()[name]?.version === wanted, [id, version])
  }
  const charts = await page.evaluate(() => window.__derivasys.charts())
  const fitted = Object.values(said.surface.smiles).filter((smile) => smile.nodes).toSorted((left, right) => left.expiry - right.expiry)
  const days = fitted.map((smile) => smile.days)
  assert.deepEqual(charts.rr.data[0], days)
  for (const [i, name] of RR.entries()) {
    assert.deepEqual(charts.rr.data[i + 1], fitted.map((smile) => smile.risk_reversals[name]), name)
    assert.deepEqual(charts.fly.data[i + 1], fitted.map((smile) => smile.flies[name.replace('RR', 'FLY')]), name)
  }
  const nodes = Object.keys(fitted[0].nodes)
  assert.deepEqual(charts.nodes.data[1], nodes.map((node) => fitted[0].nodes[node].vol))
  // the longest expiry is hundreds of days away: in years the axis would end before two
  assert.ok(Math.max(...charts.rr.data[0]) > 100)
  await page.close()
})

test('the fit page: curves from the parameters, certificates in words that agree with the messages', async () => {
  const { page, version, said } = await frozen('#/fit', (opened) => opened.getByTestId('fit-table').waitFor())
  const smiles = Object.values(said.surface.smiles).filter((smile) => smile.params).toSorted((left, right) => left.expiry - right.expiry)
  for (const id of ['variance', 'g', 'density', 'vols', 'term', 'parity', 'carry']) {
    await page.locator(`[data-chart=${id}]`).scrollIntoViewIfNeeded()
    await page.waitForFunction(([name, wanted]) => window.__derivasys.charts()[name]?.version === wanted, [id, version])
  }
  const charts = await page.evaluate(() => window.__derivasys.charts())
  const middle = charts.variance.data[0].findIndex((k) => Math.abs(k) < 1e-9)
  for (const [i, smile] of smiles.entries()) {
    const { a, b, rho, m, sigma } = smile.params
    const w = a + b * (-rho * m + Math.hypot(m, sigma))
    assert.ok(Math.abs(charts.variance.data[i + 1][middle] - w) < 1e-14)
    assert.ok(Math.abs(charts.vols.data[i + 1][middle] - smile.atm_vol) < 1e-3)
  }
  const all = Object.values(said.surface.smiles).toSorted((left, right) => left.expiry - right.expiry)
  assert.deepEqual(charts.term.data[2], all.map((smile) => smile.variance_swap_vol))
  const withGap = all.filter((smile) => smile.forward?.parity_gap_bp !== undefined)
  assert.deepEqual(charts.parity.data[1], withGap.map((smile) => smile.forward.parity_gap_bp))
  // the feed has one expiry with butterfly and some with calendar arbitrage: marks and certificates agree
  const broken = smiles.filter((smile) => smile.certificate.butterfly === 'violated')
  const remark = await page.getByTestId('remark-g').innerText()
  for (const smile of broken) assert.ok(remark.includes(smile.label), remark)
  assert.equal(broken.length, 1)
  assert.match(await page.getByTestId('remark-variance').innerText(), /crossings/)
  for (const smile of all) {
    const row = await page.getByTestId(`fit-${smile.expiry}`).innerText()
    for (const part of [smile.fit.state, smile.certificate.butterfly, smile.certificate.calendar]) assert.ok(row.includes(part), `${part} is not in ${row}`)
  }
  noErrors(page)
  await page.close()
})

/** The cells of the whole matrix: it is walked through its window. */
async function everyCell(page) {
  const matrix = page.getByTestId('through-matrix')
  const { width, step } = await matrix.evaluate((host) => ({ width: host.scrollWidth, step: host.clientWidth / 2 }))
  const cells = {}
  for (let left = 0; left < width; left += step) {
    await matrix.evaluate((host, to) => (host.scrollLeft = to), left)
    await page.waitForTimeout(350)
    Object.assign(
      cells,
      await page.evaluate(() => window.__derivasys.through().cells),
    )
  }
  return cells
}

test('quotes through the fit: the matrix and its table', async () => {
  const { page, version, said } = await frozen('?fee=gross')
  await page.locator('#through').scrollIntoViewIfNeeded()
  await page.waitForFunction((wanted) => window.__derivasys.through()?.version === wanted, version)
  const cells = await everyCell(page)
  const best = new Map()
  for (const [expiry, strikes] of Object.entries(said.through.cells)) {
    for (const [strike, venues] of Object.entries(strikes)) {
      const list = Object.values(venues)
      const top = list.reduce((left, right) => (right.excess > left.excess ? right : left))
      best.set(`${expiry}|${Number(strike)}`, { top, count: list.length })
    }
  }
  for (const [key, look] of Object.entries(cells)) {
    const { top, count } = best.get(key) ?? assert.fail(`${key} is painted and not in the messages`)
    assert.ok(look.startsWith(`--through-${top.side}-`), look)
    assert.ok(look.includes(shown(top.excess_vol, 2, true)), `${look} for ${top.excess_vol}`)
    assert.equal(look.includes(`×${count}`), count > 1, look)
  }
  assert.deepEqual(Object.keys(cells).toSorted(), [...best.keys()].toSorted(), 'every quote through the fit has its cell')
  const total = [...best.values()].reduce((sum, { count }) => sum + count, 0)
  assert.match(await page.getByTestId('through-tally').innerText(), new RegExp(`^${total} of ${total} `))
  await page.getByRole('button', { name: 'Show quotes through the fit as a table' }).click()
  const rows = await page.evaluate(() => Object.fromEntries([...document.querySelectorAll('[data-testid=through-table] tbody tr')].map((row) => [row.dataset.row, [...row.children].map((cell) => cell.textContent)])))
  assert.equal(Object.keys(rows).length, Math.min(200, total))
  for (const [key, texts] of Object.entries(rows)) {
    const [expiry, strike, venue] = key.split('|')
    const cell = said.through.cells[expiry][strike][venue]
    assert.equal(texts[2], cell.option_type)
    assert.equal(texts[5], shown(cell.excess_vol, 2))
    assert.equal(texts[6], shown(cell.net_vol, 2, true))
    assert.equal(texts[9], shown(cell.size, 2))
  }
  await page.close()
})

test('at a glance: index, tenor and counts', async () => {
  const { page, said } = await frozen()
  assert.match(await page.getByTestId('glance-index').innerText(), new RegExp(String(shown(said.surface.vol_index_30d, 2))))
  const tenor = await page.getByTestId('glance-tenor').innerText()
  assert.ok(tenor.includes(shown(said.tenors.tenors['1M'].risk_reversals.RR25, 2, true)), tenor)
  const net = Object.values(said.through.cells).flatMap((strikes) => Object.values(strikes)).flatMap((venues) => Object.values(venues)).filter((cell) => cell.net >= 0 && !(cell.net_vol < 0))
  assert.match(await page.getByTestId('glance-through').innerText(), new RegExp(`\\n${net.length}\\b`))
  await page.close()
})

test('the system page: every stage from exchange to screen, clients, drops', async () => {
  const page = await open(at.browser, `${at.url}/`)
  await live(page)
  // this page's own part is measured on the market page
  await page.waitForTimeout(1000)
  await page.getByRole('link', { name: 'System' }).click()
  await page.getByTestId('waterfall').waitFor()
  const { status } = await page.evaluate(() => window.__derivasys.state())
  const rows = await page.getByTestId('waterfall').locator('tbody tr').evaluateAll((list) => list.map((row) => [row.children[0].textContent, row.children[2].textContent]))
  assert.deepEqual(rows.map(([name]) => name).toSorted(), [...status.waterfall.map((step) => step.stage), 'screen'].toSorted())
  assert.ok(rows.some(([name, p50]) => name === 'wait' && p50 === '22.0 ms'))
  assert.match(await page.getByTestId('panel-server').innerText(), /3 writes spared slow clients/)
  assert.match(await page.getByTestId('header-source').locator('xpath=ancestor::header').innerText(), /24\.5 \/ 53\.0/)
  noErrors(page)
  await page.close()
})

test('every panel shows one version; frozen, the header counts those behind', async () => {
  const { page, version } = await frozen()
  await settledCells(page, version)
  const seen = await page.evaluate(() => [...document.querySelectorAll('[data-panel-version]')].map((element) => Number(element.dataset.panelVersion)))
  assert.ok(seen.length >= 10, `${seen.length} panels`)
  assert.deepEqual([...new Set(seen)], [version])
  await page.waitForFunction(() => window.__derivasys.state().versionsBehind > 2)
  assert.match(await page.getByTestId('header-version').innerText(), /\d+ versions behind/)
  assert.match(await page.getByTestId('panel-rr').innerText(), /frozen/)
  await page.close()
})
