/**
 * Eleven discrete steps from blue (below) through neutral to orange (above), on fixed edges, so that the same
 * value keeps its colour all day and a colour changes only when a step is crossed.
 */
export type Heat = -5 | -4 | -3 | -2 | -1 | 0 | 1 | 2 | 3 | 4 | 5

/** Vol points, for risk reversals and for node vols against the money. */
export const RR_EDGES = [0.5, 1.5, 3, 5, 8] as const
/** Vol points, for flies. */
export const FLY_EDGES = [0.25, 0.75, 1.5, 3, 5] as const

export type Edges = readonly [number, number, number, number, number]

export function heat(value: number | undefined, edges: Edges): Heat {
  if (value === undefined || !Number.isFinite(value)) return 0
  const size = Math.abs(value)
  let step = 0
  while (step < edges.length && size >= (edges[step] ?? 0)) step += 1
  return (value < 0 ? -step || 0 : step) as Heat
}
