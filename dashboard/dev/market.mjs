// A synthetic market that speaks the contract: snapshots and patches for BTC and ETH, whatever the clock says.
// Pure: time and the random source are arguments. test/devfeed.test.ts checks its messages against the schema.

const DELTAS = [5, 10, 15, 20, 25, 30, 35, 40]
const NODES = [...DELTAS.map((d) => `${d}P`), 'ATMF', ...DELTAS.toReversed().map((d) => `${d}C`)]
const TENORS = { '1D': 1, '2D': 2, '3D': 3, '1W': 7, '2W': 14, '3W': 21, '1M': 30, '2M': 60, '3M': 90, '6M': 180, '9M': 270, '1Y': 365 }
const DAY_MS = 86_400_000
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']

export const VENUES = ['deribit', 'okx', 'bybit', 'binance']
const DAYS = [1, 2, 3, 9, 16, 23, 44, 72, 107, 163, 233, 324]

/** XRP is listed and has no option: an empty currency. */
export const CURRENCIES = {
  BTC: { spot: 104_250, step: 1000, level: 0.42, days: DAYS },
  ETH: { spot: 2_612, step: 25, level: 0.66, days: DAYS.slice(0, 11) },
  XRP: { spot: 2.4, step: 0.1, level: 0.9, days: [] },
}

/**
 * How much market there is. `usual`: faults of every kind, one expiry held, one rejected, one with butterfly and one with
 * calendar arbitrage. `busy`: about 1,500 instruments on four venues, all sound. `huge`: 64 expiries of 900 strikes.
 */
export const SCENARIOS = {
  usual: { faults: true, strikes: 60, venues: 4, days: undefined },
  busy: { faults: false, strikes: 62, venues: 4, days: undefined },
  huge: { faults: false, strikes: 900, venues: 1, days: Array.from({ length: 64 }, (_, i) => i + 1) },
}
/** Which expiry is at fault, by its place. */
const BUTTERFLY = 2
const CALENDAR = 5
const REACH_SD = 3.5

/** mulberry32: the same seed gives the same market. */
export function random(seed) {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), 1 | a)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const two = (delta) => String(delta).padStart(2, '0')
const name = (prefix, delta) => prefix + two(delta)
const round = (x, digits) => Number(x.toFixed(digits))
const significant = (x) => Number(x.toPrecision(9))

function normalInverse(p) {
  // bisection on a logistic-like bracket is enough for a synthetic market
  let low = -8
  let high = 8
  for (let i = 0; i < 60; i += 1) {
    const mid = (low + high) / 2
    if (normalCdf(mid) < p) low = mid
    else high = mid
  }
  return (low + high) / 2
}

function normalCdf(x) {
  const z = Math.abs(x)
  const t = 1 / (1 + 0.3275911 * (z / Math.SQRT2))
  const erf = 1 - ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t * Math.exp((-z * z) / 2)
  return x > 0 ? (1 + erf) / 2 : (1 - erf) / 2
}

const variance = ({ a, b, rho, m, sigma }, k) => a + b * (rho * (k - m) + Math.hypot(k - m, sigma))

function nodeAt(params, delta, convention = 'forward') {
  if (convention === 'premium_adjusted') return adjustedNodeAt(params, delta)
  let k = 0
  const up = normalInverse(delta > 0 ? delta : 1 + delta)
  for (let i = 0; i < 40; i += 1) {
    const deviation = Math.sqrt(variance(params, k))
    k = 0.5 * k + 0.5 * (deviation / 2 - up) * deviation
  }
  return k
}

