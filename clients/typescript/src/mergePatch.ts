/**
 * JSON Merge Patch (RFC 7396), immutable: what a patch does not touch keeps its identity, so `===` tells
 * whether a subtree changed.
 */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json }
type Dict = Record<string, unknown>

function isObject(value: unknown): value is Dict {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `target` with `patch` merged in; the same object when nothing changes. */
export function mergePatch<T>(target: T, patch: unknown): T {
  return merge(target, patch) as T
}

function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const from = isObject(target) ? target : {}
  let into: Dict | undefined = isObject(target) ? undefined : {}
  for (const key of Object.keys(patch)) {
    const change = patch[key]
    const has = Object.hasOwn(from, key)
    if (change === null) {
      if (has) {
        into ??= { ...from }
        Reflect.deleteProperty(into, key)
      }
      continue
    }
    const before = has ? from[key] : undefined
    const after = merge(before, change)
    if (has && after === before) continue
    into ??= { ...from }
    // defineProperty, not assignment: a key may be `__proto__`
    if (key === '__proto__') Object.defineProperty(into, key, { value: after, enumerable: true, configurable: true, writable: true })
    else into[key] = after
  }
  return into ?? from
}

/**
 * The merge patch that turns `before` into `after`, or undefined when they are equal. Shared subtrees are
 * skipped by identity. Neither may hold null (an absent field is the missing value), except inside arrays.
 */
export function diffPatch(before: unknown, after: unknown): unknown {
  if (before === after) return undefined
  if (!isObject(before) || !isObject(after)) {
    return isEqual(before, after) ? undefined : after
  }
  let patch: Dict | undefined
  const put = (key: string, value: unknown) => {
    patch ??= {}
    Object.defineProperty(patch, key, { value, enumerable: true, configurable: true, writable: true })
  }
  for (const key of Object.keys(before)) {
    if (!Object.hasOwn(after, key)) put(key, null)
  }
  for (const key of Object.keys(after)) {
    const value = after[key]
    if (!Object.hasOwn(before, key)) put(key, value)
    else if (before[key] !== value) {
      // an object cannot replace a scalar by merging unless the scalar goes first; merge() does just that
      const change = diffPatch(before[key], value)
      if (change !== undefined) put(key, change)
    }
  }
  return patch
}

function isEqual(left: unknown, right: unknown): boolean {
  if (Object.is(left, right)) return true
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, i) => isEqual(item, right[i]))
  }
  if (isObject(left) && isObject(right)) return diffPatch(left, right) === undefined
  return false
}
