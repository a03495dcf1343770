/** The way from an exchange to the screen, stage by stage. */
import type { Stage } from '@derivasys/client'

/** What each stage of the way from an exchange to the screen is. */
export const STAGES: Readonly<Record<string, string>> = {
  transit: 'exchange to us, the venue’s clock skew taken off',
  decode: 'frame received to cells written',
  wait: 'to the start of the currency’s next cycle',
  fit: 'forwards, implied vols, smiles, certificate',
  encode: 'patches encoded and compressed',
  write: 'to the last subscriber’s socket',
  screen: 'patch arrived here to its numbers on screen',
  total: 'received to written',
  net: 'received to written, without the wait for the cycle',
}

const SUMS = new Set(['total', 'net'])

/** The stages in order of the flow, the page's own part after the server's; the sums apart. */
export function flowOf(waterfall: readonly Stage[] | undefined, page: { p50: number; p99: number } | undefined): { steps: Stage[]; sums: Stage[] } {
  const known = waterfall ?? []
  const steps = known.filter(({ stage }) => !SUMS.has(stage))
  if (page) steps.push({ stage: 'screen', p50: page.p50, p99: page.p99 })
  return { steps, sums: known.filter(({ stage }) => SUMS.has(stage)) }
}