/** Where e^k N(d2) of a call, right of its maximum, or e^k N(−d2) of a put is this much; undefined where it never is. */
function adjustedNodeAt(params, delta) {
  const side = Math.sign(delta)
  const at = (k) => {
    const deviation = Math.sqrt(variance(params, k))
    return Math.exp(k) * normalCdf(side * (-k / deviation - deviation / 2))
  }
  const reach = 8 * Math.sqrt(variance(params, 0))
  const ks = Array.from({ length: 801 }, (_, i) => reach * (i / 400 - 1))
  // from the money's far side outwards: the last crossing is the one of an option out of the money
  const inside = side > 0 ? ks.findLastIndex((k) => at(k) > delta) : ks.findIndex((k) => at(k) > -delta)
  let [near, far] = [ks[inside], ks[inside + side]]
  if (near === undefined || far === undefined) return undefined
  for (let i = 0; i < 50; i += 1) {
    const middle = (near + far) / 2
    if (at(middle) > Math.abs(delta)) near = middle
    else far = middle
  }
  return (near + far) / 2
}

/** g(k) of a slice: below zero where its density is. */
function gOf({ a, b, rho, m, sigma }, k) {
  const r = Math.hypot(k - m, sigma)
  const [w, w1, w2] = [a + b * (rho * (k - m) + r), b * (rho + (k - m) / r), (b * sigma * sigma) / r ** 3]
  return (1 - (k * w1) / (2 * w)) ** 2 - ((w1 * w1) / 4) * (1 / w + 0.25) + w2 / 2
}

/** The next smaller of 1, 2, 5 times a power of ten. */
function roundStep(step) {
  const power = 10 ** Math.floor(Math.log10(step))
  return power * [5, 2, 1].find((n) => n * power <= step)
}

/** The merge patch from one state to another (RFC 7396), or undefined. */
export function diff(before, after) {
  let patch
  const put = (key, value) => {
    patch ??= {}
    patch[key] = value
  }
  for (const key of Object.keys(before)) if (!(key in after)) put(key, null)
  for (const key of Object.keys(after)) {
    const was = before[key]
    const is = after[key]
    if (was === is) continue
    if (was === undefined) put(key, is)
    else if (typeof is === 'object' && !Array.isArray(is) && typeof was === 'object' && !Array.isArray(was)) {
      const change = diff(was, is)
      if (change) put(key, change)
    } else if (JSON.stringify(was) !== JSON.stringify(is)) put(key, is)
  }
  return patch
}

function label(expiry) {
  const date = new Date(expiry)
  return `${String(date.getUTCDate()).padStart(2, '0')}${MONTHS[date.getUTCMonth()]}${String(date.getUTCFullYear()).slice(2)}`
}

/** The conventions that this feed publishes in unless a client asks for others. */
export const OWN = { delta: 'forward', fly: 'full' }

/** Risk reversals and flies of node vols. The market strangle stands in for the real one: a little above the mean of the wings. */
function spreads(vols, fly) {
  const reached = DELTAS.filter((d) => vols[`${d}C`] !== undefined && vols[`${d}P`] !== undefined)
  const flies = {
    full: (call, put) => call + put - 2 * vols.ATMF,
    half: (call, put) => (call + put) / 2 - vols.ATMF,
    market_strangle: (call, put) => (call + put) / 2 + 0.01 * Math.abs(call - put) - vols.ATMF,
  }
  return {
    risk_reversals: Object.fromEntries(reached.map((d) => [name('RR', d), round(vols[`${d}C`] - vols[`${d}P`], 3)])),
    flies: Object.fromEntries(reached.map((d) => [name('FLY', d), round(flies[fly](vols[`${d}C`], vols[`${d}P`]), 3)])),
  }
}

const STREAMS = [
  ['surface', 'svi_surface_patch', 'smiles'],
  ['levels', 'smile_levels_patch', 'levels'],
  ['tenors', 'svi_tenor_patch', 'tenors'],
  ['through', 'svi_through_patch', 'cells'],
]

