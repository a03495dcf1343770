/** What the matrix has painted, for tests: a canvas has no text to read. */
let painted: { version: number; cells: ReadonlyMap<string, string> } | undefined

export function exposeThrough(version: number, cells: ReadonlyMap<string, string>): void {
  painted = { version, cells }
}

/** The version painted, and by expiry and strike the fill and the text of each cell that has one. */
export function paintedThrough(): { version: number; cells: Record<string, string> } | undefined {
  if (!painted) return undefined
  return { version: painted.version, cells: Object.fromEntries([...painted.cells].filter(([, look]) => !look.startsWith('|'))) }
}
