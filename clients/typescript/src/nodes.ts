/** The names of the surface's nodes and columns, in screen order: puts on the left, calls on the right. */

export const DELTAS = [5, 10, 15, 20, 25, 30, 35, 40] as const
const two = (delta: number) => String(delta).padStart(2, '0')

export const PUT_NODES = DELTAS.map((delta) => `${delta}P`)
export const CALL_NODES = DELTAS.toReversed().map((delta) => `${delta}C`)
export const NODES: readonly string[] = [...PUT_NODES, 'ATMF', ...CALL_NODES]
export const RISK_REVERSALS: readonly string[] = DELTAS.map((delta) => `RR${two(delta)}`)
export const FLIES: readonly string[] = DELTAS.map((delta) => `FLY${two(delta)}`)

/** Nodes that an RR or a fly is made of: RR25 → [25P, 25C]. */
export function legsOf(column: string): readonly [string, string] {
  const delta = Number(column.replace(/^\D+/, ''))
  return [`${delta}P`, `${delta}C`]
}

/** Signed target delta of a node: 25P → −0.25; ATMF has none. */
export function targetDelta(node: string): number | undefined {
  if (node === 'ATMF') return undefined
  const size = Number.parseInt(node, 10) / 100
  return node.endsWith('P') ? -size : size
}