/** One currency's market. `step(now)` moves it; `snapshots()` and `patches` are wire messages. */
export class Market {
  constructor(ccy, { seed = 1, now, epoch = 'dev-1', scenario = 'usual' }) {
    const { spot, level, step, days: usual } = CURRENCIES[ccy]
    this.scenario = SCENARIOS[scenario]
    const days = usual.length > 0 ? (this.scenario.days ?? usual) : usual
    this.ccy = ccy
    this.rand = random(seed)
    this.spot = spot
    this.level = level
    this.strikeStep = step
    this.venues = VENUES.slice(0, this.scenario.venues)
    this.epoch = epoch
    this.version = 1000
    this.seq = { surface: 1, levels: 1, tenors: 1, through: 1, fit: 1 }
    this.now = now
    const eight = Math.floor(now / DAY_MS) * DAY_MS + 8 * 3_600_000
    this.slices = days.map((day, i) => ({
      expiry: eight + day * DAY_MS,
      lift: 0,
      skew: 0,
      state: this.scenario.faults && i === days.length - 1 ? 'held' : 'fitted',
      i,
    }))
    this.inOthers = new WeakMap()
    this.dirty = new Set(this.slices.map((slice) => slice.i))
    this.state = { conventions: { ...OWN, atm: 'forward', day_count: 'ACT/365', expiry_time: '08:00 UTC' }, smiles: {}, levels: {}, tenors: {}, cells: {} }
    this.build()
  }

  gauss() {
    return Math.sqrt(-2 * Math.log(1 - this.rand())) * Math.cos(2 * Math.PI * this.rand())
  }

  params(slice, tau) {
    const atm = this.level * (1 + 0.14 * Math.exp(-tau * 18) + 0.1 * (1 - Math.exp(-tau * 2))) * (this.scenario.faults && slice.i === CALENDAR ? 0.82 : 1) + slice.lift
    const theta = atm * atm * tau
    const rho = Math.max(-0.85, Math.min(0.6, -0.3 + 0.32 * Math.min(1, tau * 1.4) + slice.skew))
    const phi = 0.7 / Math.sqrt(theta) / (1 + 0.25 * Math.sqrt(tau))
    const root = Math.sqrt(1 - rho * rho)
    if (this.scenario.faults && slice.i === BUTTERFLY) {
      // too steep for its depth: the density is negative before the wings
      const deviation = Math.sqrt(theta)
      return Object.fromEntries(Object.entries({ a: 0.1 * theta, b: 3 * deviation, rho: -0.1, m: 0, sigma: 0.3 * deviation }).map(([key, value]) => [key, significant(value)]))
    }
    const params = { a: (theta / 2) * (1 - rho * rho), b: (theta * phi) / 2, rho, m: -rho / phi, sigma: root / phi }
    return Object.fromEntries(Object.entries(params).map(([key, value]) => [key, significant(value)]))
  }

  smile(slice) {
    const days = (slice.expiry - this.now) / DAY_MS
    const tau = days / 365
    const params = this.params(slice, tau)
    const forward = round(this.spot * Math.exp(0.045 * tau), 2)
    const vol = (k) => 100 * Math.sqrt(variance(params, k) / tau)
    const nodes = this.nodes(slice, params, { days, tau, forward })
    const reasons = slice.state === 'held' ? ['fewer than 6 usable quotes: last good fit held'] : []
    return {
      expiry: slice.expiry,
      label: label(slice.expiry),
      days: round(days, 4),
      tau: significant(tau),
      forward: { price: forward, source: slice.i < 9 ? 'venue' : 'parity', stderr_bp: round(0.3 + slice.i * 0.2, 2), age_ms: 300, parity_gap_bp: round(((slice.i * 7) % 5) - 2, 1), parity_stderr_bp: round(1 + 0.2 * slice.i, 1) },
      atm: forward,
      atm_vol: round(vol(0), 3),
      params,
      ...spreads(Object.fromEntries(Object.entries(nodes).map(([node, { vol: at }]) => [node, at])), OWN.fly),
      nodes,
      variance_swap_vol: round(vol(0) * 1.08, 3),
      variance_swap_extrapolated: round(0.01 + 0.02 * (slice.i % 4), 3),
      certificate: this.certificate(slice, params),
      fit: { state: slice.state, rmse: round(0.18 + 0.05 * ((slice.i * 3) % 5), 3), cost_rmse: round(0.01 * (slice.i % 4), 3), cost_inside: round(0.004 * (slice.i % 3), 4), reasons },
    }
  }

