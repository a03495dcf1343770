import { feed } from '../../data/feed'
import type { Smile } from '@derivasys/client'

/** Smiles of the shown cut in order of expiry. */
export function smilesInOrder(): Smile[] {
  return Object.values(feed.cut()?.surface?.smiles ?? {}).toSorted((left, right) => left.expiry - right.expiry)
}
