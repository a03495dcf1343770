/** The page shown, from the address's hash: `#/fit`. Links are plain anchors. */
import { useSyncExternalStore } from 'react'

const PAGES = ['fit', 'system', 'guide'] as const
export type Page = 'market' | (typeof PAGES)[number]

/** The page that a hash asks for; anything unknown is the market. */
export function pageOf(hash: string): Page {
  const name = hash.replace(/^#\/?/, '').split('/')[0]
  return PAGES.find((page) => page === name) ?? 'market'
}

function subscribe(listener: () => void): () => void {
  addEventListener('hashchange', listener)
  return () => removeEventListener('hashchange', listener)
}

export function usePage(): Page {
  return useSyncExternalStore(subscribe, () => pageOf(location.hash))
}