  nodes(slice, params, { days, tau, forward }, convention = OWN.delta) {
    const nodes = {}
    for (const node of NODES) {
      const target = node === 'ATMF' ? 0.5 : (node.endsWith('P') ? -1 : 1) * (Number.parseInt(node, 10) / 100)
      const k = node === 'ATMF' ? 0 : nodeAt(params, target, convention)
      if (k === undefined) continue
      const at = round(100 * Math.sqrt(variance(params, k) / tau), 3)
      const far = Math.abs(target) < 0.1
      const spread = (0.35 + 0.5 * far + 0.6 / Math.sqrt(days + 0.3)) * (1 + 0.2 * ((slice.i * 7 + node.length) % 3))
      const isExtrapolated = slice.i > 8 && far && node.endsWith('P')
      nodes[node] = {
        option_type: target < 0 ? 'P' : 'C',
        target_delta: target,
        delta: node === 'ATMF' ? round(normalCdf(((convention === 'forward' ? 1 : -1) * Math.sqrt(variance(params, 0))) / 2), 5) : target,
        delta_error: round(1e-7, 9),
        log_moneyness: round(k, 6),
        strike: round(forward * Math.exp(k), 2),
        vol: at,
        ...(isExtrapolated ? {} : { bid_vol: round(at - spread, 3), ask_vol: round(at + spread, 3) }),
        quotes: isExtrapolated ? 0 : 2 + ((slice.i + node.length * 3) % 7),
        ...(isExtrapolated ? {} : { age_ms: 100 * (2 + ((slice.i * 11 + node.length * 5) % 40)) }),
        is_extrapolated: isExtrapolated,
      }
    }
    return nodes
  }

  /** The state in other conventions; what did not change of it is the same object again. */
  restated({ delta, fly }, state = this.state) {
    if (delta === OWN.delta && fly === OWN.fly) return state
    const key = `${delta}|${fly}`
    const smiles = {}
    for (const [expiry, smile] of Object.entries(state.smiles)) {
      const known = this.inOthers.get(smile) ?? {}
      this.inOthers.set(smile, known)
      const slice = this.slices.find((one) => one.expiry === Number(expiry))
      if (smile.params) {
        known[key] ??= (() => {
          const nodes = this.nodes(slice, smile.params, { days: smile.days, tau: smile.tau, forward: smile.atm }, delta)
          return { ...smile, ...spreads(Object.fromEntries(Object.entries(nodes).map(([node, { vol }]) => [node, vol])), fly), nodes }
        })()
      } else known[key] ??= smile
      smiles[expiry] = known[key]
    }
    const fitted = Object.fromEntries(Object.entries(smiles).filter(([, smile]) => smile.params))
    const rows = this.tenorRows(fitted, fly)
    const tenors = Object.fromEntries(Object.entries(rows).map(([tenor, row]) => [tenor, { ...row, forward: state.tenors[tenor].forward }]))
    return { ...state, conventions: { ...state.conventions, delta, fly }, smiles, tenors }
  }

  /** What holds of the parameters, over the range that the page draws. */
  certificate(slice, params) {
    const deviation = Math.sqrt(variance(params, 0))
    const ks = Array.from({ length: 281 }, (_, i) => REACH_SD * deviation * (i / 140 - 1))
    const gs = ks.map((k) => gOf(params, k))
    const least = gs.indexOf(Math.min(...gs))
    const before = this.slices[slice.i - 1]
    const shorter = before ? this.params(before, (before.expiry - this.now) / DAY_MS / 365) : undefined
    const margin = shorter ? Math.min(...ks.map((k) => variance(params, k) - variance(shorter, k))) : undefined
    const isProved = this.scenario.faults && slice.i % 5 === 4 ? 'unchecked' : 'certified'
    return {
      butterfly: gs[least] < 0 ? 'violated' : 'certified',
      calendar: margin !== undefined && margin < 0 ? 'violated' : isProved,
      lee: 'certified',
      min_g: round(gs[least], 6),
      min_g_k: round(ks[least], 4),
      ...(margin === undefined ? {} : { calendar_margin: Number(margin.toPrecision(3)) }),
    }
  }

