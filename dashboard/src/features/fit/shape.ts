/** Where slices cross and where their density is negative, as far as the drawn range shows. Pure. */
import { g, type Svi, totalVariance } from '@derivasys/client'

const STEPS = 400

/** Log-moneyness in [−reach, reach] where the longer slice's total variance changes from one side of the shorter's to the other. */
export function crossings(shorter: Svi, longer: Svi, reach: number): number[] {
  const gap = (k: number) => totalVariance(longer, k) - totalVariance(shorter, k)
  return signChanges(gap, -reach, reach)
}

/** Intervals of log-moneyness in [−reach, reach] where g is below zero: butterfly arbitrage. */
export function negativeRegions(params: Svi, reach: number): [number, number][] {
  const at = (k: number) => g(params, k)
  const edges = [-reach, ...signChanges(at, -reach, reach), reach]
  const regions: [number, number][] = []
  for (let i = 1; i < edges.length; i += 1) {
    const [low = 0, high = 0] = [edges[i - 1], edges[i]]
    if (at((low + high) / 2) < 0) regions.push([low, high])
  }
  return regions
}

function signChanges(value: (k: number) => number, low: number, high: number): number[] {
  const found: number[] = []
  let from = low
  let before = value(low)
  for (let n = 1; n <= STEPS; n += 1) {
    const to = low + ((high - low) * n) / STEPS
    const now = value(to)
    if (before < 0 !== now < 0) found.push(bisect(value, from, to))
    from = to
    before = now
  }
  return found
}

function bisect(value: (k: number) => number, low: number, high: number): number {
  let [left, right] = [low, high]
  const isNegative = value(left) < 0
  for (let i = 0; i < 50; i += 1) {
    const middle = (left + right) / 2
    if (value(middle) < 0 === isNegative) left = middle
    else right = middle
  }
  return (left + right) / 2
}