  /** Strikes on a round grid over 2.4 standard deviations to each side. */
  strikes(smile) {
    const deviation = (smile.atm_vol / 100) * Math.sqrt(smile.tau)
    const [low, high] = [smile.atm * Math.exp(-2.4 * deviation), smile.atm * Math.exp(2.4 * deviation)]
    const { strikes } = this.scenario
    const listed = this.strikeStep * (smile.days > 30 ? 5 : smile.days > 5 ? 2 : 1)
    // the usual market has the steps that venues list; the others as many strikes as they ask for
    const step = this.scenario.faults ? listed : roundStep((high - low) / strikes)
    const out = []
    for (let n = Math.ceil(low / step); n * step <= high && out.length < strikes; n += 1) out.push(Number((n * step).toFixed(4)))
    return out
  }

  levels(slice, smile, before) {
    const out = {}
    for (const strike of this.strikes(smile)) {
      const row = {}
      const k = Math.log(strike / smile.atm)
      const at = 100 * Math.sqrt(variance(smile.params, k) / smile.tau)
      for (const [v, venue] of this.venues.entries()) {
        // the second and third venue list fewer strikes and expiries
        if (this.scenario.faults && v > 0 && (slice.i % 3 === v || Math.round(strike / this.strikeStep) % (v + 1) !== 0)) continue
        const was = before?.[String(strike)]?.[venue]
        if (was && this.rand() > 0.12) {
          row[venue] = was
          continue
        }
        const half = (0.5 + 0.8 * v) * (1 + 3 * Math.abs(k)) + 0.5 / Math.sqrt(smile.days + 0.3)
        const shift = this.gauss() * 0.25
        const used = this.rand() > 0.06
        row[venue] = {
          option_type: strike < smile.atm ? 'P' : 'C',
          bid_vol: round(at + shift - half, 3),
          ask_vol: round(at + shift + half, 3),
          ...(this.rand() < 0.06 ? { last_vol: round(at + this.gauss() * half, 3), last_ts: Math.round(this.now) } : was?.last_vol ? { last_vol: was.last_vol, last_ts: was.last_ts } : {}),
          bid_size: round(1 + 20 * this.rand(), 1),
          ask_size: round(1 + 20 * this.rand(), 1),
          ts: Math.round(this.now),
          used,
          ...(used ? {} : { reason: 'stale' }),
        }
      }
      if (Object.keys(row).length > 0) out[String(strike)] = row
    }
    return out
  }

  tenorRows(smiles, fly = OWN.fly) {
    const list = Object.values(smiles)
    const rows = {}
    if (list.length === 0) return rows
    for (const [tenor, days] of Object.entries(TENORS)) {
      const after = list.findIndex((smile) => smile.days >= days)
      const right = list[after < 0 ? list.length - 1 : after]
      const left = list[Math.max(0, (after < 0 ? list.length : after) - 1)]
      const t = right.days === left.days ? 0 : Math.min(1, Math.max(0, (days - left.days) / (right.days - left.days)))
      const mix = (x, y) => round(x + (y - x) * t, 3)
      const vols = Object.fromEntries(NODES.filter((node) => left.nodes[node] && right.nodes[node]).map((node) => [node, mix(left.nodes[node].vol, right.nodes[node].vol)]))
      rows[tenor] = {
        label: tenor,
        days,
        tau: significant(days / 365),
        forward: round(this.spot * Math.exp((0.045 * days) / 365), 2),
        atm_vol: vols.ATMF,
        ...spreads(vols, fly),
        vols,
        is_extrapolated: days < list[0].days || days > list.at(-1).days,
        method: days < list[0].days ? 'scaled_slice' : days > list.at(-1).days ? 'shifted_slice' : 'linear_total_variance',
        butterfly: 'unchecked',
        calendar: 'unchecked',
      }
    }
    return rows
  }

  /** Levels beyond the fit, with a fee of 3 bp of the underlying; `since` is kept while a side stays through. */
  through(smiles, levels) {
    const cells = {}
    for (const smile of Object.values(smiles)) {
      // nothing of this expiry moved
      if (this.state.smiles[smile.expiry] === smile && this.state.levels[smile.expiry] === levels[smile.expiry]) {
        if (this.state.cells[smile.expiry]) cells[smile.expiry] = this.state.cells[smile.expiry]
        continue
      }
      for (const [strike, row] of Object.entries(levels[smile.expiry] ?? {})) {
        const k = Math.log(Number(strike) / smile.atm)
        const fit = 100 * Math.sqrt(variance(smile.params, k) / smile.tau)
        for (const [venue, level] of Object.entries(row)) {
          const excess = Math.max(level.bid_vol - fit, fit - level.ask_vol)
          if (!(excess > 0)) continue
          const side = level.bid_vol > fit ? 'bid' : 'ask'
          const vega = (smile.atm * Math.sqrt(smile.tau) * Math.exp((-k * k) / (2 * smile.params.sigma))) / 250
          const fee = 0.0003 * smile.atm
          const was = this.state.cells[smile.expiry]?.[strike]?.[venue]
          cells[smile.expiry] ??= {}
          cells[smile.expiry][strike] ??= {}
          cells[smile.expiry][strike][venue] = {
            side,
            option_type: level.option_type,
            excess_vol: round(excess, 3),
            excess: round(excess * vega, 2),
            net_vol: round(excess - fee / vega, 3),
            net: round(excess * vega - fee, 2),
            size: side === 'bid' ? level.bid_size : level.ask_size,
            since: was?.side === side ? was.since : Math.round(this.now),
          }
        }
      }
    }
    return cells
  }

  build() {
    const smiles = { ...this.state.smiles }
    const levels = { ...this.state.levels }
    for (const slice of this.slices) {
      if (!this.dirty.has(slice.i)) continue
      const smile = this.smile(slice)
      smiles[slice.expiry] = smile
      levels[slice.expiry] = this.levels(slice, smile, levels[slice.expiry])
    }
    if (this.scenario.faults && this.slices.length > 2) this.reject(smiles, levels)
    this.dirty.clear()
    const fitted = Object.fromEntries(Object.entries(smiles).filter(([, smile]) => smile.params))
    this.state = { ...this.state, smiles, levels, tenors: this.tenorRows(fitted), cells: this.through(fitted, levels) }
  }

  /** One expiry that cannot be fitted: no parameters, a reason. */
  reject(smiles, levels) {
    const broken = this.slices[this.slices.length - 3]
    const { label: title, days, tau, forward } = smiles[broken.expiry]
    smiles[broken.expiry] = {
      expiry: broken.expiry,
      label: title,
      days,
      tau,
      ...(forward ? { forward } : {}),
      certificate: { butterfly: 'unchecked', calendar: 'unchecked', lee: 'unchecked' },
      fit: { state: 'rejected', reasons: ['fit rmse 4.1 vol points exceeds 3.0'] },
    }
    levels[broken.expiry] ??= {}
  }

  envelope(channel, type) {
    return { type, schema: 1, ts: Math.round(this.now), ccy: this.ccy, epoch: this.epoch, seq: this.seq[channel], version: this.version }
  }

  /** The wire messages that hold the whole state. */
  snapshots(choice = OWN) {
    const { conventions, smiles, levels, tenors, cells } = this.restated(choice)
    const index = Object.keys(smiles).length > 0 ? { vol_index_30d: round(110 * CURRENCIES[this.ccy].level, 3) } : {}
    return {
      surface: { ...this.envelope('surface', 'svi_surface_snapshot'), conventions, ...index, smiles },
      levels: { ...this.envelope('levels', 'smile_levels_snapshot'), levels },
      tenors: { ...this.envelope('tenors', 'svi_tenor_snapshot'), tenors },
      through: { ...this.envelope('through', 'svi_through_snapshot'), cells },
      fit: this.fit(),
    }
  }

  fit() {
    const expiries = this.slices.map((slice) => {
      const smile = this.state.smiles[slice.expiry]
      const rows = Object.values(this.state.levels[slice.expiry] ?? {}).flatMap((row) => Object.values(row))
      const used = rows.filter((row) => row.used).length
      return {
        expiry: slice.expiry,
        label: smile.label,
        state: smile.fit.state,
        reasons: smile.fit.reasons,
        ...(smile.fit.rmse === undefined ? {} : { rmse: smile.fit.rmse, inside: round(0.9 + 0.008 * slice.i, 4) }),
        quotes: rows.length,
        used,
        rejected: rows.length > used ? { stale: rows.length - used } : {},
      }
    })
    return {
      ...this.envelope('fit', 'surface_fit_status'),
      objective: round(0.82 + 0.05 * this.rand(), 4),
      rmse: round(0.24 + 0.03 * this.rand(), 3),
      inside: round(0.955 + 0.01 * this.rand(), 4),
      elapsed_ms: round(1.1 + 0.6 * this.rand(), 3),
      stages_ms: { invert: 0.21, fit: 0.8, certify: 0.14 },
      expiries,
    }
  }

  /** A cycle in which nothing moved. */
  rest() {
    this.version += 1
    this.seq.fit += 1
    this.moved = []
    this.told = this.fit()
    return this.messages()
  }

  /** Moves the market and returns the cycle's messages. */
  step(now) {
    this.now = now
    this.spot *= 1 + this.gauss() * 0.00004
    this.level = Math.max(0.2, this.level + this.gauss() * 0.00015)
    for (const slice of this.slices) {
      if (this.rand() > 0.12) continue
      this.dirty.add(slice.i)
      slice.lift = 0.98 * slice.lift + this.gauss() * 0.0006
      slice.skew = 0.98 * slice.skew + this.gauss() * 0.003
    }
    this.before = this.state
    this.build()
    this.version += 1
    this.moved = STREAMS.filter(([, , key]) => diff(this.before[key], this.state[key]))
    for (const [channel] of [...this.moved, ['fit']]) this.seq[channel] += 1
    this.told = this.fit()
    return this.messages()
  }

  /** The last cycle's messages, in a client's conventions. */
  messages(choice = OWN) {
    const [before, after] = [this.restated(choice, this.before), this.restated(choice)]
    return [...this.moved.map(([channel, type, key]) => ({ ...this.envelope(channel, type), [key]: diff(before[key], after[key]) ?? {} })), this.told]
  }
}

/** The status message of a feed whose venues are in these states. */
export function status({ now, venues, clients, build, startedAt, ccys = Object.keys(CURRENCIES) }) {
  return {
    type: 'status',
    schema: 1,
    ts: Math.round(now),
    available_ccys: ccys,
    source: { kind: 'simulated', label: 'Synthetic market of the development feed; no exchange is connected', recorded: {} },
    venues: venues.map(({ venue, state, age_ms }) => ({
      venue,
      state,
      ...(state === 'live' ? {} : { detail: 'no frames' }),
      age_ms: Math.round(age_ms),
      rate: state === 'live' ? 412.5 : 0,
      messages: Math.round((now - startedAt) * 0.4),
      reconnects: 0,
      gaps: 0,
      drops: 0,
      rejects: {},
      ccys,
    })),
    latency_ms: { decode: { p50: 0.04, p99: 0.31 }, cycle: { p50: 1.4, p99: 4.8 }, publish: { p50: 0.2, p99: 1.1 }, total: { p50: 31.2, p99: 78.4 } },
    waterfall: [['transit', 6.2, 19], ['decode', 0.04, 0.31], ['wait', 22, 47], ['fit', 1.4, 4.8], ['encode', 0.3, 1.2], ['write', 0.2, 1.1], ['total', 24.5, 53], ['net', 2.1, 7.2]].map(([stage, p50, p99]) => ({ stage, p50, p99 })),
    gateway: { delivered: 18_204, sent_bytes: 92_113_004, skipped: 3, stuck: 0, refused: { rate: 2 }, missed_cycles: 0 },
    clients,
    build,
  }
}
